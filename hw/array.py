"""The array: tiles as instances of one module, and the links between them."""

from amaranth.hdl import Cat, ClockDomain, ClockSignal, Module, ResetSignal, Signal
from amaranth.lib.wiring import In, Out, connect, flipped

from trajectile.hw.d2d.layouts import NEIGHBOURS
from trajectile.hw.d2d.link import D2DLink
from trajectile.hw.ddr.ports import ddr_member, lead_out
from trajectile.hw.events import EventPort, PhasePort
from trajectile.hw.host.axi import Axi4, Axi4Read, AxiLite
from trajectile.hw.lib.block import Block, place
from trajectile.hw.params import Params
from trajectile.hw.tile import Tile
from trajectile.sw_model.config import Config
from trajectile.sw_model.config.topology import links


class TileArray(Block):
    """``rows x cols`` tiles, numbered row by row, and a model of the PHY on every directed link.

    A batch starts by the exchange of counts over the links. Any tile's failure stops all of them; any tile's RESET resets all
    of them, until the last is ready. Links are pipelines that drain in that time.

    With ``array.clocks`` = ``independent`` each tile has a clock and a reset of its own, which the PHY of a link takes from
    its sender. There is no wire between two tiles but the pins of their links.

    Latency: what one tile asks for in cycle c (halt, reset) comes to all tiles in c+1 (``latency_cycles`` = 1).
    """

    latency_cycles = 1

    clocks: list[Signal]
    resets: list[Signal]
    host: list[AxiLite.Interface]
    irq: Signal
    io: list[Axi4.Interface]
    ddr: list[Axi4Read.Interface] | list[list[Axi4Read.Interface]]
    events: list[EventPort.Interface]
    phases: list[PhasePort.Interface]
    link_hold: Signal

    def __init__(self, config: Config, *, timing_only: bool = False):
        self.config, self.timing_only = config, timing_only
        self.params = params = Params(config, timing_only=timing_only)
        array = config.array
        self.clocked = not array.independent
        super().__init__({
            **({
                "clocks": In(1).array(array.tiles),  #: clock of each tile
                "resets": In(1).array(array.tiles),  #: rst of each tile
            } if array.independent else {}),
            "host": In(AxiLite()).array(array.tiles),  #: host port of each tile
            "irq": Out(array.tiles),  #: interrupt of each tile
            "io": Out(Axi4(params.address_bits, params.io_bits)).array(array.tiles),  #: io port of each tile
            "ddr": ddr_member(params, array.channels),  #: DDR channels, in order, with the ports of each
            "events": Out(EventPort(params)).array(array.tiles),  #: event port of each tile
            "phases": Out(PhasePort(params)).array(array.tiles),  #: phases of batches in each tile
            "link_hold": In(len(links(array))),  #: the PHY of a link takes no flit (in the order of ``topology.links``)
        })

    @property
    def module_name(self) -> str:
        """The top of the generated Verilog."""
        return "array"

    def elaborate(self, platform: object) -> Module:
        """Place tiles and links."""
        m = Module()
        array = self.config.array
        tiles = [Tile(self.config, timing_only=self.timing_only) for _ in range(array.tiles)]
        domains = ["sync"] * array.tiles
        if array.independent:
            domains = [f"clock_{number}" for number in range(array.tiles)]
            for number, domain in enumerate(domains):
                m.domains += ClockDomain(domain, local=True)
                m.d.comb += [ClockSignal(domain).eq(self.clocks[number]), ResetSignal(domain).eq(self.resets[number])]
        halt = Signal()
        reset = Signal()
        for number, tile in enumerate(tiles):
            place(m, platform, {f"tile_{number}": tile}, domain=domains[number])
            connect(m, flipped(self.host[number]), tile.host)
            connect(m, tile.io, flipped(self.io[number]))
            connect(m, tile.events, flipped(self.events[number]))
            connect(m, tile.phases, flipped(self.phases[number]))
            m.d.comb += [
                tile.tile_id.eq(number), *([] if array.independent else [tile.halt.eq(halt), tile.reset.eq(reset)]),
                self.irq[number].eq(tile.irq),
            ]
        if not array.independent:
            m.d.sync += [
                halt.eq(Cat(tile.halt_out for tile in tiles).any()),
                reset.eq(Cat(tile.reset_out for tile in tiles).any()),
            ]
        for channel, number in enumerate(array.ddr_tiles):
            lead_out(m, tiles[number].ddr, self.ddr[channel])
        for number, wire in enumerate(links(array)):
            link = D2DLink(self.params)
            name = f"link_{wire.tile}_to_{wire.peer}"
            place(m, platform, {name: link}, domain=domains[wire.tile])
            near = tiles[wire.tile].ports[NEIGHBOURS[wire.port]]
            far = tiles[wire.peer].ports[NEIGHBOURS[wire.peer_port]]
            connect(m, near.tx, link.near)
            connect(m, link.far, far.rx)
            m.d.comb += link.hold.eq(self.link_hold[number])
        return m
