"""The checks can fail: every kind of difference is seen, in made-up logs and in RTL that is wrong."""

import re
from dataclasses import replace

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
from trajectile.tb import io_log, runner
from trajectile.tb.scoreboard import check_events, check_results, read_events


@pytest.fixture(scope="module")
def model():
    """A timeline, and the log that an exact RTL would write."""
    config = load("smoke")
    line = timeline.simulate(scheduler.schedule(config, synthetic(config, 9, 1).topk_ids))
    return line, sorted(line.events)


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
    """A tile whose log ends within a line or a batch, or that has a run less than the others; cycles count from the first
    doorbell.
    """
    def write(tile, *lines):
        (tmp_path / f"e{tile}.log").write_text("".join(f"{line}\n" for line in lines))

    write(0, "3 doorbell 0 0 0 0", "8 load 0 1 2 0", "9 reset 0 0 0 0", "20 doorbell 0 0 0 0", "30 complete 0 0 0 0")
    second = ["5 doorbell 0 0 0 0", "9 reset 0 0 0 0", "21 doorbell 0 0 0 0", "31 complete 0 0 0 0"]
    for wrong in (second[:1], second[:3], [*second[:1], *second[2:]]):
        write(1, *wrong)
        with pytest.raises(ValueError, match="cut off"):
            read_events(tmp_path / "e", 2)
    (tmp_path / "e1.log").write_text("\n".join([*second, "32 lo"]))
    with pytest.raises(ValueError, match="cut off"):
        read_events(tmp_path / "e", 2)
    write(1, *second)
    runs = read_events(tmp_path / "e", 2)
    assert [[(event.cycle, event.tile) for event in run] for run in runs] == [
        [(0, 0), (2, 1), (5, 0)], [(0, 0), (1, 1), (10, 0), (11, 1)]]
    for tile in range(2):
        write(tile, second[1], second[3])
    assert [len(run) for run in read_events(tmp_path / "e", 2)] == [0, 2]


def test_what_is_read_of_an_io_log():
    """Beats by address, how often each was written, answers; a region that lacks a beat is none."""
    first, second = io_log.parse([
        "c 04030201", "10 08070605", "answer 0", "10 0c0b0a09", "answer 2", "reset", "c 00000001"])
    assert first.region(12, 8) == bytes([1, 2, 3, 4, 9, 10, 11, 12]) and first.region(12, 12) is None
    assert first.times == {12: 1, 16: 2} and first.answers == [0, 2]
    assert second.region(12, 4) == bytes([1, 0, 0, 0]) and second.answers == []


def _longer_link(config):
    return design(load("smoke", ["link.latency_cycles=3"]))


def _changed(config, block, pattern, text):
    """The design with a block's Verilog changed in one place."""
    made, name = design(config), f"trajectile_{block}"
    changed, count = re.subn(pattern, text, made.modules[name], count=1)
    assert count == 1 and changed != made.modules[name]
    return replace(made, modules={**made.modules, name: changed})


def _wrong_arithmetic(config):
    return _changed(config, "mac_pe", r" \+ ", " - ")


def _without_rest(config):
    return _changed(config, "io_writer", r"(assign user__quiet\s*=)[^;]*;", r"\g<1> 1'h0;")


def _failed_record(config):
    return _changed(config, "result_writer", r"\bfailed <= \w+;", "failed <= 1'h1;")


@pytest.mark.parametrize(("mutation", "results", "events"), [
    (_longer_link, "completion record: cycles", False), (_wrong_arithmetic, "results differ", True),
    (_failed_record, "completion record: failed = True", False)])
def test_wrong_rtl_is_seen(icarus, mutation, results, events, tmp_path, monkeypatch):
    """A link that is a cycle too long changes events and the times in the records; a wrong sum changes results only; a writer
    that takes every batch for a failed one says so in its records.
    """
    config = load("smoke")
    wrong = mutation(config)
    monkeypatch.setattr(simulation, "design", lambda config, timing_only=False: wrong)
    done = simulated(config, synthetic(config, 9, 2), tmp_path, simulator=icarus)
    assert not done.first.results and results in done.first.results.message and bool(done.first.events) is events
    assert not done.exact


def test_a_hang_is_seen(icarus, tmp_path, monkeypatch):
    """A tile that never sees that all it has written is answered is reported, with the state of all tiles."""
    config = load("smoke")
    wrong = _without_rest(config)
    monkeypatch.setattr(simulation, "design", lambda config, timing_only=False: wrong)
    with pytest.raises(runner.SimulationError, match="hung: not done"):
        simulated(config, synthetic(config, 3, 2), tmp_path, simulator=icarus)


@pytest.mark.parametrize("simulator", ["icarus", "native"])
def test_a_failure_is_seen_at_once(simulator, tmp_path, monkeypatch):
    """Tiles that fail are reported with the reason, not as a hang."""
    if simulator == "icarus":
        require_icarus()
    config = load("smoke")
    honest = simulation.descriptors

    def disagreeing(plan, number, *, bf16=False):
        first, *others = honest(plan, number, bf16=bf16)
        return [replace(first, tag=99), *others]
    monkeypatch.setattr(simulation, "descriptors", disagreeing)
    with pytest.raises(runner.SimulationError, match=r"failed: tile 0: status FAILED, error .*; "
                       r"tile 1: status FAILED, error DISAGREE"):
        simulated(config, synthetic(config, 3, 2), tmp_path, simulator=simulator)
