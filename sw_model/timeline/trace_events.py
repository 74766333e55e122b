"""A run as trace events, the JSON that ui.perfetto.dev and chrome://tracing open. One cycle is shown as one microsecond.

Events of the RTL and of the model give the same form. A tile is a process. Its threads are its DDR channel, its MAC array,
its ring link, what the MAC array waits for (:mod:`trajectile.sw_model.timeline.stalls`), steps of its batches, and its slots.
A flow follows one slice along its trajectory. Counters show the free slots, and how many slices wait for what. (Format:
"Trace Event Format", Google, 2016.)
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from trajectile.sw_model.config import Config
from trajectile.sw_model.timeline.activity import RESOURCES, busy_spans
from trajectile.sw_model.timeline.model import Event
from trajectile.sw_model.timeline.stalls import mac_account
from trajectile.sw_model.timeline.visits import Visit, journeys, visits

#: thread number of what the MAC array waits for; below are a tile's resources
STALLS = len(RESOURCES)
#: what a tile does with one batch at a time: name, events with which it begins and ends
STEP_SPANS = (("records", "begin", "rows"), ("counts", "lists", "formed"), ("results", "finished", "complete"))
#: thread number of the first of them, and of slot 0
FIRST_STEP = STALLS + 1
FIRST_SLOT = FIRST_STEP + len(STEP_SPANS)
#: counters of waiting slices: for words to come, for the MAC array, for the ring-next tile or the sender
REASONS = ("fill", "mac", "link")


def _metadata(config: Config) -> Iterator[dict[str, Any]]:
    for tile in range(config.array.tiles):
        yield {"ph": "M", "name": "process_name", "pid": tile, "args": {"name": f"tile {tile}"}}
        yield {"ph": "M", "name": "process_sort_index", "pid": tile, "args": {"sort_index": tile}}
        names = [*RESOURCES, "MAC waits for", *(name for name, _, _ in STEP_SPANS),
                 *(f"slot {slot}" for slot in range(config.tile.slots))]
        for thread, name in enumerate(names):
            if name == "DDR" and tile not in config.array.ddr_tiles:
                continue
            yield {"ph": "M", "name": "thread_name", "pid": tile, "tid": thread, "args": {"name": name}}
            yield {"ph": "M", "name": "thread_sort_index", "pid": tile, "tid": thread, "args": {"sort_index": thread}}


def _span(tile: int, thread: int, name: str, first: int, end: int, **facts: Any) -> dict[str, Any]:
    return {"ph": "X", "pid": tile, "tid": thread, "name": name, "ts": first, "dur": end - first, "args": facts}


def _resources(config: Config, events: Sequence[Event]) -> Iterator[dict[str, Any]]:
    for tile in range(config.array.tiles):
        for thread, (name, spans) in enumerate(busy_spans(config, events, tile).items()):
            for first, length in spans:
                yield _span(tile, thread, name, first, first + length)


def _stalls(config: Config, events: Sequence[Event], cycles: int) -> Iterator[dict[str, Any]]:
    for tile, spans in enumerate(mac_account(config, events, cycles)):
        for reason, first, end in spans:
            if reason != "compute":
                yield _span(tile, STALLS, reason, first, end)


def _steps(config: Config, events: Sequence[Event]) -> Iterator[dict[str, Any]]:
    for tile in range(config.array.tiles):
        for thread, (name, begins, ends) in enumerate(STEP_SPANS, FIRST_STEP):
            first, last = ([event.cycle for event in events if event.tile == tile and event.kind == kind]
                           for kind in (begins, ends))
            end = 0
            for batch, (begin, finish) in enumerate(zip(first, last, strict=False)):
                # lists can be complete while the counts of the batch before go round
                yield _span(tile, thread, f"{name} of batch {batch}", max(begin, end), finish + 1)
                end = finish + 1


def _slots(stays: Sequence[Visit], cycles: int) -> Iterator[dict[str, Any]]:
    for visit in stays:
        thread, end = FIRST_SLOT + visit.slot, cycles if visit.release is None else visit.release + 1
        yield _span(visit.tile, thread, visit.name, visit.begin, end, batch=visit.batch, expert=visit.expert,
                    slice=visit.index, came="from link" if visit.from_link else "from DDR", escape=visit.escape,
                    cut_through=visit.cut)
        # What happens at the same time cannot lie on one track: a compute or transfer is shown up to the next one's start.
        parts = sorted([*visit.spans, *((f"wait for {what}", first, last) for what, first, last in visit.waits(cycles))],
                       key=lambda part: part[1])
        for number, (what, first, last) in enumerate(parts):
            following = parts[number + 1][1] if number + 1 < len(parts) else last
            if first < min(last, following):
                yield _span(visit.tile, thread, what, first, min(last, following))


def _flows(stays: Sequence[Visit]) -> Iterator[dict[str, Any]]:
    """An arrow for each hop, one identity a slice."""
    for number, way in enumerate(journeys(stays).values()):
        for hop, (here, there) in enumerate(pairwise(way)):
            common = {"cat": "trajectory", "name": here.name, "id": number * 256 + hop}
            yield {"ph": "s", **common, "pid": here.tile, "tid": FIRST_SLOT + here.slot, "ts": here.send}
            yield {"ph": "f", "bp": "e", **common, "pid": there.tile, "tid": FIRST_SLOT + there.slot, "ts": there.filled}


def _counters(config: Config, stays: Sequence[Visit], cycles: int) -> Iterator[dict[str, Any]]:
    for tile in range(config.array.tiles):
        changes: dict[str, dict[int, int]] = {name: {} for name in ("free", *REASONS)}

        def change(name: str, cycle: int, by: int, changes: dict[str, dict[int, int]] = changes) -> None:
            changes[name][cycle] = changes[name].get(cycle, 0) + by
        for visit in stays:
            if visit.tile != tile:
                continue
            change("free", visit.begin, -1)
            if visit.release is not None:
                change("free", visit.release + 1, 1)
            fill = [("fill", visit.begin, cycles if visit.filled is None else visit.filled + 1)]
            for what, first, end in [*fill, *visit.waits(cycles)]:
                change(what, first, 1)
                change(what, end, -1)
        free = config.tile.slots
        yield {"ph": "C", "pid": tile, "name": "free slots", "ts": 0, "args": {"slots": free}}
        for cycle, by in sorted(changes["free"].items()):
            free += by
            yield {"ph": "C", "pid": tile, "name": "free slots", "ts": cycle, "args": {"slots": free}}
        waiting = dict.fromkeys(REASONS, 0)
        for cycle in sorted({cycle for reason in REASONS for cycle in changes[reason]}):
            for reason in REASONS:
                waiting[reason] += changes[reason].get(cycle, 0)
            yield {"ph": "C", "pid": tile, "name": "slices that wait", "ts": cycle, "args": dict(waiting)}


def trace_events(config: Config, events: Sequence[Event], cycles: int) -> dict[str, Any]:
    """The JSON object of a run.

    Args:
        config: the accelerator.
        events: of the RTL (``trajectile.tb.scoreboard.read_events``) or of the model.
        cycles: of the run.
    """
    stays = visits(events)
    return {
        "displayTimeUnit": "ns",
        "otherData": {"configuration": config.name, "cycles": cycles, "unit": "1 us is one clock cycle"},
        "traceEvents": [*_metadata(config), *_resources(config, events),
                        *_stalls(config, events, cycles), *_steps(config, events), *_slots(stays, cycles),
                        *_flows(stays), *_counters(config, stays, cycles)],
    }
