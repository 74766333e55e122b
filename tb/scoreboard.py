"""Two scoreboards: events cycle for cycle, results bit for bit."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np

from trajectile.sw_model.numerics.integer import Results
from trajectile.sw_model.timeline.model import Event, Timeline
from trajectile.sw_model.timeline.visits import visits


def read_events(prefix: Path, tiles: int, *, independent: bool = False) -> list[list[Event]]:
    """The event monitors' logs, a list for each run, ordered as the model's; cycle 0 is that of the first doorbell: of any
    tile, or where clocks are ``independent`` of each tile by itself, since their cycles cannot be compared.

    A line "reset" ends each run but the last, which ends with a completion record.

    Raises:
        ValueError: if a log is missing or cut off.
    """
    runs: list[list[Event]] = []
    counts = []
    for tile in range(tiles):
        path = prefix.with_name(f"{prefix.name}{tile}.log")
        text = path.read_text(encoding="ascii")
        number, last = 0, "complete"
        for line in text[:text.rfind("\n") + 1].splitlines():
            cycle, kind, *rest = line.split()
            last = kind
            if kind == "reset":
                number += 1
                continue
            while len(runs) <= number:  # a run may have no event at all
                runs.append([])
            runs[number].append(Event(int(cycle), tile, kind, *map(int, rest)))
        whole = not text or (text.endswith("\n") and last in ("complete", "reset"))
        counts.append(number if whole else -1)
    if len(set(counts)) > 1 or -1 in counts:
        raise ValueError(f"{prefix}*.log: resets by tile {counts} (-1: cut off)")
    if independent:
        return [_by_own_doorbell(run) for run in runs]
    starts = [min((event.cycle for event in run if event.kind == "doorbell"), default=0) for run in runs]
    return [sorted(event._replace(cycle=event.cycle - start) for event in run)
            for run, start in zip(runs, starts, strict=True)]


def _by_own_doorbell(run: Sequence[Event]) -> list[Event]:
    """Events of a run with the cycles of each tile counted from its own first doorbell."""
    starts: dict[int, int] = {}
    for event in run:
        if event.kind == "doorbell":
            starts.setdefault(event.tile, event.cycle)
    return sorted(event._replace(cycle=event.cycle - starts.get(event.tile, 0)) for event in run)


def doorbells(events: Sequence[Event], tiles: int) -> list[tuple[int, ...]]:
    """When each batch was queued in each tile, [batches][tiles], as far as it was in all."""
    rung = [[event.cycle for event in events if event.kind == "doorbell" and event.tile == tile] for tile in range(tiles)]
    return list(zip(*rung, strict=False))


@dataclass(frozen=True)
class Verdict:
    """Whether the RTL did what the model says, and the first difference if not."""

    exact: bool
    message: str

    def __bool__(self) -> bool:
        return self.exact


def check_events(seen: Sequence[Event], model: Timeline) -> Verdict:
    """Every event equal in cycle, tile, kind, slot, slice and flags."""
    for number, (rtl, golden) in enumerate(zip_longest(seen, model.events)):
        if rtl != golden:
            return Verdict(False, f"event {number} of {len(model.events)}: RTL {rtl}, model {golden}")
    return Verdict(True, f"{len(model.events)} events equal")


#: steps of a batch that follow one another whatever the clocks are
CHAIN = ("doorbell", "begin", "lists", "formed", "finished", "summed", "written", "complete")


def lives(log: Sequence[Event]) -> Counter[tuple[object, ...]]:
    """What became of each slice at each tile, and how often."""
    return Counter((v.tile, v.batch, v.expert, v.index, v.from_link, v.filled is None, v.compute is None, v.computed is None,
                    v.send is None, v.sent is None, v.release is None) for v in visits(log))


def check_order(seen: Sequence[Event], model: Timeline) -> Verdict:
    """Events of tiles with clocks of their own: none more and none fewer than the model's; every slice in each tile, every
    batch and every slot in the right order; loads and picks of each tile in the model's order. Cycles are not compared.
    """
    try:
        stays = visits(seen)
    except ValueError as error:
        return Verdict(False, str(error))
    if lives(seen) != lives(model.events):
        lost, more = lives(model.events) - lives(seen), lives(seen) - lives(model.events)
        return Verdict(False, f"slices lost {list(lost)[:3]}, slices too many {list(more)[:3]}")
    free: dict[tuple[int, int], int] = {}
    for stay in stays:
        ends = [end for end in (stay.filled, stay.computed, stay.sent) if end is not None]
        pairs = [(stay.begin, stay.filled), (stay.filled, stay.compute), (stay.compute, stay.computed),
                 (stay.begin, stay.send), (stay.send, stay.sent), (None if stay.cut else stay.filled, stay.send),
                 *((end, stay.release) for end in ends)]
        if any(first is not None and second is not None and first > second for first, second in pairs):
            return Verdict(False, f"steps of a slice are not in order: {stay}")
        if free.get((stay.tile, stay.slot), -1) > stay.begin:
            return Verdict(False, f"a slot is taken before it is free: {stay}")
        free[stay.tile, stay.slot] = stay.release if stay.release is not None else 2**63
    for tile in range(model.config.array.tiles):
        for kind in ("load", "pick"):
            rtl, golden = ([(e.expert, e.slice_index) for e in log if e.tile == tile and e.kind == kind]
                           for log in (seen, model.events))
            if rtl != golden:
                return Verdict(False, f"tile {tile}: {kind}s in another order than the model's")
        times: dict[str, list[int]] = {kind: [e.cycle for e in seen if e.tile == tile and e.kind == kind] for kind in CHAIN}
        for number, _ in enumerate(times["doorbell"]):
            row = [times[kind][number] for kind in CHAIN if len(times[kind]) > number]
            if row != sorted(row):
                return Verdict(False, f"tile {tile}, batch {number}: steps {row} are not in order")
    kinds = Counter((e.tile, e.kind) for e in seen)
    if kinds != Counter((e.tile, e.kind) for e in model.events):
        return Verdict(False, f"numbers of events differ from the model's: {kinds}")
    return Verdict(True, f"{len(model.events)} events in order, none more, none fewer")


def check_results(seen: Results, golden: Results) -> Verdict:
    """Every result and every token's count of clips equal."""
    if seen.y.shape != golden.y.shape or seen.clips.shape != golden.clips.shape:
        return Verdict(False, f"shape {seen.y.shape} and {seen.clips.shape}, model {golden.y.shape} and {golden.clips.shape}")
    wrong = np.argwhere(seen.y != golden.y)
    if len(wrong):
        token, column = (int(i) for i in wrong[0])
        return Verdict(False, f"{len(wrong)} of {golden.y.size} results differ; first y[{token}, {column}]: "
                              f"RTL {seen.y[token, column]}, model {golden.y[token, column]}")
    if len(counts := np.flatnonzero(seen.clips != golden.clips)):
        return Verdict(False, f"{len(counts)} of {golden.clips.size} counts of clips differ; first of token {counts[0]}: "
                              f"RTL {seen.clips[counts[0]]}, model {golden.clips[counts[0]]}")
    return Verdict(True, f"{golden.y.size} results and {golden.clips.size} counts of clips equal")
