"""Several ports of a DDR controller as one: bursts are dealt to them in turn, and their beats come back in order."""

from amaranth.hdl import Array, Module, Signal
from amaranth.lib.wiring import In, Out

from trajectile.hw.host.axi import Axi4Read
from trajectile.hw.lib.block import Block


class DdrSplitter(Block):
    """Deals the loader's bursts to ``count`` read ports of a DDR controller, one each in turn, and takes their beats in
    the same turn.

    A controller gives a bank to a port, and the port waits where its bursts change banks. The others go on meanwhile, so
    several ports reach what one cannot (docs/ddr.md). What a port delivers before its turn waits in the controller: the
    splitter holds no beat, and only the port whose burst is the oldest sees ``rready``. There is no limit for bursts under
    way: a port takes as many as it likes. A response goes along with its beat, errors too.

    Every port answers its own bursts in order, as AXI4 has it for one ID. The loader's reads are all that the ports see.

    Latency: none, neither of addresses nor of beats (``latency_cycles`` = 0). Throughput: one burst and one beat per cycle.
    Storage: two numbers of a port.
    """

    latency_cycles = 0

    ddr: Axi4Read.Interface
    ports: list[Axi4Read.Interface]

    def __init__(self, address_bits: int, beat_bits: int, count: int):
        self.count = count
        port = Axi4Read(address_bits, beat_bits)
        super().__init__({
            "ddr": In(port),  #: from the loader
            "ports": Out(port).array(count),  #: to the controller
        })

    def elaborate(self, platform: object) -> Module:
        """Whose turn it is, for bursts and for beats."""
        m = Module()
        ddr, ports = self.ddr, self.ports
        asks = Signal(range(self.count))  # the port of the next burst
        answers = Signal(range(self.count))  # the port of the oldest burst under way
        for number, port in enumerate(ports):
            m.d.comb += [
                port.araddr.eq(ddr.araddr), port.arlen.eq(ddr.arlen), port.arsize.eq(ddr.arsize),
                port.arburst.eq(ddr.arburst), port.arvalid.eq(ddr.arvalid & (asks == number)),
                port.rready.eq(ddr.rready & (answers == number)),
            ]
        m.d.comb += [
            ddr.arready.eq(Array(port.arready for port in ports)[asks]),
            *(getattr(ddr, name).eq(Array(getattr(port, name) for port in ports)[answers])
              for name in ("rvalid", "rdata", "rresp", "rlast")),
        ]
        with m.If(ddr.arvalid & ddr.arready):
            m.d.sync += asks.eq(asks + 1)  # a power of two
        with m.If(ddr.rvalid & ddr.rready & ddr.rlast):
            m.d.sync += answers.eq(answers + 1)
        return m
