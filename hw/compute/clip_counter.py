"""How often values of each token of a lane were clipped."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from trajectile.hw.formats import CLIP_BITS
from trajectile.hw.lib.batches import is_batch, of_batch
from trajectile.hw.lib.block import Block, place
from trajectile.hw.lib.sram import Sram1RW
from trajectile.hw.memory.code import stored_bits
from trajectile.hw.memory.word import decoded, encoded, flag_members, show_flags
from trajectile.hw.widths import Widths


class ClipCounter(Block):
    """Counts clips of a pass in one of two registers, by half, and adds them to the count of its token when the pass ends.

    Adding takes the SRAM for three cycles: read, add, write. Two passes may end in adjacent cycles; then the second waits. A
    third ends so much later (its SwiGLU comes between) that nothing waits longer, and both registers are free again when the
    first pair of the next pass leaves SwiGLU. A count stops at its largest value. Each batch in flight has its own SRAM, so
    that counts of one are read while passes of the other end.

    Latency: a count comes one cycle after ``read`` (``latency_cycles`` = 1), and holds until another is read; a pass that
    ends in cycle c is in the SRAM in c+6 (``stored_cycles`` = 6) if it waits for another, two cycles sooner if not;
    ``corrected`` and ``error`` come two cycles after the SRAM's read (``flag_cycles`` = 2). Throughput: two passes in six
    cycles. Storage: SRAM, one count per token and batch; two counts and two token numbers.
    """

    latency_cycles = 1
    stored_cycles = 6
    flag_cycles = 2

    note: Signal
    token: Signal
    batch: Signal
    fresh: Signal
    note_half: Signal
    pair: Signal
    pair_half: Signal
    group_clipped: Signal
    group_half: Signal
    finish: Signal
    read: Signal
    read_known: Signal
    read_token: Signal
    read_batch: Signal
    put: Signal
    put_token: Signal
    put_batch: Signal
    put_clips: Signal
    clips: Signal
    corrected: Signal
    error: Signal

    def __init__(self, params: Widths):
        self.params = params
        super().__init__({
            "note": In(1),  #: the last word of a pass is addressed
            "token": In(params.token_bits),  #: with it: its token
            "batch": In(1),  #: with it: the token's batch
            "fresh": In(1),  #: with it: nothing was counted for this token before
            "note_half": In(1),  #: with it: half of the pass
            "pair": In(1),  #: a gate-up pair was clipped
            "pair_half": In(1),  #: with it: half of its pass
            "group_clipped": In(1),  #: a result of a group was clipped
            "group_half": In(1),  #: with it, and with ``finish``: half of its pass
            "finish": In(1),  #: a pass ends: its last group is here
            "read": In(1),  #: read a count; no pass of its batch is under way
            "read_known": In(1),  #: with it: a count was written for this token; otherwise anything comes
            "read_token": In(params.token_bits),  #: with it: of this token
            "read_batch": In(1),  #: with it: of this batch
            **({
                "put": In(1),  #: write a count; no pass of its batch is under way
                "put_token": In(params.token_bits),  #: with it: of this token
                "put_batch": In(1),  #: with it: of this batch
                "put_clips": In(stored_bits(params.protect, CLIP_BITS)),  #: with it: the count with its check bits
            } if params.config.array.shares else {}),
            "clips": Out(CLIP_BITS),  #: one cycle later
            **flag_members(params.protect),
        })

    def elaborate(self, platform: object) -> Module:
        """A counter and a token per half; read, add, write."""
        m = Module()
        params, protect = self.params, self.params.protect
        config = params.config
        most = config.gate_up_groups * config.tile.mac_n // 2 + config.down_groups
        batches = config.tile.batches
        counts = [Signal(range(most + 1), name=f"count_{half}") for half in range(2)]
        tokens = [Signal(params.token_bits, name=f"token_{half}", reset_less=True) for half in range(2)]
        batch_of = [Signal(name=f"batch_{half}", reset_less=True) for half in range(2)]
        fresh = [Signal(name=f"fresh_{half}", reset_less=True) for half in range(2)]
        waits = [Signal(name=f"waits_{half}") for half in range(2)]
        # The pass of ``half`` is being added: its word is fetched, comes, is written.
        fetch = Signal()
        add = Signal()
        write = Signal()
        next_half = Signal()
        half = Signal()
        m.d.comb += [fetch.eq(Cat(waits).any() & ~add & ~write), next_half.eq(~waits[0])]
        m.d.sync += [add.eq(fetch), write.eq(add)]
        with m.If(fetch):
            m.d.sync += half.eq(next_half)
        for number in range(2):
            with m.If(self.note & (self.note_half == number)):
                m.d.sync += [tokens[number].eq(self.token), batch_of[number].eq(self.batch), fresh[number].eq(self.fresh)]
            with m.If(self.finish & (self.group_half == number)):
                m.d.sync += waits[number].eq(1)
            with m.Elif(fetch & (next_half == number)):
                m.d.sync += waits[number].eq(0)
            # Pairs and groups of one half never come in one cycle: a pass has its pairs first.
            with m.If((self.pair & (self.pair_half == number)) | (self.group_clipped & (self.group_half == number))):
                m.d.sync += counts[number].eq(counts[number] + 1)
            with m.Elif(add & (half == number)):
                m.d.sync += counts[number].eq(0)

        chosen = Signal()
        m.d.comb += chosen.eq(Mux(write, half, next_half))
        token, batch = Mux(chosen, *reversed(tokens)), Mux(chosen, *reversed(batch_of))
        replaces = Mux(next_half, *reversed(fresh))
        written = Signal(CLIP_BITS, reset_less=True)
        stored = encoded(m, platform, protect, written, "clips_encoder")
        words = []
        for number in range(batches):
            uses = (fetch | write) & is_batch(batch, number, batches)
            reads = self.read & is_batch(self.read_batch, number, batches)
            sram = Sram1RW(depth=config.tile.lane_tokens, width=stored_bits(protect, CLIP_BITS))
            place(m, platform, {f"clips_{number}": sram})
            address = Mux(uses, token, self.read_token)
            if config.array.shares:
                puts = self.put & is_batch(self.put_batch, number, batches)
                m.d.comb += [
                    sram.en.eq(uses | reads | puts), sram.we.eq((write & uses) | puts),
                    sram.wdata.eq(Mux(puts, self.put_clips, stored)), sram.addr.eq(Mux(puts, self.put_token, address)),
                ]
            else:
                m.d.comb += [
                    sram.en.eq(uses | reads), sram.we.eq(write & uses), sram.wdata.eq(stored), sram.addr.eq(address)]
            words.append(decoded(m, platform, protect, sram.rdata, CLIP_BITS, f"clips_decoder_{number}",
                                 read=(fetch & uses & ~replaces) | (reads & self.read_known)))
        count = of_batch(Mux(half, *reversed(batch_of)), [word.data for word in words])
        total = Mux(Mux(half, *reversed(fresh)), 0, count) + Mux(half, *reversed(counts))
        with m.If(add):
            m.d.sync += written.eq(Mux(total >= 2**CLIP_BITS, 2**CLIP_BITS - 1, total))
        shown = Signal(name="shown_batch")
        with m.If(self.read):
            m.d.sync += shown.eq(self.read_batch)
        m.d.comb += self.clips.eq(of_batch(shown, [word.data for word in words]))
        show_flags(m, self, protect, words)
        return m
