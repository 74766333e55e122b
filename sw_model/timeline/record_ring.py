"""In, where every tile holds all tokens: a tile reads the records of all tiles of a shared batch (docs/dataflows.md).

The records come in sections: the heads of each tile's tokens, then their rows, tile by tile in the order of the ring. A
section is a header, which says how many tokens the tile has, and beats of records; each is an item. A tile has its own items
from its io port, and all others from the ring-previous tile; what the ring-next tile does not have itself goes on to it. All
tiles go through the sections in the same order.

An item is taken when there is a place for it at the parser, and room to go on; it is worked off from the next cycle on. That
is done ahead of time, as far as it is known when items come, and when there is room to go on. Only the cycle in which a flit
goes is found in that cycle: slices and sums go first.
"""

from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from trajectile.sw_model import latencies
from trajectile.sw_model.config import Config
from trajectile.sw_model.config.topology import ring, ring_next
from trajectile.sw_model.latencies import STATE_CYCLES
from trajectile.sw_model.schedule.scheduler import Schedule
from trajectile.sw_model.timeline.bursts import burst_ends
from trajectile.sw_model.timeline.ingest import head_work, row_work

if TYPE_CHECKING:
    from trajectile.sw_model.timeline.rules import Tile


class OwnBeats:
    """The beats of a tile's own records, as the io port offers them to a reader that takes each when it can."""

    def __init__(self, config: Config, address: int, tokens: int, begin: int):
        """``begin``: cycle in which the record reader starts."""
        self.config = config
        beats = config.records_bytes(tokens) // config.io.bytes_per_cycle
        self._ends = deque(burst_ends(config, address, beats)) if beats else deque[int]()
        self._asked = begin + latencies.RECORD_ADDRESS_CYCLES - 1  # cycle of the address before
        self._taken: list[int] = []  # cycle of the last beat of each burst
        self._beat = 0  # number of the next
        self._offered = 0  # first cycle in which the next beat may be offered, if the one before was taken by then

    def offered(self) -> int:
        """Earliest cycle in which the next beat is offered; it is not before the one before has been taken."""
        if not self._offered:
            self._asked += 1
            if len(self._taken) >= latencies.IO_BURSTS:
                self._asked = max(self._asked, self._taken[-latencies.IO_BURSTS] + latencies.IO_AGAIN_CYCLES)
            self._offered = self._asked + self.config.io.latency_cycles
        return self._offered

    def take(self, cycle: int) -> None:
        """The next beat is taken."""
        self._beat += 1
        if self._beat == self._ends[0]:  # the next one is of another burst
            self._ends.popleft()
            self._taken.append(cycle)
            self._offered = 0


class RecordRing:
    """A tile's part in reading one shared batch after the other."""

    def __init__(self, tile: "Tile", listed: Callable[[int, int], None], read: Callable[[int, int], None]):
        """``listed`` and ``read`` are called with batch and cycle of the last item of heads, of rows."""
        self.tile, self.done = tile, (listed, read)
        #: cycles in which flits of records go to the ring-next tile
        self.flits: list[int] = []
        self._queue: deque[int] = deque()  # first cycle at the head of the queue, of each item that comes
        self._credits: deque[int] = deque([0] * latencies.RECORD_CREDITS)  # first cycle in which each may be spent
        self._waits: deque[int] = deque()  # first cycle in which each flit may go that waits, as it is not known when it goes
        self._put = 0  # items that went on, those too that wait
        self._asking = False  # the first flit that waits has no credit
        self._work: Iterator[None] = iter(())

    def start(self, batch: int, plan: Schedule, address: int, begin: int) -> None:
        """A batch, the one before has been read, is read from cycle ``begin`` on; its own records are at ``address``."""
        self._work = self._read(batch, plan, address, begin)
        next(self._work, None)

    def come(self, cycle: int) -> None:
        """An item from the ring-previous tile is in the queue from this cycle on."""
        self._queue.append(cycle)
        next(self._work, None)

    def permit(self, cycle: int) -> None:
        """One item more may go to the ring-next tile, from this cycle on."""
        self._credits.append(cycle)
        if self._asking:
            self._look(self._waits[0])

    def evaluate(self, now: int, free: int) -> None:
        """The first flit that waits goes, if the link is free in this cycle.

        Args:
            now: the cycle.
            free: first cycle, now or later, in which the link is, as far as it is known.
        """
        if free > now:
            self.tile.model.at(free, self.tile.number, "record")
            return
        self._credits.popleft()
        self._waits.popleft()
        self.flits.append(now)
        if self._waits:
            self._look(max(self._waits[0], now + 1))
        self.tile.model.tiles[self.tile.next].records.come(now + self.tile.header_latency + latencies.RECORD_QUEUE_CYCLES)
        next(self._work, None)

    def _look(self, ready: int) -> None:
        """The first flit that waits goes as soon as it has a credit, from ``ready`` on, if the link is free."""
        self._asking = not self._credits
        if self._credits:
            self.tile.model.at(max(ready, self._credits[0]), self.tile.number, "record")

    def _read(self, batch: int, plan: Schedule, address: int, begin: int) -> Iterator[None]:
        """Work on all items of a batch. Yields when it is not known when the next may begin."""
        config, here = plan.config, self.tile.number
        own = OwnBeats(config, address, len(plan.tiles[here].records), begin)
        taken = begin  # cycle in which the item before was taken
        worked = deque([begin] * latencies.ITEM_PLACES)  # last cycles of work of the items before, the oldest's first
        for of_beats, done in zip((head_work(config), row_work(config)), self.done, strict=True):
            for source in ring(config.array):
                onward = source != ring_next(config.array, here)
                for number, work in enumerate([latencies.SECTION_CYCLES, *of_beats * len(plan.tiles[source].records)]):
                    first = max(taken, worked.popleft()) + 1
                    if source != here:
                        while not self._queue:
                            yield
                        first = max(first, self._queue.popleft())
                    elif number:
                        first = max(first, own.offered())
                    if onward:  # when the last but one, or so, has gone that went on
                        before = self._put - latencies.RECORD_PLACES
                        while len(self.flits) <= before:
                            yield
                        first = max(first, self.flits[before] + STATE_CYCLES) if before >= 0 else first
                    taken = first
                    worked.append(max(taken + latencies.ITEM_CYCLES, worked[-1] + 1) + work - 1)
                    if source != here:
                        self.tile.model.tiles[self.tile.prev].records.permit(taken + self.tile.back_latency)
                    elif number:
                        own.take(taken)
                    if onward:
                        self._put += 1
                        self._waits.append(taken + latencies.RECORD_OUT_CYCLES)
                        if len(self._waits) == 1:
                            self._look(self._waits[0])
            done(batch, worked[-1])
