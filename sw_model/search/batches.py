"""Exhaustive search with slices of several batches in one ring: can they come to a standstill?

:mod:`trajectile.sw_model.search.visits` plays slices whose tokens are here. With batches in flight a slice may also wait for
the activations of its batch (rule 2), and those for the part of the token buffer that an earlier batch still has. And slices
of a batch come only when every tile has sent its counts of it, which a tile does when it has made its load entries of the
batch before (rule R). Here slices move in one step as in :mod:`trajectile.sw_model.search.rules`; what a slice waits for is
all there.

A tile leads its batches through these steps, and may take as long as it likes for each:

* A batch *begins* when there is room for it: at most ``batches`` have begun and not ended here. (What is late is late
  with what follows, so this needs no step of its own.)
* Its *rows* come in. They need nobody.
* Its *counts* go round the ring. When all tiles have sent theirs, every tile can load.
* The tile *loads* slices of any trajectory, in any number, the batches in order; then its list is at its *end*. A tile may
  send its counts of the next batch when it has the counts of this one; it need not wait for its loads, but may have to.
* The batch *ends* when the list is at its end, the rows are in, no slot has a slice of it, and none will come any more. A
  tile loads none that would come to a tile in which the batch has ended.

A slice in a slot is known by its batch, whether it waits here to be computed, and how far it has to go. It may be sent before
it is computed. It waits only for rows: when they are in, computing and releasing needs nobody and happens at once. Any tile
on its way may be a stop; the last one is.

*Standstill*: nothing can happen whichever load lists are at their end, and however much the turns of docs/rules.md hold back.
So that no standstill is missed, a step counts only if nothing at all could hold it up:

* A tile that may still load counts as one that has nothing but the largest slices to load, and needs room for them.
* It holds back a grant as soon as any slice here has nowhere to go: as if its own slices always had less than their share.
* A tile's counts go only when its list is at its end, and a batch ends only when all lists are.

Batches are numbered from the last one that has not ended everywhere, so the search is one of any number of batches. States
are kept up to rotation of the ring.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from trajectile.sw_model.search.walk import Walked, walk


class Slice(NamedTuple):
    """A slice in a slot."""

    batch: int
    #: it has tokens here, and has not met them
    todo: bool
    #: tiles that it has to go on
    far: int


def slices_of(batch: int, at: int, ended: Sequence[int], *, stay: bool = False) -> Iterator[Slice]:
    """The slices of a batch that a tile may load: they go any way that the batch has not ended on, or ``stay``.

    Args:
        batch: its number.
        at: the tile.
        ended: batches that have ended, by tile.
        stay: slices have tokens where they are loaded, and go nowhere.
    """
    far = 0
    while True:
        yield Slice(batch, True, far)
        if far:
            yield Slice(batch, False, far)
        far += 1
        if stay or far == len(ended) or ended[(at + far) % len(ended)] > batch:
            return


class Tile(NamedTuple):
    """A tile; all numbers are counts since the first batch that has not ended everywhere."""

    #: batches that have ended here
    ended: int
    #: batches whose rows are in
    rows: int
    #: batches whose counts were sent
    counted: int
    #: batches whose load list is at its end
    listed: int
    #: the slices in its slots, ascending
    slots: tuple[Slice, ...]


State = tuple[Tile, ...]


class Batches:
    """``early``: counts are sent although there is no room for the batch: its records are read ahead, and its rows wait."""

    def __init__(self, tiles: int, slots: int, batches: int, bubble: bool, turns: bool, early: bool, at_once: bool):
        self.tiles, self.slots, self.batches, self.early, self.at_once = tiles, slots, batches, early, at_once
        self.turns = turns
        self.need = 2 if bubble else 1
        self.start: State = (Tile(0, batches if at_once else 0, 0, 0, ()),) * tiles

    def canonical(self, tiles: list[Tile]) -> State:
        """Numbered anew, and the smallest rotation."""
        base = min(tile.ended for tile in tiles)
        if base:
            tiles = [Tile(tile.ended - base, tile.rows - base, tile.counted - base, tile.listed - base,
                          tuple(slice_._replace(batch=slice_.batch - base) for slice_ in tile.slots)) for tile in tiles]
        return min(tuple(tiles[turn:] + tiles[:turn]) for turn in range(self.tiles))

    @staticmethod
    def formed(state: State) -> int:
        """Batches of which everybody has sent counts. (Counts that have not come yet only make a tile load later.)"""
        return min(tile.counted for tile in state)

    def _with(self, tile: Tile, slice_: Slice) -> Tile:
        """One slice more, if there is anything to do with it here."""
        slice_ = slice_._replace(todo=slice_.todo and slice_.batch >= tile.rows)
        if not slice_.todo and not slice_.far:
            return tile
        return tile._replace(slots=tuple(sorted((*tile.slots, slice_))))

    def _loads(self, state: State, at: int) -> Iterator[Slice]:
        """What a tile may load."""
        batch = state[at].listed
        return iter(()) if batch == self.formed(state) else slices_of(batch, at, [tile.ended for tile in state])

    def _comes(self, state: State, at: int, batch: int) -> bool:
        """A slice of the batch is here or will come."""
        return any(slice_.batch == batch and slice_.far >= (at - number) % self.tiles
                   for number, tile in enumerate(state) for slice_ in tile.slots)

    def _ends(self, state: State, at: int) -> bool:
        """A batch may end."""
        tile = state[at]
        return tile.listed > tile.ended and tile.rows > tile.ended and not self._comes(state, at, tile.ended)

    def _may_count(self, state: State, at: int) -> bool:
        """Counts may be sent."""
        tile = state[at]
        room = tile.ended + self.batches + (1 if self.early else 0)
        return tile.counted < room and tile.counted <= self.formed(state)

    def steps(self, state: State) -> Iterator[tuple[str, State]]:
        """Everything that can happen."""
        def put(*changes: tuple[int, Tile]) -> State:
            tiles = list(state)
            for number, tile in changes:
                tiles[number] = tile
            return self.canonical(tiles)

        for at, tile in enumerate(state):
            there = (at + 1) % self.tiles
            far = state[there]
            if self._may_count(state, at):
                after = tile._replace(counted=tile.counted + 1)
                yield f"tile {at} sends its counts of batch {tile.counted}", put((at, after))
            if not self.at_once and tile.rows < tile.ended + self.batches:
                yield f"rows of batch {tile.rows} are in tile {at}", put((at, self._rows(tile)))
            if tile.listed < self.formed(state):
                after = tile._replace(listed=tile.listed + 1)
                yield f"tile {at} has no more slices of batch {tile.listed}", put((at, after))
            if self.slots - len(tile.slots) >= self.need:
                for slice_ in self._loads(state, at):
                    loaded = self._with(tile, slice_)
                    if loaded is not tile:
                        yield f"tile {at} loads a slice of batch {slice_.batch}", put((at, loaded))
            if len(far.slots) < self.slots:
                for slice_ in dict.fromkeys(tile.slots):
                    if slice_.far:
                        rest = list(tile.slots)
                        rest.remove(slice_)
                        left = self._with(tile._replace(slots=tuple(rest)), slice_._replace(far=0))
                        for todo in ((True,) if slice_.far == 1 else (False, True)):
                            come = self._with(far, Slice(slice_.batch, todo, slice_.far - 1))
                            yield f"tile {at} sends a slice of batch {slice_.batch}", put((at, left), (there, come))
            if self._ends(state, at):
                after = tile._replace(ended=tile.ended + 1)
                yield f"batch {tile.ended} ends in tile {at}", put((at, self._rows(after) if self.at_once else after))

    def _rows(self, tile: Tile) -> Tile:
        """Rows of one more batch are in."""
        slots, after = tile.slots, tile._replace(rows=tile.rows + 1, slots=())
        for slice_ in slots:
            after = self._with(after, slice_)
        return after

    def wrong(self, state: State) -> str:
        """Nothing can happen, or slices of more batches than are in flight are in the ring."""
        if not self.early and any(slice_.batch >= self.batches for tile in state for slice_ in tile.slots):
            return f"slices of more than {self.batches} batches in the ring"
        formed = self.formed(state)
        for at, tile in enumerate(state):
            far = state[(at + 1) % self.tiles]
            loads = tile.listed < formed
            holds_back = self.turns and far.listed < formed and not all(slice_.far for slice_ in far.slots)
            if ((loads and self.slots - len(tile.slots) >= self.need)
                    or (self._may_count(state, at) and tile.listed >= tile.counted)
                    or (tile.rows < tile.ended + self.batches)
                    or (len(far.slots) < self.slots and not holds_back and any(slice_.far for slice_ in tile.slots))
                    or (self._ends(state, at) and all(other.listed > tile.ended for other in state))):
                return ""
        return "standstill"


def search_batches(tiles: int, slots: int, *, batches: int = 2, bubble: bool = True, turns: bool = True,
                   early: bool = False, at_once: bool = False, most_states: int = 5_000_000) -> Walked[State]:
    """Look at every state that can be reached, until a standstill is found.

    Args:
        tiles: tiles on the ring, 2 or more.
        slots: slots of each.
        batches: batches in flight in a tile.
        bubble: rule 1 leaves a slot free.
        turns: grants are held back.
        early: counts of one batch more are sent, whose rows wait until there is room.
        at_once: rows are in as soon as a batch begins: fewer states. A standstill in which rows could come is none, rows that
            come only give slots back, and slices come only when the batch has begun everywhere; so none is missed, if counts
            are not sent ``early``.
        most_states: give up beyond.

    Raises:
        ValueError: for a ring that is none.
        MemoryError: if there are more states than ``most_states``.
    """
    if tiles < 2 or slots < 1 or batches < 1 or (early and at_once):
        raise ValueError(f"tiles = {tiles}, slots = {slots}, batches = {batches}, early = {early}, at_once = {at_once} is "
                         "not legal; legal values: 2 or more tiles, 1 or more slots and batches, not both of the others")
    system = Batches(tiles, slots, batches, bubble, turns, early, at_once)
    return walk(system.start, system.steps, system.wrong, most_states)
