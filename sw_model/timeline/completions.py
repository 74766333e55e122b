"""What completion records say of time, and what the counters in them have counted until then."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from trajectile.sw_model import latencies
from trajectile.sw_model.config import Config
from trajectile.sw_model.timeline.compute import compute_cycles, compute_segments
from trajectile.sw_model.timeline.model import Event, Timeline

#: where the record has its first counter, and how many bytes each
COUNTERS_BYTE, COUNTER_BYTES = 20, 4
#: counters that follow from events: all but that of clips; which of them is that of flits, of slices and others
COUNTERS, FLITS = 8, 2


@dataclass(frozen=True)
class Told:
    """What the timeline knows of a completion record (``trajectile.sw_model.batch.completion``)."""

    #: from the doorbell to this record
    cycles: int
    #: from the doorbell to the first load of this tile; 0: none
    first_load: int
    #: from the first load of this tile (without one: the doorbell) to its last release
    streaming: int
    #: all counters but the last, which counts clips
    counters: tuple[int, ...]


def told(line: Timeline, batch: int, tile: int) -> Told:
    """The record of a batch in a tile.

    Args:
        line: with its events.
        batch: which of the timeline's batches.
        tile: of the array.
    """
    times, config = line.batches[batch][tile], line.config
    assert times.doorbell is not None and times.record is not None and times.cycles is not None
    first = times.doorbell if times.first_load is None else times.first_load
    last = times.doorbell if times.last_release is None else times.last_release
    mine = [event for event in line.events if event.tile == tile]
    beats = ((COUNTERS_BYTE + COUNTER_BYTES * number) // config.io.bytes_per_cycle for number in range(COUNTERS))
    until = [times.record + beat - latencies.COUNTER_CYCLES for beat in beats]
    counters = [_counted(config, mine, number, now) for number, now in enumerate(until)]
    counters[FLITS] += bisect_right(line.token_flits[tile], until[FLITS])
    return Told(times.cycles, first - times.doorbell, last - first, tuple(counters))


def _until(first: int, length: int, now: int) -> int:
    """Of so many cycles from the first on, those up to ``now``."""
    return min(max(now + 1 - first, 0), length)


def _segments(config: Config, events: list[Event]) -> Iterator[tuple[int, int]]:
    """``(first cycle, words)`` of all that a MAC array reads; how many passes a slice took follows from its cycles."""
    began: dict[int, int] = {}
    for event in events:
        if event.kind == "compute":
            began[event.slot] = event.cycle
        elif event.kind == "computed":
            start = began[event.slot]
            passes = next(n for n in count(1) if compute_cycles(config, n) >= event.cycle - start)
            yield from ((start + first, words) for first, words in compute_segments(config, passes))


def _counted(config: Config, events: list[Event], counter: int, now: int) -> int:
    """A counter of ``COUNTERS`` (``hw/host/regmap.py``), by its number, after cycle ``now``; ``events`` are the tile's. Flits
    are those of slices only.
    """
    past = [event for event in events if event.cycle <= now]
    if counter == 0:
        return sum(_until(event.cycle + 1 - latencies.LOADED_CYCLES - config.slice_beats, config.slice_beats, now)
                   for event in events if event.kind == "loaded")
    if counter == 1:
        return sum(_until(first, words, now) for first, words in _segments(config, events))
    if counter == FLITS:
        late = latencies.flit_cycles(config)
        return sum(_until(event.cycle + late, 1, now)
                   + _until(event.cycle + late + latencies.payload_cycles(config), config.slice_flits, now)
                   for event in past if event.kind == "send")
    if counter == 6:
        return sum(event.kind == "send" and event.flags >= 2 for event in past)
    kind = {3: "load", 4: "compute", 5: "send", 7: "grant"}[counter]
    return sum(event.kind == kind for event in past)
