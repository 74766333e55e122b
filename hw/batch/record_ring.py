"""The records of a shared batch: one tile's after the other, from memory or from the ring, and on along the ring."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from trajectile.hw.batch.ports import SectionPort
from trajectile.hw.d2d.layouts import LinkLayouts
from trajectile.hw.io.ports import ReadBeats
from trajectile.hw.lib.block import Block


class RecordRing(Block):
    """Hands the records of all tiles to the parser, in the same order in every tile.

    The records of a shared batch come in two rounds, first the heads and then the rows of all tokens. A round has a section
    for each tile, in the order of the ring. A section is a header with the number of that tile's tokens, then the beats of
    its part of the records. This tile's own section is made of its number of tokens and of what it reads from memory, the
    others come from the ring-previous tile. Every item also goes on to the ring-next tile, unless the section is that tile's
    own.

    What is to go on is offered to the parser when there is room for it in the output register towards the ring-next tile, and
    goes there in the cycle in which the parser has taken it. Until then nothing else can take that room, so the parser is not
    interrupted.

    A spread batch has one section of heads and one of rows, both without a header: the beats pass through.

    Latency: with ``start`` in cycle c the first item is offered in c+1 (``latency_cycles`` = 1); from then on items pass
    through. Throughput: one item per cycle. Storage: whose section it is, in which round, and whether its header is next.
    """

    latency_cycles = 1

    start: Signal
    shared: Signal
    stop: Signal
    position: Signal
    own: stream.Interface
    come: stream.Interface
    go: stream.Interface
    items: stream.Interface
    section: SectionPort.Interface

    def __init__(self, params: LinkLayouts):
        self.params = params
        super().__init__({
            "start": In(1),  #: the records of a batch are read; only when those of the one before are done, not with ``stop``
            "shared": In(1),  #: with it: all tiles read the records of all tiles
            "stop": In(1),  #: forget the batch; nothing is taken or offered
            "position": In(params.tile_bits),  #: strap: place of this tile in the ring
            "own": In(stream.Signature(ReadBeats(params))),  #: beats of this tile's records
            "come": In(stream.Signature(params.record_item_layout)),  #: items from the ring-previous tile
            "go": Out(stream.Signature(params.record_item_layout)),  #: items to the ring-next tile; once there is room
            #: (``ready``, which must not wait for ``valid``) there is until one goes, and none is offered before
            "items": Out(stream.Signature(params.record_item_layout)),  #: to the parser
            "section": In(SectionPort(params)),  #: how far the parser is
        })

    def elaborate(self, platform: object) -> Module:
        """Whose section it is; where its items come from; whether they go on."""
        m = Module()
        tiles, section, items, go = self.params.config.array.tiles, self.section, self.items, self.go
        walks = Signal()  # the batch is shared
        source = Signal(self.params.tile_bits)  # whose section it is, by place in the ring
        rows = Signal()  # in the second round
        header = Signal()
        last = source == tiles - 1
        following = Signal(self.params.tile_bits)  # whose is the next one
        ring_next = Signal(self.params.tile_bits)  # place of the ring-next tile
        taken = items.valid & items.ready
        m.d.comb += [
            following.eq(Mux(last, 0, source + 1)), ring_next.eq(Mux(self.position == tiles - 1, 0, self.position + 1)),
            section.shared.eq(walks), section.header.eq(walks & header),
            section.own.eq(~walks | (source == self.position)), section.before.eq(following == self.position),
            section.last.eq(~walks | last),
        ]
        with m.If(self.stop):
            m.d.sync += walks.eq(0)
        with m.Elif(self.start):
            m.d.sync += [walks.eq(self.shared), source.eq(0), rows.eq(0), header.eq(1)]
        with m.Elif(section.ends):
            m.d.sync += [source.eq(following), header.eq(1)]
            with m.If(last):
                m.d.sync += [rows.eq(1), walks.eq(walks & ~rows)]
        with m.Elif(taken):
            m.d.sync += header.eq(0)
        offered = Signal()  # there is an item
        goes_on = Signal()
        m.d.comb += [
            goes_on.eq(walks & (source != ring_next)),
            items.valid.eq(offered & (~goes_on | go.ready) & ~self.stop),
            go.valid.eq(taken & goes_on), go.payload.eq(items.payload),
        ]
        with m.If(~section.own):
            m.d.comb += [offered.eq(self.come.valid), items.payload.eq(self.come.payload), self.come.ready.eq(taken)]
        with m.Elif(section.header):
            m.d.comb += [offered.eq(1), items.payload.head.eq(1), items.payload.payload.eq(section.tokens)]
        with m.Else():
            m.d.comb += [
                offered.eq(self.own.valid), items.payload.error.eq(self.own.payload.error),
                items.payload.payload.eq(self.own.payload.data), self.own.ready.eq(taken),
            ]
        return m
