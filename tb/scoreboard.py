"""Two scoreboards: events cycle for cycle, results bit for bit."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np

from trajectile.sw_model.numerics.integer import Results
from trajectile.sw_model.timeline.model import Event, Timeline


def read_events(prefix: Path, tiles: int) -> list[list[Event]]:
    """The event monitors' logs, a list for each run, ordered as the model's; cycle 0 is that of the first doorbell.

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
    starts = [min((event.cycle for event in run if event.kind == "doorbell"), default=0) for run in runs]
    return [sorted(event._replace(cycle=event.cycle - start) for event in run)
            for run, start in zip(runs, starts, strict=True)]


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
