"""What the search with both dataflows looks at: the ring it is given, and what its tiles know."""

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from trajectile.sw_model.search.batches import Slice

#: what may be left out, to see that it is needed: the free slot of rule 1; credits for records; that these are not those of
#: the lane; sections in an order that all tiles keep; the permit for sums; its end; that a word has come before it is passed
#: on; that a tile has computed everything before it sends sums
GUARDS = ("bubble", "credits", "own credits", "order", "permit", "end of the permit", "received", "computed")
#: of batches
SPREAD, SHARED = "spread", "shared"


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is searched.

    Raises:
        ValueError: for a ring that is none.
    """

    #: 2 or more
    tiles: int
    #: of each tile
    slots: int
    #: in flight in a tile
    batches: int = 2
    #: kinds of batches, in any order and number
    kinds: tuple[str, ...] = (SPREAD, SHARED)
    #: slices that are loaded as long as there are fewer in the ring; None: as many as rule 1 permits
    most_slices: int | None = None
    #: beats of each of a tile's two sections, besides its header; empty: none
    beats: tuple[int, ...] = ()
    #: words of the sums of each tile's tokens, as they may be in a shared batch; empty: one word of each
    words: tuple[tuple[int, ...], ...] = ()
    #: records that may be under way to a tile
    depth: int = 1
    #: flits that a lane holds
    room: int = 1
    #: one of ``GUARDS`` is left out
    without: str = ""
    #: what only makes more possible happens as soon as it can: fewer states
    at_once: bool = False

    def __post_init__(self) -> None:
        if (self.tiles < 2 or min(self.slots, self.batches, self.depth, self.room) < 1 or (self.most_slices or 0) < 0
                or not self.kinds or not set(self.kinds) <= {SPREAD, SHARED} or (self.without and self.without not in GUARDS)
                or any(len(numbers) not in (0, self.tiles) or min(numbers, default=0) < 0
                       for numbers in (self.beats, *self.words))):
            raise ValueError(f"{self} is not legal; legal values: 2 or more tiles, 1 or more slots, batches, depth and room, "
                             f"kinds of {(SPREAD, SHARED)}, beats and words of each tile or none, "
                             f"without one of {GUARDS} or nothing")


class Kind(IntEnum):
    """Of a flit."""

    SLICE = 0
    RECORD = 1
    SUMS = 2


class Flit(NamedTuple):
    """What a lane carries; a slice and a word of sums are one each."""

    kind: Kind
    batch: int
    #: of a slice: twice the tiles that it has to go on after the next one, and 1 more if that one has tokens for it; of a
    #: record: which item it is; of sums: the tiles that are in it, as a mask
    what: int


class Item(NamedTuple):
    """A piece of the records of a shared batch."""

    #: heads, rows
    round: int
    #: position of the tile whose section it is in
    source: int
    #: 0 is the header
    beat: int


class Tile(NamedTuple):
    """A tile; numbers of batches are counts since the first one that has not ended everywhere."""

    #: batches that have ended here
    ended: int = 0
    #: batches whose rows are in
    rows: int = 0
    #: items taken of the batch after those
    items: int = 0
    #: batches whose counts were sent
    counted: int = 0
    #: batches whose load list is at its end
    listed: int = 0
    #: the slices in its slots, ascending
    slots: tuple[Slice, ...] = ()
    #: the item in the output register
    out: tuple[Flit, ...] = ()
    #: flits on the lane to the ring-next tile, the oldest first
    lane: tuple[Flit, ...] = ()
    #: records that have come, the oldest first
    queue: tuple[Flit, ...] = ()
    #: it adds up the sums of its oldest batch
    adds: bool = False
    #: the ring-next tile takes sums
    permitted: bool = False
    #: words of sums that it has sent
    sent: int = 0
    #: for each word that has come the tiles that are in it by now, as a mask
    come: tuple[int, ...] = ()


class State(NamedTuple):
    """The ring."""

    #: for each batch that some tile may have begun: 0 if it is spread, else 1 and more, which of ``Case.words`` it has
    shared: tuple[int, ...]
    tiles: tuple[Tile, ...]


class Facts:
    """What follows from a state."""

    def __init__(self, case: Case):
        self.case, self.tiles = case, case.tiles

    @staticmethod
    def formed(state: State) -> int:
        """Batches of which everybody has sent counts. (Counts that have not come yet only make a tile load later.)"""
        return min(tile.counted for tile in state.tiles)

    def put(self, state: State, *changes: tuple[int, Tile]) -> State:
        """The state with other tiles; numbered anew."""
        tiles = list(state.tiles)
        for number, tile in changes:
            tiles[number] = tile
        base = min(tile.ended for tile in tiles)
        after = State(state.shared, tuple(tiles))
        return self.numbered(after, base) if base else after

    def numbered(self, state: State, base: int) -> State:
        """Batches are numbered from another one."""
        def flits(some: tuple[Flit, ...]) -> tuple[Flit, ...]:
            return tuple(flit._replace(batch=flit.batch - base) for flit in some)

        return State(state.shared[base:], tuple(tile._replace(
            ended=tile.ended - base, rows=tile.rows - base, counted=tile.counted - base, listed=tile.listed - base,
            slots=tuple(slice_._replace(batch=slice_.batch - base) for slice_ in tile.slots),
            out=flits(tile.out), lane=flits(tile.lane), queue=flits(tile.queue)) for tile in state.tiles))

    def with_slice(self, tile: Tile, slice_: Slice) -> Tile:
        """One slice more, if there is anything to do with it here."""
        slice_ = slice_._replace(todo=slice_.todo and slice_.batch >= tile.rows)
        if not slice_.todo and not slice_.far:
            return tile
        return tile._replace(slots=tuple(sorted((*tile.slots, slice_))))

    def with_rows(self, tile: Tile) -> Tile:
        """Rows of one batch more are in: its slices meet their tokens."""
        after = tile._replace(rows=tile.rows + 1, items=0, slots=())
        for slice_ in tile.slots:
            after = self.with_slice(after, slice_)
        return after

    def free(self, state: State, at: int) -> int:
        """Free slots; one is reserved for every slice on the lane."""
        coming = sum(flit.kind == Kind.SLICE for flit in state.tiles[at - 1].lane)
        return self.case.slots - len(state.tiles[at].slots) - coming

    def has_room(self, state: State, at: int) -> bool:
        """The lane behind a tile takes a flit."""
        used = len(state.tiles[at].lane)
        if self.case.without == "own credits":  # a record gives its room back when it is taken out of the queue
            used += len(state.tiles[(at + 1) % self.tiles].queue)
        return used < self.case.room

    def begins(self, state: State, at: int) -> bool:
        """There is a bank for the batch that a tile reads next, so that it has begun."""
        return state.tiles[at].rows < state.tiles[at].ended + self.case.batches

    def reads(self, state: State, at: int) -> str:
        """Kind of the batch that a tile reads; empty if it reads none."""
        rows = state.tiles[at].rows
        if not self.begins(state, at) or rows == len(state.shared):
            return ""
        return SHARED if state.shared[rows] else SPREAD

    def oldest(self, state: State, at: int) -> str:
        """Kind of a tile's oldest batch; empty if it has not begun."""
        ended = state.tiles[at].ended
        if ended >= len(state.shared):
            return ""
        return SHARED if state.shared[ended] else SPREAD

    def comes(self, state: State, at: int, batch: int) -> bool:
        """A slice of the batch is here or will come."""
        return any(batch == slice_batch and far >= (at - number) % self.tiles for number, tile in enumerate(state.tiles)
                   for slice_batch, far in (*((slice_.batch, slice_.far) for slice_ in tile.slots), *(
                       (flit.batch, (flit.what >> 1) + 1) for flit in tile.lane if flit.kind == Kind.SLICE)))

    def computed(self, state: State, at: int) -> bool:
        """A tile has computed everything of its oldest batch, and nothing of it comes any more."""
        tile = state.tiles[at]
        return tile.listed > tile.ended and tile.rows > tile.ended and not self.comes(state, at, tile.ended)
