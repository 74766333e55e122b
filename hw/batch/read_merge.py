"""One read port of the compute unit for the two blocks that read results."""

from amaranth.hdl import Module, Mux
from amaranth.lib.wiring import In, Out

from trajectile.hw.batch.layouts import BatchLayouts
from trajectile.hw.batch.ports import ReadPort
from trajectile.hw.lib.block import Block


class ReadMerge(Block):
    """The reduction reads a batch's results until it has all its sums, and the result writer from then on. So only one of
    them reads, and what is read is shown to both.

    Latency: none (``latency_cycles`` = 0). Throughput: one read per cycle. Storage: none.
    """

    latency_cycles = 0

    writer: ReadPort.Interface
    reduction: ReadPort.Interface
    read: ReadPort.Interface

    def __init__(self, params: BatchLayouts):
        super().__init__({
            "writer": In(ReadPort(params)),  #: result writer
            "reduction": In(ReadPort(params)),  #: reduction; never in a cycle in which the writer reads
            "read": Out(ReadPort(params)),  #: to the compute unit
        })

    def elaborate(self, platform: object) -> Module:
        """A multiplexer."""
        m = Module()
        read, writer, reduction = self.read, self.writer, self.reduction
        m.d.comb += [
            read.read.eq(writer.read | reduction.read),
            read.batch.eq(Mux(reduction.read, reduction.batch, writer.batch)),
            read.lane.eq(Mux(reduction.read, reduction.lane, writer.lane)),
            read.token.eq(Mux(reduction.read, reduction.token, writer.token)),
            read.group_index.eq(Mux(reduction.read, reduction.group_index, writer.group_index)),
            read.of_clips.eq(Mux(reduction.read, reduction.of_clips, writer.of_clips)),
            read.written.eq(reduction.read & reduction.written),
            writer.results.eq(read.results), writer.clips.eq(read.clips),
            reduction.results.eq(read.results), reduction.clips.eq(read.clips),
        ]
        return m
