"""Results of a batch as pieces of beats."""

from math import gcd

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, enum, stream
from amaranth.lib.wiring import In, Out

from trajectile.hw.batch.bfloat import BFLOAT_BIAS, BFLOAT_BITS, BfloatConverter
from trajectile.hw.batch.layouts import BatchLayouts
from trajectile.hw.batch.ports import ReadPort
from trajectile.hw.formats import EXPONENT_BITS
from trajectile.hw.lib.block import Block, place
from trajectile.sw_model.config import Config, ceil_div

RESULT_BITS = 32


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
    2). bfloat16 comes two cycles later (``convert_cycles`` = 2), and the closing piece waits until all before it has gone.
    Throughput: a piece of int32 per cycle; ``PieceShape.converters`` results as bfloat16 per cycle. Storage: what is to be
    read next, what has been read; the converters.
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
        waiting = Signal()  # a part waits for the converters
        converting = Signal()  # the converters have a part
        take = Signal()
        read = Signal()
        floats = self.bf16 & ~closing
        last_piece = piece == shape.pieces - 1
        last_part = ~self.bf16 | (part == Mux(last_piece, shape.last_parts - 1, shape.parts - 1))
        ends = closing | (last_piece & last_part)
        of_clips = group == groups
        last_lane = lane == config.tile.mac_t - 1
        first_lane, first_token = (self.first.lane, self.first.token) if config.array.shares else (0, 0)
        m.d.comb += read.eq(self.active & (left != 0) & (~have | (take & ends)))
        with m.If(self.start):
            m.d.sync += [lane.eq(first_lane), token.eq(first_token), group.eq(0), left.eq(self.tokens), have.eq(0),
                         piece.eq(0), part.eq(0), waiting.eq(0), converting.eq(0)]
        with m.Else():
            with m.If(read):
                m.d.sync += [
                    group.eq(Mux(of_clips, 0, group + 1)), have.eq(1), closing.eq(of_clips),
                    last_group.eq(group == groups - 1), ends_all.eq(of_clips & (left == 1)),
                ]
                with m.If(of_clips):
                    m.d.sync += [lane.eq(Mux(last_lane, 0, lane + 1)), token.eq(token + last_lane), left.eq(left - 1)]
            with m.Elif(take & ends):
                m.d.sync += have.eq(0)
            with m.If(take & ~closing):
                m.d.sync += part.eq(Mux(last_part, 0, part + 1))
                with m.If(last_part):
                    m.d.sync += piece.eq(Mux(last_piece, 0, piece + 1))

        # A part waits in a register, then goes into the converters: choosing it takes long. Anything else goes as it is.
        convert = Signal()
        waits_group = Signal()
        waits_row = Signal()
        ends_group = Signal()
        ends_row = Signal()
        with m.If(take):
            m.d.sync += [waits_group.eq(ends), waits_row.eq(ends & last_group)]
        with m.If(convert):
            m.d.sync += [ends_group.eq(waits_group), ends_row.eq(waits_row)]
        straight = have & ~floats & ~waiting & ~converting
        m.d.comb += [
            convert.eq(waiting & (~converting | pieces.ready) & self.active),
            pieces.valid.eq(self.active & (converting | straight)),
            take.eq(Mux(floats, have & (~waiting | convert), straight & pieces.ready) & self.active),
            pieces.payload.ends_all.eq(ends_all & ~waiting & ~converting),
        ]
        with m.If(~self.start):
            with m.If(take & floats):
                m.d.sync += waiting.eq(1)
            with m.Elif(convert):
                m.d.sync += waiting.eq(0)
            with m.If(convert):
                m.d.sync += converting.eq(1)
            with m.Elif(pieces.ready):
                m.d.sync += converting.eq(0)
        with m.If(converting):
            m.d.comb += [pieces.payload.kind.eq(Kind.FLOATS),
                         pieces.payload.completes.eq(ends_row | (ends_group if shape.padded else 0))]
        with m.Elif(closing):
            m.d.comb += [pieces.payload.kind.eq(Kind.WHOLE), pieces.payload.completes.eq(1)]
        with m.Else():
            m.d.comb += [pieces.payload.kind.eq(Kind.GROUP if shape.groups > 1 else Kind.WHOLE),
                         pieces.payload.completes.eq((ends & last_group) if shape.groups > 1 else 1)]
        if not params.timing_only:
            port = self.read
            m.d.comb += [port.read.eq(read), port.batch.eq(self.batch), port.lane.eq(lane), port.token.eq(token),
                         port.group_index.eq(group), port.of_clips.eq(of_clips)]
            self._contents(m, platform, take & floats, convert, piece, part, converting, closing)
        return m

    def _contents(self, m: Module, platform: object, take: Value, convert: Signal, piece: Signal, part: Signal,
                  converting: Signal, closing: Signal) -> None:
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
        with m.If(take):
            m.d.sync += chosen.eq(shown.word_select(part, len(chosen)) if shape.parts > 1 else shown)
        converters = [BfloatConverter() for _ in range(shape.converters)]
        place(m, platform, {f"bfloat_{number}": converter for number, converter in enumerate(converters)})
        for number, converter in enumerate(converters):
            m.d.comb += [converter.take.eq(convert), converter.one.eq(one),
                         converter.value.eq(chosen.word_select(number, RESULT_BITS))]
        lane = Cat(converter.bfloat for converter in converters)
        with m.If(converting):
            m.d.comb += payload.data.eq(lane.replicate(shape.lanes))
        with m.Elif(closing):
            m.d.comb += payload.data.eq(Cat(read.clips, self.unit))
        with m.Else():
            m.d.comb += payload.data.eq(shown.replicate(shape.groups))
