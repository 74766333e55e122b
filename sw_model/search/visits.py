"""Exhaustive search with requests, reservations, compute, release and turns: can slices on a ring come to a standstill?

:mod:`trajectile.sw_model.search.rules` moves a slice in one step. Here every slice takes the steps of
:mod:`trajectile.sw_model.search.trajectory`. Slices share the slots of a tile, its one request at the ring-next tile, and its
turn to load. They may be loaded in any tile, with any stops, in any order and any number. The search is bounded by how many
slices are in the ring at a time.

These reductions make the search smaller. Each says why nothing is missed:

* *One action for its beginning and its end*: :mod:`trajectile.sw_model.search.trajectory` says why.
* *Partial-order reduction* (``reduce``). Once compute, release or send can happen, they need nothing from other slices. They
  take nothing away from others, and only give slots back. A state in which one of them can happen is no standstill. So every
  run to a standstill can be reordered into one in which they happen immediately, and only these runs are searched. The search
  checks for every slice that these actions can happen in any order with the same outcome. Grants that turns would withhold
  are granted here, so a slot that is given back never takes a grant away.
* *Bisimulation.* States of one slice are merged if they offer the same actions, take the same slots and lead to merged
  states. (This is the coarsest bisimulation, found by partition refinement.) So the tokens that a slice has met are
  forgotten where they no longer matter.
* *Symmetry.* A state is a multiset of slices without names; the slots of a tile are alike; states are kept up to rotation of
  the ring.
* *Turns and the ends of the load lists* matter only for the question whether there is a way on. Every run with turns
  is also a run without. If for some lists nothing can happen in a state, it is a standstill with these lists.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from trajectile.sw_model.search import frontier
from trajectile.sw_model.search.frontier import Counts, Mask, States, Step
from trajectile.sw_model.search.trajectory import Action, Ring, Slice, trajectories

#: bits of a slot count in a word that holds one for each tile
COUNT_BITS = 4
#: actions that need nothing from others
EAGER = ("compute", "release", "send")
TURNS = ("none", "bound", "always")


@dataclass(frozen=True)
class FoundVisits:
    """Result of :func:`search_visits`."""

    #: states of a single slice, with what it met; and what of it matters to the others
    slices: int
    kinds: int
    #: states looked at, up to rotation
    states: int
    #: a shortest run to a standstill; None if there is none
    run: tuple[str, ...] | None

    def __str__(self) -> str:
        """The run, a line per step, or that there is none."""
        if self.run is None:
            return f"no standstill in {self.states} states"
        return "\n  ".join([f"standstill after {len(self.run)} steps ({self.states} states):", *self.run])


class Kinds:
    """All states of one slice, those that behave alike taken together; number 0 is no slice."""

    def __init__(self, ring: Ring, reduce: bool):
        tiles = ring.tiles
        found = trajectories(ring)
        #: states of one slice, with everything it met
        self.slices = len(found)
        settled = _settle(found) if reduce else {slice_: slice_ for slice_ in (None, *found)}
        kept = {slice_: [action for action in actions if not (reduce and action.kind in EAGER)]
                for slice_, actions in found.items() if settled[slice_] == slice_}
        number: dict[Slice | None, int] = {slice_: n for n, slice_ in enumerate([None, *kept])}
        moves = [[(action.kind, action.tile, number[settled[action.after]]) for action in actions]
                 for actions in kept.values()]
        classes = [0, *_dense([_seen(ring, slice_) for slice_ in kept])]
        while True:
            finer = [0, *_dense([(classes[1 + n], *sorted((kind, tile, classes[after]) for kind, tile, after in here))
                                 for n, here in enumerate(moves)])]
            if max(finer) == max(classes):
                break
            classes = finer
        self.count = count = max(classes) + 1
        #: kind of each slice, and of None
        self.of = {slice_: classes[number[settled[slice_]]] for slice_ in settled}
        self.after: dict[tuple[str, int], Counts] = {}
        for n, here in enumerate(moves):
            for kind, tile, after in here:
                self.after.setdefault((kind, tile), np.full(count, -1))[classes[1 + n]] = classes[after]
        #: the kind one tile on
        self.turned = np.zeros(count, dtype=np.int64)
        seen = np.zeros((6, count), dtype=np.int64)
        #: something can happen to it that needs nobody
        self.free = np.zeros(count, dtype=bool)
        for slice_, actions in kept.items():
            at = self.of[slice_]
            self.turned[at] = self.of[slice_._replace(origin=(slice_.origin + 1) % tiles)]
            seen[:, at] = _seen(ring, slice_)
            self.free[at] = any(action.kind in EAGER for action in actions)
        self.seen = Seen(*seen)
        self.loads = [sorted({self.of[ring.load(tile, stops)] for stops in range(1, 1 << tiles)} - {0})
                      for tile in range(tiles)]


def _settle(found: dict[Slice, tuple[Action, ...]]) -> dict[Slice | None, Slice | None]:
    """Where each slice ends if what needs nobody happens at once: the same in whatever order."""
    settled: dict[Slice | None, Slice | None] = {None: None}

    def end(slice_: Slice | None) -> Slice | None:
        if slice_ is not None and slice_ not in settled:
            ends = {end(action.after) for action in found[slice_] if action.kind in EAGER} or {slice_}
            assert len(ends) == 1, f"the order of {', '.join(EAGER)} matters for {slice_}"
            settled[slice_] = ends.pop()
        return settled[slice_]
    for slice_ in found:
        end(slice_)
    return settled


def _dense(keys: Sequence[Hashable]) -> list[int]:
    """Equal keys get equal numbers, from 1 on."""
    numbers: dict[Hashable, int] = {}
    return [numbers.setdefault(key, 1 + len(numbers)) for key in keys]


@dataclass(frozen=True)
class Seen:
    """What others see of slices, by kind."""

    #: slots it uses, and those that hold it as its loader's own: a count a tile, ``COUNT_BITS`` each
    used: Counts
    own: Counts
    #: tiles, as masks: their request is taken by it; it wants to ask there; its request waits there; it has a slot there that
    #: will be free by itself
    engine: Counts
    wants: Counts
    pending: Counts
    stays: Counts


def _seen(ring: Ring, slice_: Slice) -> tuple[int, ...]:
    """The fields of :class:`Seen` for one slice."""
    used = own = engine = wants = pending = stays = 0
    for step in range(ring.tiles):
        tile = (slice_.origin + step) % ring.tiles
        last = step == slice_.reach
        if slice_.used >> step & 1:
            used += 1 << COUNT_BITS * tile
            own += (step == 0) << COUNT_BITS * tile
            stays |= (not ring.forward(slice_, step)) << tile
        engine |= (slice_.head <= step < slice_.reach or (last and slice_.asks)) << tile
        wants |= (last and slice_.ahead != 0 and not slice_.asks) << tile
        pending |= (last and slice_.asks) << (tile + 1) % ring.tiles
    return used, own, engine, wants, pending, stays


class Traffic:
    """Slices on one ring, as a :class:`trajectile.sw_model.search.frontier.System`: their kinds, ascending, as digits of a
    number.
    """

    def __init__(self, kinds: Kinds, ring: Ring, slots: int, most_slices: int, share: int, bubble: bool, turns: str):
        self.kinds, self.tiles, self.slots, self.most = kinds, ring.tiles, slots, most_slices
        self.share, self.need, self.turns = share, 2 if bubble else 1, turns
        self.start = 0
        most = next(n for n in range(65) if kinds.count ** (n + 1) > 1 << 64)
        if not 1 <= most_slices <= most:
            raise ValueError(f"most_slices = {most_slices} is not legal; legal values: 1 to {most}")

    def slices(self, states: States) -> Counts:
        """Kinds, [slices, states]; the largest first."""
        slices = np.empty((self.most, states.size), dtype=np.int64)
        base = np.uint64(self.kinds.count)
        for row in range(self.most):
            rest = states // base
            slices[row] = states - rest * base
            states = rest
        return slices

    def packed(self, slices: Counts) -> States:
        """The reverse, of slices in any order."""
        packed = np.zeros(slices.shape[1], dtype=np.uint64)
        for row in np.sort(slices, axis=0):
            packed = packed * np.uint64(self.kinds.count) + row.astype(np.uint64)
        return packed

    @staticmethod
    def _of_tile(counts: Counts, tile: int) -> Counts:
        share: Counts = counts >> COUNT_BITS * tile & ((1 << COUNT_BITS) - 1)
        return share

    def steps(self, states: States) -> Iterator[Step]:
        """Everything that can happen to a slice, and loads."""
        slices, seen = self.slices(states), self.kinds.seen
        engine = np.bitwise_or.reduce(seen.engine[slices])
        used = np.add.reduce(seen.used[slices])
        for (kind, tile), table in self.kinds.after.items():
            room = {"ask": engine >> tile & 1 == 0, "grant": self._of_tile(used, tile) < self.slots}.get(kind)
            for row in range(self.most):
                after = table[slices[row]]
                ok = after >= 0 if room is None else (after >= 0) & room
                new = slices[:, ok]
                new[row] = after[ok]
                yield Step(f"{kind} in tile {tile}", ok, self.packed(new))
        absent = slices[-1] == 0
        for tile in range(self.tiles):
            ok = absent & (self.slots - self._of_tile(used, tile) >= self.need)
            for at in self.kinds.loads[tile]:
                new = slices[:, ok]
                new[-1] = at
                yield Step(f"load in tile {tile}", ok, self.packed(new))

    def canonical(self, states: States) -> States:
        """The smallest rotation."""
        slices, least = self.slices(states), states
        for _ in range(self.tiles - 1):
            slices = self.kinds.turned[slices]
            least = np.minimum(least, self.packed(slices))
        return least

    def wanted(self, states: States) -> Mask:
        """Slices are there, and nothing can happen to any of them, whichever load lists are at their end."""
        slices, seen = self.slices(states), self.kinds.seen
        engine, wants, pending, stays = (np.bitwise_or.reduce(table[slices])
                                         for table in (seen.engine, seen.wants, seen.pending, seen.stays))
        used, own = np.add.reduce(seen.used[slices]), np.add.reduce(seen.own[slices])
        stuck: Mask = (states > 0) & ~self.kinds.free[slices].any(axis=0) & (wants & ~engine == 0)
        for tile in range(self.tiles):
            free = self.slots - self._of_tile(used, tile)
            can_grant = (pending >> tile & 1 == 1) & (free > 0)
            can_load = free >= self.need
            behind = self._of_tile(own, tile) < self.share
            turn = {"none": behind & False, "bound": behind & (can_load | (stays >> tile & 1 == 1)),
                    "always": behind}[self.turns]
            stuck &= ~can_grant | (~can_load & turn)
        return stuck


def search_visits(tiles: int, slots: int, most_slices: int, *, share: int = 1, bubble: bool = True, turns: str = "bound",
                  reduce: bool = True, ring: Ring | None = None, most_states: int = 50_000_000) -> FoundVisits:
    """Look at every state that can be reached, until a standstill is found; and check what every slice meets.

    Args:
        tiles: tiles on the ring, 2 or more.
        slots: slots of each.
        most_slices: slices in the ring at a time; ``tiles * slots - 1`` is no bound (rule 1 permits no more).
        share: slots that a tile's own loads have a right to.
        bubble: rule 1 leaves a slot free.
        turns: how grants are withheld: "none", "bound" (docs/rules.md) or "always" (whenever own slices have less than their
            share).
        reduce: look only at runs in which what needs nobody happens at once.
        ring: the rules of one slice, if not those of docs/rules.md.
        most_states: give up beyond.

    Raises:
        ValueError: for a ring that is none.
        WrongVisit: if a slice meets a tile twice, or leaves one out.
        MemoryError: if there are more states than ``most_states``.
    """
    if tiles < 2 or slots < 1 or slots >= 1 << COUNT_BITS or not 1 <= share <= slots or turns not in TURNS:
        raise ValueError(f"tiles = {tiles}, slots = {slots}, share = {share}, turns = {turns!r} is not legal; legal values: "
                         f"2 or more tiles, 1 to {(1 << COUNT_BITS) - 1} slots, a share of 1 to slots, turns of {TURNS}")
    ring = ring or Ring(tiles)
    kinds = Kinds(ring, reduce)
    walk, _ = frontier.search(Traffic(kinds, ring, slots, most_slices, share, bubble, turns), most_states)
    return FoundVisits(kinds.slices, kinds.count - 1, walk.states,
                       None if walk.run is None else tuple(name for name, _ in walk.run[1:]))
