"""Runs of one configuration at the same time, in the same folder: each is exact, and what is left there is of one run."""

import json
import multiprocessing

import pytest

from trajectile.scripts import cli
from trajectile.sw_model.config import load
from trajectile.tb.cache import cache_folder
from trajectile.tb.scoreboard import read_events


def _run(start, arguments):
    start.wait()
    raise SystemExit(cli.main(arguments))


def at_once(commands):
    """Exit codes of command lines that begin together, a process each."""
    context = multiprocessing.get_context("fork")
    start = context.Event()
    runs = [context.Process(target=_run, args=(start, command)) for command in commands]
    for run in runs:
        run.start()
    start.set()
    for run in runs:
        run.join()
    return [run.exitcode for run in runs]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """A folder of its own; builds are where the other tests have theirs."""
    monkeypatch.setenv("TRAJECTILE_BUILD", str(cache_folder()))
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("number", [2, *(pytest.param(number, marks=pytest.mark.regress) for number in (4, 8))])
def test_simulate(number, tmp_path):
    """Seeds differ, so do weights, inputs and events; one build serves all."""
    seeds = range(1, number + 1)
    assert at_once([["simulate", "smoke", "--tokens", "4", "--seed", str(seed), "--json", f"{seed}.json"]
                    for seed in seeds]) == [0] * number
    runs = [json.loads((tmp_path / f"{seed}.json").read_text()) for seed in seeds]
    assert all(run["results_exact"] and run["events_exact"] and run["cycles_rtl"] == run["cycles_model"] for run in runs)
    assert len({run["cycles_rtl"] for run in runs}) > 1
    folder = tmp_path / "build" / "run" / "smoke"
    [events] = read_events(folder / "events", load("smoke").array.tiles)
    kept = max(event.cycle for event in events if event.kind == "complete")
    assert kept in {run["cycles_rtl"] for run in runs} and not list(folder.glob(".run-*"))


def test_timeline_and_generate(tmp_path):
    """Other commands that share a folder: the files left are those of one run."""
    assert at_once([["timeline", "smoke", "--tokens", str(tokens), "-o", "out", "--json", f"{tokens}.json"]
                    for tokens in (2, 8)]) == [0, 0]
    cycles = {json.loads((tmp_path / f"{tokens}.json").read_text())["cycles"] for tokens in (2, 8)}
    assert len(cycles) == 2
    slots = [["generate", "smoke", "--set", f"tile.slots={slots}", "-o", "verilog"] for slots in (3, 4)]
    assert at_once(slots) == [0, 0]
    left = json.loads((tmp_path / "verilog" / "config.json").read_text())["tile"]["slots"]
    assert f"tile.slots={left} " in (tmp_path / "verilog" / "trajectile_tile.v").read_text()
