"""Token records, from memory to token lists and token buffer."""

from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import In, Out, connect, flipped

from trajectile.hw.batch.layouts import BatchLayouts
from trajectile.hw.batch.ports import BeginPort, FillPort, InsertPort
from trajectile.hw.batch.record_parser import RecordParser
from trajectile.hw.host.axi import Axi4Read
from trajectile.hw.io.reader import IoReader
from trajectile.hw.lib.block import Block, place


class RecordReader(Block):
    """Reads the records of a batch (:class:`IoReader`) and takes them apart (:class:`RecordParser`).

    It is not part of the reset by the host. While ``stop`` is high it begins nothing, nothing is put anywhere, and what has
    been asked for is taken and dropped; when ``quiet`` is high the port is at rest.

    Latency: with ``begin.start`` in cycle c the first address is in c+1 (``latency_cycles`` = 1); then as its two blocks say.
    """

    latency_cycles = RecordParser.latency_cycles + IoReader.latency_cycles

    begin: BeginPort.Interface
    stop: Signal
    quiet: Signal
    io: Axi4Read.Interface
    insert: InsertPort.Interface
    fill: FillPort.Interface

    def __init__(self, params: BatchLayouts):
        self.params = params
        super().__init__({
            "begin": In(BeginPort(params)),  #: batch control; ``start`` only when the batch before is done, not with ``stop``
            "stop": In(1),  #: the tile has failed or is in reset
            "quiet": Out(1),  #: every beat that was asked for has come
            "io": Out(Axi4Read(params.address_bits, params.io_bits)),  #: to the memory
            "insert": Out(InsertPort(params)),  #: to the token lists
            **({} if params.timing_only else {"fill": Out(FillPort(params))}),  #: to the token buffer
        })

    def elaborate(self, platform: object) -> Module:
        """Reader and parser."""
        m = Module()
        reader, parser = IoReader(self.params), RecordParser(self.params)
        place(m, platform, io_reader=reader)
        place(m, platform, reset=self.stop, record_parser=parser)
        connect(m, flipped(self.begin), parser.begin)
        connect(m, parser.region, reader.region)
        connect(m, reader.beats, parser.beats)
        connect(m, reader.read, flipped(self.io))
        connect(m, parser.insert, flipped(self.insert))
        if not self.params.timing_only:
            connect(m, parser.fill, flipped(self.fill))
        m.d.comb += [reader.stop.eq(self.stop), self.quiet.eq(reader.quiet)]
        return m
