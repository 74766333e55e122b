"""Exhaustive search of the count exchange: do the counts of one batch ever overwrite those of another?

When a tile's lists are complete it sends its counts once round the ring, some words in a row. Every tile writes what comes
into one of two banks of its count memory, by the parity of the exchange, and sends it on. When it has everybody's counts it
makes its load entries from them; then the bank is free. Rule R: counts of a batch are sent when all load entries of the batch
before have been made here.

Nothing has a time here: words stay on a link for as long as they like, any tile may be late with its lists and with its
entries. A link keeps their order. What the search looks for:

* A word is written into a bank whose counts are still needed.
* A word of a batch comes before one of an earlier batch, so that words cannot be told apart by their order.
* A link owes words of more than two exchanges, so that a FIFO for two would not do.

A batch ends here as soon as the tile has made its entries. In the hardware it ends later, so there are more runs here.
Batches are numbered from the last one that has ended everywhere: the search is one of any number of batches. States are kept
up to rotation of the ring.
"""

from collections.abc import Iterator
from typing import NamedTuple

from trajectile.sw_model.search.walk import Walked, Wrong, walk

RULES = ("made", "formed", "none")


class Tile(NamedTuple):
    """What a tile knows; all numbers are counts since the first batch that has not ended everywhere."""

    #: batches that have ended here
    ended: int
    #: batches whose load entries have been made
    made: int
    #: words sent
    sent: int
    #: words that have come, by distance of their origin: [0] from the ring-previous tile
    come: tuple[int, ...]
    #: words on the link to the ring-next tile, the oldest first: distance of their origin, 0 for this tile
    link: tuple[int, ...]


State = tuple[Tile, ...]


class Exchange:
    """``rule``: when counts of a batch are sent. "made": rule R; "formed": when the counts of the batch before are all here;
    "none": when there are any.
    """

    def __init__(self, tiles: int, words: int, batches: int, banks: int, rule: str):
        self.tiles, self.words, self.batches, self.banks, self.rule = tiles, words, batches, banks, rule
        self.start: State = (Tile(0, 0, 0, (0,) * (tiles - 1), ()),) * tiles

    def canonical(self, tiles: list[Tile]) -> State:
        """Numbered anew, and the smallest rotation."""
        base = min(tile.ended for tile in tiles)
        if base:
            tiles = [tile._replace(ended=tile.ended - base, made=tile.made - base, sent=tile.sent - base * self.words,
                                   come=tuple(come - base * self.words for come in tile.come)) for tile in tiles]
        return min(tuple(tiles[turn:] + tiles[:turn]) for turn in range(self.tiles))

    def formed(self, tile: Tile) -> int:
        """Batches of which it has everybody's counts."""
        return min(tile.sent, *tile.come) // self.words

    def _written(self, at: int, tile: Tile, word: int) -> None:
        """A word of an exchange is written into its bank."""
        batch = word // self.words
        if tile.made < batch - self.banks + 1:
            raise Wrong(f"counts of batch {batch} are written over those of batch {batch - self.banks}, which tile {at} "
                        "still needs")
        if min(tile.sent, *tile.come) < batch * self.words:
            raise Wrong(f"counts of batch {batch} come to tile {at} before all of batch {batch - 1}")

    def steps(self, state: State) -> Iterator[tuple[str, State]]:
        """A tile sends a word, a word comes, a tile makes its entries, a batch ends."""
        for at, tile in enumerate(state):
            def put(new: Tile, other: tuple[int, Tile] | None = None, at: int = at) -> State:
                tiles = list(state)
                tiles[at] = new
                if other is not None:
                    tiles[other[0]] = other[1]
                return self.canonical(tiles)

            batch, begins = tile.sent // self.words, tile.sent % self.words == 0
            known = {"made": tile.made, "formed": self.formed(tile), "none": batch}[self.rule]
            if not begins or (batch < tile.ended + self.batches and known >= batch):
                self._written(at, tile, tile.sent)
                yield f"tile {at} sends a word of batch {batch}", put(tile._replace(sent=tile.sent + 1, link=(*tile.link, 0)))
            if tile.made < self.formed(tile):
                yield f"tile {at} has made its entries of batch {tile.made}", put(tile._replace(made=tile.made + 1))
            if tile.ended < tile.made:
                yield f"batch {tile.ended} ends in tile {at}", put(tile._replace(ended=tile.ended + 1))
            if tile.link:
                there, origin = (at + 1) % self.tiles, tile.link[0]
                far = state[there]
                self._written(there, far, far.come[origin])
                far = far._replace(come=(*far.come[:origin], far.come[origin] + 1, *far.come[origin + 1:]))
                if origin + 2 < self.tiles:
                    far = far._replace(link=(*far.link, origin + 1))
                yield f"a word of batch {(far.come[origin] - 1) // self.words} comes to tile {there}", put(
                    tile._replace(link=tile.link[1:]), (there, far))

    def wrong(self, state: State) -> str:
        """What is wrong with a state: a standstill, or a link that owes too much."""
        for at, tile in enumerate(state):
            far = state[(at + 1) % self.tiles]
            owed: dict[int, int] = {}
            for origin in tile.link:
                owed[origin] = owed.get(origin, 0) + 1
            batches = {word // self.words for origin, number in owed.items()
                       for word in range(far.come[origin], far.come[origin] + number)}
            if len(batches) > 2:
                return f"the link behind tile {at} owes words of batches {sorted(batches)}"
        return "" if any(True for _ in self.steps(state)) else "standstill"


def search_exchange(tiles: int, words: int, *, batches: int = 2, banks: int = 2, rule: str = "made",
                    most_states: int = 5_000_000) -> Walked[State]:
    """Look at every state that can be reached, or until something is wrong.

    Args:
        tiles: tiles on the ring, 2 or more.
        words: words that a tile sends for a batch.
        batches: batches in flight in a tile.
        banks: of the count memory.
        rule: when counts are sent: see :class:`Exchange`.
        most_states: give up beyond.

    Raises:
        ValueError: for a ring that is none.
        MemoryError: if there are more states than ``most_states``.
    """
    if tiles < 2 or min(words, batches, banks) < 1 or rule not in RULES:
        raise ValueError(f"tiles = {tiles}, words = {words}, batches = {batches}, banks = {banks}, rule = {rule!r} is not "
                         f"legal; legal values: 2 or more tiles, 1 or more of the others, rule in {RULES}")
    exchange = Exchange(tiles, words, batches, banks, rule)
    return walk(exchange.start, exchange.steps, exchange.wrong, most_states)
