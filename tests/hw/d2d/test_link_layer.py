"""The link layer between two routers, over pins that lose, spoil and repeat frames in both directions."""

import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest
from amaranth.hdl import Module
from amaranth.sim import Simulator

from tests.support.blocks import run_block
from tests.support.configurations import small
from trajectile.hw.d2d.crc import ALGORITHMS
from trajectile.hw.d2d.layouts import RECORD_CREDITS, FrameKind
from trajectile.hw.d2d.link_layer import LinkLayer
from trajectile.hw.d2d.link_rx import LinkRx
from trajectile.hw.params import Params

#: cycles to look on when all has come
AFTER_CYCLES = 40
#: what happens to a frame on its way: (generator, cycle, frame, frames before, the last one last) -> frame
Fault = Callable[[random.Random, int, int, Sequence[int]], int]


def clean(rng: random.Random, cycle: int, frame: int, before: Sequence[int]) -> int:
    """Nothing."""
    return frame


def noise(share: float, width: int) -> Fault:
    """What the CRC detects for certain: up to three bits flipped, or a burst of up to 16; and frames lost or repeated."""
    def fault(rng: random.Random, cycle: int, frame: int, before: Sequence[int]) -> int:
        if rng.random() >= share:
            return frame
        kind = rng.randrange(5)
        if kind == 0:
            return 0
        if kind == 1:
            return rng.choice(before)
        if kind == 2:
            return (1 << width) - 1
        if kind == 3:
            return frame ^ rng.randrange(1, 1 << 16) << rng.randrange(width - 16)
        for bit in rng.sample(range(width), rng.randint(1, 3)):
            frame ^= 1 << bit
        return frame
    return fault


@dataclass
class End:
    """What one end sends and has received. ``busy`` is the share of cycles in which each lane wants to send."""

    layer: LinkLayer
    busy: float
    flits: list[int] = field(default_factory=list)  # taken by the link layer
    words: list[int] = field(default_factory=list)  # of the count exchange, taken by the link layer
    sent: dict[str, list[int]] = field(default_factory=lambda: {"request": [], "grant": []})
    credits: int = 0
    got: dict[str, list[int]] = field(default_factory=lambda: {"flit": [], "request": [], "grant": [], "count": []})
    got_credits: int = 0
    permits: dict[str, int] = field(default_factory=lambda: {"record": 0, "sums": 0})
    got_permits: dict[str, int] = field(default_factory=lambda: {"record": 0, "sums": 0})
    waited: int = 0  # cycles in which a flit was not taken
    counts: dict[str, int] = field(default_factory=lambda: {"FRAMES": 0, "REPLAYS": 0, "ERRORS": 0})
    down_at: int | None = None


class Link:
    """Two link layers and the pins between them, in Amaranth's simulator; with permits, unless ``changes`` say otherwise."""

    def __init__(self, *, seed: int, busy: float, faults: tuple[Fault, Fault] = (clean, clean), **changes: object):
        changes = {"array__dataflows": "both", "link__crc_bits": 16, "link__beat_bytes": 4, "link__retries": 1000} | changes
        self.config = small(**changes)
        self.params = Params(self.config)
        self.faults, self.rng = faults, random.Random(seed)
        self.ends = [End(LinkLayer(self.params), busy) for _ in range(2)]
        latency = self.config.link.latency_cycles
        #: frames under way, by direction: the PHY's registers
        self.wires = [deque([0] * latency) for _ in range(2)]
        #: frames that can come again
        self.past = [deque([0], maxlen=self.config.link_window - 1) for _ in range(2)]
        #: (cycle, flit) as taken, and as delivered, by end
        self.taken: list[list[int]] = [[], []]
        self.delivered: list[list[int]] = [[], []]
        #: whether flits and words were taken in the cycle before, by end
        self.room_before = [False, False]
        self.cycle = 0
        #: from this cycle on nothing new is sent
        self.quiet_from: int | None = None

    def run(self, cycles: int, drain: int = 0) -> "Link":
        """Send for ``cycles``, wait at most ``drain`` more until all has come, and then look whether anything else comes."""
        m = Module()
        m.submodules += [end.layer for end in self.ends]
        simulator = Simulator(m)
        simulator.add_clock(1e-6)
        self.quiet_from = cycles

        async def bench(ctx):
            after = AFTER_CYCLES
            while self.cycle < cycles + drain and after:
                after -= self.cycle >= cycles and self.all_here(ctx)
                for end in self.ends:
                    self._drive(ctx, end)
                for number, end in enumerate(self.ends):
                    self._carry(ctx, number, end)
                for number, end in enumerate(self.ends):
                    self._observe(ctx, number, end, self.ends[1 - number])
                await ctx.tick()
                self.cycle += 1
        simulator.add_testbench(bench)
        simulator.run()
        return self

    def all_here(self, ctx) -> bool:
        """Whether what was sent has come, by number."""
        return all(
            peer.got_credits == end.credits and peer.got_permits == end.permits and len(peer.got["flit"]) == len(end.flits)
            and len(peer.got["count"]) == len(end.words) and not ctx.get(end.layer.lanes.tx.count_valid)
            and all(len(peer.got[lane]) == len(end.sent[lane]) for lane in end.sent)
            and not ctx.get(end.layer.lanes.tx.flit.valid)
            for end, peer in (self.ends, self.ends[::-1]))

    def _drive(self, ctx, end: End) -> None:
        """The router: a flit or count word stays until it is taken; one request, one grant and one permit for sums may be
        on the way; so many credits and permits for records exist.
        """
        rng, tx, quiet = self.rng, end.layer.lanes.tx, self.cycle >= self.quiet_from
        peer = self.ends[1 - self.ends.index(end)]
        if not ctx.get(tx.flit.valid) or self.taken_now(end):
            valid = not quiet and rng.random() < end.busy
            ctx.set(tx.flit.valid, valid)
            if valid:
                ctx.set(tx.flit.payload.as_value(), rng.getrandbits(self.params.flit_layout.size))
        if not ctx.get(tx.count_valid) or self.room_before[self.ends.index(end)]:
            valid = not quiet and rng.random() < end.busy / 2
            ctx.set(tx.count_valid, valid)
            if valid:
                ctx.set(tx.count.as_value(), rng.getrandbits(self.params.count_layout.size))
        for lane in ("request", "grant"):
            free = len(end.sent[lane]) == len(peer.got[lane])
            valid = not quiet and free and rng.random() < end.busy / 4
            ctx.set(getattr(tx, f"{lane}_valid"), valid)
            content = rng.getrandbits(len(getattr(tx, lane).as_value()))
            ctx.set(getattr(tx, lane).as_value(), content)
            if valid:
                end.sent[lane].append(content)
        credit = not quiet and end.credits - peer.got_credits < self.config.link_credits and rng.random() < end.busy
        ctx.set(tx.credit, credit)
        end.credits += credit
        if self.config.array.shares:
            self._permit(ctx, end, peer)

    def _permit(self, ctx, end: End, peer: End) -> None:
        """The permit lane; its content says something only with ``permit_valid``."""
        rng, tx, most = self.rng, end.layer.lanes.tx, {"record": RECORD_CREDITS, "sums": 1}
        quiet = self.cycle >= self.quiet_from
        given = {kind: not quiet and count - peer.got_permits[kind] < most[kind] and rng.random() < end.busy
                 for kind, count in end.permits.items()}
        ctx.set(tx.permit_valid, any(given.values()))
        for kind, is_given in given.items():
            ctx.set(getattr(tx.permit, kind), is_given if any(given.values()) else rng.getrandbits(1))
            end.permits[kind] += is_given

    def taken_now(self, end: End) -> bool:
        """Whether the flit that was shown in the cycle before was taken."""
        return bool(self.taken[self.ends.index(end)]) and self.taken[self.ends.index(end)][-1] == self.cycle - 1

    def _carry(self, ctx, number: int, end: End) -> None:
        """The PHY from this end to the other."""
        wire, far = self.wires[number], self.ends[1 - number].layer
        ctx.set(far.pins.rx.frame.as_value(), wire.popleft())
        frame = ctx.get(end.layer.pins.tx.frame.as_value())
        wire.append(self.faults[number](self.rng, self.cycle, frame, self.past[number]))
        self.past[number].append(frame)

    def _observe(self, ctx, number: int, end: End, peer: End) -> None:
        tx, rx = end.layer.lanes.tx, end.layer.lanes.rx
        if ctx.get(tx.flit.valid):
            if ctx.get(tx.flit.ready):
                end.flits.append(ctx.get(tx.flit.payload.as_value()))
                self.taken[number].append(self.cycle)
            else:
                end.waited += 1
        self.room_before[number] = bool(ctx.get(tx.flit.ready))
        if ctx.get(tx.count_valid) and self.room_before[number]:
            end.words.append(ctx.get(tx.count.as_value()))
        for lane in ("flit", "request", "grant", "count"):
            if ctx.get(getattr(rx, f"{lane}_valid")):
                end.got[lane].append(ctx.get(getattr(rx, lane).as_value()))
                if lane == "flit":
                    self.delivered[number].append(self.cycle)
        end.got_credits += ctx.get(rx.credit)
        if self.config.array.shares and ctx.get(rx.permit_valid):
            for kind in end.got_permits:
                end.got_permits[kind] += ctx.get(getattr(rx.permit, kind))
        for name, strobe in end.layer.status.by_name.items():
            end.counts[name] += ctx.get(strobe)
        if end.down_at is None and ctx.get(end.layer.status.down):
            end.down_at = self.cycle

    def check_exact(self) -> None:
        """All that was sent has come: once, in order, nothing else."""
        for end, peer in (self.ends, self.ends[::-1]):
            assert end.down_at is None
            assert peer.got["flit"] == end.flits and peer.got["count"] == end.words
            assert peer.got["request"] == end.sent["request"] and peer.got["grant"] == end.sent["grant"]
            assert peer.got_credits == end.credits and peer.got_permits == end.permits


@pytest.mark.parametrize(("latency", "crc_bits"), [(1, 16), (4, 16), (5, 32)])
def test_no_bubbles_without_errors(latency, crc_bits):
    """At full rate on all lanes no flit ever waits; every lane takes the same constant time."""
    link = Link(seed=latency, busy=1, link__latency_cycles=latency, link__crc_bits=crc_bits).run(300, drain=60)
    link.check_exact()
    flight = latency + link.ends[0].layer.latency_cycles
    for number, end in enumerate(link.ends):
        assert end.waited == 0 and len(end.flits) == 300
        assert link.delivered[1 - number] == [cycle + flight for cycle in link.taken[number]]
        assert end.counts == {"FRAMES": 300, "REPLAYS": 0, "ERRORS": 0}


@pytest.mark.parametrize("seed", [*range(4), *(pytest.param(seed, marks=pytest.mark.regress) for seed in range(4, 100))])
def test_nothing_is_lost_repeated_or_reordered(seed):
    """Random faults in both directions, from hardly any to most frames; other sizes with every seed."""
    print(f"seed {seed}")
    rng = random.Random(seed)
    crc_bits, latency = rng.choice([16, 32]), rng.randint(1, 6)
    changes = {"link__latency_cycles": latency, "link__crc_bits": crc_bits} | (
        {"array__dataflows": "spread", "link__beat_bytes": 1} if seed % 2 else
        {"array__dataflows": "both", "link__beat_bytes": 4})
    width = Params(small(**changes)).frame_bits
    shares = [rng.choice([0, 0.01, 0.05, 0.2, 0.5]) for _ in range(2)]
    link = Link(seed=seed, busy=rng.choice([0.1, 0.6, 1]), faults=tuple(noise(share, width) for share in shares),
                **changes)
    assert link.params.frame_bits == width
    link.run(400, drain=800)
    link.check_exact()
    for end, share in zip(link.ends, shares[::-1], strict=True):
        assert (end.counts["ERRORS"] > 0) >= (share > 0.01) and (share > 0 or end.counts["ERRORS"] == 0)


def losing(*cycles: int) -> Fault:
    """Lose the frames of these cycles."""
    return lambda rng, cycle, frame, before: 0 if cycle in cycles else frame


@pytest.mark.parametrize("latency", [1, 4])
def test_one_replay_an_error(latency):
    """A lost frame costs one replay, and flits wait for the cycles that docs/link.md says."""
    link = Link(seed=1, busy=1, faults=(losing(*range(30, 280, 50)), clean), link__latency_cycles=latency, link__retries=2)
    link.run(300, drain=200).check_exact()
    assert link.ends[0].counts["REPLAYS"] == 5 and link.ends[1].counts["REPLAYS"] == 0
    assert link.ends[0].waited == 5 * link.ends[0].layer.replay_cycles


def test_a_frame_that_is_lost_twice():
    """The next nak counts again one round trip after a replay has started, not earlier and not later."""
    flight = small(link__crc_bits=16).link_flight_cycles
    chosen = 30 - 2  # the frame that is at the pins in cycle 30
    again = chosen + 2 * flight + 3 + 2  # the same frame at the pins, in the replay
    link = Link(seed=1, busy=1, faults=(losing(30, again), clean)).run(150, drain=200)
    link.check_exact()
    assert link.ends[0].counts["REPLAYS"] == 2
    assert link.ends[0].waited == 2 * flight + 3 + 2 * flight + 2


def test_a_lost_window():
    """All frames of a window are lost; the number of the IDLE frames behind them says so, before the timeout."""
    window = small(link__crc_bits=16).link_window
    link = Link(seed=1, busy=1, faults=(losing(*range(30, 30 + window)), clean)).run(150, drain=200)
    link.check_exact()
    assert link.ends[0].counts["REPLAYS"] == 1
    assert link.ends[0].waited == 2 * link.config.link_flight_cycles + 2 + window


def test_old_acknowledgements_do_not_open_the_window():
    """A window is full since its frames were lost, and old frames come the other way."""
    window = small(link__crc_bits=16).link_window

    def old(rng: random.Random, cycle: int, frame: int, before: Sequence[int]) -> int:
        return before[0] if 41 <= cycle < 47 else frame
    Link(seed=1, busy=1, faults=(losing(*range(30, 30 + window)), old)).run(100, drain=200).check_exact()


def test_every_bit_is_checked():
    """A flipped bit spoils a frame, whichever it is."""
    def flip(rng: random.Random, cycle: int, frame: int, before: Sequence[int]) -> int:
        return frame ^ 1 << cycle - 20 if 20 <= cycle < 20 + link.params.frame_bits else frame
    link = Link(seed=1, busy=1, faults=(flip, clean))
    link.run(150, drain=300).check_exact()
    assert link.ends[1].counts["ERRORS"] == link.params.frame_bits


def test_old_frames_in_gaps_change_nothing():
    """Frames that come again where an IDLE frame was do not even start a replay."""
    def again(rng: random.Random, cycle: int, frame: int, before: Sequence[int]) -> int:
        idle = link.params.frame_layout.from_bits(frame).kind == FrameKind.IDLE
        return rng.choice(before) if idle else frame
    link = Link(seed=1, busy=0.1, faults=(again, again))
    link.run(300, drain=100).check_exact()
    assert len(link.ends[0].flits) > 10 and link.ends[0].counts["REPLAYS"] == link.ends[1].counts["REPLAYS"] == 0


@pytest.mark.parametrize("crc_bits", [16, 32])
def test_only_known_kinds_count(crc_bits):
    """A right CRC is not enough, and all zeros are no error."""
    params = Params(small(link__crc_bits=crc_bits))
    rx, width = LinkRx(params), params.frame_bits - crc_bits
    heard, bad = [], []

    async def bench(ctx):
        for kind in range(4):
            body = kind << params.frame_layout["kind"].offset - crc_bits
            ctx.set(rx.frame.as_value(), body << crc_bits | ALGORITHMS[crc_bits](width).compute([body]))
            await ctx.tick()
            heard.append(ctx.get(rx.heard))
            bad.append(ctx.get(rx.bad))
        ctx.set(rx.frame.as_value(), 0)
        await ctx.tick()
        assert not ctx.get(rx.heard) and not ctx.get(rx.bad)
    run_block(rx, bench)
    assert heard == [0, 1, 1, 0] and bad == [1, 0, 0, 1]


def test_a_lost_last_frame_is_noticed():
    """Nothing follows it but IDLE frames."""
    link = Link(seed=1, busy=1, faults=(losing(17), clean)).run(16, drain=60)  # chosen in cycle 15, at the pins in 17
    link.check_exact()
    assert link.delivered[1][-1] == 15 + 3 * link.config.link_flight_cycles + 3
    assert link.ends[0].counts["REPLAYS"] == 1


@pytest.mark.parametrize("dead", [(True, False), (False, True), (True, True)], ids=["there", "back", "both"])
@pytest.mark.parametrize(("since", "retries"), [(0, 1), (70, 2)])
def test_down_in_bounded_time(dead, since, retries):
    """A dead direction, from the beginning or later, takes both ends down if both have something to send."""
    def cut(rng: random.Random, cycle: int, frame: int, before: Sequence[int]) -> int:
        return 0 if cycle >= since else frame
    link = Link(seed=3, busy=1, faults=tuple(cut if it else clean for it in dead), link__retries=retries)
    bound = link.config.link_down_cycles
    link.run(since + 2 * bound, drain=10)
    for end, peer in (link.ends, link.ends[::-1]):
        assert end.down_at is not None
        assert peer.got["flit"] == end.flits[:len(peer.got["flit"])]
    first = min(end.down_at for end in link.ends)
    assert since < first <= since + link.config.link_flight_cycles + bound
    assert max(end.down_at for end in link.ends) <= first + link.config.link_flight_cycles + bound


def test_down_takes_nothing_more():
    """Not even if the window has room."""
    link = Link(seed=1, busy=0.05, faults=(lambda *_: 0, lambda *_: 0), link__retries=1).run(300)
    for end, taken in zip(link.ends, link.taken, strict=True):
        assert 0 < len(taken) < link.config.link_window and max(taken) < end.down_at < 200 and end.waited > 0


def test_what_has_no_neighbour_is_never_down():
    """A port with its pins tied to zero and nothing to send; and an idle link that is dead."""
    link = Link(seed=1, busy=0, faults=(lambda *_: 0, lambda *_: 0), link__retries=1).run(600)
    for end in link.ends:
        assert end.down_at is None and end.counts == {"FRAMES": 0, "REPLAYS": 0, "ERRORS": 0}
