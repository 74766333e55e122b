"""Token records, taken apart: heads for the token lists, rows for the token buffer."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import enum, stream
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from trajectile.hw.batch.layouts import NO_EXPERT
from trajectile.hw.batch.ports import BeginPort, FillPort, InsertPort
from trajectile.hw.batch.record_ring import PlacedItem
from trajectile.hw.d2d.layouts import LinkLayouts
from trajectile.hw.formats import EXPONENT_BITS, INPUT_SHIFT_BITS
from trajectile.hw.io.ports import ReadBeats, RegionPort
from trajectile.hw.lib.block import Block
from trajectile.hw.lib.limits import exceeds
from trajectile.hw.lib.struct_signal import struct_signal
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

    The tokens of a shared batch are those of all tiles, and come by sections (:class:`RecordRing`). A token's number goes on
    from section to section. On the way the parser notes where this tile's tokens begin, where those of the ring-previous tile
    do, and where the last token is. A place at which nothing is left is the one after the last token.

    A choice of an expert that does not exist is dropped and reported, and so is one that came with an error, or whose
    exponent did. Activations that came with an error are reported and used as they are. What is reported goes into the
    completion record; the batch goes on.

    Nothing is buffered but the shifts of a row and, where a word of activations has several beats, those before its last. A
    beat waits before the parser while its items or words are taken.

    Latency: ``begin.start`` in cycle c starts the region in c (``latency_cycles`` = 0). The first item or word of a beat that
    is offered in cycle x is taken in x. Throughput: an exponent takes 1 cycle, a choice 2 (``choice_cycles`` = 2), a beat of
    shifts 1, a word of activations as many as it has beats, at least 1; a section's header takes 1 (``section_cycles`` = 1).
    ``lists_done`` comes with the second cycle of the last choice, ``rows_done`` with the last word; if the last section is
    empty, with its header. A spread batch without tokens has both in c+1. Storage: shifts of a row, beats of a word but the
    last, numbers, places in the token buffer.
    """

    latency_cycles = 0
    choice_cycles = 2
    section_cycles = 1

    begin: BeginPort.Interface
    region: RegionPort.Interface
    beats: stream.Interface
    stop: Signal
    insert: InsertPort.Interface
    fill: FillPort.Interface

    def __init__(self, params: LinkLayouts):
        self.params = params
        self.shares = shares = params.config.array.shares
        super().__init__({
            "begin": In(BeginPort(params)),  #: batch control; ``start`` only when the batch before is done
            "region": Out(RegionPort(params)),  #: what the io port is to read
            "beats": In(stream.Signature(  #: it; of all tiles, with headers, if the batch is shared
                PlacedItem(params) if shares else ReadBeats(params))),
            "stop": In(1),  #: put nothing anywhere
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
        shared = Signal()
        m.d.comb += [
            self.region.start.eq(begin.start & (begin.tokens != 0)), self.region.address.eq(begin.records),
            self.region.beats.eq(begin.tokens * (config.record_bytes // beat_bytes)),
        ]
        # The token, which moves on when its head or its row ends, and whether it is the last.
        lane = Signal(params.lane_bits)
        token = Signal(params.token_bits)
        ends = Signal()
        last_lane = lane == config.tile.mac_t - 1
        valid, header = beats.valid, Signal()  # a beat, or a section's header, is offered
        if self.shares:
            valid = valid & ~beats.payload.head
            m.d.comb += header.eq(beats.valid & beats.payload.head)
            all_end = (ends | header) & beats.payload.last  # heads or rows of all tokens end
        else:
            all_end = ends & self._last_token(m, ends)
        with m.If(ends):
            m.d.sync += [lane.eq(Mux(last_lane, 0, lane + 1)), token.eq(token + last_lane)]
        with m.If(all_end):
            m.d.sync += [lane.eq(0), token.eq(0)]
        with m.Switch(part):
            with m.Case(Part.IDLE):
                with m.If(begin.start):
                    empty = begin.tokens == 0
                    m.d.sync += [
                        part.eq(Mux(empty & ~begin.shared if self.shares else empty, Part.EMPTY, Part.HEADS)),
                        batch.eq(begin.batch), *([shared.eq(begin.shared)] if self.shares else []),
                    ]
            with m.Case(Part.EMPTY):
                m.d.sync += part.eq(Part.IDLE)
                m.d.comb += [begin.lists_done.eq(1), begin.rows_done.eq(1)]
            with m.Case(Part.HEADS):
                self._heads(m, valid, ends)
                with m.If(all_end):
                    m.d.comb += begin.lists_done.eq(1)
                    m.d.sync += part.eq(Part.ROWS)
            with m.Case(Part.ROWS):
                self._rows(m, valid, ends)
                with m.If(all_end):
                    m.d.comb += begin.rows_done.eq(1)
                    m.d.sync += part.eq(Part.IDLE)
        if self.shares:
            with m.If(header):
                m.d.comb += beats.ready.eq(1)
            self._share(m, (part == Part.HEADS) & shared, header, ends, lane, token)
        m.d.comb += begin.bad_response.eq(beats.valid & beats.ready & beats.payload.error)
        m.d.comb += [self.insert.batch.eq(batch), self.insert.lane.eq(lane), self.insert.token.eq(token)]
        if not params.timing_only:
            m.d.comb += [self.fill.batch.eq(batch), self.fill.lane.eq(lane)]
            self._index(m, ends, last_lane, all_end)
        return m

    @property
    def _beat(self) -> Value:
        """The beat of the io port."""
        payload = self.beats.payload
        beat: Value = payload.payload[:self.params.io_bits] if self.shares else payload.data
        return beat

    @property
    def _tokens(self) -> Value:
        """The number of tokens in a header."""
        tokens: Value = self.beats.payload.payload[:self.params.batch_token_bits]
        return tokens

    def _last_token(self, m: Module, ends: Signal) -> Value:
        """Whether the token is the last one, where nobody else counts."""
        tokens, left = (Signal(self.params.batch_token_bits, name=name) for name in ("tokens", "tokens_left"))
        last = left == 1
        with m.If(self.begin.start):
            m.d.sync += [tokens.eq(self.begin.tokens), left.eq(self.begin.tokens)]
        with m.Elif(ends):
            m.d.sync += left.eq(Mux(last, tokens, left - 1))
        return last

    def _share(self, m: Module, heads: Value, header: Signal, ends: Signal, lane: Signal, token: Signal) -> None:
        """What the heads of a shared batch show of its tokens: noted as they come, and shown in the same cycle."""
        begin, payload, share = self.begin, self.beats.payload, self.begin.share
        noted = struct_signal(self.params.share_layout, name="noted_share")
        total = noted.total + self._tokens
        m.d.comb += share.eq(noted)
        m.d.sync += noted.eq(share)
        with m.If(begin.start):
            m.d.sync += noted.eq(0)
        with m.Elif(heads):
            with m.If(ends):
                m.d.comb += [share.last.lane.eq(lane), share.last.token.eq(token)]
            with m.If(header):
                m.d.comb += [share.total.eq(total), begin.too_many.eq(exceeds(total, self.params.config.tile.tokens))]
                with m.If(payload.own):
                    m.d.comb += [share.own.lane.eq(lane), share.own.token.eq(token)]
                with m.If(payload.before):
                    m.d.comb += [share.previous.lane.eq(lane), share.previous.token.eq(token), share.before.eq(self._tokens)]

    def _index(self, m: Module, ends: Value, last_lane: Value, all_end: Value) -> None:
        """Where the next word of a row goes. Words come in order, so it is counted: each lane's row begins where that of the
        lane before did, and after the last lane where that one ended.
        """
        write, index = self.fill.write, self.fill.index
        row = Signal.like(index, name="row_index")  # of the token's first word
        following = Signal.like(index, name="following_index")
        m.d.comb += following.eq(index + 1)
        with m.If(all_end):
            m.d.sync += [index.eq(0), row.eq(0)]
        with m.Elif(write):
            m.d.sync += index.eq(following)
            with m.If(ends & last_lane):
                m.d.sync += row.eq(following)
            with m.Elif(ends):
                m.d.sync += index.eq(row)

    def _heads(self, m: Module, valid: Value, ends: Signal) -> None:
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
            item.eq(self._beat.word_select(place, ITEM_BITS)), insert.expert.eq(expert), insert.rank.eq(number - 1),
            insert.weight.as_value().eq(item[16:]), insert.exponent.eq(exponent),
            taken.eq(valid & ((number == 0) | second)), beats.ready.eq(taken & ((place == items - 1) | last)),
            ends.eq(taken & last), bad.eq(exceeds(expert, config.layer.experts - 1)),
        ]
        with m.If(valid & (number == 0)):
            m.d.sync += [exponent.eq(item[:EXPONENT_BITS]), spoilt.eq(beats.payload.error)]
        with m.If(valid & (number != 0)):
            m.d.sync += [second.eq(~second), inserted.eq(insert.insert)]
            with m.If(~second):
                m.d.comb += [
                    insert.look.eq(1),
                    insert.insert.eq(~bad & ~beats.payload.error & ~spoilt & ~self.stop),
                    self.begin.bad_expert.eq(bad & (expert != NO_EXPERT) & ~beats.payload.error),
                ]
            m.d.comb += self.begin.twice.eq(second & inserted & insert.twice)
        with m.If(taken):
            m.d.sync += [number.eq(Mux(last, 0, number + 1)), place.eq(Mux(last | (place == items - 1), 0, place + 1))]

    def _rows(self, m: Module, valid: Value, ends: Signal) -> None:
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
            beats.ready.eq(valid & (~row | (place == words - 1) | last if words > 1 else 1)),
            write.eq(valid & row & (place == pieces - 1 if pieces > 1 else 1)), ends.eq(write & last),
        ]
        with m.If(valid & ~row):
            m.d.sync += [place.eq(Mux(place == shift_beats - 1, 0, place + 1)), row.eq(place == shift_beats - 1)]
        with m.If(valid & row):
            m.d.sync += place.eq(Mux(last & write | (place == max(words, pieces) - 1), 0, place + 1))
        with m.If(write):
            m.d.sync += [chunk.eq(Mux(last, 0, chunk + 1)), row.eq(~last)]
        if params.timing_only:
            return
        # Shifts: filled by beats, emptied from below.
        scales, block_chunks = config.tile.word_scales, BLOCK_INPUTS // config.tile.word_inputs
        shifts = Signal(INPUT_SHIFT_BITS * ceil_div(config.layer.d_model, BLOCK_INPUTS), reset_less=True)
        for number in range(shift_beats):
            with m.If(valid & ~row & (place == number)):
                piece = shifts[8 * beat_bytes * number:8 * beat_bytes * (number + 1)]
                m.d.sync += piece.eq(self._beat)
        with m.If(write & (chunk % block_chunks == block_chunks - 1 if block_chunks > 1 else 1)):
            m.d.sync += shifts.eq(shifts >> INPUT_SHIFT_BITS * scales)
        codes = self._beat.word_select(place, 8 * mac_k) if words > 1 else self._beat
        if pieces > 1:
            before = [Signal(8 * beat_bytes, name=f"piece_{number}", reset_less=True) for number in range(pieces - 1)]
            for number, piece in enumerate(before):
                with m.If(valid & row & (place == number)):
                    m.d.sync += piece.eq(self._beat)
            codes = Cat(before, self._beat)
        m.d.comb += self.fill.write.eq(write & ~self.stop)
        for number in range(scales):
            scaled = self.fill.word[number]
            m.d.comb += [
                scaled.values.eq(codes.word_select(number, len(scaled.values))),
                scaled.shift.eq(shifts[INPUT_SHIFT_BITS * number:INPUT_SHIFT_BITS * (number + 1)]),
            ]
