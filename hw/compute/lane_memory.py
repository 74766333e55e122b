"""Activations, results and counts of clips of one token lane."""

from functools import reduce
from operator import or_

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from trajectile.hw.compute.clip_counter import ClipCounter
from trajectile.hw.compute.mac_array import array_cycles
from trajectile.hw.compute.rounding import coarse_shift, fine_shift, limited_amount, rounded
from trajectile.hw.formats import CLIP_BITS, HIDDEN_EXPONENT_BITS, SHIFT_LEFT
from trajectile.hw.lib.batches import is_batch, of_batch
from trajectile.hw.lib.block import Block, place
from trajectile.hw.lib.chain import chain
from trajectile.hw.lib.sram import Sram1RW
from trajectile.hw.memory.code import stored_bits
from trajectile.hw.memory.expert_buffer import word_cycles
from trajectile.hw.memory.word import Decoded, decoded, encoded, flag_members, show_flags
from trajectile.hw.widths import Widths
from trajectile.sw_model.config import Config, TileConfig

#: from sums to terms of the results
TERM_CYCLES = 3


def totals_cycles(tile: TileConfig) -> int:
    """From the address of a group's last word to its sums."""
    return word_cycles(tile) + array_cycles(tile)


def drain_cycles(tile: TileConfig) -> int:
    """From the address of a pass' last word to the count of its clips."""
    return totals_cycles(tile) + TERM_CYCLES + ClipCounter.stored_cycles


def bank_conflicts(config: Config) -> tuple[int, ...]:
    """Distances, from the last word of a down segment to the first of the next, at which one bank would read for the second
    and write for the first in the same cycle.
    """
    chunks, groups = config.down_chunks, config.down_groups
    late = LaneMemory.result_late_cycles
    # In cycles from the end of the first segment on: when its groups write, when those of the second read. Each group adds
    # its sum with its last word; of those far from the border none can meet.
    writes = {(group % 2, (group + 1 - groups) * chunks + late) for group in range(max(groups - late, 0), groups)}
    reads = [(group % 2, (group + 1) * chunks - 1) for group in range(min(groups, late))]
    return tuple(distance for distance in range(1, late + 1)
                 if any((bank, cycle + distance) in writes for bank, cycle in reads))


class LaneMemory(Block):
    """The token buffer of a lane: int8 activations, int32 results and counts of clips of its tokens, in single-port SRAM.

    A group's sums are rounded and clipped to terms of the results (docs/numerics.md, "One slice on one token", step 8), with
    ``result_shift`` and ``pass_exponent`` as they are a cycle after ``add``.

    Results lie in two banks, even and odd groups. A group reads its word a cycle after its sums have come
    (``result_read_cycles``) and writes it three cycles after that (``result_late_cycles`` = 3). The distance is odd, so
    while groups follow each other a bank reads and writes in different cycles. Between the last group and the next segment
    the sequencer avoids the conflict (:func:`bank_conflicts`). The first term of a token after ``clear`` is written and not
    added, so nothing need be zeroed. Until a token has met an expert its results and its count of clips read as zero.

    Each batch in flight has SRAM of its own: one is filled, or read out, while the other is computed. With ``tile.protect``
    every word has check bits, and there are two more outputs (docs/memory.md).

    Where tokens travel, sums are put into a batch that is not computed any more, each bank by itself. A token is known once
    its count of clips has been put, so a word that was put before that is read with ``read_written``.

    Latency: activations, results and clips come one cycle after they are read (``latency_cycles`` = 1); ``totals`` five
    cycles after ``add``, and one more each if operands, products, or slots are registered (``totals_cycles``); from there
    three cycles until they are rounded and clipped (``term_cycles`` after ``add``), one more until they are written
    (``result_write_cycles``), and another until they are in the SRAM (``stored_cycles``); the count of clips six cycles after
    the terms (``drain_cycles``); ``corrected`` and ``error`` two cycles after the SRAM's read (``flag_cycles`` = 2).
    Throughput: one activation word and one result word per cycle. Storage: per batch in flight SRAM and one bit per token;
    four result words (with check bits five), the counter of clips.
    """

    latency_cycles = 1
    result_late_cycles = 3
    flag_cycles = 2

    clear: Signal
    token: Signal
    batch: Signal
    read: Signal
    chunk: Signal
    activations: Signal
    add: Signal
    group_index: Signal
    finish: Signal
    half: Signal
    result_shift: Signal
    pass_exponent: Signal
    totals: Signal
    pair_clipped: Signal
    pair_half: Signal
    clipping: Signal
    filled: Signal
    fill: Signal
    fill_batch: Signal
    fill_index: Signal
    fill_word: Signal
    read_results: Signal
    read_clips: Signal
    read_other: Signal
    read_early: Signal
    read_batch: Signal
    read_token: Signal
    read_row: Signal
    read_bank: Signal
    read_written: Signal
    put: Signal
    put_batch: Signal
    put_rows: data.View
    put_results: data.View
    put_token: Signal
    put_clips: Signal
    results: Signal
    clips: Signal
    corrected: Signal
    error: Signal

    def __init__(self, params: Widths):
        self.params = params
        config = params.config
        self.totals_cycles = totals_cycles(config.tile)
        self.term_cycles = self.totals_cycles + TERM_CYCLES
        self.result_write_cycles = self.term_cycles + 1
        self.result_read_cycles = self.result_write_cycles - self.result_late_cycles
        self.stored_cycles = self.result_write_cycles + 1
        self.drain_cycles = drain_cycles(config.tile)
        super().__init__({
            "clear": In(config.tile.batches),  #: forget all results of these batches
            "token": In(params.token_bits),  #: whose activations or results are addressed
            "batch": In(1),  #: of this batch
            "read": In(1),  #: read activations
            "chunk": In(range(max(config.gate_up_chunks, 2))),  #: with it: which chunk of d_model
            "activations": Out(params.activation_bits),  #: one cycle later
            "add": In(1),  #: the last word of a down group is addressed: add its sum to the token's results
            "group_index": In(range(max(config.down_groups, 2))),
            "finish": In(1),  #: with ``add``: it is the token's last group
            "half": In(1),  #: with ``add``: half of the pass
            "result_shift": In(unsigned(8)),  #: a cycle after ``add``: of the slice
            "pass_exponent": In(HIDDEN_EXPONENT_BITS),  #: a cycle after ``add``: largest exponent of the pass' hidden values
            "totals": In(params.totals_bits),  #: the sums, ``totals_cycles`` later; ``sum_bits`` signed each
            "pair_clipped": In(1),  #: a gate-up pair of one of the lane's tokens was clipped
            "pair_half": In(1),  #: with it: half of its pass
            "clipping": Out(1),  #: a pair, or a result of a group, is clipped (for the counter)
            "filled": In(config.tile.batches),  #: all activations of these batches are written: now they may be read
            "fill": In(1),  #: write activations, of a batch that is not filled
            "fill_batch": In(1),  #: with it: of this batch
            "fill_index": In(range(max(params.activation_depth, 2))),  #: with it: ``token * gate_up_chunks + chunk``
            "fill_word": In(params.activation_bits),
            "read_results": In(1),  #: read results, of a batch that is not computed any more
            "read_clips": In(1),  #: read a count of clips likewise
            "read_other": In(1),  #: a word is read in another lane: this one shows zero until it is read again
            "read_early": In(1),  #: with ``read_results``, and perhaps without: address the word, which is gone from then on
            "read_batch": In(1),  #: with one of them: of this batch
            "read_token": In(params.token_bits),  #: and of this token
            "read_row": In(range(max(params.result_depth // 2, 2))),  #: with ``read_results``: where they are in their bank
            "read_bank": In(1),  #: with it: in this bank
            **({
                "read_written": In(1),  #: with one of them: the word was put, so it is there even if the token is not known
                "put": In(3),  #: write even groups, odd groups, a count of clips, of a batch that is not computed any more
                "put_batch": In(1),  #: of this batch
                "put_rows": In(data.ArrayLayout(range(max(params.result_depth // 2, 2)), 2)),  #: where in their banks
                "put_results": In(data.ArrayLayout(stored_bits(params.protect, params.result_bits), 2)),  #: with check bits
                "put_token": In(params.token_bits),  #: whose count; the token is known from the next cycle on
                "put_clips": In(stored_bits(params.protect, CLIP_BITS)),  #: with check bits
            } if config.array.shares else {}),
            "results": Out(params.result_bits),  #: one cycle later, until another word is addressed; zero otherwise
            "clips": Out(CLIP_BITS),  #: one cycle later, likewise
            **flag_members(params.protect),
        })

    def elaborate(self, platform: object) -> Module:
        """Activation SRAM; rounding; result banks with read, add, write in a pipeline; the counter of clips."""
        m = Module()
        clips = ClipCounter(self.params)
        place(m, platform, clip_counter=clips)
        words = [*self._activations(m, platform), *self._results(m, platform, clips)]
        show_flags(m, self, self.params.protect, [*words, clips])
        return m

    def _activations(self, m: Module, platform: object) -> list[Decoded]:
        """Written as they come in, read by the MAC array."""
        params, protect, batches = self.params, self.params.protect, self.params.config.tile.batches
        index = Signal(range(max(params.activation_depth, 2)), name="activation_index")
        m.d.comb += index.eq(self.token * params.config.gate_up_chunks + self.chunk)
        stored = encoded(m, platform, protect, self.fill_word, "activation_encoder")
        srams = [Sram1RW(depth=params.activation_depth, width=stored_bits(protect, params.activation_bits))
                 for _ in range(batches)]
        for number, sram in enumerate(srams):
            place(m, platform, {f"activations_{number}": sram})
            # Whether a word comes is known late in a cycle, so that chooses no address.
            filled = self.filled[number]
            reads = self.read & is_batch(self.batch, number, batches) & filled
            writes = self.fill & is_batch(self.fill_batch, number, batches) & ~filled
            m.d.comb += [
                sram.en.eq(reads | writes), sram.we.eq(writes), sram.addr.eq(Mux(filled, index, self.fill_index)),
                sram.wdata.eq(stored),
            ]
        shown = Signal(name="activation_batch")
        with m.If(self.read):
            m.d.sync += shown.eq(self.batch)
        word = decoded(m, platform, protect, of_batch(shown, [sram.rdata for sram in srams]), params.activation_bits,
                       "activation_decoder", read=self.read)
        m.d.comb += self.activations.eq(word.data)
        return [word]

    def _results(self, m: Module, platform: object, clips: ClipCounter) -> list[Decoded]:
        """Read, added to and written by the MAC array; read when they are complete."""
        params, config, protect = self.params, self.params.config, self.params.protect
        batches, shares = config.tile.batches, config.array.shares
        # A token's first down segment writes, later ones add.
        met = [Array(Signal(name=f"met_{number}_{token}") for token in range(config.tile.lane_tokens))
               for number in range(batches)]
        fresh = ~of_batch(self.batch, [of[self.token] for of in met])
        for number, of in enumerate(met):
            with m.If(self.clear[number]):
                m.d.sync += [bit.eq(0) for bit in of]
            with m.Elif(self.add & self.finish & is_batch(self.batch, number, batches)):
                m.d.sync += of[self.token].eq(1)
            if shares:
                with m.Elif(self.put[2] & is_batch(self.put_batch, number, batches)):
                    m.d.sync += of[self.put_token].eq(1)

        reads, adds, writes = self.result_read_cycles, self.term_cycles, self.result_write_cycles
        depth = params.result_depth // 2
        place_of_row = Signal(range(max(depth, 2)), name="row")
        m.d.comb += place_of_row.eq(self.token * (params.result_stride // 2) + (self.group_index >> 1))
        # What the MAC array reads or writes is known a cycle before.
        valid = chain(m, "add", self.add, range(1, writes), reset_less=False)
        bank = chain(m, "bank", self.group_index[0], range(1, writes))
        row = chain(m, "row", place_of_row, range(1, writes))
        new = chain(m, "new", fresh, range(1, adds + 1))
        # with one batch in flight there is nothing to tell apart
        batch = [Const(0)] * writes if batches == 1 else chain(m, "batch", self.batch, range(1, writes))

        def here(stage: int, number: int, side: int) -> Value:
            """A group of this batch and this bank is at a stage."""
            return Value.cast(valid[stage] & (bank[stage] == side) & is_batch(batch[stage], number, batches))
        terms, clipped = self._terms(m, valid)
        half, finish = chain(m, "half", self.half, range(1, adds + 1)), chain(m, "finish", self.finish, range(1, adds + 1))
        known = of_batch(self.read_batch, [of[self.read_token] for of in met])
        if shares:
            known |= self.read_written
            m.d.comb += [clips.put.eq(self.put[2]), clips.put_batch.eq(self.put_batch), clips.put_token.eq(self.put_token),
                         clips.put_clips.eq(self.put_clips)]
        # Whose word was read last is known in each lane by itself: nothing far away chooses among wide words.
        shows_clips = Signal()
        shows_results = Signal(batches)
        with m.If(self.read_results | self.read_clips | self.read_other):
            m.d.sync += [
                shows_clips.eq(self.read_clips & known),
                shows_results.eq(Cat(self.read_results & known & is_batch(self.read_batch, number, batches)
                                     for number in range(batches))),
            ]
        m.d.comb += [
            clips.note.eq(self.add & self.finish), clips.token.eq(self.token), clips.batch.eq(self.batch),
            clips.fresh.eq(fresh),
            clips.note_half.eq(self.half), clips.pair.eq(self.pair_clipped), clips.pair_half.eq(self.pair_half),
            clips.group_clipped.eq(clipped), clips.group_half.eq(half[adds]), clips.finish.eq(valid[adds] & finish[adds]),
            clips.read.eq(self.read_clips), clips.read_known.eq(known), clips.read_token.eq(self.read_token),
            clips.read_batch.eq(self.read_batch),
            self.clips.eq(Mux(shows_clips, clips.clips, 0)), self.clipping.eq(self.pair_clipped | clipped),
        ]

        shown_bank = Signal()
        with m.If(self.read_results):
            m.d.sync += shown_bank.eq(self.read_bank)
        shown_next = Mux(self.read_results, self.read_bank, shown_bank)
        # A bank shows a word until its next read, which is two cycles later in a row of groups, and the sequencer lets no
        # segment follow sooner unless each is a single group of one word. So the adder, a cycle after the word has come,
        # takes it from the SRAM. Check bits are looked at as it comes; then it waits in a register.
        waits = protect != "none" or config.down_words == 1
        shows = adds - 1 if waits else adds
        written = Signal(params.result_bits, reset_less=True)
        stored = encoded(m, platform, protect, written, "result_encoder")
        words = []
        for number in range(batches):
            asked, addressed = (which & is_batch(self.read_batch, number, batches)
                                for which in (self.read_results, self.read_early))
            rdata = []
            for side in range(2):
                sram = Sram1RW(depth=depth, width=stored_bits(protect, params.result_bits))
                place(m, platform, {f"results_{number}_{side}": sram})
                is_used, is_written = (Signal(name=f"{what}_{number}_{side}") for what in ("is_used", "is_written"))
                row_used = Signal.like(place_of_row, name=f"row_used_{number}_{side}", reset_less=True)
                read_next, written_next = here(reads - 1, number, side), here(writes - 1, number, side)
                m.d.sync += [is_used.eq(read_next | written_next), is_written.eq(written_next),
                             row_used.eq(Mux(written_next, row[writes - 1], row[reads - 1]))]
                accessed = is_used | (addressed & (self.read_bank == side))
                address = Mux(is_used, row_used, self.read_row)
                if shares:
                    is_put = self.put[side] & is_batch(self.put_batch, number, batches)
                    m.d.comb += [
                        sram.en.eq(accessed | is_put), sram.we.eq(is_written | is_put),
                        sram.addr.eq(Mux(is_put, self.put_rows[side], address)),
                        sram.wdata.eq(Mux(is_put, self.put_results[side], stored)),
                    ]
                else:
                    m.d.comb += [
                        sram.en.eq(accessed), sram.we.eq(is_written), sram.addr.eq(address), sram.wdata.eq(stored)]
                rdata.append(sram.rdata)
            added = valid[shows - 1] & is_batch(batch[shows - 1], number, batches)
            chosen = Signal(name=f"chosen_bank_{number}")
            m.d.sync += chosen.eq(Mux(added, bank[shows - 1], shown_next))
            used = (valid[reads] & ~new[reads] & is_batch(batch[reads], number, batches)) | (asked & known)
            words.append(decoded(m, platform, protect, Mux(chosen, rdata[1], rdata[0]),
                                 params.result_bits, f"result_decoder_{number}", read=used))
        results = [word.data for word in words]
        m.d.comb += self.results.eq(reduce(or_, (Mux(shows, result, 0)
                                                 for shows, result in zip(shows_results, results, strict=True))))
        old = of_batch(batch[shows], results)
        if waits:
            waiting = Signal(params.result_bits, name="old", reset_less=True)
            with m.If(valid[shows]):
                m.d.sync += waiting.eq(old)
            old = waiting
        with m.If(valid[adds]):
            sums = [Mux(new[adds], 0, old.word_select(i, 32)) + term for i, term in enumerate(terms)]
            m.d.sync += written.eq(Cat(total[:32] for total in sums))
        return words

    def _terms(self, m: Module, valid: list[Value]) -> tuple[list[Signal], Signal]:
        """What the sums of a group add to the results, signed, at ``term_cycles``, and whether one of them was clipped.

        The largest that fits is ``2^term_bits - 1``. With a bit more, what does not fit is still seen: it is at an end of
        what the shift keeps, which is known before it is rounded. Sums of fewer bits than that always fit.
        """
        params, config = self.params, self.params.config
        limit, bits = 2**config.term_bits - 1, config.term_bits + 1
        # The next slice's parameters may be there before these sums are.
        places = Signal(signed(10))
        m.d.comb += places.eq(self.result_shift - self.pass_exponent + SHIFT_LEFT)
        amount, below = limited_amount(places)
        first = self.totals_cycles
        # both are a stage late
        amounts, belows = chain(m, "amount", amount, range(1, first + 1)), chain(m, "below", below, range(1, first))

        def register(stage: int, name: str, value: Value) -> Signal:
            """A register at the end of a stage, for sums that are valid."""
            found = Signal(value.shape(), name=name, reset_less=True)
            with m.If(valid[stage]):
                m.d.sync += found.eq(value)
            return found

        sums = [self.totals.word_select(i, params.sum_bits).as_signed() for i in range(config.tile.mac_n)]
        coarse = [register(first, f"coarse_{i}", coarse_shift(m, f"sum_{i}", total, amounts[first - 1], bits))
                  for i, total in enumerate(sums)]
        # A shift that was limited from below is a clip, unless there is nothing to shift.
        lost = register(first, "lost_coarse", belows[first - 1] & self.totals.any())
        fine = [register(first + 1, f"fine_{i}", fine_shift(m, f"sum_{i}", value, amounts[first], bits))
                for i, value in enumerate(coarse)]
        lost = register(first + 1, "lost_fine", lost)
        values = [Signal(signed(bits + 1), name=f"rounded_{i}") for i in range(len(fine))]
        m.d.comb += [value.eq(rounded(exact)) for value, exact in zip(values, fine, strict=True)]
        over = Signal(len(values))
        under = Signal(len(values))
        if len(fine[0]) > bits:
            m.d.comb += [over.eq(Cat(~exact[-1] & exact[:-1].all() for exact in fine)),
                         under.eq(Cat(exact[-1] & ~exact[:-1].any() for exact in fine))]
        terms = [register(first + 2, f"term_{i}", Mux(o, limit, Mux(u, -limit, value))[:32].as_signed())
                 for i, (value, o, u) in enumerate(zip(values, over, under, strict=True))]
        clipped = Signal()
        m.d.sync += clipped.eq(valid[first + 2] & (lost | Cat(over, under).any()))
        return terms, clipped
