"""Two scoreboards: events cycle for cycle, results bit for bit."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np

from trajectile.sw_model.numerics.integer import Results
from trajectile.sw_model.timeline.model import Event, Timeline


def read_events(prefix: Path, tiles: int) -> list[list[Event]]:
    """The event monitors' logs, a list for each batch, ordered as the model's; a batch ends with an ``end`` of each tile.

    Raises:
        ValueError: if a log is missing or cut off.
    """
    batches: list[list[Event]] = []
    counts = []
    for tile in range(tiles):
        path = prefix.with_name(f"{prefix.name}{tile}.log")
        text = path.read_text(encoding="ascii")
        number, ended = 0, True
        for line in text[:text.rfind("\n") + 1].splitlines():
            cycle, kind, *rest = line.split()
            if number == len(batches):
                batches.append([])
            batches[number].append(Event(int(cycle), tile, kind, *map(int, rest)))
            ended = kind == "end"
            number += ended
        counts.append(number if ended and (not text or text.endswith("\n")) else -1)
    if set(counts) != {len(batches)}:
        raise ValueError(f"{prefix}*.log: batches by tile {counts} (-1: cut off)")
    return [sorted(batch) for batch in batches]


@dataclass(frozen=True)
class Verdict:
    """Whether the RTL did what the model says, and the first difference if not."""

    exact: bool
    message: str

    def __bool__(self) -> bool:
        return self.exact


def events_of(model: Timeline) -> list[Event]:
    """What the RTL's log should hold: the model's events, and the end of each tile."""
    ends = [Event(cycles, tile, "end", 0, 0, 0, 0) for tile, cycles in enumerate(model.tile_cycles)]
    return sorted([*model.events, *ends])


def check_events(seen: Sequence[Event], model: Timeline) -> Verdict:
    """Every event equal in cycle, tile, kind, slot, slice and flags; and each tile ends in the same cycle."""
    expected = events_of(model)
    for number, (rtl, golden) in enumerate(zip_longest(seen, expected)):
        if rtl != golden:
            return Verdict(False, f"event {number} of {len(expected)}: RTL {rtl}, model {golden}")
    return Verdict(True, f"{len(expected)} events equal")


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
