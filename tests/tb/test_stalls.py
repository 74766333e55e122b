"""Random stalls on every interface: results stay exact, nothing is lost, nothing hangs."""

import pytest

from tests.support.batches import exact, queued, synthetic
from tests.support.configurations import small
from trajectile.sw_model.config import load
from trajectile.tb.job import Run

EVERYTHING = [Run(seed, stall_host=True, stall_ddr=True, stall_io=True, stall_link=True) for seed in range(1, 51)]


def test_everything_stalls(tmp_path):
    """Host, DDR, io and links hesitate at random, with 50 seeds in one build."""
    config = load("smoke")
    done = exact(config, synthetic(config, 12, 4), tmp_path, runs=EVERYTHING)
    assert len(done.outcomes) == 50
    assert len({outcome.cycles for outcome in done.outcomes}) > 40  # the stalls did something
    assert max(outcome.cycles for outcome in done.outcomes) > 1.5 * done.model.cycles
    for outcome in done.outcomes:  # every slice met every stop, whatever the timing
        assert sum(e.kind == "compute" for e in outcome.log) == sum(e.kind == "compute" for e in done.model.events)
        assert [c["COUNT_DDR_BEAT"] for c in outcome.counters] == list(done.model.ddr_beats)


@pytest.mark.parametrize("what", [
    *(pytest.param(what, marks=pytest.mark.regress) for what in ("stall_host", "stall_ddr")), "stall_io", "stall_link"])
def test_one_interface_stalls(icarus, what, tmp_path):
    """Each interface by itself, on Icarus."""
    config = load("smoke")
    exact(config, synthetic(config, 12, 4), tmp_path, simulator=icarus, runs=[Run(3, **{what: True})])


@pytest.mark.parametrize("batches", [pytest.param(1, marks=pytest.mark.regress), 2])
def test_batches_in_a_queue(first_verilator, batches, tmp_path):
    """Three batches back to back while everything hesitates."""
    config = small(tile__batches=batches)
    exact(config, queued(config, (config.token_capacity, 1, 7), 4), tmp_path, simulator=first_verilator, runs=EVERYTHING[:3])


#: (simulator, tokens): the models are Python, so every cycle takes its time
FOREIGN = [("verilator", 3), *(pytest.param(simulator, 9, marks=pytest.mark.regress)
                               for simulator in ("verilator", "icarus"))]


@pytest.mark.parametrize(("simulator", "tokens"), FOREIGN)
def test_foreign_axi_models(simulator, tokens, tmp_path):
    """cocotbext-axi on the host ports and behind DDR and io ports, at full speed and with pauses."""
    config = load("smoke")
    done = exact(config, synthetic(config, tokens, 6), tmp_path, simulator=simulator, axi_models=True,
                 runs=[Run(1), Run(2, stall_ddr=True), Run(3, stall_io=True),
                       Run(4, stall_ddr=True, stall_io=True, stall_link=True)][:2 if tokens < 9 else 4])
    assert done.outcomes[1].cycles > done.outcomes[0].cycles
