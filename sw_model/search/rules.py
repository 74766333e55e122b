"""Exhaustive search of the abstract rules: can slices on a ring ever come to a standstill?

These are the rules of docs/rules.md without time: a tile has slots, a slice in a slot has stops ahead, and any action whose
guard holds may happen next. Two kinds of action remain: **load** (rule 1) and **forward** (rules 3 and 4, where a slot is
granted and the slice moved in one step). ``sw_model/search/visits.py`` covers what is left out here: requests and grants,
compute, turns.

* Compute and release happen immediately. They need nothing from other slices, and only free slots. Nothing can take their
  guards away, and a guard that holds with fewer free slots also holds with more.
* States are kept up to rotation, since the ring looks the same from every tile (only if the supply of slices is the same for
  all).
* A tile's content is a multiset of slices, since the slots of a tile are alike.
* Turns withhold a grant only while a load can fire, or while a slot is bound to be freed. So rules that are free of deadlock
  without turns are free of deadlock with them.

A slice is a mask of the stops ahead: bit d - 1 for the tile d steps on. With rule 4 it moves by one step, so that only its
last stop matters. Without rule 4 it jumps to its next stop, and needs a slot only there.

A state is a **standstill** if it holds slices and none of them can be forwarded: with the load lists at their end nothing
would ever happen. No livelock is possible: every forward reduces the sum of the distances ahead.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np

from trajectile.sw_model.search import frontier
from trajectile.sw_model.search.frontier import Counts, Mask, States, Step

#: per tile the slices in its slots, ascending; the slices of the second direction are negative
State = tuple[tuple[int, ...], ...]
#: per tile the stops (as tile numbers) of the slices it loads, in order
Supply = Sequence[Sequence[Sequence[int]]]


@dataclass(frozen=True)
class Found:
    """Result of :func:`search`."""

    #: states looked at, up to rotation where that applies
    states: int
    #: a shortest run to a standstill, state by state; None if there is none
    standstill: tuple[State, ...] | None
    #: what leads to each state of that run ("" for the first)
    steps: tuple[str, ...] = ()

    def __str__(self) -> str:
        """The run, a line per step, or that there is none."""
        if self.standstill is None:
            return f"no standstill in {self.states} states"
        return "\n".join([f"standstill after {len(self.steps) - 1} steps ({self.states} states); slices by tile, as the "
                          "stops they have ahead:", *(f"  {_shown(state)}  {step}".rstrip() for step, state in
                                                      zip(self.steps, self.standstill, strict=True))])


def _shown(state: State) -> str:
    def slice_(mask: int) -> str:
        ahead = "+".join(str(d + 1) for d in range(abs(mask).bit_length()) if abs(mask) >> d & 1)
        return ("-" if mask < 0 else "") + ahead
    return " | ".join(",".join(map(slice_, held)) or "." for held in state)


class _Ring:
    """The rules on one ring, as a :class:`trajectile.sw_model.search.frontier.System`: for each tile a number that says
    what its slots hold,
    and, where the supply is given, one that says how much of it is loaded.
    """

    def __init__(self, tiles: int, slots: int, escape: bool, bubble: bool, both_ways: bool, supply: Supply | None):
        self.tiles, self.slots, self.escape, self.need = tiles, slots, escape, 2 if bubble else 1
        self.start = 0
        masks = sorted({self._normal(mask) for mask in range(1, 1 << (tiles - 1))})
        self.kinds = [*masks, *(-mask for mask in masks if both_ways)]
        self.contents = [held for size in range(slots + 1)
                         for held in combinations_with_replacement(sorted(self.kinds), size)]
        self.bits = (len(self.contents) - 1).bit_length()
        self.size = np.array([len(held) for held in self.contents])
        #: bit d: a slice here goes d tiles on
        self.reach = np.array([sum({1 << self._forward(kind)[0] % tiles for kind in held}) for held in self.contents])
        #: what a tile holds with one slice of a kind more or less; -1 where that cannot be
        number = {held: at for at, held in enumerate(self.contents)}
        self.more = {kind: np.array([number.get(tuple(sorted((*held, kind))), -1) for held in self.contents])
                     for kind in self.kinds}
        self.less = {kind: np.full(len(self.contents), -1) for kind in self.kinds}
        for table, less in zip(self.more.values(), self.less.values(), strict=True):
            less[table[table >= 0]] = np.flatnonzero(table >= 0)
        self.lists = None if supply is None else [[self._normal(sum(
            1 << ((stop - tile) % tiles - 1) for stop in stops if stop != tile)) for stops in slices]
            for tile, slices in enumerate(supply)]
        self.count_bits = max((len(slices).bit_length() for slices in self.lists or ()), default=0)
        if tiles * (self.bits + self.count_bits) > 64:
            raise ValueError(f"tiles = {tiles}, slots = {slots} is not legal: a state needs more than 64 bits")

    def _normal(self, mask: int) -> int:
        """With rule 4 only the last stop matters."""
        return 1 << (mask.bit_length() - 1) if self.escape and mask else mask

    def _forward(self, kind: int) -> tuple[int, int]:
        """How many tiles on a slice goes (negative: the other way), and what is left of it there (0: nothing)."""
        sign, mask = (1, kind) if kind > 0 else (-1, -kind)
        step = 1 if self.escape else (mask & -mask).bit_length()
        return sign * step, sign * (mask >> step)

    def _held(self, states: States, tile: int) -> Counts:
        held: Counts = (states >> np.uint64(self.bits * tile)).astype(np.int64) & ((1 << self.bits) - 1)
        return held

    def _put(self, states: States, tile: int, before: Counts, after: Counts) -> States:
        """States with another content of a tile."""
        return states + ((after - before) << (self.bits * tile)).view(np.uint64)  # modulo 2**64, so it may go down

    def _done(self, states: States, tile: int) -> Counts:
        """How many slices of a given supply a tile has loaded."""
        field = (states >> np.uint64(self.bits * self.tiles + self.count_bits * tile)).astype(np.int64)
        return field & ((1 << self.count_bits) - 1)

    def steps(self, states: States) -> Iterator[Step]:
        """Forwards and loads."""
        held = [self._held(states, tile) for tile in range(self.tiles)]
        for tile in range(self.tiles):
            for kind in self.kinds:
                step, left = self._forward(kind)
                there = (tile + step) % self.tiles
                less = self.less[kind][held[tile]]
                ok = (less >= 0) & (self.size[held[there]] < self.slots)
                moved = self._put(states[ok], tile, held[tile][ok], less[ok])
                if left:
                    moved = self._put(moved, there, held[there][ok], self.more[left][held[there][ok]])
                yield Step(f"tile {tile} sends a slice to tile {there}", ok, moved)
        for tile in range(self.tiles):
            room = self.slots - self.size[held[tile]] >= self.need
            for kind, ok in self._loads(states, tile, room):
                loaded = states[ok]
                if self.lists is not None:
                    loaded = loaded + np.uint64(1 << (self.bits * self.tiles + self.count_bits * tile))
                if kind:  # else it stops here only: loaded, computed, released
                    loaded = self._put(loaded, tile, held[tile][ok], self.more[kind][held[tile][ok]])
                yield Step(f"tile {tile} loads a slice", ok, loaded)

    def _loads(self, states: States, tile: int, room: Mask) -> Iterator[tuple[int, Mask]]:
        """What a tile may load, and where."""
        if self.lists is None:
            yield from ((kind, room) for kind in self.kinds)
        else:
            yield from ((kind, room & (self._done(states, tile) == number)) for number, kind in enumerate(self.lists[tile]))

    def canonical(self, states: States) -> States:
        """The smallest rotation."""
        if self.lists is not None:
            return states
        least, turned, top = states, states, np.uint64(self.bits * (self.tiles - 1))
        for _ in range(self.tiles - 1):
            turned = (turned >> np.uint64(self.bits)) | ((turned & np.uint64((1 << self.bits) - 1)) << top)
            least = np.minimum(least, turned)
        return least

    def wanted(self, states: States) -> Mask:
        """Slices are there, and none can be forwarded."""
        held = [self._held(states, tile) for tile in range(self.tiles)]
        full = [self.size[content] == self.slots for content in held]
        stuck: Mask = np.add.reduce([self.size[content] for content in held]) > 0
        for tile in range(self.tiles):
            reach = self.reach[held[tile]]
            for step in range(1, self.tiles):
                stuck &= (reach >> step & 1 == 0) | full[(tile + step) % self.tiles]
        return stuck

    def unpacked(self, state: int) -> State:
        """The slices by tile."""
        return tuple(self.contents[state >> self.bits * tile & (1 << self.bits) - 1] for tile in range(self.tiles))


def search(tiles: int, slots: int, *, escape: bool = True, bubble: bool = True, both_ways: bool = False,
           supply: Supply | None = None, most_states: int = 50_000_000) -> Found:
    """Look at every state that can be reached, until a standstill is found.

    Args:
        tiles: tiles on the ring, 2 or more.
        slots: slots of each.
        escape: rule 4 is on.
        bubble: rule 1 leaves a slot free.
        both_ways: slices may also travel the ring the other way round, through the same slots.
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
    ring = _Ring(tiles, slots, escape, bubble, both_ways, supply)
    walk, _ = frontier.search(ring, most_states)
    if walk.run is None:
        return Found(walk.states, None)
    return Found(walk.states, tuple(ring.unpacked(state) for _, state in walk.run), tuple(name for name, _ in walk.run))
