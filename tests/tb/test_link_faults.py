"""Faults on every link: results stay exact and nothing is lost or comes twice, or link-down is reported in bounded time."""

import pytest

from tests.support.batches import simulated, synthetic
from tests.support.link_campaign import CONFIGS, KINDS, LASTING, campaign
from trajectile.hw.params import Params
from trajectile.sw_model.config import load
from trajectile.tb.faults import NEVER, LinkFaults
from trajectile.tb.job import Run
from trajectile.tb.runner import SimulationError

#: seeds of the campaign in each configuration (regress)
SEEDS = 200


def struck(seen) -> None:
    """Every kind of fault hit frames; only lasting ones took links down, and both kinds of those did."""
    assert all(counts["hurt"] for counts in seen.values()), seen
    assert all(bool(seen[kind]["failed"]) == (kind in LASTING) for kind in KINDS), seen


def test_a_few_seeds(tmp_path):
    """The beginning of the campaign."""
    struck(campaign(CONFIGS["1x2"], range(32), tmp_path))


@pytest.mark.regress
@pytest.mark.parametrize("number", range(len(CONFIGS)), ids=CONFIGS)
def test_campaign(number, tmp_path):
    """All kinds of faults on all links of small arrays."""
    seen = campaign(list(CONFIGS.values())[number], range(1000 + SEEDS * number, 1000 + SEEDS * (number + 1)), tmp_path)
    struck(seen)
    assert all(seen[kind]["failed_for_ever"] for kind in LASTING)
    assert all(counts["runs"] == SEEDS // len(KINDS) for counts in seen.values())


def test_without_link_layer(icarus, tmp_path):
    """The checks can fail: a bit of the weights that is stuck on a link gives wrong results, and the scoreboard says so."""
    config = load("smoke")
    top = Params(config).flit_layout.size - 1  # the flit comes first in the lanes
    done = simulated(config, synthetic(config, 12, 4), tmp_path, simulator=icarus, runs=[
        Run(1, faults=(LinkFaults(stuck=(top, top), stuck_at=1, stuck_cycles=(0, NEVER)),))])
    assert not done.first.failed and not done.first.results and "results differ" in done.first.results.message
    assert sum(did.stuck for did in done.first.injected.values()) > 100


@pytest.mark.regress
@pytest.mark.parametrize("seed", range(1, 9))
def test_flips_without_link_layer(seed, tmp_path):
    """A bit in a thousand: wrong results, or an array that stands still."""
    config = load("smoke")
    print(f"seed {seed}")
    try:
        done = simulated(config, synthetic(config, 12, 4), tmp_path, runs=[
            Run(seed, faults=(LinkFaults(ber=1e-3),))])
    except SimulationError as error:
        assert "hung" in str(error)
    else:
        assert not done.first.results


@pytest.mark.regress
def test_icarus(icarus, tmp_path):
    """The same runs give the same cycles and the same injected faults in the other simulator."""
    config, runs = CONFIGS["1x2"], [Run(seed, faults=(LinkFaults(ber=1e-3),)) for seed in (1, 2)]
    batch = synthetic(config, 12, 4)
    one, other = (simulated(config, batch, tmp_path / simulator, simulator=simulator, runs=runs)
                  for simulator in ("verilator", icarus))
    assert all(outcome.results for outcome in one.outcomes)
    assert [(o.cycles, o.log, o.injected) for o in one.outcomes] == [(o.cycles, o.log, o.injected) for o in other.outcomes]
