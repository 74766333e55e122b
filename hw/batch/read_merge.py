"""One read port of the compute unit for the two blocks that read results."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from trajectile.hw.batch.layouts import BatchLayouts
from trajectile.hw.batch.ports import ReadPort
from trajectile.hw.lib.block import Block


class ReadMerge(Block):
    """The reduction reads a batch's results until it has all its sums, and the result writer from then on. So only one of
    them reads, and what is read is shown to both. Which of them may is said by a register, so that an address need not wait
    until it is known whether there is a read.

    Latency: none (``latency_cycles`` = 0). Throughput: one read per cycle. Storage: none.
    """

    latency_cycles = 0

    writer: ReadPort.Interface
    reduction: ReadPort.Interface
    reducing: Signal
    read: ReadPort.Interface

    def __init__(self, params: BatchLayouts):
        super().__init__({
            "writer": In(ReadPort(params)),  #: result writer
            "reduction": In(ReadPort(params)),  #: reduction; it reads only while ``reducing``
            "reducing": In(1),  #: the writer does not read
            "read": Out(ReadPort(params)),  #: to the compute unit
        })

    def elaborate(self, platform: object) -> Module:
        """A multiplexer."""
        m = Module()
        read, writer, reduction, reducing = self.read, self.writer, self.reduction, self.reducing
        m.d.comb += [
            read.read.eq(writer.read | reduction.read),
            read.batch.eq(Mux(reducing, reduction.batch, writer.batch)),
            read.lane.eq(Mux(reducing, reduction.lane, writer.lane)),
            read.token.eq(Mux(reducing, reduction.token, writer.token)),
            read.group_index.eq(Mux(reducing, reduction.group_index, writer.group_index)),
            read.of_clips.eq(Mux(reducing, reduction.of_clips, writer.of_clips)),
            read.written.eq(reducing & reduction.written), read.early.eq(Mux(reducing, reduction.early, writer.early)),
            writer.results.eq(read.results), writer.clips.eq(read.clips),
            reduction.results.eq(read.results), reduction.clips.eq(read.clips),
        ]
        return m
