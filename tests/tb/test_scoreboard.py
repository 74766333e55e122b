"""The checks can fail: every kind of difference is seen, in made-up logs and in RTL that is wrong."""

import numpy as np
import pytest

from tests.support.batches import simulated, synthetic
from tests.support.tools import require_icarus
from trajectile.hw.design import design
from trajectile.scripts.flow import simulation
from trajectile.sw_model.config import load
from trajectile.sw_model.numerics.integer import Results
from trajectile.sw_model.schedule import scheduler
from trajectile.sw_model.timeline import model as timeline
from trajectile.tb import runner
from trajectile.tb.scoreboard import check_events, check_results, read_events


@pytest.fixture(scope="module")
def model():
    """A timeline, and the log that an exact RTL would write."""
    config = load("smoke")
    line = timeline.simulate(scheduler.schedule(config, synthetic(config, 9, 1).topk_ids))
    ends = [timeline.Event(cycles, tile, "end", 0, 0, 0, 0) for tile, cycles in enumerate(line.tile_cycles)]
    return line, sorted([*line.events, *ends])


def test_equal_logs_are_equal(model):
    """The reference of the tests below."""
    assert check_events(model[1], model[0])


@pytest.mark.parametrize("field", ["cycle", "tile", "kind", "slot", "expert", "slice_index", "flags"])
def test_every_field_counts(model, field):
    """One event with one field changed."""
    line, log = model
    for number in (0, len(log) // 2, len(log) - 1):
        value = getattr(log[number], field)
        changed = log[number]._replace(**{field: "loop" if field == "kind" else value + 1})
        assert not check_events(sorted([*log[:number], changed, *log[number + 1:]]), line)


def test_missing_and_extra_events(model):
    """One event less, one more, none at all."""
    line, log = model
    for other in (log[:-1], log[1:], [*log, log[-1]], []):
        verdict = check_events(other, line)
        assert not verdict and "RTL" in verdict.message


def test_every_result_counts():
    """One wrong bit, a wrong shape, a clip too many."""
    golden = Results(np.arange(12, dtype=np.int32).reshape(3, 4), np.zeros(3, dtype=np.int64))
    assert check_results(Results(golden.y.copy(), golden.clips.copy()), golden)
    wrong = golden.y.copy()
    wrong[2, 1] ^= 1
    verdict = check_results(golden._replace(y=wrong), golden)
    assert not verdict and "y[2, 1]" in verdict.message
    assert not check_results(golden._replace(y=golden.y[:2]), golden)
    verdict = check_results(golden._replace(clips=np.array([0, 0, 1])), golden)
    assert not verdict and "token 2: RTL 1, model 0" in verdict.message


def test_logs_that_are_cut_off(tmp_path):
    """A tile that never ended, or ended once less than the others."""
    (tmp_path / "e0.log").write_text("3 load 0 1 2 0\n9 end 0 0 0 0\n")
    (tmp_path / "e1.log").write_text("3 load 0 1 2 0\n")
    with pytest.raises(ValueError, match="cut off"):
        read_events(tmp_path / "e", 2)
    (tmp_path / "e1.log").write_text("4 end 0 0 0 0\n3 load 0 1 2 0\n8 end 0 0 0 0\n")
    with pytest.raises(ValueError, match="cut off"):
        read_events(tmp_path / "e", 2)
    (tmp_path / "e1.log").write_text("4 end 0 0 0 0\n")
    assert [len(batch) for batch in read_events(tmp_path / "e", 2)] == [3]


def _longer_link(config):
    return design(load("smoke", ["link.latency_cycles=3"]))


def _wrong_arithmetic(config):
    made = design(config)
    right = made.modules["trajectile_mac_pe"]
    made.modules["trajectile_mac_pe"] = right.replace(" + ", " - ", 1)
    assert made.modules["trajectile_mac_pe"] != right
    return made


@pytest.mark.parametrize(("mutation", "results", "events"), [
    (_longer_link, True, False), (_wrong_arithmetic, False, True)])
def test_wrong_rtl_is_seen(icarus, mutation, results, events, tmp_path, monkeypatch):
    """A link that is a cycle too long changes events only; a wrong sum changes results only."""
    config = load("smoke")
    wrong = mutation(config)
    monkeypatch.setattr(simulation, "design", lambda config, timing_only=False: wrong)
    done = simulated(config, synthetic(config, 9, 2), tmp_path, simulator=icarus)
    assert bool(done.first.results) is results and bool(done.first.events) is events
    assert not done.exact


def test_a_hang_is_seen(icarus, tmp_path, monkeypatch):
    """A tile that waits for a slice that never comes is reported, with the state of all tiles."""
    config = load("smoke")
    honest = simulation.tile_image

    def one_more(params, plan, tile, batch):
        image = honest(params, plan, tile, batch)
        image.settings["ARRIVAL_COUNT"] += 1
        return image
    monkeypatch.setattr(simulation, "tile_image", one_more)
    with pytest.raises(runner.SimulationError, match="hung: not done"):
        simulated(config, synthetic(config, 3, 2), tmp_path, simulator=icarus)


@pytest.mark.parametrize("simulator", ["icarus", "native"])
def test_a_failure_is_seen_at_once(simulator, tmp_path, monkeypatch):
    """A tile that fails is reported with its reason, not as a hang."""
    if simulator == "icarus":
        require_icarus()
    config = load("smoke")
    honest = simulation.tile_image

    def impatient(params, plan, tile, batch):
        image = honest(params, plan, tile, batch)
        if tile == 1:
            image.settings["WATCHDOG"] = 20
        return image
    monkeypatch.setattr(simulation, "tile_image", impatient)
    with pytest.raises(runner.SimulationError, match="failed: tile 0: status FAILED, error STOPPED; "
                       "tile 1: status FAILED, error WATCHDOG"):
        simulated(config, synthetic(config, 3, 2), tmp_path, simulator=simulator)
