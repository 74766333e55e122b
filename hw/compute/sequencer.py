"""The MAC sequencer: in which order a slice's words, tokens and hidden values meet in the MAC array."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from trajectile.hw.compute.hidden_buffer import HiddenBuffer
from trajectile.hw.compute.lane_memory import LaneMemory, bank_conflicts
from trajectile.hw.compute.mac_array import MacArray
from trajectile.hw.compute.swiglu import SwigluLane
from trajectile.hw.host.layouts import Table, TableLayouts
from trajectile.hw.host.tables import TableBus
from trajectile.hw.lib.block import Block, place
from trajectile.hw.lib.limits import exceeds
from trajectile.hw.lib.sram import Sram1RW
from trajectile.hw.memory.expert_buffer import ExpertBuffer
from trajectile.hw.rules.ports import ComputePort


class MacSequencer(Block):
    """Reads a slice's parameters and walks its passes: gate-up of pass 0, of pass 1, down of pass 0, gate-up of pass 2, down
    of pass 1, and so on. With ``layer.bias`` the last word of each gate-up group holds its biases.

    A down segment waits until SwiGLU has finished with its pass (``swiglu_cycles``), and a cycle more where it would meet the
    down segment before it in a result bank (``conflicts``); docs/architecture.md, "Compute time". Passes alternate between
    two halves of the hidden buffer and of the token registers; ``half`` says which.

    Latency: ``compute.start`` in cycle c, first word in c+3 (``latency_cycles`` = 3). It is ``ready`` again ``early_cycles``
    before a slice's last word, so that the next slice's first word may follow it, and not ``busy`` any more
    ``drain_cycles`` = 14 after that word. The down segment of a pass begins ``swiglu_cycles`` after the last word of its
    gate-up segment, or later.
    Throughput: one word per cycle within a segment. Storage: rule table (compute part) and token lists (SRAM), the token list
    entries of two passes.
    """

    latency_cycles = 3
    drain_cycles = LaneMemory.drain_cycles

    table: TableBus.Interface
    clear: Signal
    compute: ComputePort.Interface
    busy: Signal
    slot: Signal
    issue: Signal
    word: Signal
    param: Signal
    down: Signal
    bias: Signal
    chunk: Signal
    group_index: Signal
    first: Signal
    last: Signal
    finish: Signal
    half: Signal
    passes: data.View
    bad_entry: Signal

    def __init__(self, params: TableLayouts):
        self.params = params
        config = params.config
        #: a segment of one word is over too soon for more
        self.early_cycles = min(self.latency_cycles - 1, config.down_words - 1)
        #: from a word out of its slot, through MAC array, SwiGLU (its last pair) and hidden buffer, to one that meets it;
        #: hidden values are read while the word comes out of its slot
        self.swiglu_cycles = (ExpertBuffer.latency_cycles + MacArray.latency_cycles + SwigluLane.latency_cycles
                              + config.tile.mac_n // 2 - 1 + HiddenBuffer.latency_cycles)
        #: distances from one down segment to the next at which they would meet in a result bank
        self.conflicts = bank_conflicts(config)
        #: what the rule table holds for this block: all but the two routing bits, which lie lowest
        self.rule_layout = data.StructLayout({
            str(name): field.shape for name, field in params.rule_layout if name not in ("here", "next")})
        super().__init__({
            "table": In(TableBus(params)),  #: host writes of RULES and TOKENS
            "clear": In(1),  #: a batch begins
            "compute": In(ComputePort(params)),  #: rule 2
            "busy": Out(1),  #: from the cycle after ``start`` until the last result is written
            "slot": Out(params.slot_bits),  #: slot of the slice
            "issue": Out(1),  #: a word is addressed in this cycle; all below belong to it
            "word": Out(params.word_addr_bits),  #: word of the slice
            "param": Out(1),  #: it holds parameters; nothing is multiplied
            "down": Out(1),  #: it is of the down matrix
            "bias": Out(1),  #: it holds the biases of a gate-up group; nothing is multiplied
            "chunk": Out(bits_for(max(config.gate_up_group_words, config.down_chunks) - 1)),  #: inputs ``chunk * mac_k`` on
            "group_index": Out(bits_for(max(config.gate_up_groups, config.down_groups) - 1)),  #: ``mac_n`` outputs each
            "first": Out(1),  #: first word of a group
            "last": Out(1),  #: last word of a group, with its biases if there are any
            "finish": Out(1),  #: last word of a pass
            "half": Out(1),  #: half of the pass
            "passes": Out(data.ArrayLayout(params.pass_layout, 2)),  #: token list entries, by half
            "bad_entry": Out(1),  #: an entry used in the cycle before is not legal: no passes, no such list, no such token
        })

    def elaborate(self, platform: object) -> Module:
        """Setup pipeline, segment counters, choice of the next segment."""
        m = Module()
        params, config = self.params, self.params.config
        compute = self.compute
        rules = Sram1RW(depth=config.layer.experts, width=self.rule_layout.size)
        tokens = Sram1RW(depth=params.list_depth, width=params.pass_layout.size)
        place(m, platform, rule_table=rules, token_list=tokens)
        rule = data.View(self.rule_layout, rules.rdata)

        # Setup, while the slice before may still issue its last words: rule table, token list, registers.
        look_up = Signal()
        begin = Signal(name="begin_slice")  # not a word of Verilog
        next_slot = Signal(params.slot_bits)
        entry = Signal(params.list_bits)  # the token list entry to read next
        begin_gate_up = Signal()
        write_rules = self.table.write & (self.table.table == Table.RULES)
        write_tokens = self.table.write & (self.table.table == Table.TOKENS)
        m.d.sync += [look_up.eq(compute.start), begin.eq(look_up)]
        with m.If(compute.start):
            m.d.sync += next_slot.eq(compute.slot)
        m.d.comb += [
            rules.en.eq(compute.start | write_rules),
            rules.we.eq(write_rules),
            rules.addr.eq(Mux(write_rules, self.table.index, compute.expert)),
            rules.wdata.eq(self.table.write_data[2:]),
            tokens.en.eq(look_up | begin_gate_up | write_tokens),
            tokens.we.eq(write_tokens),
            tokens.addr.eq(Mux(write_tokens, self.table.index, Mux(look_up, rule.first, entry))),
            tokens.wdata.eq(self.table.write_data),
        ]
        with m.If(look_up):
            m.d.sync += entry.eq(rule.first + 1)
        with m.Elif(begin_gate_up):
            m.d.sync += entry.eq(entry + 1)

        # Where in the slice: segment, group, chunk. The parameters come before the first segment, and count as a part of it.
        active = Signal()  # a segment is under way
        last_group = Signal()
        last_chunk = Mux(self.down, config.down_chunks - 1, config.gate_up_group_words - 1)
        m.d.comb += [
            self.first.eq(~self.param & (self.chunk == 0)),
            self.last.eq(~self.param & (self.chunk == last_chunk)),
            last_group.eq(self.group_index == Mux(self.down, config.down_groups - 1, config.gate_up_groups - 1)),
            self.finish.eq(self.last & last_group),
        ]
        ends = self.issue & self.finish
        if config.layer.bias:
            m.d.comb += self.bias.eq(~self.param & ~self.down & self.last)
        with m.If(self.issue):
            m.d.sync += self.word.eq(self.word + 1)
            with m.If(self.param):
                m.d.sync += self.param.eq(self.word != config.parameter_words - 1)
            with m.Else():
                m.d.sync += self.chunk.eq(self.chunk + 1)
            with m.If(self.last):
                m.d.sync += [self.chunk.eq(0), self.group_index.eq(self.group_index + 1)]

        # Which segment comes next: gate-up stays one or two passes ahead of down.
        left = Signal(params.pass_bits, name="passes_left")  # passes whose gate-up has not begun
        ahead = Signal(range(3))  # passes whose gate-up has begun and down has not
        more = (left != 0) & (ahead != 2)
        final = active & self.down & (ahead == 0) & (left == 0)
        begin_down = Signal()
        # A slice of so few words that the setup of the next takes longer is near its end at once.
        sure = config.slice_words <= self.latency_cycles
        near_end = Const(1) if sure else self.word >= config.slice_words - self.latency_cycles
        m.d.comb += [
            begin_gate_up.eq(begin | (ends & more)),
            begin_down.eq(ends & ~more & ~final),
            compute.done.eq(ends & final), compute.done_slot.eq(self.slot),
            compute.ready.eq(~look_up & ~begin & (~active | (final & self.issue & near_end))),
        ]
        gate_up_half = Signal()  # of the next segment of each kind
        down_half = Signal()
        with m.If(compute.done):
            m.d.sync += active.eq(0)
        with m.If(begin_gate_up):
            m.d.sync += [
                active.eq(1), self.down.eq(0), self.word.eq(config.parameter_words), self.chunk.eq(0), self.group_index.eq(0),
                self.half.eq(gate_up_half), gate_up_half.eq(~gate_up_half),
                self.passes[gate_up_half].eq(tokens.rdata),
                left.eq(left - 1), ahead.eq(ahead + 1),
            ]
        # What the host never wrote can be anything; the slice ends all the same, and the batch fails.
        used = data.View(params.pass_layout, tokens.rdata)
        wrong_token = Cat(used[lane].valid & exceeds(used[lane].token, params.token_maximum)
                          for lane in range(config.tile.mac_t)).any()
        wrong_list = (rule.passes == 0) | exceeds(rule.first + rule.passes, params.list_depth)
        m.d.sync += self.bad_entry.eq((begin & wrong_list) | (begin_gate_up & wrong_token))
        with m.If(begin):
            # an expert without passes is a host's mistake: it computes one, it does not hang
            m.d.sync += [
                self.slot.eq(next_slot), self.word.eq(0), self.param.eq(1),
                left.eq(Mux(rule.passes == 0, 0, rule.passes - 1)), ahead.eq(1),
            ]
        with m.If(begin_down):
            m.d.sync += [
                self.down.eq(1), self.word.eq(config.parameter_words + config.gate_up_words),
                self.chunk.eq(0), self.group_index.eq(0),
                self.half.eq(down_half), down_half.eq(~down_half), ahead.eq(ahead - 1),
            ]
        with m.If(self.clear):
            m.d.sync += [gate_up_half.eq(0), down_half.eq(0)]

        # When a down segment may begin.
        hidden = [Signal(range(self.swiglu_cycles), name=f"hidden_wait_{half}") for half in range(2)]
        for half, wait in enumerate(hidden):
            with m.If(ends & ~self.down & (self.half == half)):
                m.d.sync += wait.eq(self.swiglu_cycles - 1)
            with m.Elif(wait != 0):
                m.d.sync += wait.eq(wait - 1)
        blocked = Mux(self.half, hidden[1] != 0, hidden[0] != 0)
        if self.conflicts:
            # 3, 2, 1 in the cycles at a distance of 1, 2, 3 from the last word of a down segment
            results = Signal(range(4), name="result_wait")
            with m.If(ends & self.down):
                m.d.sync += results.eq(3)
            with m.Elif(results != 0):
                m.d.sync += results.eq(results - 1)
            opens = self.first & (self.group_index == 0)
            for distance in self.conflicts:
                blocked |= opens & (results == 4 - distance)
        m.d.comb += self.issue.eq(active & ~(self.down & blocked))

        draining = Signal(self.drain_cycles - 1)
        m.d.sync += draining.eq((draining << 1) | active)
        m.d.comb += self.busy.eq(look_up | begin | active | draining.any())
        return m
