"""What can be wrong with batches on the array, and what it looks like: for the tests of errors, and for line coverage."""

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tests.support.errors_bench import GOOD_BATCHES, NAMES, Playground
from trajectile.hw.d2d.layouts import Port
from trajectile.hw.host.codes import Refusal
from trajectile.sw_model.batch.completion import RecordError
from trajectile.sw_model.schedule.scheduler import ORDERS
from trajectile.tb.job import Descriptor
from trajectile.tb.scenario import DDR_FAULTS, Scenario

RESETS = ("rst", "CONTROL.RESET")
#: cycles that a host takes for a descriptor and its doorbell
DOORBELL_CYCLES = 23
#: the bit of STATUS
FAILED = 8
#: from the first tile's interrupt to the last one's
SPREAD_CYCLES = 1
#: what can be wrong: name, and the cause that some tile must give. Every other tile gives the same or STOPPED.
CAUSES = {
    "ddr_exokay": "DDR_RESPONSE", "ddr_slverr": "DDR_RESPONSE", "ddr_decerr": "DDR_RESPONSE",
    "ddr_no_data": "WATCHDOG", "ddr_no_address": "WATCHDOG",
    "io_no_data": "WATCHDOG", "io_no_data_in_rows": "WATCHDOG", "io_no_address": "WATCHDOG",
    "io_bad_answer": "IO_RESPONSE", "io_bad_answer_to_record": "IO_RESPONSE",
    "io_no_answer": "WATCHDOG", "io_no_answer_to_record": "WATCHDOG",
    "watchdog": "WATCHDOG", "watchdog_at_the_end": "WATCHDOG", "alone": "WATCHDOG", "last_alone": "WATCHDOG",
    "other_tag": "DISAGREE", "other_order": "DISAGREE",
    "ring_next_wrong": "WATCHDOG", "ring_prev_wrong": "WATCHDOG",
    "route_to_edge": "WATCHDOG", "route_to_itself": "WATCHDOG",
}
#: the same for what only shared batches have
SHARED_CAUSES = {"too_many": "TOO_MANY", "watchdog_in_records": "WATCHDOG", "watchdog_in_sums": "WATCHDOG",
                 "other_dataflow": "WATCHDOG", "swapped_dataflows": "DISAGREE"}
#: those that are seen when the batch, or its results, have come to their end
LATE = {"io_bad_answer_to_record", "io_no_answer_to_record", "watchdog_at_the_end"}
#: what goes on, and what the completion record of a batch in some tile says of it
NOTED = {"io_exokay": RecordError.RESPONSE, "io_slverr": RecordError.RESPONSE, "io_decerr": RecordError.RESPONSE,
         "choices": RecordError.EXPERT | RecordError.TWICE}


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


def shared_wrongs(ground: Playground) -> dict[str, dict[str, Any]]:
    """Each wrong that fails an array whose first batch is shared, and the second one not; two are in flight."""
    many, watched = ground.queued(3), ground.watched()
    times = ground.model.batches[0][0]
    assert times.begin is not None and times.lists is not None and times.finished is not None and times.summed is not None
    too_many = [replace(descriptor, tokens=ground.config.tile.tokens) for descriptor in many[0]]
    other = [replace(descriptor, shared=descriptor.shared ^ (tile == 0)) for tile, descriptor in enumerate(many[2])]
    swapped = [[replace(descriptor, shared=descriptor.shared ^ (tile == 0)) for tile, descriptor in enumerate(batch)]
               for batch in many[:2]]
    found: dict[str, dict[str, Any]] = {
        "too_many": {"batches": [too_many, many[1]]},
        "watchdog_in_records": {"settings": {0: {"WATCHDOG": (times.lists - times.begin) // 2}}},
        "watchdog_in_sums": {"settings": {0: {"WATCHDOG": (times.finished + times.summed) // 2 - times.begin}}},
        "other_dataflow": {"batches": [*many[:2], other]},
        "swapped_dataflows": {"batches": swapped},
    }
    return {name: {"batches": many, "settings": watched} | fields for name, fields in found.items()}


def noted(ground: Playground) -> dict[str, dict[str, Any]]:
    """Each wrong with which batches go on, by name: what a completion record says, and fields of a scenario."""
    heads = len(ground.plan.tiles[0].records) * ground.config.head_bytes // ground.config.io.bytes_per_cycle
    found: dict[str, dict[str, Any]] = {f"io_{kind}": {"io_fault": (0, kind, beat)} for kind, beat in (
        ("exokay", 0), ("slverr", 1), ("decerr", heads + 2))}
    return {name: {"batches": ground.queued(GOOD_BATCHES), **fields} for name, fields in found.items()} | {
        "choices": {"batches": ground.queued(2, first=GOOD_BATCHES)}}


def failures(ground: Playground, which: Callable[[Playground], dict[str, dict[str, Any]]] = wrongs) -> list[Scenario]:
    """All that is wrong, before each reset."""
    return [Scenario(name=f"{name} {reset}", reset=reset, patience=patience(ground), **wrong)
            for reset in RESETS for name, wrong in which(ground).items()]


def phase_resets(ground: Playground) -> list[Scenario]:
    """Resets of both kinds some cycles before and after each step of the first batch, in each tile; the doorbells need some
    cycles before, and the hosts begin in the same cycle.
    """
    steps = ("begin", "lists", "rows", "formed", "first_load", "finished", "summed", "written", "complete")
    known = {getattr(times, step) for times in ground.model.batches[0] for step in steps} - {None}
    moments = sorted({DOORBELL_CYCLES + cycle + off for cycle in known for off in (-6, 1, 8)})
    return [Scenario(name=f"reset_at_{moment}", patience=0, reset=RESETS[number % 2], batches=ground.queued(4),
                     reset_after=max(moment, 1)) for number, moment in enumerate(moments)]


def random_resets(ground: Playground, count: int, seed: int) -> list[Scenario]:
    """Resets of both kinds at random moments of several batches, half of them while everything stalls at random."""
    print(f"seed {seed}")
    rng = random.Random(seed)
    return [Scenario(name=f"reset_{number}", patience=0, reset=RESETS[number % 2], seed=number // 2 % 2 * (seed + number),
                     batches=ground.queued(4), reset_after=rng.randrange(5, 2 * ground.model.cycles))
            for number in range(count)]


def check_failure(output: dict, *causes: str, spread: int = SPREAD_CYCLES) -> None:
    """Every tile has failed, for one of these causes or because another one has; none takes a doorbell."""
    names = [{name for number, name in enumerate(NAMES) if error >> number & 1} for _, error in output["states"]]
    assert all(status & FAILED for status, _ in output["states"]), output["states"]
    assert any(found & set(causes) for found in names) and all(found <= {*causes, "STOPPED"} for found in names), names
    assert output["last"] - output["first"] <= spread
    assert all(output["refused"]) and set(output["codes"]) == {Refusal.FAILED.name}
