"""The link layer of one port: what the router sends and receives, over pins that lose and spoil frames."""

from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out, connect, flipped

from trajectile.hw.d2d.layouts import LinkLayouts
from trajectile.hw.d2d.link_rx import LinkRx
from trajectile.hw.d2d.link_tx import LinkTx
from trajectile.hw.d2d.port import FramePort, LanePort
from trajectile.hw.host.ports import LinkStatus
from trajectile.hw.lib.block import Block, place


class LinkLayer(Block):
    """One end of a link, both directions: CRC, sequence numbers, replay (docs/link.md).

    Every lane reaches the far router exactly as it was sent, in order, or ``down`` rises in bounded time. A port without a
    neighbour never has anything outstanding, so it is never down. A link that is dead from the beginning goes down after its
    first use.

    Latency: ``latency_cycles`` = 4 more than the PHY, both ends together. When a frame is lost no new one goes for
    ``replay_cycles``, which is a round trip and 3 more. Throughput: one flit, request, grant, count word, permit and
    credit per cycle, without a bubble as long as no frame is lost.
    """

    latency_cycles = LinkTx.latency_cycles + LinkRx.latency_cycles

    lanes: LanePort.Interface
    pins: FramePort.Interface
    status: LinkStatus.Interface

    def __init__(self, params: LinkLayouts):
        self.params = params
        #: as many as there are frames from the lost one to the nak's effect, and one to read the first of them again
        self.replay_cycles = 2 * (params.config.link.latency_cycles + self.latency_cycles) + 3
        super().__init__({
            "lanes": In(LanePort(params)),  #: the router's port
            "pins": Out(FramePort(params)),  #: to the PHY
            "status": In(LinkStatus()),  #: to the host port
        })

    def elaborate(self, platform: object) -> Module:
        """Wire the halves."""
        m = Module()
        tx, rx = LinkTx(self.params), LinkRx(self.params)
        place(m, platform, link_tx=tx, link_rx=rx)
        status = self.status
        connect(m, flipped(self.lanes.tx), tx.lanes)
        connect(m, rx.lanes, flipped(self.lanes.rx))
        m.d.comb += [
            self.pins.tx.frame.eq(tx.frame), rx.frame.eq(self.pins.rx.frame),
            tx.expected.eq(rx.expected), tx.gap.eq(rx.gap),
            tx.heard.eq(rx.heard), tx.ack.eq(rx.ack), tx.nak.eq(rx.nak), rx.down.eq(tx.down),
            status.down.eq(tx.down), status.frames.eq(tx.sends), status.replays.eq(tx.replays), status.errors.eq(rx.bad),
        ]
        return m
