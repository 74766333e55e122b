"""The receiving half of a link layer: CRC check, order, acknowledgement."""

from amaranth.hdl import Module, ResetInserter, Signal, Value
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from trajectile.hw.d2d.crc import ALGORITHMS, crc
from trajectile.hw.d2d.layouts import FrameKind, LinkLayouts
from trajectile.hw.d2d.port import D2DReceive
from trajectile.hw.lib.block import Block
from trajectile.hw.lib.struct_signal import struct_signal


class LinkRx(Block):
    """Delivers the lanes of each DATA frame to the router once and in order. No other frame changes anything at the router.

    A frame counts if its CRC is right and its kind exists. The DATA frame that is expected is delivered. One that was
    delivered before is dropped. If one comes too early, or an IDLE frame has a later number, frames were lost: ``gap`` is
    high until the missing one has come.

    Where tiles have clocks of their own, ``news`` of every valid frame goes to the training of the link, which says whether
    the frame ``counts``. That goes on in a reset, when everything else begins anew.

    Latency: lanes of a frame at the pins in cycle c are at the router in c+2 (``latency_cycles`` = 2). The far end's
    acknowledgement goes to :class:`~trajectile.hw.d2d.link_tx.LinkTx` in c+1. Throughput: one frame per cycle. Storage: one
    frame and its lanes in flip-flops.
    """

    latency_cycles = 2

    frame: data.View
    lanes: D2DReceive.Interface
    down: Signal
    expected: Signal
    gap: Signal
    heard: Signal
    ack: Signal
    nak: Signal
    bad: Signal
    comes: Signal
    news: data.View
    counts: Signal
    restart: Signal

    def __init__(self, params: LinkLayouts):
        self.params = params
        super().__init__({
            "frame": In(params.frame_layout),  #: from the pins
            "lanes": Out(D2DReceive(params).flip()),  #: to the router
            "down": In(1),  #: the link is down: no frame counts any more
            "expected": Out(params.seq_bits),  #: next DATA frame to be delivered
            "gap": Out(1),  #: frames were lost before one that has come
            "heard": Out(1),  #: a valid frame of the far end has come
            "ack": Out(params.seq_bits),  #: with ``heard``: its acknowledgement
            "nak": Out(1),  #: with ``heard``: its nak
            "bad": Out(1),  #: a frame was not valid, and not all zeros (for the counter)
            **({
                "comes": Out(1),  #: a valid frame has come, of whatever epoch
                "news": Out(params.news_layout),  #: with ``comes``: what it says of the far end
                "counts": In(1),  #: with ``comes``: it is of this epoch, and the link is open
                "restart": In(1),  #: forget all frames and begin anew
            } if params.config.array.independent else {}),
        })

    def elaborate(self, platform: object) -> Module:
        """Two stages: the CRC tree, then everything that follows from it."""
        m = Module()
        independent = self.params.config.array.independent
        layout = self.params.frame_layout
        crc_bits = layout["crc"].width
        of_zeros = ALGORITHMS[crc_bits](layout.size - crc_bits).compute([0])
        frame = struct_signal(layout, name="frame")
        syndrome = Signal(crc_bits, init=of_zeros)
        m.d.sync += [frame.eq(self.frame), syndrome.eq(crc(self.frame.as_value()[crc_bits:], crc_bits) ^ self.frame.crc)]

        whole = m
        if independent:  # all but the frame that comes in
            m = Module()
            whole.submodules.order = ResetInserter(self.restart)(m)
        idle, data = frame.kind == FrameKind.IDLE, frame.kind == FrameKind.DATA
        wanted = frame.seq == self.expected
        ahead = (frame.seq - self.expected)[:self.params.seq_bits]
        deliver = Signal()
        valid: Value = (syndrome == 0) & (idle | data)
        counts, whatever = valid, self.heard
        if independent:
            m.d.comb += [self.comes.eq(valid), self.news.eq(frame.news)]
            counts, whatever = valid & self.counts, self.comes
        m.d.comb += [
            self.heard.eq(counts & ~self.down),
            self.ack.eq(frame.ack), self.nak.eq(frame.nak),
            self.bad.eq(~whatever & ~((frame.kind == FrameKind.NOTHING) & (syndrome == of_zeros)) & ~self.down),
            deliver.eq(self.heard & data & wanted),
        ]
        # The number of an IDLE frame may be a whole window ahead, that of a DATA frame may not: it is one of the last window.
        with m.If(self.heard & wanted):
            m.d.sync += [self.gap.eq(0), self.expected.eq(self.expected + data)]
        with m.Elif(self.heard & (~ahead[-1] | (idle & (ahead == self.params.config.link_window)))):
            m.d.sync += self.gap.eq(1)

        lanes, come = self.lanes, frame.lanes
        m.d.sync += [
            lanes.flit_valid.eq(deliver & come.flit_valid), lanes.flit.eq(come.flit),
            lanes.request_valid.eq(deliver & come.request_valid), lanes.request.eq(come.request),
            lanes.grant_valid.eq(deliver & come.grant_valid), lanes.grant.eq(come.grant),
            lanes.count_valid.eq(deliver & come.count_valid), lanes.count.eq(come.count),
            lanes.credit.eq(deliver & come.credit),
        ]
        if self.params.config.array.shares:
            m.d.sync += [lanes.permit_valid.eq(deliver & come.permit_valid), lanes.permit.eq(come.permit)]
        return whole
