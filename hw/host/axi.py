"""AXI signatures: what the tile offers to the host, asks of DDR, and does by its io port."""

from amaranth.hdl import Signal
from amaranth.lib import enum, wiring
from amaranth.lib.wiring import In, Out

from trajectile.hw.lib.signature import NamedSignature

#: width of the host port's addresses and data
HOST_ADDRESS_BITS = 12
HOST_DATA_BITS = 32


#: AXI4 burst type: addresses count up
AXI_BURST_INCR = 1


class Response(enum.Enum, shape=2):
    """The AXI responses that occur here."""

    OKAY = 0  #: done
    SLVERR = 2  #: refused, nothing was changed


class AxiLite(NamedSignature):
    """AXI4-Lite as its manager sees it: 32-bit data, byte addresses within one tile."""

    class Interface(wiring.PureInterface):
        awaddr: Signal
        awvalid: Signal
        awready: Signal
        wdata: Signal
        wstrb: Signal
        wvalid: Signal
        wready: Signal
        bresp: Signal
        bvalid: Signal
        bready: Signal
        araddr: Signal
        arvalid: Signal
        arready: Signal
        rdata: Signal
        rresp: Signal
        rvalid: Signal
        rready: Signal

    def __init__(self, address_bits: int = HOST_ADDRESS_BITS):
        super().__init__({
            "awaddr": Out(address_bits),  #: byte address to write to
            "awvalid": Out(1),  #: a write address is offered
            "awready": In(1),  #: and taken
            "wdata": Out(HOST_DATA_BITS),  #: what to write
            "wstrb": Out(HOST_DATA_BITS // 8),  #: which bytes of it
            "wvalid": Out(1),  #: data to write are offered
            "wready": In(1),  #: and taken
            "bresp": In(2),  #: response to the write
            "bvalid": In(1),  #: the response is offered
            "bready": Out(1),  #: and taken
            "araddr": Out(address_bits),  #: byte address to read
            "arvalid": Out(1),  #: a read address is offered
            "arready": In(1),  #: and taken
            "rdata": In(HOST_DATA_BITS),  #: what was read
            "rresp": In(2),  #: response to the read
            "rvalid": In(1),  #: data are offered
            "rready": Out(1),  #: and taken
        })


class Axi4Read(NamedSignature):
    """The read channels of AXI4 as their manager sees them; all transfers carry ID 0."""

    class Interface(wiring.PureInterface):
        araddr: Signal
        arlen: Signal
        arsize: Signal
        arburst: Signal
        arvalid: Signal
        arready: Signal
        rdata: Signal
        rresp: Signal
        rlast: Signal
        rvalid: Signal
        rready: Signal

    def __init__(self, address_bits: int, data_bits: int):
        super().__init__({
            "araddr": Out(address_bits),  #: first byte of the burst
            "arlen": Out(8),  #: beats less one
            "arsize": Out(3),  #: log2 of the bytes per beat
            "arburst": Out(2),  #: INCR
            "arvalid": Out(1),  #: a read address is offered
            "arready": In(1),  #: and taken
            "rdata": In(data_bits),  #: one beat
            "rresp": In(2),  #: response to the beat
            "rlast": In(1),  #: last beat of its burst
            "rvalid": In(1),  #: data are offered
            "rready": Out(1),  #: and taken
        })


class Axi4Write(NamedSignature):
    """The write channels of AXI4 as their manager sees them; all transfers carry ID 0."""

    class Interface(wiring.PureInterface):
        awaddr: Signal
        awlen: Signal
        awsize: Signal
        awburst: Signal
        awvalid: Signal
        awready: Signal
        wdata: Signal
        wstrb: Signal
        wlast: Signal
        wvalid: Signal
        wready: Signal
        bresp: Signal
        bvalid: Signal
        bready: Signal

    def __init__(self, address_bits: int, data_bits: int):
        super().__init__({
            "awaddr": Out(address_bits),  #: first byte of the burst
            "awlen": Out(8),  #: beats less one
            "awsize": Out(3),  #: log2 of the bytes per beat
            "awburst": Out(2),  #: INCR
            "awvalid": Out(1),  #: a write address is offered
            "awready": In(1),  #: and taken
            "wdata": Out(data_bits),  #: one beat
            "wstrb": Out(data_bits // 8),  #: which bytes of it are written: all, or, in a burst that was given up, none
            "wlast": Out(1),  #: last beat of its burst
            "wvalid": Out(1),  #: data to write are offered
            "wready": In(1),  #: and taken
            "bresp": In(2),  #: response to a burst
            "bvalid": In(1),  #: the response is offered
            "bready": Out(1),  #: and taken
        })


class Axi4(NamedSignature):
    """All channels of AXI4 as their manager sees them, in two halves."""

    class Interface(wiring.PureInterface):
        read: Axi4Read.Interface
        write: Axi4Write.Interface

    def __init__(self, address_bits: int, data_bits: int):
        super().__init__({
            "read": Out(Axi4Read(address_bits, data_bits)),
            "write": Out(Axi4Write(address_bits, data_bits)),
        })
