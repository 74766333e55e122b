"""The crossing between two clocks: order and contents, declared latency and throughput, drift, full and empty, resets."""

import random
from collections.abc import Callable
from itertools import pairwise

import pytest
from amaranth.hdl import ClockDomain, Module, Signal
from amaranth.sim import Simulator

from tests.support.configurations import small
from trajectile.hw.d2d.crossing import DEPTH, FULL_ENOUGH, Crossing, from_gray, to_gray
from trajectile.hw.d2d.layouts import FrameKind
from trajectile.hw.params import Params

#: a cycle of the tile's clock; periods and phases of the sender's are in the same unit
CYCLE = 1_000_000
NOTHING, IDLE, DATA = FrameKind.NOTHING, FrameKind.IDLE, FrameKind.DATA


class Pins:
    """A crossing between a sender, who puts a frame to the pins at each edge of its clock, and the tile's clock.

    Edges come one at a time, in the order of their times, so that nothing depends on what a simulator does with two at once.

    Args:
        kind: what the sender sends with its n-th edge.
        period: of the sender's clock, by edge.
        phase: time of its first edge.
    """

    def __init__(self, kind: Callable[[int], FrameKind], period: Callable[[int], int] | int = CYCLE, phase: int = 1):
        self.params = Params(small(link__crc_bits=16, array__clocks="independent"))
        self.block = Crossing(self.params)
        self.kind, self.phase = kind, phase
        self.period = period if callable(period) else lambda edge: period
        #: when each frame came to the pins, and of what kind it is, by the number that it carries
        self.sent: dict[int, tuple[int, FrameKind]] = {}
        #: numbers of those that have been written, in order
        self.written: list[int] = []
        #: of those that have not: kind, and how many frames were inside
        self.left_out: list[tuple[FrameKind, int]] = []
        #: number and kind of what stands at ``frame``, by cycle of the tile's clock; None for NOTHING
        self.cycles: list[tuple[int, FrameKind] | None] = []
        #: whether the sender's clock runs, and whether ``rst`` is high, by cycle of the tile's clock
        self.runs: Callable[[int], bool] = lambda cycle: True
        self.rst: Callable[[int], bool] = lambda cycle: False

    def run(self, cycles: int) -> "Pins":
        """So many cycles of the tile's clock, the first of which begins at time 0."""
        m, block, tile = Module(), self.block, ClockDomain("sync")
        m.domains.sync = tile
        m.submodules.crossing = block

        async def bench(ctx):
            at, edge = self.phase, 0
            for cycle in range(cycles):
                ctx.set(tile.clk, 1)
                ctx.set(tile.rst, self.rst(cycle))
                while at < (cycle + 1) * CYCLE:
                    if self.runs(cycle):
                        self._writes(edge - 1, bool(ctx.get(block.writes)))
                        ctx.set(block.rx_clk, 1)
                        ctx.set(block.come, self._next(edge, at))
                        ctx.set(block.rx_clk, 0)
                    at, edge = at + self.period(edge), edge + 1
                self._look(ctx.get(block.frame))
                ctx.set(tile.clk, 0)

        simulator = Simulator(m)
        simulator.add_testbench(bench)
        simulator.run()
        return self

    def _next(self, edge: int, at: int) -> dict:
        kind = self.kind(edge)
        if kind == NOTHING:
            return {}
        self.sent[edge] = at, kind
        return {"kind": kind, "crc": edge}

    def _writes(self, number: int, writes: bool) -> None:
        """The frame at the pins is written, or not."""
        if writes:
            self.written.append(number)
        elif number in self.sent:
            self.left_out.append((self.sent[number][1], len(self.written) - sum(map(bool, self.cycles))))

    def _look(self, frame) -> None:
        assert frame.kind != NOTHING or not frame.as_bits()
        self.cycles.append(None if frame.kind == NOTHING else (frame.crc, FrameKind(frame.kind)))

    @property
    def come(self) -> list[int]:
        """Numbers of the frames that have come out, in order; each is as it was sent."""
        come = [frame for frame in self.cycles if frame is not None]
        assert all(self.sent[number][1] == kind for number, kind in come)
        numbers = [number for number, _ in come]
        assert all(first < second for first, second in pairwise(numbers)), "out of order, or twice"
        return numbers

    @property
    def waits(self) -> set[int]:
        """How long frames take, from the pins to the beginning of the cycle in which they are at ``frame``."""
        return {cycle * CYCLE - self.sent[frame[0]][0] for cycle, frame in enumerate(self.cycles) if frame is not None}

    @property
    def lost(self) -> set[FrameKind]:
        """Kinds of the frames between the first and the last that came out, and did not come out."""
        come = self.come
        return {kind for number, (_, kind) in self.sent.items() if come[0] < number < come[-1] and number not in come}


def every(cycles: int) -> Callable[[int], FrameKind]:
    """DATA frames, of so many one is an IDLE frame."""
    return lambda edge: DATA if edge % cycles else IDLE


@pytest.mark.parametrize("phase", [1, CYCLE // 4, CYCLE // 2, CYCLE - 1])
def test_clocks_of_one_frequency(phase):
    """The declared latency in every phase, and a frame in every cycle."""
    pins = Pins(every(3), phase=phase).run(200)
    assert {cycle - pins.sent[frame[0]][0] // CYCLE for cycle, frame in enumerate(pins.cycles) if frame is not None} == {
        Crossing.latency_cycles}
    assert not pins.lost and None not in pins.cycles[8:]


@pytest.mark.parametrize(("ppm", "seed"), [(4_000, 0), (-4_000, 1)])
def test_drift(ppm, seed):
    """A frame is left out, or missing, for each cycle of one clock that the other does not have. No DATA frame is lost."""
    print(f"seed {seed}")
    phase = random.Random(seed).randrange(1, CYCLE)
    cycles, period = 2400, round(CYCLE / (1 + ppm / 1e6))
    pins = Pins(every(50), period, phase).run(cycles)
    more, gaps = cycles * CYCLE // period - cycles, pins.cycles[8:].count(None)
    left_out = [kind for kind, _ in pins.left_out]
    if ppm > 0:  # two frames gather first
        assert set(left_out) == pins.lost == {IDLE} and not gaps
        assert more - Crossing.drift_cycles - 1 <= len(left_out) <= more + 1
        wait = (Crossing.latency_cycles + Crossing.drift_cycles) * CYCLE
        assert wait - CYCLE < max(pins.waits) <= wait
    else:
        assert not left_out and abs(more + gaps) <= 1
        assert max(pins.waits) <= Crossing.latency_cycles * period


@pytest.mark.parametrize("period", [CYCLE * 3 // 5, CYCLE * 5 // 3])
def test_clocks_far_apart(period):
    """One frame per cycle of the slower clock. Of a sender who is much faster each frame comes whole or not at all."""
    pins = Pins(every(1000), period).run(600)
    if period < CYCLE:
        assert pins.lost == {DATA} and None not in pins.cycles[8:]
        assert len(pins.come) < 0.65 * len(pins.sent)
    else:
        assert not pins.lost and len(pins.come) + 4 >= len(pins.sent)


@pytest.mark.parametrize("seed", range(6))
def test_random_edges(seed):
    """Edges that scatter, bursts and pauses: what is written comes out, in order; what is not has found no room."""
    print(f"seed {seed}")
    rng = random.Random(seed)
    mean = CYCLE * rng.choice((80, 98, 100, 102, 125)) // 100
    scatter = mean // 3
    kinds = [kind for _ in range(40) for kinds in [rng.choice(((NOTHING,), (DATA,), (IDLE, DATA), (NOTHING, IDLE, DATA)))]
             for kind in rng.choices(kinds, k=rng.randrange(60))]
    pins = Pins(lambda edge: kinds[edge % len(kinds)], lambda edge: mean + rng.randint(-scatter, scatter),
                rng.randrange(1, CYCLE)).run(1000)
    come = pins.come
    start = pins.written.index(come[0])
    assert start <= 3 and come == pins.written[start:][:len(come)], "lost inside"  # writes before the reset is over are none
    assert len(pins.written) - start - len(come) <= DEPTH
    for kind, inside in pins.left_out:
        # the sender's side sees late what has been taken: two edges, and a frame that is shown
        assert DEPTH >= inside - start >= (FULL_ENOUGH if kind == IDLE else DEPTH) - 4


@pytest.mark.parametrize("runs", [True, False], ids=["runs", "stands still"])
@pytest.mark.parametrize("length", [1, 3])
def test_reset(length, runs):
    """With the sender's clock or without: nothing of the time before comes out, and what comes some edges after it does."""
    begin, after = 40, 60
    pins = Pins(lambda edge: NOTHING if 60 < edge < 64 else DATA, CYCLE * 99 // 100, CYCLE // 3)
    pins.rst = lambda cycle: begin <= cycle < begin + length
    pins.runs = lambda cycle: runs or not begin - 3 < cycle < after
    pins.run(200)
    end = (begin + length) * CYCLE
    come = [frame[0] for frame in pins.cycles[begin + 1:] if frame is not None]
    assert come and min(pins.sent[number][0] for number in come) >= (begin * CYCLE if runs else after * CYCLE - CYCLE)
    first_edges = sorted(number for number, (at, _) in pins.sent.items() if at >= end + CYCLE)[:4]
    assert come[0] <= first_edges[-1], "it takes some edges to leave the reset, not more"
    assert pins.cycles[begin + 1:][:length + 2] == [None] * (length + 2)


def test_gray_code():
    """A step changes one bit, around the end too; each code has its count."""
    m, number = Module(), Signal(range(2 * DEPTH))
    code, back = Signal.like(number), Signal.like(number)
    m.d.comb += [code.eq(to_gray(number)), back.eq(from_gray(code))]
    codes = []

    async def bench(ctx):
        for value in range(2 * DEPTH):
            ctx.set(number, value)
            codes.append(ctx.get(code))
            assert ctx.get(back) == value

    simulator = Simulator(m)
    simulator.add_testbench(bench)
    simulator.run()
    assert sorted(codes) == list(range(2 * DEPTH))
    assert all((one ^ other).bit_count() == 1 for one, other in pairwise([*codes, codes[0]]))
