"""Breadth-first search over packed states: every state is one uint64, every step works on arrays of them.

A search of tens of millions of states takes a minute and nine bytes per state. States that a symmetry maps onto each other
are kept once: ``canonical`` names the one that stands for all. A way to what was looked for is found again from the levels.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

States = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.int64]

#: states that are looked at in one go
CHUNK = 1 << 20


class Step(NamedTuple):
    """One action, tried on an array of states."""

    #: what happens, for a person
    name: str
    #: in which of the states it may happen
    where: Mask
    #: the states after it, one for each True of ``where``
    after: States


class System(Protocol):
    """What :func:`search` looks at."""

    #: the first state
    start: int

    def steps(self, states: States) -> Iterator[Step]:
        """Every action."""

    def canonical(self, states: States) -> States:
        """The state that stands for each and for all that a symmetry maps it onto."""

    def wanted(self, states: States) -> Mask:
        """Which of the states are looked for: the search ends with the first."""


@dataclass(frozen=True)
class Walk:
    """Result of :func:`search`."""

    #: states looked at, those of a symmetry counted once
    states: int
    #: the longest of all shortest ways to a state, in steps
    depth: int
    #: a shortest run to a state that is looked for, with the name of the step to each; None if there is none
    run: tuple[tuple[str, int], ...] | None


def search(system: System, most_states: int, keep: bool = False) -> tuple[Walk, States]:
    """Look at every state that can be reached, or until one is found that is looked for.

    Args:
        system: the states and steps.
        most_states: give up beyond.
        keep: return the states too, ascending (else none).

    Raises:
        MemoryError: if there are more states than ``most_states``.
    """
    level = system.canonical(np.array([system.start], dtype=np.uint64))
    seen = level
    levels = []
    while level.size:
        levels.append(level)
        found = level[system.wanted(level)]
        if found.size:
            return Walk(seen.size, len(levels) - 1, _run(system, levels, int(found[0]))), seen[:seen.size * keep]
        level = _next(system, level, seen)
        if seen.size + level.size > most_states:
            raise MemoryError(f"more than {most_states} states")
        seen = np.concatenate([seen, level])
        seen.sort(kind="stable")  # merges two ascending runs
    return Walk(seen.size, len(levels) - 1, None), seen[:seen.size * keep]


def _distinct(parts: list[States]) -> States:
    """All values once, ascending. (``np.unique`` hashes, which takes four times as long.)"""
    states = np.concatenate([np.empty(0, dtype=np.uint64), *parts])
    states.sort()
    return states[np.concatenate([[True], states[1:] != states[:-1]])] if states.size else states


def _next(system: System, level: States, seen: States) -> States:
    """The states one step on that were not seen, ascending."""
    new = []
    for first in range(0, level.size, CHUNK):
        states = _distinct([system.canonical(step.after) for step in system.steps(level[first:first + CHUNK])])
        new.append(states[seen[np.minimum(np.searchsorted(seen, states), seen.size - 1)] != states])
    return _distinct(new)


def _run(system: System, levels: list[States], last: int) -> tuple[tuple[str, int], ...]:
    """A run to ``last``: backwards over the levels first, then forwards from the start, where no symmetry blurs the way."""
    way = [last]
    for level in reversed(levels[:-1]):
        for step in system.steps(level):
            hits = np.flatnonzero(system.canonical(step.after) == np.uint64(way[-1]))
            if hits.size:
                way.append(int(level[step.where][hits[0]]))
                break
    run = [("", system.start)]
    for goal in way[-2::-1]:
        here = np.array([run[-1][1]], dtype=np.uint64)
        run.append(next((step.name, int(step.after[0])) for step in system.steps(here)
                        if step.after.size and int(system.canonical(step.after)[0]) == goal))
    return tuple(run)
