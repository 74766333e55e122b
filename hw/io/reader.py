"""The reading half of the io port."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import exact_log2

from trajectile.hw.batch.layouts import BatchLayouts
from trajectile.hw.host.axi import AXI_BURST_INCR, Axi4Read, Response
from trajectile.hw.io.bursts import BurstAddresses
from trajectile.hw.io.ports import IO_BURSTS, ReadBeats, RegionPort
from trajectile.hw.lib.block import Block, place


class IoReader(Block):
    """Reads a contiguous region, up to ``IO_BURSTS`` bursts ahead. All reads carry one ID, so beats come in order.

    Beats pass through as they are offered: who takes them decides about RREADY. After ``stop`` nothing more is asked for, and
    what has been asked for is taken and dropped, from the next cycle on. So the port is at rest when ``quiet`` is high,
    without help of those who are in reset. It is not part of the reset by the host.

    Latency: ``region.start`` in cycle c: the first address in c+1 (``latency_cycles`` = 1), then one burst per cycle while
    fewer than ``IO_BURSTS`` wait; after the last beat of a burst was taken the next address is offered in the next cycle.
    Beats: none. Throughput: one beat per cycle. Storage: addresses (:class:`BurstAddresses`), a count of bursts.
    """

    latency_cycles = BurstAddresses.latency_cycles

    region: RegionPort.Interface
    stop: Signal
    beats: stream.Interface
    quiet: Signal
    read: Axi4Read.Interface

    def __init__(self, params: BatchLayouts):
        self.params = params
        super().__init__({
            "region": In(RegionPort(params)),  #: what to read; only when ``quiet``
            "stop": In(1),  #: drop everything from the next cycle on until the next start; not with ``start``
            "beats": Out(stream.Signature(ReadBeats(params))),  #: the region's beats in order
            "quiet": Out(1),  #: every beat that was asked for has come
            "read": Out(Axi4Read(params.address_bits, params.io_bits)),  #: to the memory
        })

    def elaborate(self, platform: object) -> Module:
        """Addresses, a count of what waits, and whether it is dropped."""
        m = Module()
        bursts = BurstAddresses(self.params)
        place(m, platform, bursts=bursts)
        connect(m, flipped(self.region), bursts.region)
        read, beats, address = self.read, self.beats, bursts.bursts
        waiting = Signal(range(IO_BURSTS + 1))  # bursts asked for and not complete
        stopped = Signal()
        with m.If(self.region.start):
            m.d.sync += stopped.eq(0)
        with m.Elif(self.stop):
            m.d.sync += stopped.eq(1)
        m.d.sync += waiting.eq(waiting + (read.arvalid & read.arready) - (read.rvalid & read.rready & read.rlast))
        m.d.comb += [
            bursts.stop.eq(self.stop | stopped), bursts.hold.eq(waiting == IO_BURSTS),
            read.arvalid.eq(address.valid), read.araddr.eq(address.payload.address), read.arlen.eq(address.payload.len),
            address.ready.eq(read.arready), read.arsize.eq(exact_log2(self.params.config.io.bytes_per_cycle)),
            read.arburst.eq(AXI_BURST_INCR),
            beats.valid.eq(read.rvalid & ~stopped), beats.payload.data.eq(read.rdata),
            beats.payload.error.eq(read.rresp != Response.OKAY), read.rready.eq(beats.ready | stopped),
            self.quiet.eq(~bursts.asking & (waiting == 0)),
        ]
        return m
