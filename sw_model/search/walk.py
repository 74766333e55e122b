"""Breadth-first search over any states: slower than :mod:`trajectile.sw_model.search.frontier`, and easier to read."""

from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

State = TypeVar("State", bound=Hashable)


@dataclass(frozen=True)
class Walked(Generic[State]):
    """Result of :func:`walk`."""

    #: states looked at
    states: int
    #: what was found, for a person; empty: nothing
    found: str
    #: a shortest run to it: the name of each step, and the state after it
    run: tuple[tuple[str, State], ...] = ()

    def __str__(self) -> str:
        """The run, a line per step, or that there is none."""
        if not self.found:
            return f"nothing in {self.states} states"
        return "\n  ".join([f"{self.found} after {len(self.run)} steps ({self.states} states):",
                            *(name for name, _ in self.run)])


class Wrong(AssertionError):
    """A step does what must not be."""


def walk(start: State, steps: Callable[[State], Iterable[tuple[str, State]]], wrong: Callable[[State], str],
         most_states: int) -> Walked[State]:
    """Look at every state that can be reached, or until one is wrong.

    Args:
        start: the first state.
        steps: what can happen next, each with its name. States that a symmetry maps onto each other must come as one.
            It raises :exc:`Wrong` where a step does what must not be.
        wrong: what is wrong with a state; empty if nothing is.
        most_states: give up beyond.

    Raises:
        MemoryError: if there are more states than ``most_states``.
    """
    came: dict[State, tuple[str, State] | None] = {start: None}

    def run(state: State) -> Iterator[tuple[str, State]]:
        step = came[state]
        if step is not None:
            yield from run(step[1])
            yield step[0], state
    level = [start]
    while level:
        after = []
        for state in level:
            if text := wrong(state):
                return Walked(len(came), text, tuple(run(state)))
            try:
                for name, new in steps(state):
                    if new not in came:
                        came[new] = name, state
                        after.append(new)
            except Wrong as error:
                return Walked(len(came), str(error), tuple(run(state)))
        if len(came) > most_states:
            raise MemoryError(f"more than {most_states} states")
        level = after
    return Walked(len(came), "")
