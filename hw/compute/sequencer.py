"""The MAC sequencer: in which order a slice's words, tokens and hidden values meet in the MAC array."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from trajectile.hw.batch.layouts import BatchLayouts
from trajectile.hw.batch.ports import LookUpPort
from trajectile.hw.compute.hidden_buffer import HiddenBuffer
from trajectile.hw.compute.lane_memory import bank_conflicts, drain_cycles
from trajectile.hw.compute.mac_array import array_cycles
from trajectile.hw.compute.swiglu import SwigluLane
from trajectile.hw.lib.batches import is_batch
from trajectile.hw.lib.block import Block
from trajectile.hw.lib.chain import chain
from trajectile.hw.memory.expert_buffer import word_cycles
from trajectile.hw.rules.ports import ComputePort
from trajectile.sw_model.config import TileConfig


def setup_cycles(tile: TileConfig) -> int:
    """From ``compute.start`` to a slice's first word."""
    return 3 + tile.register_starts


class MacSequencer(Block):
    """Reads a slice's parameters and walks its passes: gate-up of pass 0, of pass 1, down of pass 0, gate-up of pass 2, down
    of pass 1, and so on. With ``layer.bias`` the last word of each gate-up group holds its biases. A pass has a token of each
    lane whose list has not ended, and the lists say when there is no other pass. A slice without any token has one pass all
    the same, so that it always ends.

    A down segment waits until SwiGLU has finished with its pass (``swiglu_cycles``), and a cycle more where it would meet the
    down segment before it in a result bank (``conflicts``); docs/architecture.md, "Compute time". Passes alternate between
    two halves of the hidden buffer and of the token registers; ``half`` says which. Slices of two batches may follow each
    other as those of one do.

    With ``tile.register_starts`` a slice's tokens are looked up in the cycle after its start: which slice it is, is known
    late.

    Latency: ``compute.start`` in cycle c, first word in c+3, or c+4 with registered starts (``latency_cycles``). It is
    ``ready`` again ``early_cycles`` before a slice's last word, so that the next slice's first word may follow it, and not
    ``busy`` with its batch any more ``drain_cycles`` after that word: 14, and one more each if operands, products, or slots
    are registered. The down segment of a pass begins ``swiglu_cycles`` after the last word of its gate-up segment, or later.
    Throughput: one word per cycle within a segment. Storage: the tokens of two passes, with their weights.
    """

    compute: ComputePort.Interface
    look_up: LookUpPort.Interface
    busy: Signal
    slot: Signal
    batch: Signal
    active: Signal
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

    def __init__(self, params: BatchLayouts):
        self.params = params
        config = params.config
        self.latency_cycles = setup_cycles(config.tile)
        self.drain_cycles = drain_cycles(config.tile)
        #: a segment of one word is over too soon for more
        self.early_cycles = min(self.latency_cycles - 1, config.down_words - 1)
        #: from a word out of its slot, through MAC array, SwiGLU (its last pair) and hidden buffer, to one that meets it;
        #: hidden values are addressed with the word
        self.swiglu_cycles = (word_cycles(config.tile) + array_cycles(config.tile) + SwigluLane.latency_cycles
                              + config.tile.mac_n // 2 - 1 + HiddenBuffer.latency_cycles)
        #: distances from one down segment to the next at which they would meet in a result bank
        self.conflicts = bank_conflicts(config)
        super().__init__({
            "compute": In(ComputePort(params)),  #: rule 2
            "look_up": Out(LookUpPort(params)),  #: token lists of the slice's expert
            "busy": Out(config.tile.batches),  #: by batch: from the cycle after ``start`` until the last result is written
            "slot": Out(params.slot_bits),  #: slot of the slice
            "batch": Out(1),  #: batch of the slice
            "active": Out(1),  #: words of the slice are addressed, in this cycle or later
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
            "passes": Out(data.ArrayLayout(params.pass_layout, 2)),  #: tokens, by half
        })

    def elaborate(self, platform: object) -> Module:
        """Setup pipeline, segment counters, choice of the next segment."""
        m = Module()
        params, config = self.params, self.params.config
        compute, look_up = self.compute, self.look_up

        # Setup, while the slice before may still issue its last words: heads of the lists, first tokens, registers.
        looks_up = Signal(name="look_up")
        begin = Signal(name="begin_slice")  # not a word of Verilog
        next_slot = Signal(params.slot_bits)
        next_batch = Signal()
        begin_gate_up = Signal()
        stages = range(1, 1 + config.tile.register_starts)
        starts = chain(m, "start", compute.start, stages, reset_less=False)
        slot, batch, expert = (chain(m, f"start_{name}", getattr(compute, name), stages)
                               for name in ("slot", "batch", "expert"))
        m.d.sync += [looks_up.eq(starts[-1]), begin.eq(looks_up)]
        with m.If(starts[-1]):
            m.d.sync += [next_slot.eq(slot[-1]), next_batch.eq(batch[-1])]
        m.d.comb += [
            look_up.find.eq(starts[-1]), look_up.batch.eq(batch[-1]), look_up.expert.eq(expert[-1]),
            look_up.advance.eq(begin_gate_up),
        ]

        # Where in the slice: segment, group, chunk. The parameters come before the first segment, and count as a part of it.
        words, groups = (config.gate_up_group_words, config.down_chunks), (config.gate_up_groups, config.down_groups)
        active = self.active
        # Chunk and group are their last ones: known with them, as much hangs on that, and most on both.
        last_chunk = Signal()
        last_group = Signal()
        next_param, next_last_chunk, next_last_group = (Signal(name=f"next_{name}") for name in ("param", "last_chunk",
                                                                                                "last_group"))
        m.d.comb += [
            self.first.eq(~self.param & (self.chunk == 0)),
            self.last.eq(~self.param & last_chunk),
            next_param.eq(self.param), next_last_chunk.eq(last_chunk), next_last_group.eq(last_group),
        ]
        m.d.sync += [self.param.eq(next_param), last_chunk.eq(next_last_chunk), last_group.eq(next_last_group),
                     self.finish.eq(~next_param & next_last_chunk & next_last_group)]
        # Only a down segment's first word ever waits (below). Whether it does is known late, so others do not ask.
        ends = (active if config.down_words > 1 else self.issue) & self.finish
        if config.layer.bias:
            m.d.comb += self.bias.eq(~self.param & ~self.down & self.last)
        with m.If(self.issue):
            m.d.sync += self.word.eq(self.word + 1)
            with m.If(self.param):
                m.d.comb += next_param.eq(self.word != config.parameter_words - 1)
            with m.Else():
                m.d.sync += self.chunk.eq(self.chunk + 1)
                m.d.comb += next_last_chunk.eq(self._before(self.chunk, words))
            with m.If(self.last):
                m.d.sync += [self.chunk.eq(0), self.group_index.eq(self.group_index + 1)]
                m.d.comb += [next_last_chunk.eq(Mux(self.down, words[1] == 1, words[0] == 1)),
                             next_last_group.eq(self._before(self.group_index, groups))]

        # Which segment comes next: gate-up stays one or two passes ahead of down.
        left = Signal(name="passes_left")  # there are passes whose gate-up has not begun
        ahead = Signal(range(3))  # passes whose gate-up has begun and down has not
        more = left & (ahead != 2)
        final = active & self.down & (ahead == 0) & ~left
        begin_down = Signal()
        # A slice of so few words that the setup of the next takes longer is near its end at once.
        sure = config.slice_words <= self.latency_cycles
        near_end = Const(1) if sure else self.word >= config.slice_words - self.latency_cycles
        goes = active if config.down_words > self.latency_cycles else self.issue  # the word is none that waits
        m.d.comb += [
            begin_gate_up.eq(begin | (ends & more)),
            begin_down.eq(ends & ~more & ~final),
            compute.done.eq(ends & final), compute.done_slot.eq(self.slot),
            compute.ready.eq(~Cat(starts[1:], looks_up, begin).any() & (~active | (final & goes & near_end))),
        ]
        gate_up_half = Signal()  # of the next segment of each kind
        down_half = Signal()
        with m.If(compute.done):
            m.d.sync += active.eq(0)
        with m.If(begin_gate_up):
            m.d.sync += [
                active.eq(1), self.down.eq(0), self.word.eq(config.parameter_words),
                self.chunk.eq(0), self.group_index.eq(0),
                self.half.eq(gate_up_half), gate_up_half.eq(~gate_up_half),
                self.passes[gate_up_half].eq(look_up.entry),
                left.eq(look_up.more), ahead.eq(ahead + 1),
            ]
            m.d.comb += [next_last_chunk.eq(words[0] == 1), next_last_group.eq(groups[0] == 1)]
        with m.If(begin):
            m.d.sync += [self.slot.eq(next_slot), self.batch.eq(next_batch), self.word.eq(0), ahead.eq(1)]
            m.d.comb += next_param.eq(1)
        with m.If(begin_down):
            m.d.sync += [
                self.down.eq(1), self.word.eq(config.parameter_words + config.gate_up_words),
                self.chunk.eq(0), self.group_index.eq(0),
                self.half.eq(down_half), down_half.eq(~down_half), ahead.eq(ahead - 1),
            ]
            m.d.comb += [next_last_chunk.eq(words[1] == 1), next_last_group.eq(groups[1] == 1)]

        # When a down segment may begin.
        waits = [Signal(name=f"hidden_waits_{half}") for half in range(2)]
        for half, waiting in enumerate(waits):
            wait = Signal(range(self.swiglu_cycles), name=f"hidden_wait_{half}")  # cycles, besides the first
            with m.If(ends & ~self.down & (self.half == half)):
                m.d.sync += [wait.eq(self.swiglu_cycles - 2), waiting.eq(1)]
            with m.Else():
                m.d.sync += [wait.eq(Mux(wait == 0, 0, wait - 1)), waiting.eq(wait != 0)]
        blocked = Mux(self.half, *reversed(waits))
        if self.conflicts:
            # 3, 2, 1 in the cycles at a distance of 1, 2, 3 from the last word of a down segment
            results = Signal(range(4), name="result_wait")
            with m.If(ends & self.down):
                m.d.sync += results.eq(3)
            with m.Elif(results != 0):
                m.d.sync += results.eq(results - 1)
            opening = Signal()  # a down segment has not begun
            with m.If(begin_down):
                m.d.sync += opening.eq(1)
            with m.Elif(self.issue):
                m.d.sync += opening.eq(0)
            for distance in self.conflicts:
                blocked |= opening & (results == 4 - distance)
        m.d.comb += self.issue.eq(active & ~(self.down & blocked))

        batches = config.tile.batches
        for number in range(batches):
            sets_up = Signal(name=f"sets_up_{number}")  # in the cycles after a start
            m.d.sync += sets_up.eq(Cat(start & is_batch(of, number, batches)
                                       for start, of in zip((*starts, looks_up), (*batch, next_batch), strict=True)).any())
            computes = active & is_batch(self.batch, number, batches)
            draining = Signal(self.drain_cycles - 1, name=f"draining_{number}")
            drains = Signal(name=f"drains_{number}")
            after = ((draining << 1) | computes)[:len(draining)]
            m.d.sync += [draining.eq(after), drains.eq(after.any())]
            m.d.comb += self.busy[number].eq(sets_up | computes | drains)
        return m

    def _before(self, number: Signal, counts: tuple[int, int]) -> Value:
        """A number is the last but one of as many as a segment has: of gate and up, or of down."""
        last = [number == count - 2 if count > 1 else Const(0) for count in counts]
        return Value.cast(Mux(self.down, last[1], last[0]))
