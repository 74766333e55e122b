"""Activations and accumulators of one token lane."""

from itertools import pairwise

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from trajectile.hw.host.layouts import TableLayouts
from trajectile.hw.lib.block import Block, place
from trajectile.hw.lib.sram import Sram1RW
from trajectile.hw.memory.code import stored_bits
from trajectile.hw.memory.word import Decoded, decoded, encoded, flag_members, show_flags
from trajectile.sw_model.config import Config


def bank_conflicts(config: Config) -> tuple[int, ...]:
    """Distances, from the last word of a down segment to the first of the next, at which one bank would read for the second
    and write for the first in the same cycle.
    """
    chunks, groups = config.down_chunks, config.down_groups
    late = LaneMemory.result_write_cycles - LaneMemory.result_read_cycles
    # In cycles from the end of the first segment on: when its groups write, when those of the second read. Each group adds
    # its sum with its last word; of those far from the border none can meet.
    writes = {(group % 2, (group + 1 - groups) * chunks + late) for group in range(max(groups - late, 0), groups)}
    reads = [(group % 2, (group + 1) * chunks - 1) for group in range(min(groups, late))]
    return tuple(distance for distance in range(1, late + 1)
                 if any((bank, cycle + distance) in writes for bank, cycle in reads))


class LaneMemory(Block):
    """The token buffer of a lane: int8 activations and int32 results of its tokens, in single-port SRAM.

    Results lie in two banks, even and odd groups. A group's sum reads its word two cycles after ``add``
    (``result_read_cycles`` = 2) and writes it three cycles after that (``result_write_cycles`` = 5). The distance is odd, so
    while groups follow each other a bank reads and writes in different cycles. Between the last group and the next segment
    the sequencer avoids the conflict (:func:`bank_conflicts`). The first sum of a token after ``clear`` is written and not
    added, so nothing need be zeroed. Until a token has met an expert its results read as zero.

    With ``tile.protect`` every word has check bits, and there are two more outputs (docs/memory.md).

    Latency: activations, and what the host reads, one cycle after ``read`` (``latency_cycles`` = 1); ``totals`` four cycles
    after ``add`` (``totals_cycles`` = 4), in the SRAM two later (``stored_cycles`` = 6); ``corrected`` and ``error`` two
    cycles after the SRAM's read (``flag_cycles`` = 2). Throughput: one activation word and one result word per cycle.
    Storage: SRAM, one bit per token, one result word (with check bits two).
    """

    latency_cycles = 1
    totals_cycles = 4
    result_read_cycles = 2
    result_write_cycles = totals_cycles + 1
    stored_cycles = result_write_cycles + 1
    flag_cycles = 2

    clear: Signal
    token: Signal
    read: Signal
    chunk: Signal
    activations: Signal
    add: Signal
    group_index: Signal
    finish: Signal
    totals: Signal
    host_index: Signal
    host_write: Signal
    host_data: Signal
    host_read: Signal
    host_token: Signal
    host_pad: Signal
    results: Signal
    corrected: Signal
    error: Signal

    def __init__(self, params: TableLayouts):
        self.params = params
        config = params.config
        super().__init__({
            "clear": In(1),  #: a batch begins: forget all results
            "token": In(params.token_bits),  #: whose activations or results are addressed
            "read": In(1),  #: read activations
            "chunk": In(range(max(config.gate_up_chunks, 2))),  #: with it: which chunk of d_model
            "activations": Out(params.activation_bits),  #: one cycle later
            "add": In(1),  #: the last word of a down group is addressed: add its sum to the token's results
            "group_index": In(range(max(config.down_groups, 2))),
            "finish": In(1),  #: with ``add``: it is the token's last group
            "totals": In(params.result_bits),  #: the sum, four cycles later
            "host_index": In(params.table_index_bits),  #: entry for the host
            "host_write": In(1),  #: write activations
            "host_data": In(params.activation_bits),
            "host_read": In(1),  #: read results
            "host_token": In(params.token_bits),  #: with it: whose results they are
            "host_pad": In(1),  #: with it: the entry is no group's, but pads an odd number of groups
            "results": Out(params.result_bits),  #: one cycle later
            **flag_members(params.protect),
        })

    def elaborate(self, platform: object) -> Module:
        """Activation SRAM; result banks with read, add, write in a pipeline."""
        m = Module()
        show_flags(m, self, self.params.protect, [self._activations(m, platform), self._results(m, platform)])
        return m

    def _activations(self, m: Module, platform: object) -> Decoded:
        """Written by the host, read by the MAC array."""
        params, protect = self.params, self.params.protect
        sram = Sram1RW(depth=params.activation_depth, width=stored_bits(protect, params.activation_bits))
        place(m, platform, activations=sram)
        m.d.comb += [
            sram.en.eq(self.read | self.host_write),
            sram.we.eq(self.host_write),
            sram.addr.eq(Mux(self.host_write, self.host_index, self.token * params.config.gate_up_chunks + self.chunk)),
            sram.wdata.eq(encoded(m, platform, protect, self.host_data, "activation_encoder")),
        ]
        word = decoded(m, platform, protect, sram.rdata, params.activation_bits, "activation_decoder", read=self.read)
        m.d.comb += self.activations.eq(word.data)
        return word

    def _results(self, m: Module, platform: object) -> Decoded:
        """Read, added to and written by the MAC array, read by the host."""
        params, config, protect = self.params, self.params.config, self.params.protect
        # A token's first down segment writes, later ones add.
        met = Array(Signal(name=f"met_{token}") for token in range(config.tile.lane_tokens))
        fresh = ~met[self.token]
        with m.If(self.clear):
            m.d.sync += [bit.eq(0) for bit in met]
        with m.Elif(self.add & self.finish):
            m.d.sync += met[self.token].eq(1)

        # Stage s of this pipeline is s cycles after ``add``.
        depth = params.result_depth // 2
        valid = [self.add, *(Signal(name=f"add_{stage}") for stage in range(1, 6))]
        bank = [self.group_index[0], *(Signal(name=f"bank_{stage}") for stage in range(1, 6))]
        row = [self.token * (params.result_stride // 2) + (self.group_index >> 1),
               *(Signal(range(max(depth, 2)), name=f"row_{stage}", reset_less=True) for stage in range(1, 6))]
        new = [fresh, *(Signal(name=f"new_{stage}") for stage in range(1, 5))]
        for chain in (valid, bank, row, new):
            m.d.sync += [after.eq(before) for before, after in pairwise(chain)]
        rdata = [Signal(stored_bits(protect, params.result_bits), name=f"bank_{number}_rdata") for number in range(2)]
        host_bank = Signal()
        host_known = Signal()
        known = met[self.host_token] & ~self.host_pad
        with m.If(self.host_read):
            m.d.sync += [host_bank.eq(self.host_index[0]), host_known.eq(known)]
        # A bank shows a word until its next read, which is two cycles later in a row of groups, and the sequencer lets no
        # segment follow sooner unless each is a single group of one word. So the adder, a cycle after the word has come,
        # takes it from the SRAM. Check bits are looked at as it comes; then it waits in a register.
        waits = protect != "none" or config.down_words == 1
        shows = 3 if waits else 4
        result = decoded(m, platform, protect, Mux(Mux(valid[shows], bank[shows], host_bank), rdata[1], rdata[0]),
                         params.result_bits, "result_decoder", read=(valid[2] & ~new[2]) | (self.host_read & known))
        m.d.comb += self.results.eq(Mux(host_known, result.data, 0))
        old = result.data
        if waits:
            old = Signal(params.result_bits, reset_less=True)
            with m.If(valid[3]):
                m.d.sync += old.eq(result.data)
        written = Signal(params.result_bits, reset_less=True)
        with m.If(valid[4]):
            sums = [Mux(new[4], 0, old.word_select(i, 32)) + self.totals.word_select(i, 32)
                    for i in range(config.tile.mac_n)]
            m.d.sync += written.eq(Cat(total[:32] for total in sums))
        stored = encoded(m, platform, protect, written, "result_encoder")
        for number in range(2):
            sram = Sram1RW(depth=depth, width=stored_bits(protect, params.result_bits))
            place(m, platform, {f"results_{number}": sram})
            reads = valid[2] & (bank[2] == number)
            writes = valid[5] & (bank[5] == number)
            asked = self.host_read & (self.host_index[0] == number)
            m.d.comb += [
                sram.en.eq(reads | writes | asked),
                sram.we.eq(writes),
                sram.addr.eq(Mux(writes, row[5], Mux(reads, row[2], self.host_index >> 1))),
                sram.wdata.eq(stored),
                rdata[number].eq(sram.rdata),
            ]
        return result
