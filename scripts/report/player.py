"""What the player of a report shows: visits of slices, and steps of the batch, small enough for the page."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from trajectile.sw_model.config import Config
from trajectile.sw_model.timeline.model import Event
from trajectile.sw_model.timeline.visits import Visit, journeys

#: visits that a page holds; of a longer run the first
MOST_VISITS = 6000
#: of a visit, in this order; ``next``: when it was all in the ring-next tile
FIELDS = ("tile", "slot", "batch", "expert", "index", "from_link", "begin", "filled", "compute", "computed", "send", "sent",
          "release", "next")
#: steps of a batch, as the player says them
STEPS = {"doorbell": "the doorbell rings", "begin": "token records are read", "lists": "token lists are complete",
         "rows": "activations are here", "formed": "everybody's counts are here", "finished": "all slices have been",
         "summed": "sums of all tiles are added up", "written": "results are written",
         "complete": "the completion record is answered"}


def played(config: Config, stays: Sequence[Visit], events: Sequence[Event], tiles: Sequence[Mapping[str, Any]],
           cycles: int) -> dict[str, Any]:
    """The facts of the player.

    Args:
        config: the accelerator.
        stays: visits of the run, in the order in which they began.
        events: of the run.
        tiles: the report's facts of each tile; ``path`` is its ring edge.
        cycles: of the run.
    """
    arrived: dict[int, int | None] = {}
    for way in journeys(stays).values():
        for here, there in pairwise(way):
            arrived[id(here)] = there.filled
    kept = stays[:MOST_VISITS]
    end = kept[-1].begin if len(kept) < len(stays) else cycles
    return {
        "rows": config.array.rows, "cols": config.array.cols, "slots": config.tile.slots, "cycles": cycles,
        "ddr": list(config.array.ddr_tiles), "paths": [list(tile["path"]) for tile in tiles], "fields": list(FIELDS),
        "visits": [[*(int(value) if isinstance(value, bool) else value
                      for value in (getattr(visit, name) for name in FIELDS[:-1])), arrived.get(id(visit))]
                   for visit in kept],
        "steps": [[event.cycle, event.tile, STEPS[event.kind]] for event in events
                  if event.kind in STEPS and event.cycle <= end],
        "shown": len(kept), "left_out": len(stays) - len(kept)}
