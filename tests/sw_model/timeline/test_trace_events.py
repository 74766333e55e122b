"""Trace events: what viewers need of the format, and that the tracks say what the timeline says."""

import json
from collections import defaultdict
from itertools import pairwise

import pytest

from tests.support.choices import draw
from trajectile.sw_model.config import load
from trajectile.sw_model.schedule.scheduler import schedule
from trajectile.sw_model.timeline.model import simulate
from trajectile.sw_model.timeline.trace_events import FIRST_SLOT, FIRST_STEP, REASONS, STALLS, STEP_SPANS, trace_events


@pytest.fixture(scope="module", params=[("smoke", 1, "spread"), ("demo", 1, "spread"), ("smoke", 4, "spread"),
                                        ("demo", 3, "both")], ids=str)
def trace(request):
    """A timeline of one or more batches and its trace, as a viewer reads it."""
    preset, batches, dataflows = request.param
    config = load(preset, ["tile.batches=2", f"array.dataflows={dataflows}"])
    line = simulate([schedule(config, draw(config, 12 - number, 4),
                              dataflow="shared" if config.array.shares and number % 2 else "spread")
                     for number in range(batches)])
    return line, json.loads(json.dumps(trace_events(config, line.events, line.cycles)))["traceEvents"]


#: of each kind of event what it must have, beside its kind (Trace Event Format)
FIELDS = {"M": {"name": str, "pid": int, "args": dict}, "C": {"name": str, "pid": int, "ts": int, "args": dict},
          "X": {"name": str, "pid": int, "tid": int, "ts": int, "dur": int, "args": dict},
          "s": {"name": str, "cat": str, "id": int, "pid": int, "tid": int, "ts": int},
          "f": {"name": str, "cat": str, "id": int, "bp": str, "pid": int, "tid": int, "ts": int}}
METADATA = {"process_name": "name", "process_sort_index": "sort_index", "thread_name": "name",
            "thread_sort_index": "sort_index"}


def fault(trace):
    """What is wrong with a trace by the rules of the format, or None."""
    if trace["displayTimeUnit"] not in ("ms", "ns") or not isinstance(trace["traceEvents"], list):
        return "head"
    for event in trace["traceEvents"]:
        fields = FIELDS.get(event.get("ph"), {"ph": None})
        if event["ph"] == "M" and event["name"].startswith("thread"):
            fields = fields | {"tid": int}
        if event.keys() != fields.keys() | {"ph"} or not all(type(event[name]) is kind for name, kind in fields.items()):
            return event
        if min(event.get("ts", 0), event["pid"], event.get("tid", 0)) < 0 or event.get("dur", 1) <= 0:
            return event
        if event["ph"] == "M" and event["args"].keys() != {METADATA.get(event["name"])}:
            return event
        if event["ph"] == "C" and not all(type(value) in (int, float) for value in event["args"].values()):
            return event
        if event["ph"] == "f" and event["bp"] != "e":
            return event
    return None


def test_format(trace):
    """Every event has what its kind must have and no more, of the right type; a spoilt one is found."""
    line, events = trace
    whole = trace_events(line.config, line.events, line.cycles)
    assert fault(json.loads(json.dumps(whole))) is None and {event["ph"] for event in events} == set(FIELDS)
    for kind, change in (("X", {"dur": 0}), ("X", {"ts": -1}), ("C", {"args": {"slots": "3"}}), ("M", {"args": {}}),
                         ("f", {"bp": "s"}), ("s", {"id": "1"}), ("X", {"ph": "Y"})):
        first = next(number for number, event in enumerate(events) if event["ph"] == kind)
        assert fault(whole | {"traceEvents": [*events[:first], events[first] | change]}) is not None, change


def test_what_the_mac_array_waits_for(trace):
    """Its track and that of the MAC array have every cycle of a batch, each once."""
    line, events = trace
    for tile in range(line.config.array.tiles):
        spans = sorted((e["ts"], e["ts"] + e["dur"]) for e in events if e["ph"] == "X" and e["pid"] == tile
                       and e["tid"] in (STALLS, 1))
        assert spans[0][0] == 0 and spans[-1][1] == line.cycles
        assert all(a[1] == b[0] for a, b in pairwise(spans))


def test_spans_nest(trace):
    """On every track spans lie one after the other or one in the other: anything else a viewer draws wrong."""
    tracks = defaultdict(list)
    for event in trace[1]:
        if event["ph"] == "X":
            assert event["dur"] > 0
            tracks[event["pid"], event["tid"]].append((event["ts"], -event["dur"]))
    for spans in tracks.values():
        open_ends = []
        for first, length in sorted(spans):
            while open_ends and open_ends[-1] <= first:
                open_ends.pop()
            assert not open_ends or first - length <= open_ends[-1]
            open_ends.append(first - length)
    assert len(tracks) > 4


def test_tracks_are_named(trace):
    """Every track that is used has a name; DDR only where there is a channel."""
    line, events = trace
    names = {(e["pid"], e["tid"]): e["args"]["name"] for e in events if e["name"] == "thread_name"}
    assert {(e["pid"], e["tid"]) for e in events if "tid" in e} == set(names)
    assert sum(name == "DDR" for name in names.values()) == line.config.array.channels


def test_steps_of_batches(trace):
    """Records, counts and results of each batch on each tile, and in the order of the batches."""
    line, events = trace
    batches = len(line.batches)
    for tile in range(line.config.array.tiles):
        for thread, (name, begins, ends) in enumerate(STEP_SPANS, FIRST_STEP):
            spans = sorted((e["ts"], e["dur"], e["name"]) for e in events
                           if e["ph"] == "X" and e["pid"] == tile and e["tid"] == thread)
            assert [span[2] for span in spans] == [f"{name} of batch {number}" for number in range(batches)]
            for (first, length, _), times in zip(spans, (batch[tile] for batch in line.batches), strict=True):
                assert first >= getattr(times, begins) and first + length == getattr(times, ends) + 1


def test_every_load_and_hop_is_there(trace):
    """A stay a slot allocation, an arrow a hop, each with both ends on a slot's track."""
    line, events = trace
    stays = [e for e in events if e["ph"] == "X" and "expert" in e["args"]]
    assert len(stays) == sum(e.kind in ("load", "grant") for e in line.events)
    begins, ends = ([e for e in events if e["ph"] == kind] for kind in ("s", "f"))
    hops = sum(e.kind == "send" for e in line.events)
    assert len(begins) == len(ends) == hops == len({e["id"] for e in begins})
    arrows = {e["id"]: e for e in begins}
    for end in ends:
        begin = arrows[end["id"]]
        assert begin["ts"] < end["ts"] and begin["pid"] != end["pid"] and begin["name"] == end["name"]
        for side in (begin, end):
            assert side["tid"] >= FIRST_SLOT and any(
                s["pid"] == side["pid"] and s["tid"] == side["tid"] and s["name"] == side["name"]
                and s["ts"] <= side["ts"] < s["ts"] + s["dur"] for s in stays)


def test_counters_end_where_they_began(trace):
    """At the end every slot is free and nothing waits; in between never less than none."""
    line, events = trace
    for tile in range(line.config.array.tiles):
        free = [e["args"]["slots"] for e in events if e["ph"] == "C" and e["pid"] == tile and e["name"] == "free slots"]
        waiting = [e["args"] for e in events if e["ph"] == "C" and e["pid"] == tile and e["name"] == "slices that wait"]
        assert free[0] == free[-1] == line.config.tile.slots and min(free) >= 0
        assert all(min(counts.values()) >= 0 for counts in waiting) and waiting[-1] == dict.fromkeys(REASONS, 0)
