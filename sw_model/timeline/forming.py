"""From counts to loads: experts are picked one after the other, and each pick becomes load entries (docs/batch.md).

Which expert comes next is known (the schedule has it); here is when. All of it follows from the cycles in which rule 1 takes
entries, so it is computed ahead, as far as there is room for entries.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from trajectile.sw_model import latencies
from trajectile.sw_model.config import Config
from trajectile.sw_model.schedule.scheduler import Load, Schedule


@dataclass(frozen=True, slots=True)
class Entry:
    """A load entry, and the first cycle in which rule 1 may take it."""

    batch: int
    load: Load
    cycle: int


class LoadMaker:
    """Picks the experts of a batch and makes its load entries, in one tile."""

    def __init__(self, config: Config, tile: int, picked: Callable[[int, int], None]):
        """``picked`` is called with cycle and expert of each pick."""
        self.config, self.tile, self.picked = config, tile, picked
        #: entries that rule 1 has not taken, also such as are made later than now
        self.entries: deque[Entry] = deque()
        #: cycle in which the last slice of the batch was looked at; None while that is not known
        self.made: int | None = None
        self._room = deque([0] * latencies.LOAD_ENTRIES)  # first cycles in which there is room for an entry
        self._free = 0  # first cycle in which a pick may be taken
        self._work: Iterator[None] = iter(())

    def form(self, batch: int, plan: Schedule, written: int) -> None:
        """The last count of a batch was written in cycle ``written``. The batch before must have been made."""
        self.made, self._work = None, self._make(batch, plan, written + latencies.FORMED_CYCLES)
        next(self._work, None)

    def take(self, now: int) -> Entry:
        """Rule 1 takes the oldest entry."""
        entry = self.entries.popleft()
        self._room.append(now + latencies.ENTRY_ROOM_CYCLES)
        next(self._work, None)
        return entry

    def _make(self, batch: int, plan: Schedule, formed: int) -> Iterator[None]:
        """Make all entries. Yields when there is no room for one."""
        config, loads = self.config, deque(plan.tiles[self.tile].loads)
        look = formed + config.count_words  # the first expert is looked at
        last = look + latencies.NOTHING_MADE_CYCLES  # the last slice is looked at
        for expert in plan.expert_order:
            pick = max(look + config.layer.experts + latencies.PICK_CYCLES, self._free)
            self.picked(pick, expert)
            look = pick + latencies.PICK_AGAIN_CYCLES
            first = pick + latencies.MAKE_CYCLES  # slice 0 is looked at; as if it waited, too, for what others wait for
            while loads and loads[0].expert == expert:
                while not self._room:
                    yield
                load = loads.popleft()
                first = max(first, self._room.popleft() - load.index)
                self.entries.append(Entry(batch, load, first + load.index + latencies.ENTRY_CYCLES))
            last = first + config.tile.slices - 1
            self._free = last + latencies.MAKE_AGAIN_CYCLES
        self.made = last
