"""How often values of each token of a lane were clipped."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from trajectile.hw.formats import CLIP_BITS
from trajectile.hw.host.layouts import TableLayouts
from trajectile.hw.lib.block import Block, place
from trajectile.hw.lib.sram import Sram1RW
from trajectile.hw.memory.code import stored_bits
from trajectile.hw.memory.word import decoded, encoded, flag_members, show_flags


class ClipCounter(Block):
    """Counts clips of a pass in one of two registers, by half, and adds them to the count of its token when the pass ends.

    Adding takes the SRAM for three cycles: read, add, write. Two passes may end in adjacent cycles; then the second waits. A
    third ends so much later (its SwiGLU comes between) that nothing waits longer, and both registers are free again when the
    first pair of the next pass leaves SwiGLU. A count stops at its largest value.

    Latency: what the host reads comes one cycle after ``host_read`` (``latency_cycles`` = 1); a pass that ends in cycle c is
    in the SRAM in c+6 (``stored_cycles`` = 6) if it waits for another, two cycles sooner if not; ``corrected`` and ``error``
    come two cycles after the SRAM's read (``flag_cycles`` = 2). Throughput: two passes in six cycles. Storage: SRAM, one
    count per token; two counts and two token numbers.
    """

    latency_cycles = 1
    stored_cycles = 6
    flag_cycles = 2

    note: Signal
    token: Signal
    fresh: Signal
    note_half: Signal
    pair: Signal
    pair_half: Signal
    group_clipped: Signal
    group_half: Signal
    finish: Signal
    host_read: Signal
    host_token: Signal
    clips: Signal
    corrected: Signal
    error: Signal

    def __init__(self, params: TableLayouts):
        self.params = params
        super().__init__({
            "note": In(1),  #: the last word of a pass is addressed
            "token": In(params.token_bits),  #: with it: its token
            "fresh": In(1),  #: with it: nothing was counted for this token before
            "note_half": In(1),  #: with it: half of the pass
            "pair": In(1),  #: a gate-up pair was clipped
            "pair_half": In(1),  #: with it: half of its pass
            "group_clipped": In(1),  #: a result of a group was clipped
            "group_half": In(1),  #: with it, and with ``finish``: half of its pass
            "finish": In(1),  #: a pass ends: its last group is here
            "host_read": In(1),  #: read a count
            "host_token": In(params.token_bits),  #: with it: of this token
            "clips": Out(CLIP_BITS),  #: one cycle later
            **flag_members(params.protect),
        })

    def elaborate(self, platform: object) -> Module:
        """A counter and a token per half; read, add, write."""
        m = Module()
        params, protect = self.params, self.params.protect
        config = params.config
        most = config.gate_up_groups * config.tile.mac_n // 2 + config.down_groups
        counts = [Signal(range(most + 1), name=f"count_{half}") for half in range(2)]
        tokens = [Signal(params.token_bits, name=f"token_{half}", reset_less=True) for half in range(2)]
        fresh = [Signal(name=f"fresh_{half}", reset_less=True) for half in range(2)]
        waits = [Signal(name=f"waits_{half}") for half in range(2)]
        # The pass of ``half`` is being added: its word is read, comes, is written.
        read = Signal()
        add = Signal()
        write = Signal()
        next_half = Signal()
        half = Signal()
        m.d.comb += [read.eq(Cat(waits).any() & ~add & ~write), next_half.eq(~waits[0])]
        m.d.sync += [add.eq(read), write.eq(add)]
        with m.If(read):
            m.d.sync += half.eq(next_half)
        for number in range(2):
            with m.If(self.note & (self.note_half == number)):
                m.d.sync += [tokens[number].eq(self.token), fresh[number].eq(self.fresh)]
            with m.If(self.finish & (self.group_half == number)):
                m.d.sync += waits[number].eq(1)
            with m.Elif(read & (next_half == number)):
                m.d.sync += waits[number].eq(0)
            # Pairs and groups of one half never come in one cycle: a pass has its pairs first.
            with m.If((self.pair & (self.pair_half == number)) | (self.group_clipped & (self.group_half == number))):
                m.d.sync += counts[number].eq(counts[number] + 1)
            with m.Elif(add & (half == number)):
                m.d.sync += counts[number].eq(0)

        sram = Sram1RW(depth=config.tile.lane_tokens, width=stored_bits(protect, CLIP_BITS))
        place(m, platform, clips=sram)
        count = decoded(m, platform, protect, sram.rdata, CLIP_BITS, "clips_decoder",
                        read=(read & ~Mux(next_half, *reversed(fresh))) | self.host_read)
        total = Mux(Mux(half, *reversed(fresh)), 0, count.data) + Mux(half, *reversed(counts))
        written = Signal(CLIP_BITS, reset_less=True)
        with m.If(add):
            m.d.sync += written.eq(Mux(total >= 2**CLIP_BITS, 2**CLIP_BITS - 1, total))
        m.d.comb += [
            sram.en.eq(read | write | self.host_read),
            sram.we.eq(write),
            sram.addr.eq(Mux(write | read, Mux(Mux(write, half, next_half), *reversed(tokens)), self.host_token)),
            sram.wdata.eq(encoded(m, platform, protect, written, "clips_encoder")),
            self.clips.eq(count.data),
        ]
        show_flags(m, self, protect, [count])
        return m
