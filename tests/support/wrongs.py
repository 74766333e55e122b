"""What can be wrong with batches on the array: for the tests of errors, and for line coverage."""

from dataclasses import replace
from typing import Any

from tests.support.errors_bench import GOOD_BATCHES, Playground
from trajectile.hw.d2d.layouts import Port
from trajectile.sw_model.schedule.scheduler import ORDERS
from trajectile.tb.job import Descriptor
from trajectile.tb.scenario import DDR_FAULTS

RESETS = ("rst", "CONTROL.RESET")


def patience(ground: Playground) -> int:
    """Every batch may take as long as its watchdog allows."""
    return (ground.config.tile.batches + 2) * ground.limit + 500


def wrongs(ground: Playground) -> dict[str, dict[str, Any]]:
    """Each wrong that fails the array, by name, as fields of a scenario."""
    # one batch more than are worked off at the same time: it waits
    many = ground.queued(ground.config.tile.batches + 1)
    one, watched = ground.queued(), ground.watched()
    alone = [[descriptor if tile == 0 else None for tile, descriptor in enumerate(batch)]
             for batch in ground.queued(ground.config.tile.batches + 3)]

    def changed(**fields: Any) -> list[list[Descriptor]]:
        return [*many[:-1], [replace(descriptor, **fields) if tile == 0 else descriptor
                             for tile, descriptor in enumerate(many[-1])]]
    beats = ground.config.record_bytes // ground.config.io.bytes_per_cycle
    times = ground.model.batches[0][0]
    assert times.begin is not None and times.formed is not None and times.complete is not None
    found: dict[str, dict[str, Any]] = {
        f"ddr_{kind}": {"ddr_fault": (1, kind, 3 if kind == "no_address" else 60)} for kind in DDR_FAULTS}
    found |= {
        "io_no_data": {"io_fault": (0, "no_data", 3)},
        "io_no_data_in_rows": {"io_fault": (1, "no_data", len(ground.plan.tiles[1].records) * beats - 1)},
        "io_no_address": {"io_fault": (0, "no_address", 0)},
        "io_bad_answer": {"io_fault": (1, "bad_answer", 0)},
        "io_bad_answer_to_record": {"io_fault": (1, "bad_answer", 2)},
        "io_no_answer": {"io_fault": (0, "no_answer", 0)},
        "io_no_answer_to_record": {"io_fault": (1, "no_answer", 2)},
        "watchdog": {"batches": one, "settings": {0: {"WATCHDOG": times.formed - times.begin}}},
        "watchdog_at_the_end": {"batches": one, "settings": {0: {"WATCHDOG": times.complete - times.begin - 1}}},
        "alone": {"batches": alone},
        "last_alone": {"batches": [*many[:-1], [None, *many[-1][1:]]]},
        "other_tag": {"batches": changed(tag=200)},
        "other_order": {"batches": changed(order=ORDERS.index("index"))},
        "ring_next_wrong": {"settings": ground.watched(RING_NEXT=0)},
        "ring_prev_wrong": {"settings": ground.watched(RING_PREV=0)},
        "route_to_edge": {"settings": ground.watched(ROUTE_0=Port.NORTH.value << 4 | Port.LOCAL.value)},
        "route_to_itself": {"settings": ground.watched(ROUTE_0=Port.LOCAL.value << 4 | Port.LOCAL.value)},
    }
    return {name: {"batches": many, "settings": watched} | fields for name, fields in found.items()}


def noted(ground: Playground) -> dict[str, dict[str, Any]]:
    """Each wrong with which batches go on, by name: what a completion record says, and fields of a scenario."""
    heads = len(ground.plan.tiles[0].records) * ground.config.head_bytes // ground.config.io.bytes_per_cycle
    found: dict[str, dict[str, Any]] = {f"io_{kind}": {"io_fault": (0, kind, beat)} for kind, beat in (
        ("exokay", 0), ("slverr", 1), ("decerr", heads + 2))}
    return {name: {"batches": ground.queued(GOOD_BATCHES), **fields} for name, fields in found.items()} | {
        "choices": {"batches": ground.queued(2, first=GOOD_BATCHES)}}
