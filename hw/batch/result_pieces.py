"""Results of a batch as pieces of beats."""

from functools import reduce
from itertools import pairwise
from math import gcd
from operator import or_

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, enum, stream
from amaranth.lib.wiring import In, Out

from trajectile.hw.batch.bfloat import BFLOAT_BIAS, BFLOAT_BITS, BfloatConverter
from trajectile.hw.batch.layouts import BatchLayouts
from trajectile.hw.batch.ports import ReadPort
from trajectile.hw.formats import CLIP_BITS, EXPONENT_BITS
from trajectile.hw.lib.block import Block, place
from trajectile.hw.lib.struct_signal import struct_signal
from trajectile.sw_model.config import Config, ceil_div

RESULT_BITS = 32
#: what is known of a part, or of the end of a token, while it is converted or goes along
_PASSING = data.StructLayout({"valid": 1, "closing": 1, "completes": 1, "ends_all": 1})


class Kind(enum.Enum, shape=2):
    """What a piece fills of the beat that is put together."""

    WHOLE = 0  #: all of it
    GROUP = 1  #: the next part as large as a group of int32
    FLOATS = 2  #: the next part as large as what is converted in a cycle


class PieceShape:
    """How groups of results lie in beats."""

    def __init__(self, config: Config):
        beat, mac_n = config.io.bytes_per_cycle, config.tile.mac_n
        #: results that become bfloat16 in a cycle
        self.converters = gcd(mac_n, max(beat // 8, 1))
        #: a group comes in pieces of a beat or less, the last of which may be shorter
        self.piece_results = min(beat // 4, mac_n)
        self.pieces = ceil_div(mac_n, self.piece_results)
        #: parts of as many results as there are converters, in a piece and in the last one
        self.parts = self.piece_results // self.converters
        self.last_parts = (mac_n - (self.pieces - 1) * self.piece_results) // self.converters
        #: groups of int32 in a beat
        self.groups = beat // (4 * mac_n) if beat % (4 * mac_n) == 0 else 1
        #: what is converted in a cycle is a lane of a beat
        self.lane_bits = BFLOAT_BITS * self.converters
        self.lanes = 8 * beat // self.lane_bits
        #: a group of bfloat16 is filled up to whole beats
        self.padded = (2 * mac_n) % beat != 0 and beat % (2 * mac_n) != 0


class PieceLayout(data.StructLayout):
    """A piece of a beat: its bits, repeated over the beat where it fills only a part."""

    def __init__(self, params: BatchLayouts):
        super().__init__({
            **({} if params.timing_only else {"data": params.io_bits}),
            "kind": Kind,
            "completes": 1,  # nothing else comes into the same beat
            "ends_all": 1,  # nothing else comes
        })


class ResultPieces(Block):
    """Reads the results of all tokens of a batch and offers them in pieces, each token's closed by a piece with its count of
    clips and the unit. Where tokens travel these are the tile's own ones of all that it holds, from ``first`` on.

    Latency: with ``start`` in cycle s the first read is in s+1, and its first piece is offered in s+2 (``latency_cycles`` =
    2). bfloat16, and the closing pieces between, come five cycles later (``convert_cycles`` = 5). Throughput: a piece of
    int32 per cycle; ``PieceShape.converters`` results as bfloat16, or a closing piece, per cycle. Storage: what is to be read
    next, what has been read; the converters, and a count of clips for each of their stages.
    """

    latency_cycles = 2
    convert_cycles = 1 + BfloatConverter.latency_cycles

    start: Signal
    active: Signal
    bf16: Signal
    batch: Signal
    tokens: Signal
    first: data.View
    read: ReadPort.Interface
    unit: Signal
    pieces: stream.Interface

    def __init__(self, params: BatchLayouts):
        self.params = params
        self.shape = PieceShape(params.config)
        super().__init__({
            "start": In(1),  #: begin with the first token
            "active": In(1),  #: go on; low: the rest is given up
            "bf16": In(1),  #: as bfloat16; holds while ``active``
            "batch": In(1),  #: whose results; holds while ``active``
            "tokens": In(params.batch_token_bits),  #: with ``start``: how many; at least one
            **({"first": In(params.place_layout)} if params.config.array.shares else {}),  #: with ``start``: its first token
            "pieces": Out(stream.Signature(PieceLayout(params))),
            **({} if params.timing_only else {
                "read": Out(ReadPort(params)),
                "unit": In(signed(EXPONENT_BITS)),  #: of the batch's results; holds while ``active``
            }),
        })

    def elaborate(self, platform: object) -> Module:
        """What to read next; which piece of what was read is taken; the converters."""
        m = Module()
        params, config, shape, pieces = self.params, self.params.config, self.shape, self.pieces
        groups = config.down_groups
        # To be read next: a group, or after the last one the clips.
        lane = Signal(params.lane_bits)
        token = Signal(params.token_bits)
        group = Signal(range(groups + 1), name="group_index")
        left = Signal(params.batch_token_bits, name="tokens_left")  # tokens, this one too
        # What has been read, and which piece and part of it is next.
        have = Signal()
        closing = Signal()
        last_group = Signal()
        ends_all = Signal()
        piece = Signal(range(max(shape.pieces, 2)))
        part = Signal(range(max(shape.parts, 2)))
        ends = Signal()  # that is the last of what was read: known before, as it says whether to read
        next_piece, next_part = Signal.like(piece, name="next_piece"), Signal.like(part, name="next_part")
        next_closing = Signal()
        take = Signal()
        read = Signal()
        last_piece, last_part = self._last(piece, part)
        next_last_piece, next_last_part = self._last(next_piece, next_part)
        m.d.comb += [next_piece.eq(piece), next_part.eq(part), next_closing.eq(closing)]
        m.d.sync += [piece.eq(next_piece), part.eq(next_part), closing.eq(next_closing),
                     ends.eq(next_closing | (next_last_piece & next_last_part))]
        of_clips = group == groups
        last_lane = lane == config.tile.mac_t - 1
        first_lane, first_token = (self.first.lane, self.first.token) if config.array.shares else (0, 0)
        m.d.comb += read.eq(self.active & (left != 0) & (~have | (take & ends)))
        with m.If(self.start):
            m.d.sync += [lane.eq(first_lane), token.eq(first_token), group.eq(0), left.eq(self.tokens), have.eq(0)]
            m.d.comb += [next_piece.eq(0), next_part.eq(0)]
        with m.Else():
            with m.If(read):
                m.d.comb += next_closing.eq(of_clips)
                m.d.sync += [
                    group.eq(Mux(of_clips, 0, group + 1)), have.eq(1),
                    last_group.eq(group == groups - 1), ends_all.eq(of_clips & (left == 1)),
                ]
                with m.If(of_clips):
                    m.d.sync += [lane.eq(Mux(last_lane, 0, lane + 1)), token.eq(token + last_lane), left.eq(left - 1)]
            with m.Elif(take & ends):
                m.d.sync += have.eq(0)
            with m.If(take & ~closing):
                m.d.comb += next_part.eq(Mux(last_part, 0, part + 1))
                with m.If(last_part):
                    m.d.comb += next_piece.eq(Mux(last_piece, 0, piece + 1))

        # As bfloat16 everything goes through as many stages as there are in the converters, all at once.
        stages = [struct_signal(_PASSING, name=f"stage_{number}") for number in range(self.convert_cycles)]
        out = stages[-1]
        moves = Signal()
        m.d.comb += [
            moves.eq(~out.valid | pieces.ready),
            pieces.valid.eq(self.active & Mux(self.bf16, out.valid, have)),
            take.eq(self.active & have & Mux(self.bf16, moves, pieces.ready)),
        ]
        with m.If(self.start):
            m.d.sync += [stage.valid.eq(0) for stage in stages]
        with m.Elif(moves):
            m.d.sync += [after.eq(before) for before, after in pairwise(stages)]
            m.d.sync += [
                stages[0].valid.eq(take), stages[0].closing.eq(closing), stages[0].ends_all.eq(ends_all),
                stages[0].completes.eq(closing | (ends & (1 if shape.padded else last_group))),
            ]
        with m.If(self.bf16):
            m.d.comb += [
                pieces.payload.kind.eq(Mux(out.closing, Kind.WHOLE, Kind.FLOATS)),
                pieces.payload.completes.eq(out.completes), pieces.payload.ends_all.eq(out.ends_all),
            ]
        with m.Else():
            m.d.comb += [
                pieces.payload.kind.eq(Mux(closing, Kind.WHOLE, Kind.GROUP if shape.groups > 1 else Kind.WHOLE)),
                pieces.payload.completes.eq(closing | ((ends & last_group) if shape.groups > 1 else 1)),
                pieces.payload.ends_all.eq(ends_all),
            ]
        if not params.timing_only:
            port = self.read
            m.d.comb += [port.read.eq(read), port.batch.eq(self.batch), port.lane.eq(lane), port.token.eq(token),
                         port.group_index.eq(group), port.of_clips.eq(of_clips)]
            if config.array.shares:
                m.d.comb += port.early.eq(read)
            self._contents(m, platform, moves, piece, part, out, closing)
        return m

    def _last(self, piece: Signal, part: Signal) -> tuple[Value, Value]:
        """Whether a piece is the last of its group, and a part the last of its piece."""
        shape, last = self.shape, piece == self.shape.pieces - 1
        return last, ~self.bf16 | (part == Mux(last, shape.last_parts - 1, shape.parts - 1))

    def _contents(self, m: Module, platform: object, moves: Signal, piece: Signal, part: Signal, out: data.View,
                  closing: Signal) -> None:
        """What is in a piece."""
        shape, read, payload = self.shape, self.read, self.pieces.payload
        piece_bits = RESULT_BITS * shape.piece_results
        shown = Signal(piece_bits)
        one = Signal(signed(10))
        m.d.comb += [
            shown.eq(read.results.word_select(piece, piece_bits) if shape.pieces > 1 else read.results),
            one.eq(self.unit + BFLOAT_BIAS),
        ]
        chosen = Signal(RESULT_BITS * shape.converters, reset_less=True)
        clips: Value = read.clips
        with m.If(moves):
            m.d.sync += chosen.eq(shown.word_select(part, len(chosen)) if shape.parts > 1 else shown)
        converters = [BfloatConverter() for _ in range(shape.converters)]
        place(m, platform, {f"bfloat_{number}": converter for number, converter in enumerate(converters)})
        for number, converter in enumerate(converters):
            m.d.comb += [converter.moves.eq(moves), converter.one.eq(one),
                         converter.value.eq(chosen.word_select(number, RESULT_BITS))]
        lane = Cat(converter.bfloat for converter in converters)
        for stage in range(self.convert_cycles):
            passing = Signal(CLIP_BITS, name=f"clips_{stage}", reset_less=True)
            with m.If(moves):
                m.d.sync += passing.eq(clips)
            clips = passing
        # Results that are read come late; what chooses them does not.
        bits = self.params.io_bits
        kinds: list[tuple[Value, Value]] = [
            (~self.bf16 & ~closing, shown.replicate(shape.groups)), (~self.bf16 & closing, Cat(read.clips, self.unit)),
            (self.bf16 & ~out.closing, lane.replicate(shape.lanes)), (self.bf16 & out.closing, Cat(clips, self.unit))]
        m.d.comb += payload.data.eq(reduce(or_, (Mux(which, content, 0)[:bits] for which, content in kinds)))
