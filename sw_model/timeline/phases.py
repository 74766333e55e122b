"""From doorbell to completion record: what each tile does to a batch when, from the events that are steps of a batch.

Records and sums travel without events of their own; their phases begin and end with steps.
"""

from collections.abc import Sequence
from typing import NamedTuple

from trajectile.sw_model.timeline.model import STEPS, Event

#: phases in their order, and what they are
PHASES = {
    "queue": "the descriptor waits in the queue",
    "records": "token records come, in a shared batch those of all tiles",
    "lists": "choices go into token lists",
    "counts": "counts go round the ring",
    "order": "experts are picked in their order, as loads have room",
    "slices": "slices are loaded, computed, sent on",
    "sums": "sums of a shared batch go round the ring",
    "results": "results are written",
    "completion": "the completion record is written and answered"}


class Phase(NamedTuple):
    """A phase of a batch in a tile, from its first cycle to the one in which it is over."""

    tile: int
    name: str
    begin: int
    end: int


def phases(tiles: int, events: Sequence[Event]) -> list[Phase]:
    """Phases of one batch, tile by tile in the order of :data:`PHASES`; what takes no time is left out.

    Args:
        tiles: of the array.
        events: of the batch, in order.
    """
    first: list[dict[str, int]] = [{} for _ in range(tiles)]
    picked = [0] * tiles
    for event in events:
        kind = event.kind if event.kind in STEPS else "slices"
        first[event.tile].setdefault(kind, event.cycle)
        if kind == "pick":
            picked[event.tile] = event.cycle
    found = []
    for tile, at in enumerate(first):
        if "finished" in at:
            at.setdefault("left", at.get("summed", at["finished"]))
            at.setdefault("done", at.get("written", at["left"]))
        at["picked"] = picked[tile]
        for name, begin, end in (("queue", "doorbell", "begin"), ("records", "begin", "rows"), ("lists", "begin", "lists"),
                                 ("counts", "lists", "formed"), ("order", "formed", "picked"),
                                 ("slices", "slices", "finished"), ("sums", "finished", "summed"),
                                 ("results", "left", "written"), ("completion", "done", "complete")):
            if begin in at and at[begin] < at.get(end, -1):
                found.append(Phase(tile, name, at[begin], at[end]))
    return found
