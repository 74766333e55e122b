"""Token records, taken apart: heads for the token lists, rows for the token buffer."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import enum, stream
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from trajectile.hw.batch.layouts import NO_EXPERT, BatchLayouts
from trajectile.hw.batch.ports import BeginPort, FillPort, InsertPort
from trajectile.hw.formats import EXPONENT_BITS, INPUT_SHIFT_BITS
from trajectile.hw.io.ports import ReadBeats, RegionPort
from trajectile.hw.lib.block import Block
from trajectile.hw.lib.limits import exceeds
from trajectile.sw_model.config import BLOCK_INPUTS, ceil_div

#: an item of a head: the token's exponent, or a choice
ITEM_BITS = 32


class Part(enum.Enum, shape=2):
    """What the reader is at."""

    IDLE = 0  #: nothing
    EMPTY = 1  #: a batch without tokens is done
    HEADS = 2  #: heads of all tokens
    ROWS = 3  #: activations of all tokens


class RecordParser(Block):
    """Takes the records of a batch apart: first the heads of all its tokens, then their activations. Token ``i`` is number
    ``i // mac_t`` in lane ``i % mac_t``.

    A choice of an expert that does not exist is dropped and reported, and so is one that came with an error, or whose
    exponent did. Activations that came with an error are reported and used as they are. What is reported goes into the
    completion record; the batch goes on.

    Nothing is buffered but the shifts of a row and, where a word of activations has several beats, those before its last. A
    beat waits on the bus while its items or words are taken.

    Latency: ``begin.start`` in cycle c starts the region in c (``latency_cycles`` = 0). The first item or word of a beat that
    is offered in cycle x is taken in x. Throughput: an exponent takes 1 cycle, a choice 2 (``choice_cycles`` = 2), a beat of
    shifts 1, a word of activations as many as it has beats, at least 1. ``lists_done`` comes with the second cycle of the
    last choice, ``rows_done`` with the last word; without tokens both come in c+1. Storage: shifts of a row, beats of a word
    but the last, numbers.
    """

    latency_cycles = 0
    choice_cycles = 2

    begin: BeginPort.Interface
    region: RegionPort.Interface
    beats: stream.Interface
    insert: InsertPort.Interface
    fill: FillPort.Interface

    def __init__(self, params: BatchLayouts):
        self.params = params
        super().__init__({
            "begin": In(BeginPort(params)),  #: batch control; ``start`` only when the batch before is done
            "region": Out(RegionPort(params)),  #: what the io port is to read
            "beats": In(stream.Signature(ReadBeats(params))),  #: it
            "insert": Out(InsertPort(params)),  #: to the token lists
            **({} if params.timing_only else {"fill": Out(FillPort(params))}),  #: to the token buffer
        })

    def elaborate(self, platform: object) -> Module:
        """Which token; items of heads; words of rows."""
        m = Module()
        params, config, begin, beats = self.params, self.params.config, self.begin, self.beats
        beat_bytes = config.io.bytes_per_cycle
        part = Signal(Part)
        batch = Signal()
        tokens = Signal(params.batch_token_bits)
        m.d.comb += [
            self.region.start.eq(begin.start & (begin.tokens != 0)), self.region.address.eq(begin.records),
            self.region.beats.eq(begin.tokens * (config.record_bytes // beat_bytes)),
        ]
        # The token, and whether it is the last; it moves on when its head or its row ends.
        lane = Signal(params.lane_bits)
        token = Signal(params.token_bits)
        left = Signal(params.batch_token_bits, name="tokens_left")  # this one too
        ends = Signal()
        last_token = left == 1
        last_lane = lane == config.tile.mac_t - 1
        with m.If(ends):
            m.d.sync += [
                lane.eq(Mux(last_lane | last_token, 0, lane + 1)),
                token.eq(Mux(last_token, 0, token + last_lane)), left.eq(Mux(last_token, tokens, left - 1)),
            ]
        with m.Switch(part):
            with m.Case(Part.IDLE):
                with m.If(begin.start):
                    m.d.sync += [
                        part.eq(Mux(begin.tokens == 0, Part.EMPTY, Part.HEADS)), batch.eq(begin.batch),
                        tokens.eq(begin.tokens), left.eq(begin.tokens),
                    ]
            with m.Case(Part.EMPTY):
                m.d.sync += part.eq(Part.IDLE)
                m.d.comb += [begin.lists_done.eq(1), begin.rows_done.eq(1)]
            with m.Case(Part.HEADS):
                self._heads(m, ends)
                with m.If(ends & last_token):
                    m.d.comb += begin.lists_done.eq(1)
                    m.d.sync += part.eq(Part.ROWS)
            with m.Case(Part.ROWS):
                self._rows(m, ends)
                with m.If(ends & last_token):
                    m.d.comb += begin.rows_done.eq(1)
                    m.d.sync += part.eq(Part.IDLE)
        m.d.comb += begin.bad_response.eq(beats.valid & beats.ready & beats.payload.error)
        m.d.comb += [self.insert.batch.eq(batch), self.insert.lane.eq(lane), self.insert.token.eq(token)]
        if not params.timing_only:
            m.d.comb += [self.fill.batch.eq(batch), self.fill.lane.eq(lane), self.fill.token.eq(token)]
        return m

    def _heads(self, m: Module, ends: Signal) -> None:
        """Within the case of heads: an item at a time; choices in two cycles."""
        config, beats, insert = self.params.config, self.beats, self.insert
        top_k, items = config.layer.top_k, 8 * config.io.bytes_per_cycle // ITEM_BITS
        number = Signal(range(top_k + 1))  # of the item in the head
        place = Signal(range(items))  # and in its beat
        second = Signal()
        exponent = Signal(EXPONENT_BITS)
        spoilt = Signal()  # the exponent came with an error
        inserted = Signal()
        item = Signal(ITEM_BITS)
        expert = item[:16]
        taken = Signal()
        last = number == top_k
        bad = Signal()
        m.d.comb += [
            item.eq(beats.payload.data.word_select(place, ITEM_BITS)), insert.expert.eq(expert), insert.rank.eq(number - 1),
            insert.weight.as_value().eq(item[16:]), insert.exponent.eq(exponent),
            taken.eq(beats.valid & ((number == 0) | second)), beats.ready.eq(taken & ((place == items - 1) | last)),
            ends.eq(taken & last), bad.eq(exceeds(expert, config.layer.experts - 1)),
        ]
        with m.If(beats.valid & (number == 0)):
            m.d.sync += [exponent.eq(item[:EXPONENT_BITS]), spoilt.eq(beats.payload.error)]
        with m.If(beats.valid & (number != 0)):
            m.d.sync += [second.eq(~second), inserted.eq(insert.insert)]
            with m.If(~second):
                m.d.comb += [
                    insert.insert.eq(~bad & ~beats.payload.error & ~spoilt),
                    self.begin.bad_expert.eq(bad & (expert != NO_EXPERT) & ~beats.payload.error),
                ]
            m.d.comb += self.begin.twice.eq(second & inserted & insert.twice)
        with m.If(taken):
            m.d.sync += [number.eq(Mux(last, 0, number + 1)), place.eq(Mux(last | (place == items - 1), 0, place + 1))]

    def _rows(self, m: Module, ends: Signal) -> None:
        """Within the case of rows: shifts, then words of activations."""
        params, config, beats = self.params, self.params.config, self.beats
        beat_bytes, mac_k, chunks = config.io.bytes_per_cycle, config.tile.mac_k, config.gate_up_chunks
        shift_beats = config.shift_bytes // beat_bytes
        words, pieces = max(beat_bytes // mac_k, 1), max(mac_k // beat_bytes, 1)  # in a beat; beats of a word
        row = Signal()  # the shifts are here
        place = Signal(range(max(shift_beats, words, pieces)))  # of a beat of shifts, a word in a beat, a beat in a word
        chunk = Signal(bits_for(max(chunks, 2) - 1))
        last = chunk == chunks - 1
        write = Signal()
        m.d.comb += [
            beats.ready.eq(beats.valid & (~row | (place == words - 1) | last if words > 1 else 1)),
            write.eq(beats.valid & row & (place == pieces - 1 if pieces > 1 else 1)), ends.eq(write & last),
        ]
        with m.If(beats.valid & ~row):
            m.d.sync += [place.eq(Mux(place == shift_beats - 1, 0, place + 1)), row.eq(place == shift_beats - 1)]
        with m.If(beats.valid & row):
            m.d.sync += place.eq(Mux(last & write | (place == max(words, pieces) - 1), 0, place + 1))
        with m.If(write):
            m.d.sync += [chunk.eq(Mux(last, 0, chunk + 1)), row.eq(~last)]
        if params.timing_only:
            return
        # Shifts: filled by beats, emptied from below.
        scales, block_chunks = config.tile.word_scales, BLOCK_INPUTS // config.tile.word_inputs
        shifts = Signal(INPUT_SHIFT_BITS * ceil_div(config.layer.d_model, BLOCK_INPUTS), reset_less=True)
        for number in range(shift_beats):
            with m.If(beats.valid & ~row & (place == number)):
                piece = shifts[8 * beat_bytes * number:8 * beat_bytes * (number + 1)]
                m.d.sync += piece.eq(beats.payload.data)
        with m.If(write & (chunk % block_chunks == block_chunks - 1 if block_chunks > 1 else 1)):
            m.d.sync += shifts.eq(shifts >> INPUT_SHIFT_BITS * scales)
        codes = beats.payload.data.word_select(place, 8 * mac_k) if words > 1 else beats.payload.data
        if pieces > 1:
            before = [Signal(8 * beat_bytes, name=f"piece_{number}", reset_less=True) for number in range(pieces - 1)]
            for number, piece in enumerate(before):
                with m.If(beats.valid & row & (place == number)):
                    m.d.sync += piece.eq(beats.payload.data)
            codes = Cat(before, beats.payload.data)
        m.d.comb += [self.fill.write.eq(write), self.fill.chunk.eq(chunk)]
        for number in range(scales):
            scaled = self.fill.word[number]
            m.d.comb += [
                scaled.values.eq(codes.word_select(number, len(scaled.values))),
                scaled.shift.eq(shifts[INPUT_SHIFT_BITS * number:INPUT_SHIFT_BITS * (number + 1)]),
            ]
