"""The link layer of one port: what the router sends and receives, over pins that lose and spoil frames."""

from amaranth.hdl import ClockSignal, Module, Mux, Signal
from amaranth.lib.wiring import In, Out, connect, flipped

from trajectile.hw.d2d.crossing import Crossing
from trajectile.hw.d2d.epochs import EpochPort
from trajectile.hw.d2d.layouts import LinkLayouts
from trajectile.hw.d2d.link_rx import LinkRx
from trajectile.hw.d2d.link_tx import LinkTx
from trajectile.hw.d2d.port import FramePort, LanePort
from trajectile.hw.d2d.training import LinkTraining
from trajectile.hw.host.ports import LinkStatus
from trajectile.hw.lib.block import Block, place


class LinkLayer(Block):
    """One end of a link, both directions: CRC, sequence numbers, replay (docs/link.md).

    Every lane reaches the far router exactly as it was sent, in order, or ``down`` rises in bounded time. A port without a
    neighbour never has anything outstanding, so it is never down. A link that is dead from the beginning goes down after its
    first use.

    Where tiles have clocks of their own, frames come through a :class:`~trajectile.hw.d2d.crossing.Crossing`, and a
    :class:`~trajectile.hw.d2d.training.LinkTraining` opens the link in each epoch. ``restart`` takes the place of a reset
    then, since frames go and come in a reset too.

    Latency: ``latency_cycles`` = 4 more than PHY and crossing, both ends together. When a frame is lost no new one goes for
    ``replay_cycles``, which is a round trip and 3 more. Throughput: one flit, request, grant, count word, permit and
    credit per cycle, without a bubble as long as no frame is lost.
    """

    latency_cycles = LinkTx.latency_cycles + LinkRx.latency_cycles

    lanes: LanePort.Interface
    pins: FramePort.Interface
    status: LinkStatus.Interface
    epochs: EpochPort.Interface
    ready: Signal
    failed: Signal

    def __init__(self, params: LinkLayouts):
        self.params = params
        self.independent = params.config.array.independent
        crossing = Crossing.latency_cycles if self.independent else 0
        #: as many as there are frames from the lost one to the nak's effect, and one to read the first of them again
        self.replay_cycles = 2 * (params.config.link.latency_cycles + self.latency_cycles + crossing) + 3
        super().__init__({
            "lanes": In(LanePort(params)),  #: the router's port
            "pins": Out(FramePort(params)),  #: to the PHY
            "status": In(LinkStatus(opens=self.independent)),  #: to the host port
            **({
                "epochs": In(EpochPort(params)),  #: the tile's epoch, and what this port hears
                "ready": In(params.news_layout["ready"].width),  #: the tile's readiness
                "failed": In(1),  #: the tile has failed
            } if self.independent else {}),
        })

    def elaborate(self, platform: object) -> Module:
        """Wire the halves."""
        m = Module()
        tx, rx = LinkTx(self.params), LinkRx(self.params)
        place(m, platform, link_tx=tx, link_rx=rx)
        status = self.status
        connect(m, flipped(self.lanes.tx), tx.lanes)
        connect(m, rx.lanes, flipped(self.lanes.rx))
        if self.independent:
            self._cross(m, platform, tx, rx)
        m.d.comb += [
            self.pins.tx.frame.eq(tx.frame), *([] if self.independent else [rx.frame.eq(self.pins.rx.frame)]),
            tx.expected.eq(rx.expected), tx.gap.eq(rx.gap),
            tx.heard.eq(rx.heard), tx.ack.eq(rx.ack), tx.nak.eq(rx.nak), rx.down.eq(tx.down),
            status.down.eq(tx.down), status.frames.eq(tx.sends), status.replays.eq(tx.replays), status.errors.eq(rx.bad),
        ]
        return m

    def _cross(self, m: Module, platform: object, tx: LinkTx, rx: LinkRx) -> None:
        """What two clocks need."""
        crossing, training = Crossing(self.params), LinkTraining(self.params)
        place(m, platform, crossing=crossing, link_training=training)
        connect(m, flipped(self.epochs), training.epochs)
        restart = self.epochs.restart
        m.d.comb += [
            self.pins.tx.clk.eq(ClockSignal()), crossing.rx_clk.eq(self.pins.rx.clk),
            crossing.come.eq(self.pins.rx.frame), rx.frame.eq(crossing.frame),
            training.comes.eq(rx.comes), training.news.eq(rx.news), rx.counts.eq(training.counts),
            tx.is_open.eq(training.is_open), tx.restart.eq(restart), rx.restart.eq(restart),
            tx.news.state.eq(training.state), tx.news.epoch.eq(self.epochs.epoch),
            tx.news.halt.eq(self.failed & ~restart), tx.news.ready.eq(Mux(restart, 0, self.ready)),
            self.status.is_open.eq(training.is_open),
        ]
