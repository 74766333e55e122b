"""Token records, from memory, and from other tiles, to token lists and token buffer."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out, connect, flipped

from trajectile.hw.batch.ports import BeginPort, FillPort, InsertPort
from trajectile.hw.batch.record_parser import RecordParser
from trajectile.hw.batch.record_ring import PlacedItem, RecordRing
from trajectile.hw.d2d.layouts import LinkLayouts
from trajectile.hw.host.axi import Axi4Read
from trajectile.hw.io.ports import ReadBeats
from trajectile.hw.io.reader import IoReader
from trajectile.hw.lib.block import Block, place
from trajectile.hw.lib.two_places import TwoPlaces


class RecordReader(Block):
    """Reads the records of a batch (:class:`IoReader`) and takes them apart (:class:`RecordParser`). If the batch is shared,
    records of all tiles come in turn and go on along the ring (:class:`RecordRing`). Before the parser there are two places
    (:class:`TwoPlaces`), so that RREADY, and what is taken from the ring, come from registers, and so does all that the
    parser looks at.

    It is not part of the reset by the host. While ``stop`` is high it begins nothing, and nothing is put anywhere. From the
    next cycle on what has been asked for is taken and dropped, nothing is taken from the ring, and nothing goes there; when
    ``quiet`` is high the port is at rest.

    Latency: with ``begin.start`` in cycle c the first address is in c+1 (``latency_cycles`` = 1); the parser has an item in
    the cycle after it was taken (``item_cycles`` = 1); then as its blocks say. Throughput: one item per cycle. Storage: two
    items.
    """

    latency_cycles = RecordParser.latency_cycles + IoReader.latency_cycles
    item_cycles = TwoPlaces.latency_cycles
    item_places = TwoPlaces.places

    begin: BeginPort.Interface
    stop: Signal
    quiet: Signal
    io: Axi4Read.Interface
    position: Signal
    come: stream.Interface
    go: stream.Interface
    insert: InsertPort.Interface
    fill: FillPort.Interface

    def __init__(self, params: LinkLayouts):
        self.params = params
        super().__init__({
            "begin": In(BeginPort(params)),  #: batch control; ``start`` only when the batch before is done, not with ``stop``
            "stop": In(1),  #: the tile has failed or is in reset
            "quiet": Out(1),  #: every beat that was asked for has come
            "io": Out(Axi4Read(params.address_bits, params.io_bits)),  #: to the memory
            **({
                "position": In(params.tile_bits),  #: strap: place of this tile in the ring
                "come": In(stream.Signature(params.record_item_layout)),  #: records from the ring-previous tile
                "go": Out(stream.Signature(params.record_item_layout)),  #: to the ring-next tile; ``ready`` as the ring of
                #: records wants it
            } if params.config.array.shares else {}),
            "insert": Out(InsertPort(params)),  #: to the token lists
            **({} if params.timing_only else {"fill": Out(FillPort(params))}),  #: to the token buffer
        })

    def elaborate(self, platform: object) -> Module:
        """Reader and parser, and between them the ring and the two places."""
        m = Module()
        shares = self.params.config.array.shares
        reader, parser = IoReader(self.params), RecordParser(self.params)
        places = TwoPlaces((PlacedItem if shares else ReadBeats)(self.params))
        place(m, platform, io_reader=reader)
        place(m, platform, reset=self.stop, places=places, record_parser=parser)
        connect(m, places.leaves, parser.beats)
        connect(m, flipped(self.begin), parser.begin)
        connect(m, parser.region, reader.region)
        if shares:
            ring = RecordRing(self.params)
            place(m, platform, reset=self.stop, record_ring=ring)
            connect(m, reader.beats, ring.own)
            connect(m, flipped(self.come), ring.come)
            connect(m, ring.go, flipped(self.go))
            connect(m, ring.items, places.enters)
            m.d.comb += [
                ring.start.eq(self.begin.start), ring.shared.eq(self.begin.shared), ring.tokens.eq(self.begin.tokens),
                ring.position.eq(self.position),
            ]
        else:
            connect(m, reader.beats, places.enters)
        connect(m, reader.read, flipped(self.io))
        connect(m, parser.insert, flipped(self.insert))
        if not self.params.timing_only:
            connect(m, parser.fill, flipped(self.fill))
        m.d.comb += [reader.stop.eq(self.stop), parser.stop.eq(self.stop), self.quiet.eq(reader.quiet)]
        return m
