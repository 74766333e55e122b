"""Exhaustive search with both dataflows on one ring: slices of spread batches, records and sums of shared ones.

:mod:`trajectile.sw_model.search.batches` plays batches whose weights travel. Here a batch may also be *shared*: its tokens
travel, and its slices stay where they are loaded. Batches of both kinds follow each other in any order; the kind of one turns
out when the first tile may begin with it. Nothing has a time, and every tile may be late with everything.

What is different in a shared batch (``tokens.py``):

* **Records.** It is read in two rounds of sections, one section of each tile: heads, then rows. A section is a header and its
  beats. An item comes from the tile's own memory, or is the first in its queue. If it has to go on it needs the output
  register. From there it goes when there is a record credit: only so many are on the lane and in the next tile's queue.
  Lists are complete after the first round, rows are in after the second.
* **Slices** have tokens where they are loaded and go nowhere. They wait in their slots for rows, like others.
* **Sums.** When everything is computed, and the batch before has ended here, a tile adds up: it permits the ring-previous
  tile to send, and takes what comes. It sends its own sums of the tokens of the ring-previous tile, then passes on what has
  come and what it has added its own to. A word says which tiles are in it. When everything has been sent and has come the
  batch ends.

A tile begins with a batch when the one ``batches`` before has ended there, and reads one after the other. All flits share a
lane. A slice's slot is reserved before its flit goes.

What is left out: groups of a word and lengths of packets; whose turn it is on the lane, so any flit may go next; requests,
which ``visits.py`` has; and the time that grants, credits and permits take, since one that is late is like one that is given
late. A lane over several links is one with more room.

What the search looks for, besides a standstill as ``batches.py`` defines it:

* A record comes, and there is no room in the queue.
* A tile takes another item than the one that is due, or two tiles have a batch's tokens in different orders.
* Sums come to a tile that still computes, or that is in another batch.
* A token's sum is not that of all tiles.
* Sums are permitted while others still are.
* Slices of more batches than are in flight are in the ring.

Steps of records and sums, and all that arrives, only ever make more possible. So with ``at_once`` they happen as soon as they
can, and no standstill is missed; the tests compare the two. Where a guard is left out that need not be so, but whatever is
found is a run that there is. Batches are numbered from the last one that has not ended everywhere, so the search is one of
any number of batches. Rotations of the ring are not alike: the tile in position 0 comes first in every batch.
"""

from collections.abc import Iterator

from trajectile.sw_model.search.batches import Slice, slices_of
from trajectile.sw_model.search.dataflow_state import SHARED, Case, Flit, Kind, State, Tile
from trajectile.sw_model.search.tokens import Steps, Tokens
from trajectile.sw_model.search.walk import Walked, Wrong, walk


class Dataflows(Tokens):
    """Slices, and what may happen next in the ring."""

    def __init__(self, case: Case):
        super().__init__(case)
        self.need = 1 if case.without == "bubble" else 2
        self.most_slices = case.tiles * case.slots if case.most_slices is None else case.most_slices
        self.start = State((), (Tile(),) * case.tiles)

    def may_count(self, state: State, at: int) -> bool:
        """Counts may be sent: lists are complete. Those of a spread batch need nobody once it has begun."""
        tile = state.tiles[at]
        if tile.counted > self.formed(state) or tile.counted == len(state.shared):
            return False
        return tile.counted < tile.rows or (tile.counted == tile.rows and self.begins(state, at) and (
            not state.shared[tile.counted] or tile.items >= self.heads))

    def _loads(self, state: State, at: int) -> Iterator[Slice]:
        """What a tile may load."""
        batch = state.tiles[at].listed
        if batch == self.formed(state):
            return iter(())
        return slices_of(batch, at, [tile.ended for tile in state.tiles], stay=bool(state.shared[batch]))

    def _forwards(self, state: State, at: int) -> Steps:
        """A slice goes to the ring-next tile."""
        tile = state.tiles[at]
        if not self.free(state, (at + 1) % self.tiles) or not self.has_room(state, at):
            return
        for slice_ in dict.fromkeys(tile.slots):
            if slice_.far:
                rest = list(tile.slots)
                rest.remove(slice_)
                left = self.with_slice(tile._replace(slots=tuple(rest)), slice_._replace(far=0))
                for todo in ((1,) if slice_.far == 1 else (0, 1)):
                    flit = Flit(Kind.SLICE, slice_.batch, 2 * (slice_.far - 1) + todo)
                    yield (f"tile {at} sends a slice of batch {slice_.batch}",
                           self.put(state, (at, left._replace(lane=(*left.lane, flit)))))

    def _ends(self, state: State, at: int) -> bool:
        """A spread batch may end."""
        return self.oldest(state, at) != SHARED and self.computed(state, at)

    def _slow(self, state: State, at: int) -> Steps:
        """All that is not :meth:`quick`."""
        tile = state.tiles[at]
        if self.may_count(state, at):
            after = tile._replace(counted=tile.counted + 1)
            yield f"tile {at} sends its counts of batch {tile.counted}", self.put(state, (at, after))
        if tile.listed < self.formed(state):
            after = tile._replace(listed=tile.listed + 1)
            yield f"tile {at} has no more slices of batch {tile.listed}", self.put(state, (at, after))
        if self.free(state, at) >= self.need and self._slices(state) < self.most_slices:
            for slice_ in self._loads(state, at):
                loaded = self.with_slice(tile, slice_)
                if loaded is not tile:
                    yield f"tile {at} loads a slice of batch {slice_.batch}", self.put(state, (at, loaded))
        yield from self._forwards(state, at)
        if self._ends(state, at):
            yield f"batch {tile.ended} ends in tile {at}", self.put(state, (at, tile._replace(ended=tile.ended + 1)))

    @staticmethod
    def _slices(state: State) -> int:
        """Slices in the ring."""
        return sum(len(tile.slots) + sum(flit.kind == Kind.SLICE for flit in tile.lane) for tile in state.tiles)

    def chooses(self, state: State) -> bool:
        """Some tile may begin with a batch whose kind is not known."""
        return any(self.begins(state, at) and tile.rows == len(state.shared) for at, tile in enumerate(state.tiles))

    def settled(self, state: State) -> State:
        """The state after everything that happens at once."""
        at = quiet = 0
        while self.case.at_once and quiet < self.tiles:
            _, after = next(self.quick(state, at), ("", None))
            if after is None:
                at, quiet = (at + 1) % self.tiles, quiet + 1
            else:
                state, quiet = after, 0
        return state

    def steps(self, state: State) -> Steps:
        """Everything that can happen."""
        if self.chooses(state):
            for kind in self.case.kinds:
                for which in range(1, len(self.words) + 1) if kind == SHARED else (0,):
                    words = f", with {self.words[which - 1]} words" if kind == SHARED and len(self.words) > 1 else ""
                    yield (f"batch {len(state.shared)} is {kind}{words}",
                           self.settled(state._replace(shared=(*state.shared, which))))
        for at in range(self.tiles):
            if not self.case.at_once:
                yield from self.quick(state, at)
            for name, after in self._slow(state, at):
                yield name, self.settled(after)

    def wrong(self, state: State) -> str:
        """Nothing can happen, or slices of more batches than are in flight are in the ring.

        As in ``batches.py`` a step counts only if nothing could hold it up: a tile that may load has only the largest slices
        to load, counts go when the tile's list is at its end, and spread batches end when all lists are.
        """
        if any(slice_.batch >= self.case.batches for tile in state.tiles for slice_ in tile.slots):
            return f"slices of more than {self.case.batches} batches in the ring"
        if self.chooses(state):
            return ""
        formed = self.formed(state)
        for at, tile in enumerate(state.tiles):
            far = state.tiles[(at + 1) % self.tiles]
            holds_back = far.listed < formed and not all(slice_.far for slice_ in far.slots)
            if (_any(self.quick(state, at))
                    or (tile.listed < formed and self.free(state, at) >= self.need)
                    or (self.may_count(state, at) and tile.listed >= tile.counted)
                    or (not holds_back and _any(self._forwards(state, at)))
                    or (self._ends(state, at) and all(other.listed > tile.ended for other in state.tiles))):
                return ""
        return "standstill"


def _any(steps: Steps) -> bool:
    """There is a step. One that does what must not be is one, too: it is found when the state's steps are looked at."""
    try:
        return next(steps, None) is not None
    except Wrong:
        return True


def search_dataflows(case: Case, most_states: int = 5_000_000) -> Walked[State]:
    """Look at every state that can be reached, or until something is wrong.

    Args:
        case: what is searched.
        most_states: give up beyond.

    Raises:
        MemoryError: if there are more states than ``most_states``.
    """
    system = Dataflows(case)
    return walk(system.start, system.steps, system.wrong, most_states)
