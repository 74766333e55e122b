"""A grid of tiles of which there is nothing but their epochs and the training of their links."""

from typing import Any

from amaranth.hdl import Elaboratable, Module, ResetInserter, Signal
from amaranth.lib.wiring import connect

from tests.support.configurations import small
from trajectile.hw.d2d.epochs import Epochs
from trajectile.hw.d2d.layouts import NEIGHBOURS
from trajectile.hw.d2d.training import LinkTraining
from trajectile.hw.lib.struct_signal import struct_signal
from trajectile.hw.params import Params
from trajectile.sw_model.config.topology import links

#: cycles of a frame on its way, and of a replay buffer: a way there and back, and one more
FLIGHT, WINDOW = 2, 5


class EpochGrid(Elaboratable):
    """Every tile says the same of itself in each cycle, as in the frames of a link layer; a link carries it, or is cut."""

    def __init__(self, rows: int, cols: int):
        config = small(array__rows=rows, array__cols=cols, array__ddr_tiles=(0,), link__crc_bits=16,
                       array__clocks="independent")
        config.__dict__["link_window"] = WINDOW  # a cached property
        self.params = Params(config)
        self.links = links(config.array)
        self.tiles = range(config.array.tiles)
        self.epochs = [Epochs(self.params) for _ in self.tiles]
        self.trainings = {(link.tile, link.port): LinkTraining(self.params) for link in self.links}
        #: by tile: the wire ``rst``; the host's wish; whether its reset goes on; that it has failed
        self.rst, self.ask, self.busy, self.failed = (
            [Signal(name=f"{name}_{tile}") for tile in self.tiles] for name in ("rst", "ask", "busy", "failed"))
        self.restart = [Signal(name=f"restart_{tile}") for tile in self.tiles]
        #: by link, in the order of ``links``: nothing comes
        self.cut = [Signal(name=f"cut_{link.tile}_{link.peer}") for link in self.links]

    def elaborate(self, platform: object) -> Module:
        """Tiles, then links."""
        m = Module()
        for tile in self.tiles:
            epochs = self.epochs[tile]
            m.submodules[f"epochs_{tile}"] = ResetInserter(self.rst[tile])(epochs)
            m.d.sync += self.restart[tile].eq(~self.rst[tile] & (epochs.begins | (self.restart[tile] & self.busy[tile])))
            m.d.comb += [epochs.ask.eq(self.ask[tile]), epochs.restart.eq(self.restart[tile])]
            for port in NEIGHBOURS:
                if (tile, port.value) in self.trainings:
                    training = self.trainings[tile, port.value]
                    m.submodules[f"training_{tile}_{port.value}"] = ResetInserter(self.rst[tile])(training)
                    connect(m, epochs.links[port.value], training.epochs)
                else:
                    m.d.comb += epochs.links[port.value].silent.eq(1)
        for link, cut in zip(self.links, self.cut, strict=True):
            sender, receiver = self.trainings[link.tile, link.port], self.trainings[link.peer, link.peer_port]
            epochs, news = self.epochs[link.tile], struct_signal(self.params.news_layout, name="news")
            m.d.comb += [
                news.state.eq(sender.state), news.epoch.eq(epochs.epoch), news.halt.eq(self.failed[link.tile]),
                news.ready.eq(epochs.ready), receiver.news.eq(self._later(m, news)),
                receiver.comes.eq(self._later(m, ~self.rst[link.tile] & ~cut)),
            ]
        return m

    @staticmethod
    def _later(m: Module, value: Any) -> Signal:
        """What it was when the frame was sent."""
        for _ in range(FLIGHT):
            kept = Signal.like(value, name="under_way")
            m.d.sync += kept.eq(value)
            value = kept
        return value
