"""The timeline: what happens in which cycle on every tile, from the doorbells of batches to their completion records.

An event-driven model of the five rules (docs/rules.md), of what forms batches (docs/batch.md) and of what travels in shared
ones (docs/dataflows.md), with the latencies of :mod:`trajectile.sw_model.latencies`. It looks at a tile only in cycles where
something changed there, so its cost follows the number of slice visits, and of flits of shared batches, and not the
number of cycles. The RTL logs the same events; they are equal cycle for cycle.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any, NamedTuple

from trajectile.sw_model import latencies
from trajectile.sw_model.config import Config
from trajectile.sw_model.schedule.scheduler import Schedule
from trajectile.sw_model.timeline.compute import compute_cycles
from trajectile.sw_model.timeline.control import Batch, BatchTimes
from trajectile.sw_model.timeline.rules import Tile


class Event(NamedTuple):
    """Something that a rule did, or a step of a batch.

    ``flags``: of ``load`` and ``grant`` the batch's bit; of ``send`` 1 for escape plus 2 for cut-through; else 0. Steps of a
    batch (``STEPS``) have no slot; ``pick`` has an expert.
    """

    cycle: int
    tile: int
    kind: str
    slot: int
    expert: int
    slice_index: int
    flags: int


#: kinds of events that are steps of a batch, in their order; all others are a slot's
STEPS = ("doorbell", "begin", "lists", "rows", "count", "formed", "pick", "finished", "summed", "written",
         "complete")


@dataclass(frozen=True)
class Timeline:
    """Result of :func:`simulate`. Cycle 0 is that of the first doorbell."""

    config: Config
    #: cycles from the first doorbell to the last completion record
    cycles: int
    #: the same by tile: from the first doorbell of any tile
    tile_cycles: tuple[int, ...]
    #: cycles from the first load to the last release; 0 if nothing is loaded
    streaming_cycles: int
    #: cycles from the first doorbell to the first DDR address; 0 if nothing is loaded
    first_load_cycles: int
    #: when each batch did what, by batch and tile
    batches: tuple[tuple[BatchTimes, ...], ...] = field(repr=False)
    #: all events in order of cycle and tile; empty if not recorded
    events: tuple[Event, ...] = field(repr=False)
    #: cycles in which a word of a slice is addressed, by tile
    mac_busy: tuple[int, ...]
    #: beats read from DDR, by tile
    ddr_beats: tuple[int, ...]
    #: beats read and written by the io port, by tile
    io_beats: tuple[int, ...]
    #: flits sent to the ring-next tile, headers included, by tile
    flits: tuple[int, ...]
    #: cycles in which those of them went that are no slice's, but records and sums of shared batches, by tile
    token_flits: tuple[tuple[int, ...], ...] = field(repr=False)

    def utilisation(self) -> dict[str, float]:
        """Share of the cycles in which the DDR channels, the MAC arrays and the ring's links carried something."""
        tiles, channels = self.config.array.tiles, self.config.array.channels
        total = max(self.cycles, 1)
        return {"ddr": sum(self.ddr_beats) / (total * channels), "mac": sum(self.mac_busy) / (total * tiles),
                "d2d": sum(self.flits) / (total * tiles)}


class Model:
    """The array: tiles, and a queue of changes by cycle and tile."""

    def __init__(self, batches: Sequence[Batch], record: bool, turns: bool):
        self.batches, self.record, self.turns = batches, record, turns
        self.config = batches[0].plan.config
        self.compute_cycles = cache(partial(compute_cycles, self.config))
        self.passes: list[list[list[int]]] = [batch.plan.passes.tolist() for batch in batches]
        self.events: list[Event] = []
        self.queue: list[tuple[int, int, int, str, Any]] = []
        self.order = 0
        self.tiles = [Tile(self, number) for number in range(self.config.array.tiles)]

    def bit(self, batch: int) -> int:
        """What slices and slots say of their batch."""
        return batch % self.config.tile.batches

    def at(self, cycle: int, tile: int, kind: str, value: Any = None) -> None:
        """A change of a tile's state that shows in ``cycle``."""
        self.order += 1
        heapq.heappush(self.queue, (cycle, tile, self.order, kind, value))

    def log(self, cycle: int, tile: int, kind: str, slot: int, expert: int = 0, index: int = 0, flags: int = 0) -> None:
        """Record an event."""
        if self.record:
            self.events.append(Event(cycle, tile, kind, slot, expert, index, flags))

    def run(self) -> None:
        """Work off the queue."""
        queue = self.queue
        for tile in self.tiles:
            tile.begin()
        while queue:
            now, number = queue[0][:2]
            tile = self.tiles[number]
            while queue and queue[0][:2] == (now, number):
                _, _, _, kind, value = heapq.heappop(queue)
                tile.update(kind, value)
            tile.evaluate(now)


def simulate(batches: Schedule | Sequence[Schedule | Batch], *, record: bool = True, turns: bool = True) -> Timeline:
    """Play one batch, or several one after the other.

    Args:
        batches: a :class:`Schedule` stands for a batch whose doorbell every tile gets in cycle 0, or as soon as the queue has
            room, with int32 results and its regions at address 0.
        record: keep the events; without them a full-size layer runs faster.
        turns: with the turns of docs/rules.md, as the RTL has them; without, to see what they are worth.

    Raises:
        RuntimeError: if the rules come to a stop before the batches are done (cannot happen: docs/rules.md).
    """
    queued = _from_zero([batch if isinstance(batch, Batch) else at_once(batch)
                         for batch in ([batches] if isinstance(batches, Schedule) else batches)])
    model = Model(queued, record, turns)
    model.run()
    tiles, config = model.tiles, model.config
    stuck = [tile.number for tile in tiles if tile.control.to_write < len(queued)]
    if stuck:
        raise RuntimeError(f"the rules came to a stop with tiles {stuck} unfinished")
    ends = tuple(tile.control.times[-1].complete or 0 for tile in tiles)
    token_flits = tuple(tuple(sorted(tile.records.flits + tile.sums.flits)) for tile in tiles)
    times = [times for tile in tiles for times in tile.control.times]
    loads = [one.first_load for one in times if one.first_load is not None]
    first, last = min(loads, default=0), max((one.last_release or 0 for one in times), default=0)
    return Timeline(
        config=config, cycles=max(ends), tile_cycles=ends, streaming_cycles=last - first,
        first_load_cycles=first + latencies.ADDRESS_CYCLES if loads else 0,
        batches=tuple(zip(*(tile.control.times for tile in tiles), strict=True)), events=tuple(sorted(model.events)),
        mac_busy=tuple(tile.mac_busy for tile in tiles),
        ddr_beats=tuple(tile.loaded * config.slice_beats for tile in tiles),
        io_beats=tuple(tile.control.io_beats for tile in tiles), token_flits=token_flits,
        flits=tuple(tile.flits + len(others) for tile, others in zip(tiles, token_flits, strict=True)))


def at_once(plan: Schedule) -> Batch:
    """A batch whose doorbell every tile gets in cycle 0."""
    zeros = (0,) * plan.config.array.tiles
    return Batch(plan, zeros, zeros, zeros)


def _from_zero(batches: Sequence[Batch]) -> list[Batch]:
    """The same with the first doorbell in cycle 0."""
    first = min(batches[0].doorbells)
    return [replace(batch, doorbells=tuple(cycle - first for cycle in batch.doorbells)) for batch in batches]
