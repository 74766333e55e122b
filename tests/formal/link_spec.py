"""The link layer over a channel that loses, spoils and repeats frames: what is sent on a lane comes once, in order.

The CRC is an oracle here: a spoilt frame has a wrong one. That a real CRC notices what a link does is arithmetic, and
tested (tests/hw/d2d). The way back is one too: an acknowledgement is any count of delivered frames from the last one
heard to the present, a nak comes at any time, and so do timeouts. Nothing below depends on how long any of it takes.
"""

from types import SimpleNamespace

from amaranth.hdl import Cat, Const, Mux, Signal, Value
from amaranth.lib import data

from tests.formal.spec import Proof, Spec
from tests.support.configurations import small
from trajectile.hw.d2d import link_rx, link_tx
from trajectile.hw.d2d.layouts import FrameKind
from trajectile.hw.d2d.link_layer import LinkLayer
from trajectile.hw.d2d.link_rx import LinkRx
from trajectile.hw.d2d.link_tx import LinkTx
from trajectile.hw.params import Params

WINDOW = 2
TIMEOUT_CYCLES = 6
CALM_CYCLES = 18
CREDITS = 2


def oracle_crc() -> None:
    """From now on, in this process (convert.py), the CRC of every frame is zero."""
    link_rx.ALGORITHMS = {1: lambda width: SimpleNamespace(compute=lambda word: 0)}
    link_rx.crc = link_tx.crc = lambda word, bits: Const(0, bits)


def link_params(*, shares: bool, **sizes: int) -> Params:
    """Parameters of a link layer with one-bit CRC and lanes of one or two bits, some derived sizes replaced; with permits,
    if it ``shares``.
    """
    config = small(array__dataflows="both" if shares else "spread", link__latency_cycles=1, link__crc_bits=16,
                   link__retries=2)
    object.__setattr__(config.link, "crc_bits", 1)
    config.__dict__.update(link_credits=CREDITS, **sizes)
    params = Params(config)
    params.flit_layout = data.StructLayout({"mark": 1})
    params.request_layout = params.grant_layout = params.count_layout = data.StructLayout({"content": 1})
    params.lanes_layout = data.StructLayout({
        "flit_valid": 1, "flit": params.flit_layout, "request_valid": 1, "request": params.request_layout,
        "grant_valid": 1, "grant": params.grant_layout, "count_valid": 1, "count": params.count_layout,
        **({"permit_valid": 1, "permit": params.permit_layout} if shares else {}), "credit": 1})
    params.frame_layout = data.StructLayout({
        "crc": 1, "kind": FrameKind, "seq": params.seq_bits, "ack": params.seq_bits, "nak": 1, "lanes": params.lanes_layout})
    return params


class LinkSpec(Spec):
    """The sending half of one end, the channel, the receiving half of the other."""

    def build(self) -> None:
        m = self.m
        oracle_crc()
        #: by kind: one comes, those that were given and have not come, those of them that wait in the sender
        self.permits: dict[str, tuple[Value, Signal, Signal]] = {}
        arrives, of_permits = self.group == "arrives", self.group == "permits"
        link_tx.RECORD_CREDITS = CREDITS
        self.params = params = link_params(
            shares=of_permits, link_window=WINDOW, link_flight_cycles=1, link_timeout_cycles=TIMEOUT_CYCLES if arrives else 1)
        m.submodules.tx, m.submodules.rx = tx, rx = LinkTx(params), LinkRx(params)
        # forth
        layout = params.frame_layout
        wire, before = Signal(layout), Signal(layout)
        fault, noise = self.free(2, "fault"), self.free(layout, "noise")
        self.assume(noise.crc == 1)
        with m.Switch(fault):
            with m.Case(0):
                m.d.sync += wire.eq(tx.frame)
            with m.Case(1):
                m.d.sync += wire.eq(0)  # lost
            with m.Case(2):
                m.d.sync += wire.eq(noise)  # spoilt
            with m.Case(3):
                m.d.sync += wire.eq(before)  # instead of it the one before comes again
        m.d.sync += before.eq(tx.frame)
        m.d.comb += rx.frame.eq(wire)
        # back
        acked, heard = Signal(params.seq_bits), self.free(1, "heard")
        step = self.free(params.seq_bits, "step")
        self.assume(step <= (rx.expected - acked)[:params.seq_bits])
        nak = self.free(1, "nak")
        m.d.comb += [tx.heard.eq(heard), tx.ack.eq(acked + step), tx.nak.eq(nak)]
        with m.If(heard):
            m.d.sync += acked.eq(tx.ack)

        # What the router sends: flits or count words (one is marked), credits, a request at a time.
        of_counts = self.group == "counts"
        valid, mark, credit, request = Signal(), Signal(), self.free(1, "credit"), Signal()
        if self.group == "control":
            m.d.comb += request.eq(self.free(1, "request_free"))
        else:
            m.d.comb += [valid.eq(self.free(1, "flit_valid")), mark.eq(self.free(1, "flit_mark"))]
        lanes, comes, room = tx.lanes, rx.lanes, tx.lanes.flit.ready
        come, come_mark = comes.flit_valid, comes.flit.mark
        if of_counts:
            come, come_mark = comes.count_valid, comes.count.content
            m.d.comb += [lanes.count_valid.eq(valid), lanes.count.content.eq(mark)]
        else:
            m.d.comb += [lanes.flit.valid.eq(valid), lanes.flit.payload.mark.eq(mark)]
        content = self.free(1, "content")
        m.d.comb += [lanes.credit.eq(credit),
                     lanes.request_valid.eq(request), lanes.request.content.eq(content)]
        taken = self.wire(valid & room, "taken")

        # Permits, where there are any; a strobe comes at most so often before those before have come.
        given: dict[str, Signal] = {}
        kept = self.wire(Const(0), "nothing_kept")  # permits that go in the next frame
        if of_permits:
            given = {kind: self.free(1, f"{kind}_given") for kind in ("record", "sums")}
            m.d.comb += [lanes.permit_valid.eq(Cat(given.values()).any()), lanes.permit.record.eq(given["record"]),
                         lanes.permit.sums.eq(given["sums"])]
        for kind, strobe in given.items():
            most = CREDITS if kind == "record" else 1
            under_way, kept_here = (Signal(range(most + 1), name=f"{kind}_{what}") for what in ("under_way", "kept"))
            here = comes.permit_valid & getattr(comes.permit, kind)
            self.assume(~strobe | (under_way != most))
            m.d.sync += [under_way.eq(under_way + strobe - here),
                         kept_here.eq(kept_here + strobe - (room & (strobe | (kept_here != 0))))]
            kept = self.wire(kept | strobe | (kept_here != 0), f"{kind}_goes")
            self.permits[kind] = (here, under_way, kept_here)

        # Credits and requests wait in the sender while there is no room; what does not wait is in a frame.
        owed, waiting, asked, request_waits = Signal(range(CREDITS + 1)), Signal(range(CREDITS + 1)), Signal(), Signal()
        self.assume(~credit | (owed != CREDITS))
        self.assume(~request | ~asked)
        m.d.sync += [
            owed.eq(owed + credit - comes.credit), waiting.eq(waiting + credit - (room & (credit | (waiting != 0)))),
            asked.eq((asked & ~comes.request_valid) | request), request_waits.eq((request_waits | request) & ~room),
        ]
        frame = self.wire(room & (valid | credit | (waiting != 0) | request | request_waits | kept), "new_frame")
        frames = Signal(params.seq_bits)
        m.d.sync += frames.eq(frames + frame)
        settled = self.wire(rx.expected == frames, "settled")  # all frames have come

        inside, seen, gone, ahead = Signal(3), Signal(), Signal(), Signal(3)
        m.d.sync += inside.eq(inside + taken - come)
        self.assume(~(valid & mark & seen))
        first = self.wire(seen & ~gone & (ahead == 0), "first")
        with m.If(taken & mark):
            m.d.sync += [seen.eq(1), ahead.eq(inside - come)]
        with m.Elif(seen & come):
            m.d.sync += [gone.eq(gone | first), ahead.eq(ahead - ~first)]
        group, what = ("counts", "count word") if of_counts else ("order", "flit")
        self.claim(group, f"no {what} comes that was not sent", inside != 0, when=come)
        self.claim(group, f"a {what} comes after those before it, once", come_mark == first, when=come)
        self.claim(group, "none is missing when all frames have come", inside == come, when=settled)
        self.claim("credits", "no credit comes that was not given", owed != 0, when=comes.credit)
        self.claim("credits", "none is missing when all frames have come", owed == waiting + comes.credit, when=settled)
        sent = Signal()
        with m.If(request):
            m.d.sync += sent.eq(content)
        for kind, (here, under_way, kept_here) in self.permits.items():
            self.claim("permits", f"no permit for {kind} comes that was not given", under_way != 0, when=here)
            self.claim("permits", f"no permit for {kind} is missing when all frames have come",
                       under_way == kept_here + here, when=settled)
        self.claim("control", "no request comes that was not sent, and it is unchanged",
                   asked & (comes.request.content == sent), when=comes.request_valid)
        self.claim("control", "none is missing when all frames have come", asked == (request_waits | comes.request_valid),
                   when=settled)
        self.reach(gone & tx.replays)

        # All frames come, if the channel lets them.
        prompt = heard & (step == (rx.expected - acked)[:params.seq_bits]) & (nak == rx.gap)
        calm = Signal(range(CALM_CYCLES + 1))
        with m.If((fault == 0) & prompt & ~credit & ~valid & ~request):
            m.d.sync += calm.eq(Mux(calm == CALM_CYCLES, CALM_CYCLES, calm + 1))
        with m.Else():
            m.d.sync += calm.eq(0)
        self.claim("arrives", "all has come, or the link is down", (settled & (waiting == 0) & ~request_waits) | tx.down,
                   when=calm == CALM_CYCLES)


class CleanLinkSpec(Spec):
    """Two whole ends of real size and a channel without errors. One end sends on all lanes, the other acknowledges."""

    def build(self) -> None:
        m = self.m
        oracle_crc()
        params = link_params(shares=True)
        ends = [LinkLayer(params) for _ in range(2)]
        m.submodules.one, m.submodules.other = ends
        flight = params.config.link_flight_cycles
        for number, (near, far) in enumerate((ends, ends[::-1])):
            wire = Signal(params.frame_layout, name=f"wire_{number}")
            m.d.sync += wire.eq(near.pins.tx.frame)
            m.d.comb += far.pins.rx.frame.eq(wire)
            if number == 1:
                break
            tx, rx = near.lanes.tx, far.lanes.rx
            lanes = {name: self.free(1, f"{name}_{number}")
                     for name in ("flit", "request", "grant", "count", "record", "sums", "credit")}
            content = {name: self.free(1, f"{name}_content_{number}") for name in ("flit", "request", "grant", "count")}
            m.d.comb += [
                tx.flit.valid.eq(lanes["flit"]), tx.flit.payload.mark.eq(content["flit"]), tx.credit.eq(lanes["credit"]),
                tx.request_valid.eq(lanes["request"]), tx.request.content.eq(content["request"]),
                tx.grant_valid.eq(lanes["grant"]), tx.grant.content.eq(content["grant"]),
                tx.count_valid.eq(lanes["count"]), tx.count.content.eq(content["count"]),
                tx.permit_valid.eq(lanes["record"] | lanes["sums"]), tx.permit.record.eq(lanes["record"]),
                tx.permit.sums.eq(lanes["sums"]),
            ]
            come = {"flit": rx.flit_valid, "request": rx.request_valid, "grant": rx.grant_valid, "count": rx.count_valid,
                    "record": rx.permit_valid & rx.permit.record, "sums": rx.permit_valid & rx.permit.sums,
                    "credit": rx.credit}
            what = {"flit": rx.flit.mark, "request": rx.request.content, "grant": rx.grant.content, "count": rx.count.content}
            self.claim("clean", "no flit ever waits", tx.flit.ready)
            self.claim("clean", "nothing is sent again, no link is down, no frame is bad",
                       ~near.status.replays & ~near.status.down & ~near.status.errors)
            for name, strobe in lanes.items():
                value = Cat(strobe, content[name]) if name in content else strobe
                for cycle in range(flight):
                    value = self.past(value, f"{name}_{number}_{cycle}")
                self.claim("clean", f"every {name} comes after the latency that the model counts with",
                           come[name] == value[0])
                if name in content:
                    self.claim("clean", "unchanged", what[name] == value[1], when=come[name])
            self.reach(rx.flit_valid & rx.credit & rx.request_valid)


_SIZE = f"window of {WINDOW} frames"
#: timeouts, naks that are ignored and link-down come at any time
_CUTS = ("spec.tx/w:timer", "spec.tx/w:deaf", "spec.tx/w:failures")
_ASSUMES = ("a spoilt frame has a wrong CRC; a frame is repeated at once or never; acknowledgements come late, naks and "
            "timeouts at any time")
_CONTROL = "; one request at a time (engine-request, engine-grant)"


def _proof(group: str, says: str, *mutants: str, **others: object) -> Proof:
    others = {"cuts": _CUTS, "assumes": _ASSUMES, "spec": LinkSpec, "size": _SIZE} | others
    return Proof(name=f"link-{group}", block="LinkTx, LinkRx", group=group, says=says, mutants=mutants, **others)


PROOFS = (
    _proof("order", "flits come once and in order, none missing, over a channel that loses, spoils and repeats frames",
           "link-crc-unchecked", "link-order-unchecked", "link-replay-from-next", "link-window-unchecked",
           reach_bound=20),
    _proof("counts", "count words come once and in order, none missing", "link-count-not-taken", "link-delivers-again"),
    _proof("credits", "credits are conserved through replay: as many come as were given",
           "link-credit-lost-in-replay", "link-replay-from-next"),
    _proof("permits", "permits for records are counted and one for sums is kept through replay: as many come as were given",
           "link-permit-alone", "link-permit-forgotten", "link-credit-lost-in-replay", "link-delivers-permits"),
    _proof("control", "requests come once, unchanged, none missing (grants are the same code)",
           "link-request-not-kept", "link-delivers-again", assumes=_ASSUMES + _CONTROL),
    _proof("arrives", f"after {CALM_CYCLES} cycles without errors everything has come, or the link is down",
           "link-nak-ignored-and-no-timeout", "link-replay-stops", cuts=(), bound=30,
           size=f"{_SIZE}, timeout of {TIMEOUT_CYCLES} cycles"),
    _proof("clean", "without errors no lane ever waits, nothing is sent again, every lane has the latency of the model",
           "link-window-too-small", "link-slow", prepare="scorr -F 2", spec=CleanLinkSpec, cuts=(),
           size="as configured, latency 1", assumes="no errors", reach_bound=12),
)
