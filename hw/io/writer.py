"""The writing half of the io port."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import exact_log2

from trajectile.hw.batch.layouts import BatchLayouts
from trajectile.hw.host.axi import AXI_BURST_INCR, Axi4Write, Response
from trajectile.hw.io.bursts import BurstAddresses
from trajectile.hw.io.ports import IO_BURSTS, WritePort
from trajectile.hw.lib.block import Block, place


class IoWriter(Block):
    """Writes a contiguous region, at most ``IO_BURSTS`` bursts ahead of their responses.

    Beats pass through as they are offered. One is offered to the memory as soon as the address of its burst is, and does not
    wait until that is taken. After ``stop`` no other burst begins; those that have begun get the beats that they need with
    no byte enabled, and beats that are still offered are taken and dropped. So the port is at rest when ``quiet`` is high.
    It is not part of the reset by the host.

    Latency: ``user.region.start`` in cycle c: the first address in c+1 (``latency_cycles`` = 1), beats from then on; then one
    burst per cycle while fewer than ``IO_BURSTS`` wait; after a response was taken the next address is offered in the next
    cycle. Beats: none. ``quiet`` rises in the cycle after the last response (``answer_cycles`` = 1). Throughput: one beat per
    cycle. Storage: addresses (:class:`BurstAddresses`), counts of bursts, the beat's place in its line.
    """

    latency_cycles = BurstAddresses.latency_cycles
    answer_cycles = 1

    user: WritePort.Interface
    write: Axi4Write.Interface

    def __init__(self, params: BatchLayouts):
        self.params = params
        super().__init__({
            "user": In(WritePort(params)),  #: what to write
            "write": Out(Axi4Write(params.address_bits, params.io_bits)),  #: to the memory
        })

    def elaborate(self, platform: object) -> Module:
        """Addresses; beats, which know where their bursts end; responses."""
        m = Module()
        params, write, user = self.params, self.write, self.user
        region, beats = user.region, user.beats
        bursts = BurstAddresses(params)
        place(m, platform, bursts=bursts)
        connect(m, flipped(region), bursts.region)
        address = bursts.bursts
        stopped = Signal()
        with m.If(region.start):
            m.d.sync += stopped.eq(0)
        with m.Elif(user.stop):
            m.d.sync += stopped.eq(1)

        asked = write.awvalid & write.awready
        done = write.wvalid & write.wready & write.wlast
        waiting = Signal(range(IO_BURSTS + 1))  # bursts asked for and not answered
        m.d.sync += waiting.eq(waiting + asked - (write.bvalid & write.bready))
        m.d.comb += [
            bursts.stop.eq(user.stop | stopped),
            bursts.hold.eq(waiting == IO_BURSTS),
            write.awvalid.eq(address.valid), write.awaddr.eq(address.payload.address), write.awlen.eq(address.payload.len),
            address.ready.eq(write.awready), write.awsize.eq(exact_log2(params.config.io.bytes_per_cycle)),
            write.awburst.eq(AXI_BURST_INCR), write.bready.eq(1),
            user.bad_response.eq(write.bvalid & (write.bresp != Response.OKAY)),
            user.quiet.eq(~bursts.asking & (waiting == 0)),
        ]

        # Addresses taken less bursts whose beats have all gone, and one: 0 if the beats were faster than the address.
        ahead = Signal(range(IO_BURSTS + 2), init=1)
        m.d.sync += ahead.eq(ahead + asked - done)
        begun = (ahead > 1) | ((ahead == 1) & write.awvalid)
        in_last = Mux(ahead == 1, bursts.last, (ahead == 2) & bursts.ended)
        line_bits = exact_log2(params.config.io.burst_beats)
        at = Signal(line_bits, name="beat_in_line")  # the beat's place in its line
        after = Signal(line_bits + 1)
        m.d.comb += after.eq(at + 1)
        with m.If(region.start):
            m.d.sync += at.eq(region.address)
        with m.Elif(write.wvalid & write.wready):
            m.d.sync += at.eq(after)
        # What has been offered with its bytes is taken with them.
        fills = Signal()
        with m.If(region.start):
            m.d.sync += fills.eq(0)
        with m.Elif(stopped & (~write.wvalid | write.wready)):
            m.d.sync += fills.eq(1)
        m.d.comb += [
            write.wvalid.eq(begun & (beats.valid | fills)), write.wdata.eq(beats.payload),
            write.wstrb.eq((~fills).replicate(params.io_bits // 8)),
            write.wlast.eq(after[line_bits] | (in_last & (after[:line_bits] == bursts.last_line_beats))),
            beats.ready.eq(Mux(fills, 1, begun & write.wready)),
        ]
        return m
