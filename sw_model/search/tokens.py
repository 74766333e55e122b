"""How tokens travel, for the search with both dataflows: records, sums, and what arrives on the lane that they share with
slices.
"""

from collections.abc import Iterator

from trajectile.sw_model.search.batches import Slice
from trajectile.sw_model.search.dataflow_state import SHARED, SPREAD, Case, Facts, Flit, Item, Kind, State, Tile
from trajectile.sw_model.search.walk import Wrong

#: what happens, and the state after it
Steps = Iterator[tuple[str, State]]


class Tokens(Facts):
    """Steps that only ever make more possible, of one tile each: none takes another one's guard away."""

    def __init__(self, case: Case):
        super().__init__(case)
        beats, self.words = case.beats or (0,) * case.tiles, case.words or ((1,) * case.tiles,)
        items = [Item(round_, source, beat) for round_ in range(2) for source in range(case.tiles)
                 for beat in range(1 + beats[source])]
        #: items of a round
        self.heads = len(items) // 2
        self.number = {item: number for number, item in enumerate(items)}
        #: the items in the order in which each tile takes them
        self.order = [items] * case.tiles
        if case.without == "order":  # a tile's own first, then what comes: that of the tile before, and so on
            self.order = [[item for round_ in range(2) for step in range(case.tiles) for item in items
                           if item.round == round_ and item.source == (at - step) % case.tiles] for at in range(case.tiles)]

    def words_of(self, state: State, at: int) -> tuple[int, int, int, int]:
        """Words of sums in a tile's oldest batch: of its tokens, of the ring-previous tile's; that it sends, that come."""
        words = self.words[state.shared[state.tiles[at].ended] - 1]
        return words[at], words[at - 1], sum(words) - words[at], sum(words) - words[at - 1]

    def quick(self, state: State, at: int) -> Steps:
        """All of them."""
        yield from self._arrives(state, at)
        yield from self._takes(state, at)
        yield from self._sends_record(state, at)
        yield from self._reads_alone(state, at)
        yield from self._adds(state, at)
        yield from self._sends_sums(state, at)
        yield from self._completes(state, at)

    def _arrives(self, state: State, at: int) -> Steps:
        """A flit is at the end of the lane behind a tile."""
        if not state.tiles[at].lane:
            return
        there, (flit, *rest) = (at + 1) % self.tiles, state.tiles[at].lane
        far = state.tiles[there]
        if flit.kind == Kind.SLICE:
            far = self.with_slice(far, Slice(flit.batch, bool(flit.what & 1), flit.what >> 1))
        elif flit.kind == Kind.RECORD:
            if len(far.queue) == self.case.depth and self.case.without != "own credits":
                raise Wrong(f"item {flit.what} of batch {flit.batch} comes to tile {there}, which has no room for it")
            far = far._replace(queue=(*far.queue, flit))
        else:
            far = self._added(state, there, flit)
        yield (f"a flit of {flit.kind.name} comes to tile {there}",
               self.put(state, (at, state.tiles[at]._replace(lane=tuple(rest))), (there, far)))

    def _added(self, state: State, at: int, flit: Flit) -> Tile:
        """A word of sums has come, and the tile has added its own."""
        tile = state.tiles[at]
        if flit.batch != tile.ended:
            raise Wrong(f"sums of batch {flit.batch} come to tile {at} in batch {tile.ended}")
        if not tile.adds:
            raise Wrong(f"sums of batch {flit.batch} come to tile {at}, which still computes")
        own, _, _, to_come = self.words_of(state, at)
        tiles = flit.what | 1 << at
        if len(tile.come) >= to_come - own and tiles != (1 << self.tiles) - 1:
            raise Wrong(f"a sum of batch {flit.batch} in tile {at} is that of tiles "
                        f"{[number for number in range(self.tiles) if tiles >> number & 1]} alone")
        return tile._replace(come=(*tile.come, tiles))

    # -- records ----------------------------------------------------------------------------------------------------

    def _takes(self, state: State, at: int) -> Steps:
        """A tile takes the next item of a shared batch."""
        if self.reads(state, at) != SHARED:
            return
        tile = state.tiles[at]
        item = self.order[at][tile.items]
        flit, goes_on = Flit(Kind.RECORD, tile.rows, self.number[item]), (at + 1) % self.tiles != item.source
        if (item.source != at and not tile.queue) or (goes_on and tile.out):
            return
        after = tile._replace(items=tile.items + 1, out=(flit,) if goes_on else tile.out)
        if item.source != at:
            if tile.queue[0] != flit:
                raise Wrong(f"tile {at} takes item {tile.queue[0].what} of batch {tile.queue[0].batch} for item {flit.what} "
                            f"of batch {flit.batch}")
            after = after._replace(queue=tile.queue[1:])
        if after.items == self.heads and self.order[at][:self.heads] != self.order[0][:self.heads]:
            raise Wrong(f"tile {at} has the tokens of batch {tile.rows} in another order than tile 0")
        if after.items == 2 * self.heads:
            after = self.with_rows(after)
        yield f"tile {at} takes item {flit.what} of batch {flit.batch}, of tile {item.source}", self.put(state, (at, after))

    def _sends_record(self, state: State, at: int) -> Steps:
        """An item goes."""
        tile, queue = state.tiles[at], state.tiles[(at + 1) % self.tiles].queue
        credit = (self.case.without in ("credits", "own credits")
                  or sum(flit.kind == Kind.RECORD for flit in tile.lane) + len(queue) < self.case.depth)
        if tile.out and credit and self.has_room(state, at):
            yield (f"tile {at} sends item {tile.out[0].what} of batch {tile.out[0].batch}",
                   self.put(state, (at, tile._replace(out=(), lane=(*tile.lane, *tile.out)))))

    def _reads_alone(self, state: State, at: int) -> Steps:
        """Rows of a spread batch, which come from the tile's own memory."""
        if self.reads(state, at) == SPREAD:
            tile = state.tiles[at]
            yield f"rows of batch {tile.rows} are in tile {at}", self.put(state, (at, self.with_rows(tile)))

    # -- sums -------------------------------------------------------------------------------------------------------

    def _adds(self, state: State, at: int) -> Steps:
        """A tile begins to add up, and permits the ring-previous one to send."""
        tile, before = state.tiles[at], state.tiles[at - 1]
        if tile.adds or self.oldest(state, at) != SHARED or not self.computed(state, at):
            return
        if before.permitted and self.case.without != "end of the permit":
            raise Wrong(f"tile {at} permits sums of batch {tile.ended} while it permits others")
        changes = [(at, tile._replace(adds=True))]
        if self.words_of(state, at)[3]:
            changes.append(((at - 1) % self.tiles, before._replace(permitted=True)))
        yield f"tile {at} adds up batch {tile.ended}", self.put(state, *changes)

    def _word(self, state: State, at: int) -> int | None:
        """The tiles that are in the next word that a tile sends, as a mask; None if it may not send."""
        tile, without = state.tiles[at], self.case.without
        if self.oldest(state, at) != SHARED:
            return None
        _, before, to_send, _ = self.words_of(state, at)
        if (tile.sent == to_send
                or not (tile.adds or without == "computed") or not (tile.permitted or without == "permit")):
            return None
        own = 1 << at if self.computed(state, at) else 0
        received = tile.sent - before
        if received < 0:
            return own
        if received < len(tile.come):
            return tile.come[received]
        return own if without == "received" else None

    def _sends_sums(self, state: State, at: int) -> Steps:
        """A word goes; with the last one the permit ends."""
        tile, word = state.tiles[at], self._word(state, at)
        if word is not None and self.has_room(state, at):
            ends = tile.sent + 1 == self.words_of(state, at)[2] and self.case.without != "end of the permit"
            yield f"tile {at} sends a word of batch {tile.ended}", self.put(state, (at, tile._replace(
                sent=tile.sent + 1, permitted=tile.permitted and not ends,
                lane=(*tile.lane, Flit(Kind.SUMS, tile.ended, word)))))

    def _completes(self, state: State, at: int) -> Steps:
        """A shared batch ends in a tile."""
        tile = state.tiles[at]
        if tile.adds and (tile.sent, len(tile.come)) == self.words_of(state, at)[2:]:
            after = tile._replace(ended=tile.ended + 1, adds=False, sent=0, come=())
            yield f"batch {tile.ended} ends in tile {at}", self.put(state, (at, after))
