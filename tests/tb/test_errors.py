"""Every error on the array: all tiles fail and say so in bounded time, every descriptor gets one completion record, a reset
helps, and the next batches are exact.
"""

import functools
import operator

import pytest

from tests.support.configurations import TINY, small
from tests.support.errors_bench import NAMES, Playground
from tests.support.wrongs import CAUSES, LATE, NOTED, RESETS, check_failure, failures, noted, patience, random_resets
from trajectile.sw_model.batch.completion import RecordError
from trajectile.sw_model.config import load
from trajectile.tb.scenario import Scenario

RANDOM_RINGS, RANDOM_RESETS = 6, 10
#: accesses of each host that fit into a batch
MEDDLES = 60


def probing(ground: Playground) -> Scenario:
    """What is refused in a reset, which lasts while DDR does not answer, and after it."""
    return Scenario(name="probe", patience=0, reset="CONTROL.RESET", probe=True, batches=ground.queued(),
                    ddr_fault=(0, "no_data", 0), reset_after=ground.model.first_load_cycles + 100)


@pytest.fixture(scope="module", params=[pytest.param(1, marks=pytest.mark.regress), 2], ids=["one batch", "two batches"])
def ground(request, tmp_path_factory) -> Playground:
    """With as many batches in flight."""
    return Playground.make(small(**TINY, tile__batches=request.param), tmp_path_factory.mktemp("errors"))


@pytest.fixture(scope="module")
def played(ground) -> dict[str, dict]:
    """All scenarios in one simulation."""
    cases = failures(ground)
    cases += [Scenario(name=name, reset=RESETS[number % 2], patience=patience(ground), may_finish=True, **wrong)
              for number, (name, wrong) in enumerate(noted(ground).items())]
    cases += [Scenario(name=f"ring_{seed}", reset=RESETS[seed % 2], patience=patience(ground), batches=ground.queued(),
                       settings=ground.wrong_ring(seed), may_finish=True) for seed in range(RANDOM_RINGS)]
    cases.append(Scenario(name="meddle", patience=0, reset_after=5, meddle=MEDDLES))
    cases.append(probing(ground))
    return ground.play([*cases, *random_resets(ground, RANDOM_RESETS, 1)], "verilator")


@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("name", CAUSES)
def test_error(name, reset, ground, played):
    """In bounded time (the scenario's patience) and with the right cause; records and good batches are checked by the
    fixture.
    """
    output = played[f"{name} {reset}"]
    cause = CAUSES[name]
    check_failure(output, cause)
    if name in LATE:
        return
    # some tile's record of a batch says why, if it was written before the reset
    failed = [record for records in output["records"] for record in records if record.failed]
    assert failed or name == "io_no_answer"
    assert name == "io_no_answer" or any(record.errors >> NAMES.index(cause) & 1 for record in failed)


@pytest.mark.parametrize("reset", RESETS)
def test_the_last_cycle(reset, ground, played):
    """The watchdog bites in the cycle after the last that it allows, also in that in which a record is answered."""
    times = ground.model.batches[0][0]
    record, = played[f"watchdog {reset}"]["records"][0]
    allowed = times.formed - times.doorbell
    assert record.failed and allowed < record.cycles < allowed + 10
    record, = played[f"watchdog_at_the_end {reset}"]["records"][0]
    assert not record.failed


@pytest.mark.parametrize("reset", RESETS)
def test_a_full_queue(reset, ground, played):
    """What waits gets a record, too; what was refused has none."""
    output = played[f"alone {reset}"]
    assert len(output["rung"][0]) == ground.config.tile.batches + 2 and output["rung"][1] == []
    assert output["refusals"] == [["FAILED", "FULL"], []]
    assert all(record.failed for record in output["records"][0])


@pytest.mark.parametrize("name", NOTED)
def test_wrong_records(name, played):
    """A batch goes on without what did not come or cannot be; its completion record says so."""
    output = played[name]
    records = [record for tile in output["records"] for record in tile]
    assert len(records) == 4 and not any(record.failed for record in records)
    errors = {RecordError(record.errors) for record in records}
    assert RecordError(0) in errors and functools.reduce(operator.or_, errors) == NOTED[name]


@pytest.mark.parametrize("seed", range(RANDOM_RINGS))
def test_wrong_ring(seed, ground, played):
    """Ring and routes of legal but random values: tiles fail by a watchdog or because counts disagree, or all are done."""
    output = played[f"ring_{seed}"]
    if any(status for status, _ in output["states"]):
        check_failure(output, "WATCHDOG", "DISAGREE")


@pytest.mark.parametrize("number", range(RANDOM_RESETS))
def test_reset_at_random_moment(number, played):
    """Both resets, whatever is under way."""
    assert f"reset_{number}" in played


def test_accesses_in_a_batch(ground, played):
    """What needs an idle tile is refused, and the batch is exact all the same."""
    assert "meddle" in played and min(ground.model.tile_cycles) > 10 * MEDDLES


def test_every_refusal_of_an_idle_tile(played):
    """Each names its access (tb/probes.py), and the batches after them are exact."""
    assert played["probe"]["reset_cycles"] > 0


def test_on_icarus(icarus, tmp_path):
    """One error of each kind, and a reset of each kind."""
    ground = Playground.make(small(**TINY), tmp_path)
    names = {"watchdog": "rst", "ddr_slverr": "CONTROL.RESET", "other_tag": "rst", "io_bad_answer": "CONTROL.RESET"}
    done = ground.play([one for one in failures(ground) if one.name in {f"{name} {reset}" for name, reset in names.items()}],
                       icarus)
    for name, reset in names.items():
        check_failure(done[f"{name} {reset}"], CAUSES[name])


@pytest.mark.regress
@pytest.mark.parametrize("batches", [1, 2])
def test_many_resets(batches, tmp_path):
    """A hundred resets at random moments of some batches."""
    ground = Playground.make(load("smoke", [f"tile.batches={batches}"]), tmp_path)
    assert len(ground.play(random_resets(ground, 100, 1000), "verilator")) == 100


@pytest.mark.regress
@pytest.mark.parametrize("batches", [1, 2])
def test_many_resets_and_rings_on_four_tiles(batches, tmp_path):
    """The same where slices and counts pass tiles, and wrong rings that cross."""
    ground = Playground.make(small(array__rows=2, array__cols=2, array__ddr_tiles=(0, 3), link__latency_cycles=5,
                                   tile__batches=batches), tmp_path)
    rings = [Scenario(name=f"ring_{seed}", reset=RESETS[seed % 2], patience=patience(ground), may_finish=True,
                      batches=ground.queued(), settings=ground.wrong_ring(seed)) for seed in range(100, 140)]
    done = ground.play([*rings, *random_resets(ground, 40, 2000)], "verilator")
    failed = [output for output in done.values() if any(status for status, _ in output.get("states", []))]
    assert len(failed) > 20
    for output in failed:
        check_failure(output, "WATCHDOG", "DISAGREE")


@pytest.mark.regress
@pytest.mark.parametrize("batches", [1, 2])
def test_many_resets_of_link_layers(batches, tmp_path):
    """Both ends begin anew, in the middle of replays too; a link that has gone down comes up."""
    config = small(link__crc_bits=16, link__latency_cycles=3, tile__batches=batches)
    ground = Playground.make(config, tmp_path, timing_only=True)
    assert len(ground.play(random_resets(ground, 60, 3000), "verilator")) == 60
