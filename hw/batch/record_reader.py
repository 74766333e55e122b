"""Token records, from memory, and from other tiles, to token lists and token buffer."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out, connect, flipped

from trajectile.hw.batch.ports import BeginPort, FillPort, InsertPort
from trajectile.hw.batch.record_parser import RecordParser
from trajectile.hw.batch.record_ring import RecordRing
from trajectile.hw.d2d.layouts import LinkLayouts
from trajectile.hw.host.axi import Axi4Read
from trajectile.hw.io.reader import IoReader
from trajectile.hw.lib.block import Block, place


class RecordReader(Block):
    """Reads the records of a batch (:class:`IoReader`) and takes them apart (:class:`RecordParser`). If the batch is shared,
    records of all tiles come in turn and go on along the ring (:class:`RecordRing`).

    It is not part of the reset by the host. While ``stop`` is high it begins nothing, nothing is put anywhere, and what has
    been asked for is taken and dropped; when ``quiet`` is high the port is at rest. Nothing comes from the ring then, and
    nothing goes there.

    Latency: with ``begin.start`` in cycle c the first address is in c+1 (``latency_cycles`` = 1); then as its blocks say.
    """

    latency_cycles = RecordParser.latency_cycles + IoReader.latency_cycles

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
        """Reader and parser, and the ring between them."""
        m = Module()
        reader, parser = IoReader(self.params), RecordParser(self.params)
        place(m, platform, io_reader=reader)
        place(m, platform, reset=self.stop, record_parser=parser)
        connect(m, flipped(self.begin), parser.begin)
        connect(m, parser.region, reader.region)
        if self.params.config.array.shares:
            ring = RecordRing(self.params)
            place(m, platform, record_ring=ring)
            connect(m, reader.beats, ring.own)
            connect(m, flipped(self.come), ring.come)
            connect(m, ring.go, flipped(self.go))
            connect(m, ring.items, parser.beats)
            connect(m, parser.section, ring.section)
            m.d.comb += [
                ring.start.eq(self.begin.start), ring.shared.eq(self.begin.shared), ring.stop.eq(self.stop),
                ring.position.eq(self.position),
            ]
        else:
            connect(m, reader.beats, parser.beats)
        connect(m, reader.read, flipped(self.io))
        connect(m, parser.insert, flipped(self.insert))
        if not self.params.timing_only:
            connect(m, parser.fill, flipped(self.fill))
        m.d.comb += [reader.stop.eq(self.stop), self.quiet.eq(reader.quiet)]
        return m
