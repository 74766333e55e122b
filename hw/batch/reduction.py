"""Sums of tokens that all tiles hold, added up on their way round the ring."""

from typing import NamedTuple

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from trajectile.hw.batch.ports import PutPort, ReadPort, ReducePort
from trajectile.hw.d2d.layouts import FlitKind, LinkLayouts
from trajectile.hw.d2d.port import SumsFlit
from trajectile.hw.formats import CLIP_BITS, EXPONENT_BITS
from trajectile.hw.lib.batches import of_batch
from trajectile.hw.lib.block import Block
from trajectile.hw.lib.struct_signal import struct_signal

#: even groups, odd groups, closing words: each is written by itself
BANKS = 3


class Walk(NamedTuple):
    """The next of the words that come, or go: of tokens in descending order all groups, and at last the closing word."""

    #: of its token
    place: data.View
    #: which group it is, if it is one
    group: Signal
    #: it is a closing word
    closes: Value
    #: its bank, one bit for each
    bank: Value
    #: tokens, this one too
    left: Signal


class Coming(NamedTuple):
    """The way of a word that comes."""

    word: Walk
    #: a flit of it comes, and which
    comes: Signal
    piece: Signal
    #: it is the last, and this tile's own word is read
    arrives: Signal
    #: in the cycle after that: they are added up, for this bank
    adds: Signal
    adds_to: Signal
    #: by bank: a sum waits to be written; it is written
    waits: Signal
    writes: Signal


class Going(NamedTuple):
    """The way of a word that goes."""

    word: Walk
    #: what came of its token has been added and written, or else nothing will come of it
    passes: Value
    #: it is read
    reads: Signal
    #: it stands at the read port, and none of its flits has gone
    stands: Signal
    #: a flit goes; it is a word's first one
    goes: Signal
    steps: Signal
    #: flits that have not gone of the word before
    rest: Signal


class RingReduction(Block):
    """When a batch whose tokens all tiles hold has finished in this tile, there is a partial sum of each token in every tile.
    They are added up while they go round the ring, and end at the tile whose host gave the token (a ring reduce-scatter).

    This tile first sends its partial sums of the ring-previous tile's tokens. Then it passes on what comes, with its own
    partial sums added. What comes last are its own tokens' sums, which it keeps. Tokens go in descending order of their
    places. Each goes as its groups, of ``sum_flits`` flits each, and a closing word: clips, and the unit of the results.

    This tile sends once the ring-next tile has permitted it, that is has finished the batch too. Every flit is taken as it
    comes. A word that comes has the read port in any case. Its sum is written in the first cycle in which no word that comes
    reads the same bank. The block is part of the reset by the host.

    The first flit of a word that goes is offered as it stands at the read port; the others wait in a register from then on.
    If a word that comes is read before the link has taken that flit, it is withdrawn, and the word is read again. So no read
    depends on what the link takes in its cycle, which is known too late to address a memory.

    Latency: ``reduce.start`` in cycle s, ``permit_sums`` in s+1 (``latency_cycles`` = 1). With a word's last flit in cycle a
    its sum may be written from a+2 on (``sum_cycles`` = 2), and is not later than a+3. A word that is read in cycle u to be
    sent is offered from u+1 on (``send_cycles`` = 1). ``reduce.summed`` comes in the cycle after the last flit has gone and
    the last sum was written (``summed_cycles`` = 1), or in s+1. Throughput: one flit per cycle comes; one flit per cycle
    goes, with a cycle's rest after a word of one flit. Storage: the word that comes, a sum for each bank, the word that goes
    but its first flit.
    """

    latency_cycles = 1
    sum_cycles = 2
    send_cycles = 1
    summed_cycles = 1

    reduce: ReducePort.Interface
    permit_sums: Signal
    permitted: Signal
    arrival: SumsFlit.Interface
    flits: stream.Interface
    read: ReadPort.Interface
    put: PutPort.Interface
    reading: Signal
    unit: data.View

    def __init__(self, params: LinkLayouts):
        self.params = params
        super().__init__({
            "reduce": In(ReducePort(params)),  #: batch control
            "permit_sums": Out(1),  #: strobe, to the ring-previous tile: this one takes its sums of the oldest batch
            "permitted": In(1),  #: strobe, from the ring-next tile: likewise; may come before ``reduce.start``
            "arrival": In(SumsFlit(params)),  #: from the router: a flit of sums
            "flits": Out(stream.Signature(params.flit_layout)),  #: to the ring-next tile
            **({} if params.timing_only else {
                "read": Out(ReadPort(params)),  #: partial sums, and sums that were put
                "put": Out(PutPort(params)),  #: sums
                "reading": Out(1),  #: nobody else reads, from the cycle after ``reduce.start`` to ``reduce.summed``
                "unit": In(data.ArrayLayout(signed(EXPONENT_BITS), params.config.tile.batches)),  #: of each batch's results
            }),
        })

    def elaborate(self, platform: object) -> Module:
        """What comes, what goes, and when both have ended."""
        m = Module()
        reduce = self.reduce
        active = Signal()
        last = struct_signal(self.params.place_layout, name="last_place", reset_less=True)  # of all tokens
        with m.If(reduce.start):
            m.d.sync += [active.eq(1), last.eq(reduce.share.last)]
        with m.Elif(reduce.summed):
            m.d.sync += active.eq(0)
        coming = self._come(m, last)
        going = self._go(m, last, coming)
        rests = ~coming.adds & ~coming.waits.any() & ~self.flits.valid
        m.d.comb += reduce.summed.eq(active & (coming.word.left == 0) & (going.word.left == 0) & rests)
        m.d.sync += self.permit_sums.eq(reduce.start & (reduce.share.total != reduce.share.before))
        if not self.params.timing_only:
            # Between two reads the memory is addressed as well: a word stands there only until it is read again.
            m.d.comb += [self.reading.eq(active), self.read.early.eq(active)]
            self._contents(m, coming, going)
        return m

    def _walk(self, m: Module, name: str, last: data.View, *, first: data.View, tokens: Value, step: Value,
              closes: Value | None = None) -> Walk:
        """Words of so many tokens, downwards from the one before ``first``; the last of all is before the first of all."""
        config, start = self.params.config, self.reduce.start
        place = struct_signal(self.params.place_layout, name=f"{name}_place", reset_less=True)
        base, end = (struct_signal(self.params.place_layout, name=f"{name}_{what}") for what in ("base", "end"))
        group = Signal(range(config.down_groups + 1), name=f"{name}_group")
        left = Signal(self.params.batch_token_bits, name=f"{name}_left")
        closes = group == config.down_groups if closes is None else closes
        # A place past the last one may show as the first of all; the one before it is the last in any case.
        m.d.comb += [base.eq(Mux(start, first, place)), end.eq(Mux(start, self.reduce.share.last, last))]
        with m.If(start | (step & closes)):
            m.d.sync += place.lane.eq(Mux(base.lane == 0, config.tile.mac_t - 1, base.lane - 1))
            with m.If(base.lane == 0):
                m.d.sync += place.token.eq(base.token - 1)
            with m.Else():
                m.d.sync += place.token.eq(base.token)
            with m.If(base.as_value() == 0):
                m.d.sync += place.eq(end)
        with m.If(start):
            m.d.sync += [group.eq(0), left.eq(tokens)]
        with m.Elif(step):
            m.d.sync += [group.eq(Mux(closes, 0, group + 1)), left.eq(left - closes)]
        return Walk(place, group, closes, Mux(closes, 4, Mux(group[0], 2, 1)), left)

    def _come(self, m: Module, last: data.View) -> Coming:
        """A word's flits come; it is added to this tile's own; the sum waits until its bank is free."""
        share, arrival, pieces = self.reduce.share, self.arrival, self.params.config.sum_flits
        comes = Signal()
        piece = Signal(range(max(pieces, 2)))
        last_piece = Signal(init=pieces == 1)  # it is the word's last, unless that closes
        next_last_piece = Signal()
        arrives = Signal()  # it is here; the bank that it reads, and nobody writes: from registers, as memories wait for them
        blocks = Signal(BANKS)
        next_arrives = Signal()
        next_odd = Signal()
        adds = Signal()
        adds_to = Signal(BANKS)
        waits = Signal(BANKS)
        writes = Signal(BANKS)
        word = self._walk(m, "coming", last, first=share.previous, tokens=share.total - share.before, step=arrives,
                          closes=arrival.payload.head)
        m.d.comb += [
            comes.eq(arrival.valid), next_last_piece.eq(last_piece),
            # Words of one bank never follow each other: what waits is written before the next is added up.
            writes.eq(waits & ~blocks), next_arrives.eq(arrival.next_valid & (arrival.next_head | next_last_piece)),
            next_odd.eq(Mux(arrives, ~(word.closes | word.group[0]), word.group[0])),
        ]
        with m.If(comes):
            m.d.sync += piece.eq(Mux(arrives, 0, piece + 1))
            m.d.comb += next_last_piece.eq(Mux(arrives, pieces == 1, piece == pieces - 2))
        m.d.sync += [
            last_piece.eq(next_last_piece), arrives.eq(next_arrives),
            blocks.eq(Mux(next_arrives, Mux(arrival.next_head, 4, Mux(next_odd, 2, 1)), 0)),
            adds.eq(arrives), adds_to.eq(word.bank), waits.eq((waits & ~writes) | Mux(adds, adds_to, 0)),
        ]
        return Coming(word, comes, piece, arrives, adds, adds_to, waits, writes)

    def _go(self, m: Module, last: data.View, coming: Coming) -> Going:
        """A word is read if it is there and nothing else is in its way; its flits go."""
        config, reduce, flits, pieces = self.params.config, self.reduce, self.flits, self.params.config.sum_flits
        reads = Signal()
        stands = Signal()
        goes = Signal()
        steps = Signal()
        rest = Signal(range(pieces))  # flits of the word before that have not gone
        may_send = Signal()
        partial_left = Signal(self.params.batch_token_bits)  # tokens of which nothing comes
        ahead = Signal(range(config.tile.tokens * (config.down_groups + 1) + 1))  # words that were written and not sent,
        stepped = Signal()  # this one too: it went in the cycle before; what the link takes is known too late to count it
        word = self._walk(m, "going", last, first=reduce.share.own, tokens=reduce.share.total - reduce.tokens, step=steps)
        passes = partial_left == 0
        m.d.comb += [
            reads.eq(may_send & (word.left != 0) & (~passes | Mux(stepped, ahead > 1, ahead != 0)) & ~coming.arrives
                     & ~(coming.waits & word.bank).any() & ~stands & (rest < 2)),
            flits.valid.eq(stands | (rest != 0)), flits.payload.kind.eq(FlitKind.SUMS),
            flits.payload.head.eq(word.closes & (rest == 0)),
            goes.eq(flits.valid & flits.ready), steps.eq(goes & (rest == 0)),
        ]
        m.d.sync += stands.eq(reads | (stands & ~steps & ~coming.arrives))
        with m.If(steps):
            m.d.sync += rest.eq(Mux(word.closes, 0, pieces - 1))
        with m.Elif(goes):
            m.d.sync += rest.eq(rest - 1)
        with m.If(reduce.start):
            m.d.sync += [partial_left.eq(reduce.share.before), ahead.eq(0), stepped.eq(0)]
        with m.Else():
            m.d.sync += [ahead.eq(ahead + sum(coming.writes) - stepped), stepped.eq(steps & passes)]
            with m.If(steps & word.closes & ~passes):
                m.d.sync += partial_left.eq(partial_left - 1)
        with m.If(self.permitted):
            m.d.sync += may_send.eq(1)
        with m.Elif(steps & word.closes & (word.left == 1)):
            m.d.sync += may_send.eq(0)
        return Going(word, passes, reads, stands, goes, steps, rest)

    def _contents(self, m: Module, coming: Coming, going: Going) -> None:
        """What is in the words."""
        params, config, read, put = self.params, self.params.config, self.read, self.put
        batch = Signal()
        with m.If(self.reduce.start):
            m.d.sync += batch.eq(self.reduce.batch)
        place = data.View(params.place_layout, Mux(coming.arrives, coming.word.place.as_value(), going.word.place.as_value()))
        m.d.comb += [
            read.read.eq(coming.arrives | going.reads), read.batch.eq(batch), read.lane.eq(place.lane),
            read.token.eq(place.token), read.group_index.eq(Mux(coming.arrives, coming.word.group, going.word.group)),
            read.of_clips.eq(Mux(coming.arrives, coming.word.closes, going.word.closes)),
            read.written.eq(~coming.arrives & going.passes),
        ]
        piece_bits = min(8 * config.payload_bytes, params.result_bits)
        came = Signal(params.result_bits, reset_less=True)
        for number in range(config.sum_flits):
            with m.If(coming.comes & (coming.piece == number)):
                m.d.sync += came[number * piece_bits:(number + 1) * piece_bits].eq(self.arrival.payload.payload)

        added_place = struct_signal(params.place_layout, name="added_place", reset_less=True)
        added_row = Signal(put.row[0].shape(), reset_less=True)
        m.d.sync += [added_place.eq(coming.word.place), added_row.eq(coming.word.group >> 1)]
        closing = data.View(params.closing_layout, came[:params.closing_layout.size])
        clips = closing.clips + read.clips
        total = Cat((came.word_select(number, 32) + read.results.word_select(number, 32))[:32]
                    for number in range(config.tile.mac_n))
        m.d.comb += [
            put.batch.eq(batch), put.write.eq(coming.writes),
            put.adopt.eq(coming.adds & coming.adds_to[2] & closing.known), put.unit.eq(closing.unit),
        ]
        most = 2**CLIP_BITS - 1
        sums = (put.words.even, total), (put.words.odd, total), (put.words.clips, Mux(clips > most, most, clips))
        for bank, (word, value) in enumerate(sums):
            waiting = Signal(len(word), name=f"waiting_{bank}", reset_less=True)
            where = struct_signal(params.place_layout, name=f"place_{bank}", reset_less=True)
            with m.If(coming.adds & coming.adds_to[bank]):
                m.d.sync += [waiting.eq(value), where.eq(added_place)]
            m.d.comb += [word.eq(waiting), put.places[bank].eq(where)]
            if bank < 2:
                row = Signal.like(added_row, name=f"row_{bank}")
                with m.If(coming.adds & coming.adds_to[bank]):
                    m.d.sync += row.eq(added_row)
                m.d.comb += put.row[bank].eq(row)

        known = of_batch(batch, [put.known[number] for number in range(config.tile.batches)])
        unit = of_batch(batch, [self.unit[number] for number in range(config.tile.batches)])
        first = Mux(going.word.closes, Cat(read.clips, unit, known), read.results[:piece_bits])
        if config.sum_flits == 1:
            m.d.comb += self.flits.payload.payload.eq(first)
            return
        others = Signal(params.result_bits - piece_bits, reset_less=True)
        # What stands at the read port while none are left does not matter; whether a flit goes is known late.
        with m.If(going.rest == 0):
            m.d.sync += others.eq(read.results[piece_bits:])
        if config.sum_flits > 2:
            with m.Elif(going.goes):
                m.d.sync += others.eq(others >> piece_bits)
        m.d.comb += self.flits.payload.payload.eq(Mux(going.rest == 0, first, others[:piece_bits]))
