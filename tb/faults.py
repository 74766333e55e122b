"""Faults on links: what goes wrong in a run, as the file that ``tb/rtl/faulty_link.v`` reads, and what it writes back."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from trajectile.sw_model.config import ArrayConfig
from trajectile.sw_model.config.topology import Link, links

#: frames that a repetition can go back
MOST_BACK = 15
#: what a dead link delivers, by code
DEAD_VALUES = ("zeros", "ones", "noise")
#: what the links of a simulation did, in its folder
LOG = "faults.log"
#: a cycle that does not come
NEVER = 2**62


@dataclass(frozen=True, kw_only=True, repr=False)
class LinkFaults:
    """What goes wrong on a link, both ends of which see nothing but frames.

    Rates are probabilities: of each bit (``ber``) or in each cycle (all others). Cycles count from the start of the run, the
    first is meant and the last is not.

    Raises:
        ValueError: for a rate outside 0 to 1 and for sizes that make no sense.
    """

    #: number of the link (``trajectile.sw_model.config.topology.links``), or None for all, each with another seed
    link: int | None = None
    #: a bit is flipped
    ber: float = 0.0
    #: ``errors_bits`` different bits of a frame are flipped
    errors: float = 0.0
    errors_bits: int = 1
    #: a burst begins at a random bit: its first and last bit are flipped and each in between with a chance of a half. It goes
    #: on in the next frames if it is longer than what is left of this one
    burst: float = 0.0
    burst_bits: int = 1
    #: zeros in place of the frame
    drop: float = 0.0
    #: the frame of 1 to ``repeat_back`` cycles before, in place of this one
    repeat: float = 0.0
    repeat_back: int = 1
    #: first and last bit that is stuck, at what, from which cycle to which
    stuck: tuple[int, int] = (0, 0)
    stuck_at: int = 0
    stuck_cycles: tuple[int, int] = (0, 0)
    #: from which cycle to which nothing comes through but what :data:`DEAD_VALUES` names
    dead: str = "zeros"
    dead_cycles: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        for name in ("ber", "errors", "burst", "drop", "repeat"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} = {getattr(self, name)} is not legal; legal values: from 0 to below 1")
        for name, most in (("errors_bits", 2**20), ("burst_bits", 2**20), ("repeat_back", MOST_BACK)):
            if not 1 <= getattr(self, name) <= most:
                raise ValueError(f"{name} = {getattr(self, name)} is not legal; legal values: 1 to {most}")
        if self.dead not in DEAD_VALUES:
            raise ValueError(f"dead = {self.dead!r} is not legal; legal values: {', '.join(DEAD_VALUES)}")

    def __repr__(self) -> str:
        changed = {name: value for name, value in vars(self).items() if value != getattr(type(self), name)}
        return f"LinkFaults({', '.join(f'{name}={value!r}' for name, value in changed.items())})"

    def line(self, run: int, name: str, seed: int) -> str:
        """The line of a plan: for the link whose instance is ``name``."""
        return " ".join(map(str, (
            run, f"{name}.pipe", seed, f"{self.ber:.17g}", f"{self.errors:.17g}", self.errors_bits, f"{self.burst:.17g}",
            self.burst_bits, f"{self.drop:.17g}", f"{self.repeat:.17g}", self.repeat_back, *self.stuck, self.stuck_at,
            *self.stuck_cycles, DEAD_VALUES.index(self.dead), *self.dead_cycles))) + "\n"


def link_name(wire: Link) -> str:
    """Name of a link's instance in the array."""
    return f"link_{wire.tile}_to_{wire.peer}"


def link_seed(seed: int, link: int) -> int:
    """A seed for each link of a run (splitmix64), 1 to 2**63 - 1."""
    value = (seed * 1024 + link + 1) * 0x9E3779B97F4A7C15 % 2**64
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        value = (value ^ value >> shift) * factor % 2**64
    return value % (2**63 - 1) + 1


def plan(array: ArrayConfig, runs: Iterable[tuple[int, Sequence[LinkFaults]]]) -> str:
    """The file for an array: ``(seed, faults)`` of each run, which are numbered from 1 on.

    Raises:
        ValueError: if two faults of a run name the same link, or a link that is not there.
    """
    lines, wires = [], links(array)
    for run, (seed, faults) in enumerate(runs, start=1):
        named = [number for fault in faults for number in (range(len(wires)) if fault.link is None else [fault.link])]
        if len(named) != len(set(named)) or not set(named) <= set(range(len(wires))):
            raise ValueError(f"links {named} of run {run} are not legal; legal values: 0 to {len(wires) - 1}, each once")
        for fault in faults:
            lines += [fault.line(run, link_name(wires[number]), link_seed(seed, number))
                      for number in (range(len(wires)) if fault.link is None else [fault.link])]
    return "".join(lines)


def write_plan(array: ArrayConfig, runs: Iterable[tuple[int, Sequence[LinkFaults]]], folder: Path) -> list[str]:
    """Write the file, and remove the last log; returns the plusargs that name both."""
    path, log = folder.resolve() / "faults.txt", folder.resolve() / LOG
    path.write_text(plan(array, runs), encoding="ascii")
    log.unlink(missing_ok=True)
    return [f"+faults={path}", f"+fault_log={log}"]


class Injected(NamedTuple):
    """What a link did in a run."""

    cycles: int
    #: frames that did not come through as they went in
    hurt: int
    #: bits flipped
    bits: int
    errors: int
    bursts: int
    drops: int
    repeats: int
    #: frames that stuck bits changed
    stuck: int
    #: cycles of death
    dead: int


def injected(log: Path) -> dict[tuple[int, str], Injected]:
    """What links did, by run and name of the instance."""
    found = {}
    for line in log.read_text(encoding="ascii").splitlines():
        run, path, *counts = line.split()
        found[int(run), path.split(".")[-2]] = Injected(*map(int, counts))
    return found
