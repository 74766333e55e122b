"""Clocks of tiles that are dies of their own: how fast each is, how it wanders, how its edges scatter; drawn from a seed."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

#: period of the nominal clock, in femtoseconds
NOMINAL_FS = 1_000_000
#: how far a crystal's frequency may be off, in parts per million, each way
PPM = 100.0
#: most that an edge is early or late, as a share of a period
JITTER = 0.02


@dataclass(frozen=True, kw_only=True)
class TileClock:
    """The clock of one tile. Times in femtoseconds."""

    #: when the die is switched on; None: never
    on_fs: int | None = 0
    #: mean period
    period_fs: int = NOMINAL_FS
    #: of the first edge, after the die is switched on
    phase_fs: int = 0
    #: most that an edge is early or late
    jitter_fs: int = 0
    #: most that a period is longer or shorter than the mean, and edges of a wave of that
    drift_fs: int = 0
    drift_edges: int = 1
    #: of the jitter
    seed: int = 0

    @property
    def ppm(self) -> float:
        """How much faster than the nominal clock, on the mean, in parts per million."""
        return (NOMINAL_FS / self.period_fs - 1) * 1e6

    def line(self, tile: int) -> str:
        """What ``tb/cpp/dies.cpp`` reads."""
        on = -1 if self.on_fs is None else self.on_fs
        return (f"clock {tile} {on} {self.period_fs} {self.phase_fs} {self.jitter_fs} {self.drift_fs} {self.drift_edges} "
                f"{self.seed}\n")


def draw(tiles: int, seed: int, ppm: float = PPM, jitter: float = JITTER) -> tuple[TileClock, ...]:
    """A clock for each tile: ratio and drift together within ``ppm`` of the nominal clock, any phase.

    Args:
        tiles: of the array.
        seed: what is drawn; the same seed gives the same clocks.
        ppm: how far a period may be off at any time, in parts per million.
        jitter: most that an edge is early or late, as a share of a period.
    """
    rng = random.Random(f"clocks {seed}")
    most = NOMINAL_FS * ppm / 1e6
    clocks = []
    for _ in range(tiles):
        ratio, drift = rng.uniform(-0.8, 0.8) * most, rng.uniform(0, 0.2) * most
        clocks.append(TileClock(
            period_fs=NOMINAL_FS + round(ratio), phase_fs=rng.randrange(NOMINAL_FS), drift_fs=round(drift),
            drift_edges=rng.randrange(100, 10_000), jitter_fs=round(rng.uniform(0, jitter) * NOMINAL_FS),
            seed=rng.randrange(2**62)))
    return tuple(clocks)


def described(clocks: Sequence[TileClock]) -> str:
    """For people: how far each is off."""
    return ", ".join(f"tile {tile} {clock.ppm:+.1f} ppm" for tile, clock in enumerate(clocks))
