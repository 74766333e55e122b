"""Shared batches that go wrong: all tiles fail and say so in bounded time, every descriptor gets one completion record, a
reset in any phase helps, and the next batches are exact.
"""

import functools
import operator

import pytest

from tests.support.configurations import TINY, small
from tests.support.errors_bench import NAMES, Playground
from tests.support.wrongs import (
    CAUSES,
    LATE,
    NOTED,
    RESETS,
    SHARED_CAUSES,
    check_failure,
    failures,
    noted,
    patience,
    phase_resets,
    random_resets,
    shared_wrongs,
)
from trajectile.sw_model.batch.completion import RecordError
from trajectile.tb.scenario import Scenario

#: the batches in memory; the first two must be good
DATAFLOWS = ("shared", "spread", "shared", "shared")
BOTH = {**TINY, "array__dataflows": "both", "link__beat_bytes": 4, "tile__tokens": 5, "tile__batches": 2}
RANDOM_RINGS, RANDOM_RESETS = 4, 10


@pytest.fixture(scope="module")
def ground(tmp_path_factory) -> Playground:
    """Two tiles, two batches in flight."""
    return Playground.make(small(**BOTH), tmp_path_factory.mktemp("errors"), dataflows=DATAFLOWS)


@pytest.fixture(scope="module")
def played(ground) -> dict[str, dict]:
    """All scenarios in one simulation."""
    cases = [*failures(ground), *failures(ground, shared_wrongs)]
    cases += [Scenario(name=name, reset=RESETS[number % 2], patience=patience(ground), may_finish=True, **wrong)
              for number, (name, wrong) in enumerate(noted(ground).items())]
    cases += [Scenario(name=f"ring_{seed}", reset=RESETS[seed % 2], patience=patience(ground), batches=ground.queued(),
                       settings=ground.wrong_ring(seed), may_finish=True) for seed in range(RANDOM_RINGS)]
    return ground.play([*cases, *phase_resets(ground), *random_resets(ground, RANDOM_RESETS, 1)], "verilator")


@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("name", CAUSES | SHARED_CAUSES)
def test_error(name, reset, played):
    """In bounded time and with the right cause; records and good batches are checked by the fixture."""
    output = played[f"{name} {reset}"]
    cause = (CAUSES | SHARED_CAUSES)[name]
    check_failure(output, cause)
    if name not in LATE:
        failed = [record for records in output["records"] for record in records if record.failed]
        assert name == "io_no_answer" or any(record.errors >> NAMES.index(cause) & 1 for record in failed)


@pytest.mark.parametrize("name", NOTED)
def test_wrong_records(name, played):
    """What comes with an error, or cannot be, is noted by every tile: its records go to all. The next batch is not shared."""
    records = played[name]["records"]
    assert all(len(tile) == 2 and not any(record.failed for record in tile) for tile in records)
    by_batch = [{RecordError(record.errors) for record in batch} for batch in zip(*records, strict=True)]
    assert sorted(map(len, by_batch)) == [1, 1]
    assert functools.reduce(operator.or_, set.union(*by_batch)) == NOTED[name]


@pytest.mark.parametrize("seed", range(RANDOM_RINGS))
def test_wrong_ring(seed, played):
    """Ring and routes of legal but random values: tiles fail by a watchdog or because counts disagree, or all are done."""
    output = played[f"ring_{seed}"]
    if any(status for status, _ in output["states"]):
        check_failure(output, "WATCHDOG", "DISAGREE")


def test_resets(ground, played):
    """In every phase, and at random moments while everything stalls."""
    assert len([name for name in played if name.startswith("reset_")]) == len(phase_resets(ground)) + RANDOM_RESETS > 50


@pytest.mark.regress
@pytest.mark.parametrize("batches", [1, 2])
@pytest.mark.parametrize("crc_bits", [0, 16])
def test_many_resets(crc_bits, batches, tmp_path):
    """Where records and sums pass over tiles, with link layers as well; wrong rings that cross."""
    config = small(**{**BOTH, "array__cols": 3, "array__ddr_tiles": (0, 2), "link__latency_cycles": 4,
                      "link__crc_bits": crc_bits, "tile__batches": batches})
    ground = Playground.make(config, tmp_path, dataflows=DATAFLOWS)
    rings = [Scenario(name=f"ring_{seed}", reset=RESETS[seed % 2], patience=patience(ground), may_finish=True,
                      batches=ground.queued(), settings=ground.wrong_ring(seed)) for seed in range(100, 120)]
    done = ground.play([*rings, *phase_resets(ground), *random_resets(ground, 60, 4000)], "verilator")
    for output in done.values():
        if any(status for status, _ in output.get("states", [])):
            check_failure(output, "WATCHDOG", "DISAGREE")
