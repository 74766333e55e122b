"""Resets and failures that reach all tiles without a wire of their own: epochs."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from trajectile.hw.d2d.layouts import EPOCH_BITS, NEIGHBOURS, LinkLayouts
from trajectile.hw.lib.block import Block
from trajectile.hw.lib.signature import NamedSignature

#: cycles after a tile's own reset in which it waits for the other tiles, at the most
PATIENCE_CYCLES = 2**16


class EpochPort(NamedSignature):
    """Tile to the training of one port, and what that has heard."""

    class Interface(wiring.PureInterface):
        awake: Signal
        known: Signal
        epoch: Signal
        restart: Signal
        speaks: Signal
        is_new: Signal
        far_epoch: Signal
        halted: Signal
        restarted: Signal
        is_open: Signal
        silent: Signal
        ready: Signal

    def __init__(self, params: LinkLayouts):
        super().__init__({
            "awake": Out(1),  #: frames may be heard: what came before ``rst`` has gone
            "known": Out(1),  #: the tile knows its epoch
            "epoch": Out(EPOCH_BITS),  #: number of the last reset
            "restart": Out(1),  #: the tile is in reset
            "speaks": In(1),  #: a valid frame has come
            "is_new": In(1),  #: with ``speaks``: the far end knows no epoch
            "far_epoch": In(EPOCH_BITS),  #: with ``speaks``: its epoch, if it knows one
            "halted": In(1),  #: the far end has failed in this epoch
            "restarted": In(1),  #: the far end has begun anew in this epoch
            "is_open": In(1),  #: the link carries DATA
            "silent": In(1),  #: nothing valid has come for long
            "ready": In(params.news_layout["ready"].width),  #: the far end's readiness
        })


def later(one: Value, other: Value) -> Value:
    """Whether an epoch comes after another. Of any two that differ exactly one does."""
    ahead = (one - other)[:EPOCH_BITS]
    # half a turn away both ways: the larger number
    return (ahead != 0) & Mux(ahead == 1 << EPOCH_BITS - 1, one[-1], ~ahead[-1])


class Epochs(Block):
    """The tile's epoch: the number of the last reset of the array, which every frame carries (docs/clocks.md).

    A new epoch begins when the host asks for a reset, when a neighbour has begun anew in this one, or when a frame of a later
    one comes; the tile is reset with it. A wish for a reset while one goes on is part of that one. After ``rst`` a tile has
    no epoch. For ``wake_cycles`` it hears nothing, so that no frame of the time before can mislead it; then it takes over
    the epoch of the first neighbour that has one, and it is 0 where nobody has.

    **Readiness** is a wave that counts hops. A tile that is not in reset, and whose links are all open, has readiness 1 at
    least, and one more than the least of its neighbours' otherwise. At ``ready_hops`` all tiles that the links reach have
    begun this epoch and are out of reset, and ``settling`` ends. A link on which nothing comes counts for nobody. It ends
    after ``PATIENCE_CYCLES`` in any case.

    Latency: a wish, or what a port hears, in cycle c begins the epoch in c+1 (``latency_cycles`` = 1): ``restart`` may not
    come later.
    """

    latency_cycles = 1

    ask: Signal
    begins: Signal
    restart: Signal
    halt: Signal
    settling: Signal
    epoch: Signal
    known: Signal
    ready: Signal
    links: list[EpochPort.Interface]

    def __init__(self, params: LinkLayouts):
        self.params = params
        #: repeated frames and those on their way are gone
        self.wake_cycles = 4 * params.config.link_window
        super().__init__({
            "ask": In(1),  #: the host asks for a reset
            "begins": Out(1),  #: a reset begins: ``restart`` must be high in the next cycle
            "restart": In(1),  #: the tile is in reset
            "halt": Out(1),  #: a neighbour has failed in this epoch
            "settling": Out(1),  #: after a reset: other tiles may not be ready
            "epoch": Out(EPOCH_BITS),  #: number of the last reset
            "known": Out(1),  #: the tile has an epoch
            "ready": Out(params.news_layout["ready"].width),  #: hops within which all tiles are ready
            "links": Out(EpochPort(params)).array(len(NEIGHBOURS)),  #: to the training of each port
        })

    def elaborate(self, platform: object) -> Module:
        """The epoch, then readiness."""
        m = Module()
        links = self.links
        wake = Signal(range(self.wake_cycles + 1))
        awake = Signal()
        m.d.comb += awake.eq(wake == self.wake_cycles)
        m.d.sync += wake.eq(wake + ~awake)
        heard = Signal()  # a neighbour that has an epoch speaks
        heard_epoch = Signal(EPOCH_BITS)
        overtaken = Signal()
        for link in reversed(links):  # the first port that says something has its way; the others say it again
            told = link.speaks & ~link.is_new
            with m.If(told & (~self.known | later(link.far_epoch, self.epoch))):
                m.d.comb += [heard.eq(1), heard_epoch.eq(link.far_epoch), overtaken.eq(self.known)]
        restarted = Cat(link.restarted for link in links).any()
        anew = Signal()
        m.d.comb += [
            anew.eq(self.known & ~overtaken & ((self.ask & ~self.restart) | restarted)),
            self.begins.eq(overtaken | anew | self.ask),
        ]
        with m.If(heard):
            m.d.sync += [self.epoch.eq(heard_epoch), self.known.eq(1)]
        with m.Elif(anew):
            m.d.sync += self.epoch.eq(self.epoch + 1)
        with m.Elif(Cat(link.speaks for link in links).any()):
            m.d.sync += self.known.eq(1)
        for link in links:
            m.d.comb += [
                link.awake.eq(awake), link.known.eq(self.known), link.epoch.eq(self.epoch), link.restart.eq(self.restart)]
        m.d.sync += self.halt.eq(Cat(link.halted for link in links).any())

        most = self.params.ready_hops
        here = Signal()
        m.d.comb += here.eq(self.known & ~self.restart & Cat(link.is_open | link.silent for link in links).all())
        least = Signal.like(self.ready, name="least_0")
        m.d.comb += least.eq(most)
        for number, link in enumerate(links, start=1):
            further = Signal.like(self.ready, name=f"least_{number}")
            m.d.comb += further.eq(Mux(link.is_open & (link.ready < least), link.ready, least))
            least = further
        m.d.sync += self.ready.eq(Mux(here, Mux(least >= most, most, least + 1), 0))
        patience = Signal(range(PATIENCE_CYCLES))
        with m.If(self.restart | self.begins):
            m.d.sync += [self.settling.eq(1), patience.eq(PATIENCE_CYCLES - 1)]
        with m.Else():
            m.d.sync += patience.eq(patience - 1)
            with m.If((self.ready == most) | (patience == 0)):
                m.d.sync += self.settling.eq(0)
        return m
