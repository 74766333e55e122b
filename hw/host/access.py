"""From the five channels of AXI4-Lite to one access at a time."""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from trajectile.hw.host.axi import HOST_ADDRESS_BITS, HOST_DATA_BITS, AxiLite, Response
from trajectile.hw.lib.block import Block
from trajectile.hw.lib.signature import NamedSignature


class AccessBus(NamedSignature):
    """One access at a time, as seen by the side that asks.

    Address and data are valid one cycle before ``write`` or ``read``, so that they can be checked. ``writable``, or
    ``readable`` and ``value``, answer in the cycle of ``write`` or ``read``.
    """

    class Interface(wiring.PureInterface):
        write: Signal
        read: Signal
        writes: Signal
        next_address: Signal
        address: Signal
        data: Signal
        whole: Signal
        writable: Signal
        readable: Signal
        value: Signal

    def __init__(self) -> None:
        super().__init__({
            "write": Out(1),  #: write in this cycle
            "read": Out(1),  #: read in this cycle; never with ``write``
            "writes": Out(1),  #: it is, or in the next cycle will be, a write
            "next_address": Out(HOST_ADDRESS_BITS - 2),  #: ``address`` as it will be in the next cycle
            "address": Out(HOST_ADDRESS_BITS - 2),  #: which 32-bit word
            "data": Out(HOST_DATA_BITS),  #: what to write
            "whole": Out(1),  #: every byte of it is to be written
            "writable": In(1),  #: a write is legal
            "readable": In(1),  #: a read is legal
            "value": In(HOST_DATA_BITS),  #: what is read
        })


class AccessPort(Block):
    """AXI4-Lite subordinate: takes one write and one read, and carries them out one after the other, the write first.

    The next write is accepted only after the response of the last one was taken. So a read waits for one write at most.
    The low two address bits are ignored.

    Latency: with address and data accepted in cycle c, or before, the access is in c+3 and the response valid from c+4 on
    (``latency_cycles`` = 4). That is up to 2 cycles later (``behind_write_cycles`` = 2) if a write is served first.
    Storage: one write, one read, the address of the access.
    """

    latency_cycles = 4
    behind_write_cycles = 2

    host: AxiLite.Interface
    access: AccessBus.Interface

    def __init__(self) -> None:
        super().__init__({
            "host": In(AxiLite()),  #: from the host
            "access": Out(AccessBus()),  #: to the registers
        })

    def elaborate(self, platform: object) -> Module:
        """A full bit for each channel that asks, a valid bit for each that answers."""
        m = Module()
        host, access = self.host, self.access
        # Write: address and data come in any order and wait for each other.
        have_write_address = Signal()
        have_data = Signal()
        have_read_address = Signal()
        # An access is chosen two cycles before it, and shown in the cycle between.
        shown = Signal()
        choose_write = Signal()
        choose_read = Signal()
        writable = have_write_address & have_data
        write_address = Signal.like(access.address)
        read_address = Signal.like(access.address)
        strobes = Signal.like(host.wstrb, name="strobes")
        m.d.comb += [
            host.awready.eq(~have_write_address & ~host.bvalid),
            host.wready.eq(~have_data & ~host.bvalid),
            choose_write.eq(writable & ~shown & ~access.write),
            choose_read.eq(have_read_address & ~shown & ~access.read & (~writable | access.write)),
            access.whole.eq(strobes.all()),
        ]
        with m.If(host.awvalid & host.awready):
            m.d.sync += [have_write_address.eq(1), write_address.eq(host.awaddr[2:])]
        with m.If(host.wvalid & host.wready):
            m.d.sync += [have_data.eq(1), access.data.eq(host.wdata), strobes.eq(host.wstrb)]
        m.d.sync += [
            shown.eq(choose_write | choose_read),
            access.write.eq(shown & access.writes), access.read.eq(shown & ~access.writes),
        ]
        m.d.comb += access.next_address.eq(access.address)
        m.d.sync += access.address.eq(access.next_address)
        with m.If(choose_write | choose_read):
            m.d.comb += access.next_address.eq(Mux(choose_write, write_address, read_address))
            m.d.sync += access.writes.eq(choose_write)
        with m.If(access.write):
            m.d.sync += [have_write_address.eq(0), have_data.eq(0), host.bvalid.eq(1),
                         host.bresp.eq(_response(access.writable))]
        with m.Elif(host.bready):
            m.d.sync += host.bvalid.eq(0)

        # Read: its response is kept here, so the manager may take it when it likes.
        m.d.comb += host.arready.eq(~have_read_address & ~host.rvalid)
        with m.If(host.arvalid & host.arready):
            m.d.sync += [have_read_address.eq(1), read_address.eq(host.araddr[2:])]
        with m.If(host.rready):
            m.d.sync += host.rvalid.eq(0)
        with m.If(access.read):
            m.d.sync += [
                have_read_address.eq(0), host.rvalid.eq(1), host.rresp.eq(_response(access.readable)),
                host.rdata.eq(Mux(access.readable, access.value, 0)),
            ]
        return m


def _response(legal: Signal) -> Value:
    return Mux(legal, Response.OKAY, Response.SLVERR)
