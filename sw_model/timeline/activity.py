"""What was busy when, from the events of a run; the same for the events of the RTL and of the model."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trajectile.sw_model.config import Config
from trajectile.sw_model.latencies import ADDRESS_CYCLES, LOADED_CYCLES, compute_setup_cycles
from trajectile.sw_model.timeline.model import Event

#: DDR channel, MAC array and ring link of a tile
RESOURCES = ("DDR", "MAC", "D2D")


def busy_spans(config: Config, events: Sequence[Event], tile: int) -> dict[str, list[tuple[int, int]]]:
    """``(first cycle, cycles)`` of each use of a tile's resources, by name."""
    spans: dict[str, list[tuple[int, int]]] = {name: [] for name in RESOURCES}
    began: dict[tuple[str, int], int] = {}
    for event in events:
        if event.tile != tile:
            continue
        if event.kind in ("compute", "send"):
            began[event.kind, event.slot] = event.cycle
        elif event.kind == "loaded":
            spans["DDR"].append((event.cycle - LOADED_CYCLES + 1 - config.slice_beats, config.slice_beats))
        elif event.kind == "computed":
            first = began.pop(("compute", event.slot)) + compute_setup_cycles(config)
            spans["MAC"].append((first, event.cycle + 1 - first))
        elif event.kind == "sent":
            # the header goes at once, the payload when the slot's SRAM has been read
            spans["D2D"] += [(began.pop(("send", event.slot)), 1), (event.cycle + 1 - config.slice_flits, config.slice_flits)]
    return spans


def busy_between(spans: Sequence[tuple[int, int]], edges: Sequence[int],
                 amounts: Sequence[float] | None = None) -> NDArray[np.float64]:
    """Busy cycles from each of the ascending ``edges`` to the next.

    Args:
        spans: ``(first cycle, cycles)``, none overlaps another.
        edges: cycles.
        amounts: what each span counts for, spread evenly over it; default: its cycles.
    """
    if not spans:
        return np.zeros(len(edges) - 1)
    counts = [length for _, length in spans] if amounts is None else amounts
    ordered = sorted(zip(spans, counts, strict=True))
    borders = [cycle for (first, length), _ in ordered for cycle in (first, first + length)]
    sums = np.cumsum([part for _, count in ordered for part in (0, count)])
    return np.diff(np.interp(edges, borders, sums))


@dataclass(frozen=True)
class DdrCycles:
    """The cycles of a run as its last DDR channel spent them; they add up to the run."""

    #: before its first beat: the batch is formed, the first slice is asked for
    start: int
    #: with a beat
    busy: int
    #: between first and last beat, without one: no slot was free, or a batch was being formed
    idle: int
    #: after its last beat: the last slices travel and are computed, results are written
    tail: int


def ddr_cycles(config: Config, events: Sequence[Event], cycles: int) -> DdrCycles:
    """How the channel that ends last spent a run of ``cycles``."""
    channels = [spans for tile in config.array.ddr_tiles if (spans := busy_spans(config, events, tile)["DDR"])]
    if not channels:
        return DdrCycles(cycles, 0, 0, 0)
    last = max(channels, key=lambda spans: sum(spans[-1]))
    busy, end = sum(length for _, length in last), sum(last[-1])
    return DdrCycles(last[0][0], busy, end - last[0][0] - busy, cycles - end)


def ddr_share_of_peak(config: Config, events: Sequence[Event]) -> float | None:
    """Share of the peak of the DDR pins that the channels reached while they streamed: beats that came, over cycles.

    A channel streams from its first address to its last beat, and its pins can deliver one beat in each of these cycles. The
    share is that of all channels together. None if nothing was loaded.
    """
    beats = cycles = 0
    for tile in config.array.ddr_tiles:
        loads = [event.cycle for event in events if event.tile == tile and event.kind == "load"]
        ends = [event.cycle for event in events if event.tile == tile and event.kind == "loaded"]
        if ends:
            beats += len(ends) * config.slice_beats
            cycles += ends[-1] - LOADED_CYCLES + 1 - (loads[0] + ADDRESS_CYCLES)
    return beats / cycles if cycles else None
