"""Exhaustive search of the abstract rules: can slices on a ring ever come to a standstill?

The rules of docs/rules.md without time: a tile has slots, a slice in a slot has stops ahead, any action whose guard holds
may happen next. Two kinds of action remain, **load** (rule 1) and **forward** (rules 3 and 4, a slot granted and the slice
moved in one step).

* Compute and release happen at once. They need nothing from others and only free slots; nothing can take their guards
  away; and a guard that holds with fewer free slots holds with more.
* The ring looks the same from every tile: states are kept up to rotation (only if the supply of slices is the same for all).
* Turns only withhold a grant while a load can fire or a slot is bound to be freed, so what is free of deadlock without
  them is with them, too.

A slice is a mask of the stops ahead: bit d - 1 for the tile d steps on. With rule 4 it moves by one step, so that only its
last stop matters; without, it jumps to its next stop and needs a slot only there.

A state is a **standstill** if it holds slices and none of them can be forwarded: with the load lists at their end nothing
would ever happen. There is no livelock to look for: every forward takes the sum of the distances ahead down.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

#: per tile the slices in its slots, ascending
State = tuple[tuple[int, ...], ...]
#: per tile the stops (as tile numbers) of the slices it loads, in order
Supply = Sequence[Sequence[Sequence[int]]]


@dataclass(frozen=True)
class Found:
    """Result of :func:`search`."""

    #: states looked at, up to rotation where that applies
    states: int
    #: how a standstill is reached, state by state; None if there is none
    standstill: tuple[State, ...] | None


@cache
def _slots(*held: int) -> tuple[int, ...]:
    """The one tuple of these slices: millions of states share a few."""
    return held


class _Ring:
    """The rules on one ring."""

    def __init__(self, tiles: int, slots: int, escape: bool, bubble: bool):
        self.tiles, self.slots, self.escape, self.bubble = tiles, slots, escape, bubble

    def normal(self, mask: int) -> int:
        """With rule 4 only the last stop matters."""
        return 1 << (mask.bit_length() - 1) if self.escape and mask else mask

    def forwards(self, state: State) -> Iterator[tuple[int, int, int, int]]:
        """Slices that can move: tile, slice, where to, and what is left of it there."""
        for tile, held in enumerate(state):
            for mask in set(held):
                step = 1 if self.escape else (mask & -mask).bit_length()
                there = (tile + step) % self.tiles
                if len(state[there]) < self.slots:
                    yield tile, mask, there, mask >> step

    def moved(self, state: State, tile: int, mask: int, there: int, left: int) -> State:
        """The state after a forward."""
        tiles = [list(held) for held in state]
        tiles[tile].remove(mask)
        if left:
            tiles[there].append(left)
        return tuple(_slots(*sorted(held)) for held in tiles)

    def loadable(self, state: State) -> Iterator[int]:
        """Tiles in which rule 1 may fire."""
        return (tile for tile, held in enumerate(state) if self.slots - len(held) >= (2 if self.bubble else 1))


def search(tiles: int, slots: int, *, escape: bool = True, bubble: bool = True, supply: Supply | None = None,
           most_states: int = 10_000_000) -> Found:
    """Look at every state that can be reached, until a standstill is found.

    Args:
        tiles: tiles on the ring, 2 or more.
        slots: slots of each.
        escape: rule 4 is on.
        bubble: rule 1 leaves a slot free.
        supply: the slices each tile loads; None: any slices, in any mix and number.
        most_states: give up beyond.

    Raises:
        ValueError: for a ring that is none, or a supply that does not fit it.
        MemoryError: if there are more states than ``most_states``.
    """
    if tiles < 2 or slots < 1:
        raise ValueError(f"tiles = {tiles}, slots = {slots} is not legal; legal values: 2 or more tiles, 1 or more slots")
    if supply is not None and (len(supply) != tiles or any(
            not 0 <= stop < tiles for lists in supply for stops in lists for stop in stops)):
        raise ValueError(f"supply is not legal; legal: {tiles} lists of slices with stops from 0 to {tiles - 1}")
    ring = _Ring(tiles, slots, escape, bubble)
    lists = None if supply is None else [[sum(1 << ((stop - tile) % tiles - 1) for stop in stops if stop != tile)
                                          for stops in slices] for tile, slices in enumerate(supply)]
    any_slice = sorted({ring.normal(mask) for mask in range(1, 1 << (tiles - 1))})

    def key(state: State, done: tuple[int, ...]) -> tuple[State, tuple[int, ...]]:
        if lists is not None:
            return state, done
        return min(state[turn:] + state[:turn] for turn in range(tiles)), done

    def after(state: State, done: tuple[int, ...]) -> Iterator[tuple[State, tuple[int, ...]]]:
        for move in ring.forwards(state):
            yield ring.moved(state, *move), done
        for tile in ring.loadable(state):
            if lists is None:
                choice, now = any_slice, done
            elif done[tile] < len(lists[tile]):
                choice = [ring.normal(lists[tile][done[tile]])]
                now = (*done[:tile], done[tile] + 1, *done[tile + 1:])
            else:
                continue
            for mask in choice:
                if mask:  # else it stops here only: loaded, computed, released
                    held = _slots(*sorted((*state[tile], mask)))
                    yield (*state[:tile], held, *state[tile + 1:]), now
                else:
                    yield state, now

    empty: State = ((),) * tiles
    start = key(empty, (0,) * tiles)
    came: dict[tuple[State, tuple[int, ...]], tuple[State, tuple[int, ...]] | None] = {start: None}
    todo = [start]
    while todo:
        here = todo.pop()
        state, done = here
        if any(state) and next(ring.forwards(state), None) is None:
            path: list[State] = []
            at: tuple[State, tuple[int, ...]] | None = here
            while at is not None:
                path.append(at[0])
                at = came[at]
            return Found(len(came), tuple(path[::-1]))
        for follower in after(state, done):
            name = key(*follower)
            if name not in came:
                if len(came) == most_states:
                    raise MemoryError(f"more than {most_states} states")
                came[name] = here
                todo.append(name)
    return Found(len(came), None)
