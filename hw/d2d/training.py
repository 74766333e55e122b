"""Opening a link between two tiles that need not be awake, or in the same epoch, at the same time."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, enum
from amaranth.lib.wiring import In, Out

from trajectile.hw.d2d.epochs import EpochPort
from trajectile.hw.d2d.layouts import LinkLayouts, LinkState
from trajectile.hw.lib.block import Block


class LinkTraining(Block):
    """How far the link of a port has come, and what of the far end's frames counts.

    A three-way handshake of states, not of messages: every frame says the state again. CLOSED becomes HEARD when the far end
    is heard; it becomes OPEN when the far end says that it has heard this one. A far end that is OPEN while this one is
    CLOSED speaks of a life that this tile does not remember: then it stays CLOSED. So the far end, which is OPEN and hears
    CLOSED or NEW, learns that this one has begun anew (``restarted``), and begins a new epoch.

    The PHY may repeat a frame of the handshake itself. So nothing is concluded from CLOSED for ``settle_cycles`` after the
    link has opened.

    Latency: a frame that is heard in cycle c counts in c; the state follows in c+1 (``latency_cycles`` = 1). Storage: the
    state, the far end's readiness, two counters.
    """

    latency_cycles = 1

    comes: Signal
    news: data.View
    counts: Signal
    state: enum.EnumView
    is_open: Signal
    epochs: EpochPort.Interface

    def __init__(self, params: LinkLayouts):
        self.params = params
        #: repeated frames are younger than a window; what follows from them takes as long again
        self.settle_cycles = 4 * params.config.link_window
        super().__init__({
            "comes": In(1),  #: a valid frame of the far end has come
            "news": In(params.news_layout),  #: with ``comes``: what it says of the far end
            "counts": Out(1),  #: with ``comes``: sequence numbers and lanes of that frame are of this epoch
            "state": Out(LinkState),  #: to the far end
            "is_open": Out(1),  #: DATA may go
            "epochs": In(EpochPort(params)),  #: of the tile
        })

    def elaborate(self, platform: object) -> Module:
        """What has come, the state, what the tile hears of it."""
        m = Module()
        tile, news = self.epochs, self.news
        reached = Signal(LinkState, init=LinkState.CLOSED)
        comes = Signal(name="comes_awake")
        same = Signal(name="same_epoch")
        m.d.comb += [
            comes.eq(self.comes & tile.awake),
            same.eq(comes & tile.known & (news.state != LinkState.NEW) & (news.epoch == tile.epoch)),
            self.is_open.eq((reached == LinkState.OPEN) & ~tile.restart),
            self.state.eq(Mux(tile.known, Mux(tile.restart, LinkState.CLOSED, reached), LinkState.NEW)),
            # of an epoch before nothing counts, nor of one that this tile has yet to enter
            self.counts.eq(same & ~tile.restart & (reached != LinkState.CLOSED)
                           & ((news.state == LinkState.HEARD) | (news.state == LinkState.OPEN))),
        ]
        settled = Signal(range(self.settle_cycles + 1))  # cycles since the link has opened
        quiet = Signal(range(self.settle_cycles + 1), init=self.settle_cycles)  # cycles since something valid has come
        ready = Signal(self.params.news_layout["ready"].width)
        with m.If(tile.restart):
            m.d.sync += [reached.eq(LinkState.CLOSED), settled.eq(0), ready.eq(0)]
        with m.Else():
            with m.If(same):
                m.d.sync += ready.eq(news.ready)
                with m.Switch(reached):
                    with m.Case(LinkState.CLOSED):
                        with m.If(news.state == LinkState.CLOSED):
                            m.d.sync += reached.eq(LinkState.HEARD)
                        with m.If(news.state == LinkState.HEARD):
                            m.d.sync += reached.eq(LinkState.OPEN)
                    with m.Case(LinkState.HEARD):
                        with m.If(news.state != LinkState.CLOSED):
                            m.d.sync += reached.eq(LinkState.OPEN)
            with m.If((reached == LinkState.OPEN) & (settled != self.settle_cycles)):
                m.d.sync += settled.eq(settled + 1)
        with m.If(comes):
            m.d.sync += quiet.eq(0)
        with m.Elif(quiet != self.settle_cycles):
            m.d.sync += quiet.eq(quiet + 1)
        m.d.comb += [
            tile.speaks.eq(comes), tile.is_new.eq(news.state == LinkState.NEW), tile.far_epoch.eq(news.epoch),
            tile.halted.eq(same & ~tile.restart & news.halt),
            tile.restarted.eq((reached == LinkState.OPEN) & (settled == self.settle_cycles) & ~tile.restart & comes
                              & ((news.state == LinkState.NEW) | (same & (news.state == LinkState.CLOSED)))),
            tile.is_open.eq(self.is_open), tile.silent.eq(quiet == self.settle_cycles), tile.ready.eq(ready),
        ]
        return m
