"""Every error on the array: all tiles fail and say so in bounded time, a reset helps, and the next batch is exact."""

import random

import pytest

from tests.support.configurations import small
from tests.support.errors_bench import Playground
from tests.support.wrongs import RESETS, wrongs
from trajectile.hw.host.codes import ERRORS, Refusal
from trajectile.sw_model.config import load
from trajectile.tb.scenario import Scenario

#: bits of STATUS
DONE, OVERRUN, FAILED = 2, 4, 8
#: from the first tile's interrupt to the last one's
SPREAD_CYCLES = 1
#: what can be wrong: name, and the cause that some tile must give. Every other tile gives the same or STOPPED.
CAUSES = {
    "watchdog": "WATCHDOG",
    "ddr_exokay": "DDR_RESPONSE", "ddr_slverr": "DDR_RESPONSE", "ddr_decerr": "DDR_RESPONSE",
    "ddr_no_data": "WATCHDOG", "ddr_no_address": "WATCHDOG",
    "arrivals_more": "WATCHDOG", "arrivals_less": "WATCHDOG", "loads_less": "WATCHDOG",
    "loads_unwritten": "ENTRY", "rules_unwritten": "ENTRY", "tokens_unwritten": "ENTRY", "no_passes": "ENTRY",
    "circles": "WATCHDOG", "ring_next_wrong": "WATCHDOG", "ring_prev_wrong": "WATCHDOG",
    "route_to_edge": "WATCHDOG", "route_to_itself": "WATCHDOG",
}
RANDOM_RINGS, RANDOM_RESETS = 6, 10
#: accesses of each host that fit into a batch
MEDDLES = 60


def random_resets(ground: Playground, count: int, seed: int) -> list[Scenario]:
    """Resets of both kinds at random moments, half of them while everything stalls at random."""
    print(f"seed {seed}")
    rng = random.Random(seed)
    return [Scenario(name=f"reset_{number}", patience=0, reset=RESETS[number % 2], seed=number // 2 % 2 * (seed + number),
                     reset_after=rng.randrange(5, ground.model.cycles)) for number in range(count)]


@pytest.fixture(scope="module")
def ground(tmp_path_factory) -> Playground:
    return Playground.make(load("smoke"), tmp_path_factory.mktemp("errors"))


@pytest.fixture(scope="module")
def played(ground) -> dict[str, dict]:
    """All scenarios in one simulation."""
    patience = ground.limit + 50
    cases = [Scenario(name=f"{name} {reset}", reset=reset, patience=patience, **wrong)
             for reset in RESETS for name, wrong in wrongs(ground).items()]
    cases += [Scenario(name=f"ring_{seed}", reset=RESETS[seed % 2], patience=patience, settings=ground.wrong_ring(seed),
                       may_finish=True) for seed in range(RANDOM_RINGS)]
    cases.append(Scenario(name="meddle", patience=0, reset_after=5, meddle=MEDDLES))
    cases.append(Scenario(name="probe", patience=0, reset="CONTROL.RESET", reset_after=5, probe=True))
    return ground.play([*cases, *random_resets(ground, RANDOM_RESETS, 1)], "verilator")


def check_failure(output: dict, cause: str, spread: int = SPREAD_CYCLES) -> None:
    """Every tile has failed, for this cause or because another one has; none takes a START."""
    names = [{name for number, (name, _) in enumerate(ERRORS) if error >> number & 1} for _, error in output["states"]]
    assert all(status & ~DONE == FAILED for status, _ in output["states"]), output["states"]
    assert {cause} in names and all(found in ({cause}, {"STOPPED"}) for found in names), names
    assert output["last"] - output["first"] <= spread
    assert all(output["refused"]) and {code & 15 for (code,) in output["codes"]} == {Refusal.FAILED.value}


@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("name", CAUSES)
def test_error(name, reset, ground, played):
    """In bounded time (the scenario's patience) and with the right cause; the good batch is checked by the fixture."""
    output = played[f"{name} {reset}"]
    check_failure(output, CAUSES[name])
    if name == "watchdog":
        assert ground.model.tile_cycles[0] - 1 <= output["first"] <= ground.model.tile_cycles[0] + 10
    elif CAUSES[name] != "WATCHDOG":
        assert output["last"] < ground.model.cycles


@pytest.mark.parametrize("seed", range(RANDOM_RINGS))
def test_wrong_ring(seed, ground, played):
    """Ring and routes of legal but random values: every tile fails by its watchdog, or all are done."""
    output = played[f"ring_{seed}"]
    if any(status != DONE for status, _ in output["states"]):
        check_failure(output, "WATCHDOG", spread=ground.limit)  # the interrupt of a tile that is done counts


@pytest.mark.parametrize("number", range(RANDOM_RESETS))
def test_reset_at_random_moment(number, played):
    """Both resets, whatever is under way."""
    assert f"reset_{number}" in played


def test_accesses_in_a_batch(ground, played):
    """What needs an idle tile is refused, and the batch is exact all the same."""
    assert min(counters["CYCLES"] for counters in (part["counters"] for part in played["meddle"]["tiles"])) > 10 * MEDDLES


def test_every_refusal_of_an_idle_tile(played):
    """Each names its access (tb/probes.py), and the batch after them is exact."""
    assert played["probe"]["reset_cycles"] > 0


def test_start_while_another_tile_runs(ground):
    """The tile that runs ignores it and says so. The one that began anew had nothing to do, so its log has a batch more."""
    limit = {"WATCHDOG": ground.limit}
    output, = ground.run([Scenario(name="again", patience=2 * ground.limit, again=True, may_finish=True, settings={
        0: limit, 1: limit | {"LOAD_COUNT": 0, "ARRIVAL_COUNT": 0}})], "verilator")
    assert output["again"] == 1 and [status & OVERRUN for status, _ in output["states"]] == [OVERRUN, 0]


def test_on_icarus(icarus, tmp_path):
    """One error of each kind, and a reset of each kind."""
    ground = Playground.make(load("smoke"), tmp_path)
    cases = wrongs(ground)
    names = {"watchdog": "rst", "ddr_slverr": "CONTROL.RESET", "no_passes": "CONTROL.RESET"}
    done = ground.play([Scenario(name=name, reset=reset, patience=ground.limit + 50, **cases[name])
                        for name, reset in names.items()], icarus)
    for name, output in done.items():
        check_failure(output, CAUSES[name])


@pytest.mark.regress
def test_many_resets(tmp_path):
    """A hundred resets at random moments of a batch."""
    ground = Playground.make(load("smoke"), tmp_path)
    assert len(ground.play(random_resets(ground, 100, 1000), "verilator")) == 100


@pytest.mark.regress
def test_many_resets_and_rings_on_four_tiles(tmp_path):
    """The same where slices pass tiles, and wrong rings that cross."""
    ground = Playground.make(small(array__rows=2, array__cols=2, array__ddr_tiles=(0, 3), link__latency_cycles=5), tmp_path)
    rings = [Scenario(name=f"ring_{seed}", reset=RESETS[seed % 2], patience=ground.limit + 50, may_finish=True,
                      settings=ground.wrong_ring(seed)) for seed in range(100, 140)]
    done = ground.play([*rings, *random_resets(ground, 40, 2000)], "verilator")
    failed = [output for output in done.values() if any(status != DONE for status, _ in output.get("states", []))]
    assert len(failed) > 20
    for output in failed:
        check_failure(output, "WATCHDOG", spread=ground.limit)  # the interrupt of a tile that is done counts


@pytest.mark.regress
def test_many_resets_of_link_layers(tmp_path):
    """Both ends begin anew, in the middle of replays too; a link that has gone down comes up."""
    config = small(link__crc_bits=16, link__latency_cycles=3)
    ground = Playground.make(config, tmp_path, timing_only=True)
    assert len(ground.play(random_resets(ground, 60, 3000), "verilator")) == 60
