"""What can be wrong with a batch on the array: for the tests of errors, and for line coverage."""

from trajectile.hw.host.layouts import Table

from tests.support.errors_bench import Playground
from trajectile.hw.d2d.layouts import Port
from trajectile.tb.program import pack

RESETS = ("rst", "CONTROL.RESET")


def wrongs(ground: Playground) -> dict[str, dict]:
    """Each wrong by name, as fields of a scenario."""
    tile = ground.plan.tiles[0]
    params, settings = ground.job.params, ground.job.images[0].settings
    far = ground.plan.tiles[1].loads[0]
    # an expert that tile 0 computes
    expert = next(load.expert for load in tile.loads if load.here)
    unwritten = pack(params.rule_layout, here=1, first=params.list_depth - 1, passes=1)
    assert len(tile.list_tokens) < params.list_depth and len(tile.loads) < params.load_depth
    faults = {f"ddr_{kind}": {"ddr_fault": (1, kind, 60), "settings": ground.watched()}
              for kind in ("exokay", "slverr", "decerr", "no_data")}
    return faults | {
        "ddr_no_address": {"ddr_fault": (0, "no_address", 3), "settings": ground.watched()},
        "watchdog": {"settings": {0: {"WATCHDOG": ground.model.tile_cycles[0] - 1}}},
        "arrivals_more": {"settings": ground.watched(ARRIVAL_COUNT=settings["ARRIVAL_COUNT"] + 1)},
        "arrivals_less": {"settings": ground.watched(ARRIVAL_COUNT=settings["ARRIVAL_COUNT"] - 1)},
        "loads_less": {"settings": ground.watched(LOAD_COUNT=len(tile.loads) - 1)},
        "loads_unwritten": {"settings": ground.watched(LOAD_COUNT=len(tile.loads) + 1)},
        "rules_unwritten": {"settings": ground.watched(), "entries": [
            ground.load_entry(1, 0, expert=ground.config.layer.experts - 1, row=far.row, here=1)]},
        "tokens_unwritten": {"settings": ground.watched(), "entries": [(0, Table.RULES.value, 0, expert, unwritten)]},
        "no_passes": {"settings": ground.watched(), "entries": [
            ground.load_entry(0, 1, expert=ground.config.layer.experts - 2, here=1)]},
        "circles": {"settings": ground.watched(), "entries": [
            ground.load_entry(0, 0, expert=ground.config.layer.experts - 2, here=0, next=0, left=1)]},
        "ring_next_wrong": {"settings": ground.watched(RING_NEXT=0)},
        "ring_prev_wrong": {"settings": ground.watched(RING_PREV=0)},
        "route_to_edge": {"settings": ground.watched(ROUTE_0=Port.NORTH.value << 4 | Port.LOCAL.value)},
        "route_to_itself": {"settings": ground.watched(ROUTE_0=Port.LOCAL.value << 4 | Port.LOCAL.value)},
    }
