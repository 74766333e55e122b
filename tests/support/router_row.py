"""Routers in a row, as the tests of what goes from one to the next want them."""

from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import In, connect

from trajectile.hw.d2d.layouts import Port
from trajectile.hw.d2d.link import D2DLink
from trajectile.hw.d2d.link_layer import LinkLayer
from trajectile.hw.d2d.port import FramePort, LanePort
from trajectile.hw.d2d.router import Router
from trajectile.hw.lib.block import Block, place
from trajectile.hw.params import Params
from trajectile.sw_model.config import Config


class RouterRow(Block):
    """A router of each tile of a row, links between them, each with its layers if there are any. The first tile is the
    ring-previous one of the last: slices and what goes with them go from the first to the last, what goes against them back.

    ``hold`` and ``hold_back`` are those of the PHYs towards the last and towards the first tile, by tile: no flit is taken,
    or a link layer's frame is lost.
    """

    hold: Signal
    hold_back: Signal

    def __init__(self, config: Config):
        self.params = params = Params(config)
        self.tiles = config.array.cols
        self.routers = [Router(params) for _ in range(self.tiles)]
        super().__init__({"hold": In(self.tiles), "hold_back": In(self.tiles)})

    @property
    def first(self) -> Router:
        """Where slices come from."""
        return self.routers[0]

    @property
    def last(self) -> Router:
        """Where they end."""
        return self.routers[-1]

    @property
    def way_cycles(self) -> int:
        """From a control message at one end to the message at the other."""
        flight = self.params.config.link_flight_cycles
        return self.first.control_cycles + flight + (self.tiles - 2) * (flight + self.first.latency_cycles)

    def elaborate(self, platform: object) -> Module:
        """The ring edge from the first to the last runs over those between."""
        m = Module()
        place(m, platform, {f"router_{i}": router for i, router in enumerate(self.routers)})
        for i, router in enumerate(self.routers):
            m.d.comb += [router.previous.eq(Port.WEST if i + 1 == self.tiles else Port.LOCAL),
                         router.next.eq(Port.EAST if i == 0 else Port.LOCAL)]
            if 0 < i < self.tiles - 1:
                m.d.comb += [router.passes.eq(1), router.pass_from.eq(Port.WEST), router.pass_to.eq(Port.EAST)]
            if i + 1 == self.tiles:
                continue
            ends: list[LanePort.Interface] | list[FramePort.Interface] = [router.east, self.routers[i + 1].west]
            east, west = D2DLink(self.params), D2DLink(self.params)
            place(m, platform, {f"east_{i}": east, f"west_{i}": west})
            m.d.comb += [east.hold.eq(self.hold[i]), west.hold.eq(self.hold_back[i])]
            if self.params.config.link.crc_bits:
                layers = [LinkLayer(self.params) for _ in ends]
                place(m, platform, {f"layer_{i}_{end}": layer for end, layer in enumerate(layers)})
                for lanes, layer in zip(ends, layers, strict=True):
                    connect(m, lanes, layer.lanes)
                ends = [layer.pins for layer in layers]
            near, far = ends
            connect(m, near.tx, east.near)
            connect(m, east.far, far.rx)
            connect(m, far.tx, west.near)
            connect(m, west.far, near.rx)
        return m
