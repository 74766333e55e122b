"""The sending half of a link layer: frames, sequence numbers, replay buffer, link-down."""

from amaranth.hdl import Module, Mux, ResetInserter, Signal, Value
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from trajectile.hw.d2d.crc import crc
from trajectile.hw.d2d.layouts import RECORD_CREDITS, FrameKind, LinkLayouts
from trajectile.hw.d2d.port import D2DTransmit
from trajectile.hw.lib.block import Block, place
from trajectile.hw.lib.sram import Sram1R1W
from trajectile.hw.lib.struct_signal import struct_signal

#: frames with content, one after the other, after which an IDLE frame goes: a crossing may leave it out. With clocks that
#: differ by 200 ppm a frame gathers in 5,000
IDLE_EVERY = 1024


class LinkTx(Block):
    """Makes one frame per cycle of what the router sends, keeps it until it is acknowledged, and sends it again if necessary.

    DATA frames are numbered. A nak of the far end, or a timeout, starts a *replay*: all frames from the oldest one that is
    not acknowledged go again, in order, before any new one. For ``deaf_cycles`` after its start (a round trip) naks are
    ignored, because they were sent before the replay arrived. If ``retries`` replays have brought no acknowledgement, and one
    more is needed, the link is down.

    During a replay, and while the window is full, new content waits. Flits and count words are not taken, credits are
    counted, and one request and one grant are kept. There is never a second one. A link carries one ring edge in each
    direction (``sw_model/config/topology.py``), a tile sends its next request only after the grant of its last one, and a
    grant only after a request. So the message before has already crossed this link. Permits for records are credits, at most
    ``RECORD_CREDITS`` of them. A permit for sums is kept; the next one is for the next batch, after all sums of this one.

    Where tiles have clocks of their own, content also waits until the link is open, and once in ``IDLE_EVERY`` frames. A
    frame goes in every cycle, with the tile's news, in a reset and on a link that is down too. Everything else begins anew
    with ``restart``.

    Latency: lanes in cycle c are in ``frame`` in c+2 (``latency_cycles`` = 2). Throughput: one frame per cycle; without
    errors no lane ever waits. Storage: ``link_window`` times the lanes in two-port SRAM; two frames, a request, a grant in
    flip-flops.
    """

    latency_cycles = 2

    lanes: D2DTransmit.Interface
    frame: data.View
    expected: Signal
    gap: Signal
    heard: Signal
    ack: Signal
    nak: Signal
    down: Signal
    sends: Signal
    replays: Signal
    news: data.View
    is_open: Signal
    restart: Signal

    def __init__(self, params: LinkLayouts):
        self.params = params
        #: cycles from the start of a replay in which naks may have been sent before its first frame came
        self.deaf_cycles = 2 * params.config.link_budget_cycles + 1
        super().__init__({
            "lanes": In(D2DTransmit(params)),  #: from the router
            "frame": Out(params.frame_layout),  #: to the pins
            "expected": In(params.seq_bits),  #: to the far end: all frames before this number have come
            "gap": In(1),  #: to the far end: the frame with this number is missing
            "heard": In(1),  #: a valid frame of the far end has come
            "ack": In(params.seq_bits),  #: with ``heard``: all frames before this number are acknowledged
            "nak": In(1),  #: with ``heard``: the frame with this number is missing at the far end
            "down": Out(1),  #: the link is down; only a reset ends it
            "sends": Out(1),  #: a DATA frame is chosen in this cycle (for the counter)
            "replays": Out(1),  #: a replay starts (for the counter)
            **({
                "news": In(params.news_layout),  #: of the tile, to the far end
                "is_open": In(1),  #: the far end is awake, in the same epoch
                "restart": In(1),  #: forget all frames and begin anew
            } if params.config.array.independent else {}),
        })

    def elaborate(self, platform: object) -> Module:
        """What waits, window and replay, frame, CRC."""
        whole = m = Module()
        params = self.params
        independent = params.config.array.independent
        if independent:  # all but the frame that goes out
            m = Module()
            whole.submodules.order = ResetInserter(self.restart)(m)
        layout, window = params.frame_layout, params.config.link_window
        buffer = Sram1R1W(depth=window, width=params.lanes_layout.size)
        place(m, platform, replay_buffer=buffer)

        oldest = Signal(params.seq_bits)  # oldest frame that is not acknowledged
        following = Signal(params.seq_bits)  # next new frame
        outstanding = Signal(params.seq_bits)  # frames that are not acknowledged
        replaying = Signal()  # frames from `at` on go again
        at = Signal(params.seq_bits, name="frame_at")  # frame to read
        after = Signal(params.seq_bits)  # frame after it
        fetched = Signal()  # one of them is at the buffer's output
        fetched_seq = Signal(params.seq_bits)
        room = Signal()  # a new frame may go
        fresh = struct_signal(params.lanes_layout, name="fresh")
        may: Value = ~self.down
        if independent:
            may &= self.is_open & ~self._pause(m)
        m.d.comb += [
            outstanding.eq(following - oldest), after.eq(at + 1),
            # numbers of a full window differ in their highest bit only: no subtraction on the way to the router
            room.eq(~replaying & ~fetched & ((following ^ oldest) != window) & may),
        ]
        take = room & self._waiting(m, room, fresh)
        m.d.comb += [
            buffer.wen.eq(take), buffer.waddr.eq(following), buffer.wdata.eq(fresh),
            buffer.ren.eq(replaying), buffer.raddr.eq(at),
            self.sends.eq(take | (fetched & self.is_open if independent else fetched)),
        ]
        m.d.sync += [fetched.eq(replaying), fetched_seq.eq(at), following.eq(following + take)]
        with m.If(replaying):
            m.d.sync += [at.eq(after), replaying.eq(after != following)]
        self._supervise(m, oldest, outstanding)
        with m.If(self.replays):
            m.d.sync += [replaying.eq(1), at.eq(oldest)]

        # Two stages: the frame is chosen, then its CRC is made. What is no frame is all zeros.
        m = whole
        body = struct_signal(layout, name="body")
        with m.If(self.down):
            # where there is no other way to tell, a link that is down still says so
            m.d.sync += body.kind.eq(FrameKind.IDLE if independent else FrameKind.NOTHING)
        with m.Elif(self.sends):
            m.d.sync += body.kind.eq(FrameKind.DATA)
        with m.Else():
            m.d.sync += body.kind.eq(FrameKind.IDLE)
        m.d.sync += [
            body.seq.eq(Mux(fetched, fetched_seq, following)), body.ack.eq(self.expected), body.nak.eq(self.gap),
            body.lanes.eq(Mux(fetched, buffer.rdata, fresh.as_value())), self.frame.eq(0),
        ]
        if independent:
            m.d.sync += body.news.eq(self.news)
        crc_bits = layout["crc"].width
        with m.If(body.kind != FrameKind.NOTHING):
            m.d.sync += [self.frame.eq(body), self.frame.crc.eq(crc(body.as_value()[crc_bits:], crc_bits))]
        return m

    def _pause(self, m: Module) -> Signal:
        """Whether new content waits for a cycle, so that an IDLE frame goes."""
        row = Signal(range(IDLE_EVERY))
        pause = Signal()
        with m.If(~self.sends):
            m.d.sync += [row.eq(0), pause.eq(0)]
        with m.Else():
            m.d.sync += row.eq(row + 1)
            with m.If(row == IDLE_EVERY - 2):
                m.d.sync += pause.eq(1)
        return pause

    def _waiting(self, m: Module, room: Value, fresh: data.View) -> Value:
        """Collect in ``fresh`` what the router sends, now or while there was no ``room``; returns whether it is anything."""
        lanes = self.lanes
        m.d.comb += [
            lanes.flit.ready.eq(room), fresh.flit_valid.eq(lanes.flit.valid),
            # a lane that is not valid shows what stands there, which may never have been written: no part of a frame
            fresh.flit.eq(Mux(lanes.flit.valid, lanes.flit.payload.as_value(), 0)),
            fresh.count_valid.eq(lanes.count_valid), fresh.count.eq(Mux(lanes.count_valid, lanes.count.as_value(), 0)),
        ]

        def add_up(name: str, strobe: Value, goes: Signal, most: int) -> None:
            """A strobe that says nothing else: those that have come and had no room are counted."""
            waiting = Signal(range(most + 1), name=name)
            m.d.comb += goes.eq(strobe | (waiting != 0))
            m.d.sync += waiting.eq(waiting + strobe - (goes & room))

        def keep(name: str, valid: Signal, content: data.View, goes: Signal, gone: data.View) -> None:
            """A control lane: what has come and had no room waits."""
            kept = Signal.like(content, name=f"{name}_kept")
            waits = Signal(name=f"{name}_waits")
            m.d.comb += [goes.eq(valid | waits), gone.eq(Mux(waits, kept, Mux(valid, content, 0)))]
            m.d.sync += waits.eq(goes & ~room)
            with m.If(valid):
                m.d.sync += kept.eq(content)

        add_up("credits", lanes.credit, fresh.credit, self.params.config.link_credits)
        keep("request", lanes.request_valid, lanes.request, fresh.request_valid, fresh.request)
        keep("grant", lanes.grant_valid, lanes.grant, fresh.grant_valid, fresh.grant)
        anything = Value.cast(fresh.flit_valid | fresh.request_valid | fresh.grant_valid | fresh.count_valid | fresh.credit)
        if self.params.config.array.shares:
            add_up("record_permits", lanes.permit_valid & lanes.permit.record, fresh.permit.record, RECORD_CREDITS)
            add_up("sums_permits", lanes.permit_valid & lanes.permit.sums, fresh.permit.sums, 1)
            m.d.comb += fresh.permit_valid.eq(fresh.permit.record | fresh.permit.sums)
            anything |= fresh.permit_valid
        return anything

    def _supervise(self, m: Module, oldest: Signal, outstanding: Signal) -> None:
        """Acknowledgements move the window; naks and the clock start replays, or find the link down."""
        config = self.params.config
        acknowledged = Signal(self.params.seq_bits)
        timer = Signal(range(config.link_timeout_cycles + 1))  # since the last acknowledgement or replay
        deaf = Signal(range(self.deaf_cycles + 1))
        failures = Signal(range(config.link.retries + 1))
        asked = Signal()
        progress = Signal()
        due = Signal()
        m.d.comb += [
            acknowledged.eq(self.ack - oldest),
            # an acknowledgement of what was never sent is an old one that came late
            progress.eq(self.heard & (acknowledged != 0) & (acknowledged <= outstanding)),
            due.eq((outstanding != 0) & ~self.down & ((asked & (deaf == 0)) | (timer == config.link_timeout_cycles))),
            self.replays.eq(due & ~progress & (failures != config.link.retries)),
        ]
        m.d.sync += [asked.eq(self.heard & self.nak), deaf.eq(deaf - (deaf != 0)), timer.eq(timer + (outstanding != 0))]
        with m.If(progress):
            m.d.sync += [oldest.eq(self.ack), timer.eq(0), failures.eq(0)]
        with m.Elif(self.replays):
            m.d.sync += [timer.eq(0), failures.eq(failures + 1), deaf.eq(self.deaf_cycles)]
        with m.Elif(due):
            m.d.sync += self.down.eq(1)
