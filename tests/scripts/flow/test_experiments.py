"""Comparisons, sweeps and token buffering: rows, files, taking up again, a Dask cluster."""

import csv
import dataclasses
import json
import sys

import numpy as np
import pytest

from tests.support.trace_files import arrays
from trajectile.scripts import cli
from trajectile.scripts.command_line.errors import Exit
from trajectile.scripts.errors import UserError
from trajectile.scripts.flow import deferral, experiments, variants
from trajectile.scripts.plots import comparison as plots
from trajectile.sw_model.config import load
from trajectile.sw_model.gates.selection import Selection
from trajectile.sw_model.gates.workloads import fit_skew, synthetic_trace
from trajectile.sw_model.schedule.scheduler import schedule
from trajectile.sw_model.timeline.model import simulate

#: a small comparison: two configurations of one shape, two batch sizes
SMALL = ["--tokens", "1,8", "--windows", "2"]
GATE = experiments.Gate(None, None, 0.2, 1)


def tasks(count=6):
    text = experiments.config_text(load("smoke"))
    return [experiments.Task(text, GATE, offset, 4, strategy, "balanced" if strategy in experiments.STREAMED else "-")
            for offset in range(2048, 2048 + count) for strategy in experiments.STRATEGIES]


def test_compare_writes_everything(tmp_path, capsys):
    """A row for each configuration, batch size, strategy and order; CSV and JSON agree; plots; a table."""
    assert cli.main(["compare", "smoke", "demo", *SMALL, "-o", str(tmp_path)]) == 0
    entries = json.loads((tmp_path / "compare.json").read_text())
    assert len(entries) == 2 * 2 * (3 + 3 + 1 + 1 + 1 + 1) - 1  # smoke's tiles have no room for all of eight tokens
    with (tmp_path / "compare.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["tokens"]) for row in rows] == [entry["tokens"] for entry in entries]
    for entry in entries:
        assert entry["windows"] == 2 and entry["over_roofline"] >= 0.9  # EP places tokens otherwise: another MAC bound
        assert 0 < entry["first_load_cycles"] < entry["cycles"] - entry["streaming_cycles"]
        assert entry["weight_bytes"] > 0 and entry["token_bytes"] > 0
        if entry["strategy"] == "ep":
            assert entry["speedup_over_ep"] == 1
    for name in ("over_roofline", "utilisation", "memory", "speedup_over_ep", "speedup_over_hydra"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    lines = {(entry["strategy"], entry["order"]) for entry in entries}
    assert len(set(plots.LINES)) == len(plots.LINES) >= len(lines)  # no two have the same colour
    assert "ep-whole-experts" in capsys.readouterr().out


def test_channels_that_refresh(tmp_path):
    """``--ddr``: every strategy is slower for it, and nearer to the roofline of channels that refresh."""
    line = ["compare", "demo", "--tokens", "16", "--windows", "1", "--orders", "balanced", "--strategies", "fse,ep,hydra"]
    assert cli.main([*line, "-o", str(tmp_path / "plain")]) == 0
    assert cli.main([*line, "--ddr", "ddr3-800", "-o", str(tmp_path / "ddr3")]) == 0
    plain, ddr3 = (json.loads((tmp_path / name / "compare.json").read_text()) for name in ("plain", "ddr3"))
    assert [entry["strategy"] for entry in ddr3] == ["fse", "ep", "hydra"]
    for ideal, real in zip(plain, ddr3, strict=True):
        assert ideal["over_refresh_roofline"] == ideal["over_roofline"] and ideal["roofline"] == real["roofline"]
        assert 1.05 * ideal["cycles"] < real["cycles"] < 1.2 * ideal["cycles"]
        assert ideal["over_roofline"] < real["over_refresh_roofline"] < real["over_roofline"]


def test_tokens_travel(tmp_path, capsys):
    """The same bytes from DDR, few over links, all tokens in every tile; what fits no tile is left out, and said."""
    line = ["compare", "demo", "--tokens", "16,100", "--windows", "2", "--orders", "balanced", "-o", str(tmp_path)]
    assert cli.main(line) == 0
    assert "demo: tokens-travel is left out for 100 tokens" in capsys.readouterr().out
    entries = json.loads((tmp_path / "compare.json").read_text())
    assert [entry["tokens"] for entry in entries if entry["strategy"] == "tokens-travel"] == [16]
    spread, shared = (next(entry for entry in entries if (entry["strategy"], entry["tokens"]) == (strategy, 16))
                      for strategy in ("fse", "tokens-travel"))
    assert (spread["dataflow"], shared["dataflow"]) == ("spread", "shared")
    assert shared["d2d_bytes"] * 20 < spread["d2d_bytes"] and shared["weight_bytes"] == spread["weight_bytes"]
    assert shared["token_bytes"] == 4 * spread["token_bytes"] and shared["roofline"] == spread["roofline"]
    for entry in entries:
        assert entry["d2d_uj"] == pytest.approx(entry["d2d_bytes"] * 8 * 0.5e-6)


@pytest.mark.parametrize(("wish", "tokens", "dataflow"), [("spread", 16, "spread"), ("shared", 16, "shared"),
                                                          ("auto", 16, "shared"), ("auto", 65, "spread")])
def test_dataflow(wish, tokens, dataflow, tmp_path):
    """Streaming in the dataflow that is asked for; where tokens travel in any case, the row is the same."""
    arguments = ["compare", "demo", "--set", "array.dataflows=both", "--tokens", str(tokens), "--windows", "1", "--orders",
                 "balanced", "--dataflow", wish, "--strategies", "fse,tokens-travel", "-o", str(tmp_path)]
    assert cli.main(arguments) == 0
    ours, *other = json.loads((tmp_path / "compare.json").read_text())
    assert ours["dataflow"] == dataflow
    assert tokens > 64 or (ours["cycles"] == other[0]["cycles"]) == (dataflow == "shared")


def test_links_between(tmp_path):
    """A flit over two links counts twice, as it does for EP."""
    line = ["compare", "demo", "--tokens", "4", "--windows", "1", "--orders", "balanced", "--strategies", "fse", "--set",
            "array.rows=1", "--set", "array.cols=3", "--set", "array.ddr_tiles=0,1,2", "-o", str(tmp_path)]
    assert cli.main(line) == 0
    [entry] = json.loads((tmp_path / "compare.json").read_text())
    config = load("demo", ["array.rows=1", "array.cols=3", "array.ddr_tiles=0,1,2"])
    ids = synthetic_trace(64, 6, experiments.SYNTHETIC_TOKENS, 0.2, 1).window(0, 2048, 4).topk_ids
    there, back = sum(simulate(schedule(config, ids)).flits[:2]), simulate(schedule(config, ids)).flits[2]
    assert entry["d2d_bytes"] == (there + 2 * back) * config.link.beat_bytes


def test_fewer_experts(tmp_path, capsys):
    """Everybody has the same choices of fewer experts, is faster for it, and the table says that results change."""
    small = ["compare", "demo", "--tokens", "8", "--windows", "2", "--orders", "balanced"]
    assert cli.main([*small, "-o", str(tmp_path / "all")]) == 0
    assert cli.main([*small, "--select", "lynx:0.5", "-o", str(tmp_path / "half")]) == 0
    assert "lynx:0.5: batches keep 50% of their active experts, so the layer's results change" in capsys.readouterr().out
    whole, half = (json.loads((tmp_path / name / "compare.json").read_text()) for name in ("all", "half"))
    for before, after in zip(whole, half, strict=True):
        assert (before["select"], after["select"]) == (None, "lynx:0.5")
        assert after["cycles"] < before["cycles"]
        assert after["active_experts"] == pytest.approx(before["active_experts"] / 2, abs=0.5)
    rows = experiments.run_all([dataclasses.replace(tasks(1)[0], gate=dataclasses.replace(GATE, select=rule))
                                for rule in (None, Selection("xshare", 0.5))], tmp_path / "keys")
    assert rows[0]["cycles"] > rows[1]["cycles"]


def test_a_stopped_run_is_continued(tmp_path, monkeypatch):
    """What is there is not done again, a line that was cut off is; the rows are those of a run in one go."""
    work = tasks()
    rows = experiments.run_all(work, tmp_path / "whole")
    path = tmp_path / "part" / "rows.jsonl"
    path.parent.mkdir()
    lines = (tmp_path / "whole" / "rows.jsonl").read_text().splitlines()
    path.write_text("\n".join(lines[:20]) + "\n" + lines[20][:30] + "\n")
    assert experiments.run_all(work, tmp_path / "part") == rows
    assert len(path.read_text().splitlines()) == 21 + len(work) - 20
    monkeypatch.setattr(experiments, "executor", None)  # nothing is left to do
    assert experiments.run_all(work, tmp_path / "part") == rows


def test_rows_of_another_trace_or_model_are_not_taken_up(tmp_path, monkeypatch):
    """A file of the same name with other contents, or a model that was edited, is another run."""
    path = tmp_path / "trace.npz"
    np.savez(path, **arrays())
    task = tasks(1)[0]
    task = dataclasses.replace(task, gate=experiments.Gate(str(path), None, 0.2, 1))
    key = task.key
    assert task.key == key
    np.savez(path, **(arrays() | {"more": np.zeros(3)}))
    other = task.key
    assert other != key
    monkeypatch.setattr(experiments, "_sources", lambda: "edited")
    assert task.key not in (key, other)


def test_dask(tmp_path):
    """A local cluster gives the same rows."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as cluster:
        rows = experiments.run_all(tasks(2), tmp_path / "dask", kind="dask", address=cluster.scheduler_address)
    assert rows == experiments.run_all(tasks(2), tmp_path / "process")


def test_without_dask(tmp_path, monkeypatch, capsys):
    """One line that says how to get it, and code 3."""
    monkeypatch.setitem(sys.modules, "distributed", None)  # as if it were not installed
    assert cli.main(["sweep", "smoke", "--vary", "tile.slots=3,4", "--tokens", "4", "--executor", "dask", "--scheduler",
                     "tcp://127.0.0.1:1", "-o", str(tmp_path)]) == Exit.TOOL
    assert "pip install 'trajectile[cluster]'" in capsys.readouterr().err


def test_sweep(tmp_path, capsys):
    """A heat map of two fields; what cannot be built is said and not drawn."""
    assert cli.main(["sweep", "smoke", "--vary", "tile.slots=1,3,4", "--vary", "ddr.bytes_per_cycle=2,4", "--tokens", "6",
                     "-o", str(tmp_path)]) == 0
    entries = json.loads((tmp_path / "sweep.json").read_text())
    assert [(e["tile.slots"], e["ddr.bytes_per_cycle"]) for e in entries] == [(s, d) for s in (1, 3, 4) for d in (2, 4)]
    assert all(("tile.slots = 1" in e["why_not"]) == (e["tile.slots"] == 1) == (e["cycles"] is None) for e in entries)
    assert entries[3]["cycles"] < entries[2]["cycles"]  # twice the DDR rate
    assert (tmp_path / "sweep.png").read_bytes().startswith(b"\x89PNG")
    assert "tile.slots = 1 is not legal" in capsys.readouterr().out
    assert cli.main(["sweep", "smoke", "--vary", "tile.tokens=3,6", "--tokens", "6", "--strategy", "tokens-travel", "-o",
                     str(tmp_path / "travel")]) == 0
    few, enough = json.loads((tmp_path / "travel" / "sweep.json").read_text())
    assert few["why_not"] == "holds 3 tokens only" and enough["cycles"]
    curve = ["--vary", "link.latency_cycles=1,2,8", "--tokens", "6", "-o", str(tmp_path / "curve")]
    assert cli.main(["sweep", "smoke", *curve]) == 0


def test_buffering(tmp_path, capsys):
    """No slack holds nothing; with slack every token is still computed, and the gain is that of the cycles."""
    assert cli.main(["buffer", "demo", "--tokens", "8", "--batches", "4", "--slack", "0,0.5", "-o", str(tmp_path)]) == 0
    none, half = json.loads((tmp_path / "buffer.json").read_text())
    assert none["held_tokens"] == 0 and none["gain"] == 1 and none["tokens"] == half["tokens"] == 32
    assert half["held_tokens"] > 0 and half["longest_wait_cycles"] >= half["mean_wait_cycles"] > 0
    assert half["gain"] == pytest.approx(none["cycles"] / half["cycles"])
    one = [synthetic_trace(64, 6, 8, 0.2, 3).topk_ids[0]]
    assert deferral.measure(load("demo"), one, 0.5, "index")["held_tokens"] == 0  # the last batch finishes everything


@pytest.mark.parametrize(("arguments", "named"), [
    (["compare", "smoke", "--tokens", "13"], "--tokens = 13"),
    (["compare", "smoke", "--tokens", "0"], "--tokens = 0"),
    (["compare", "smoke", "--trace", "nothing.npz"], "nothing.npz: no such file"),
    (["compare", "smoke", "--fit", "nothing.npz"], "nothing.npz: no such file"),
    (["compare", "smoke", "--tokens", "1", "--executor", "dask"], "--scheduler is missing"),
    (["compare", "smoke", "--select", "best:0.5"], "select = 'best:0.5'"),
    (["compare", "smoke", "--set", "array.dataflows=spread", "--tokens", "1", "--dataflow", "shared"], "--dataflow = shared"),
    (["compare", "demo", "--set", "array.dataflows=both", "--tokens", "65", "--dataflow", "shared"], "--tokens = 65"),
    (["compare", "smoke", "--tokens", "12", "--strategies", "tokens-travel"], "--strategies = tokens-travel"),
    (["sweep", "smoke", "--vary", "tile.slots=3", "--select", "lynx:0"], "select = 'lynx:0'"),
    (["sweep", "smoke", "--vary", "tile.slots=1"], "tile.slots = 1"),
    (["sweep", "smoke", "--vary", "tile.slots=a"], "tile.slots = 'a'"),
    (["sweep", "smoke", "--vary", "tile.depth=1"], "tile.depth"),
    (["buffer", "smoke", "--tokens", "12", "--slack", "0.5"], "--tokens = 12"),
    (["buffer", "smoke", "--batches", "100000"], "--batches 100000"),
])
def test_wrong_input(arguments, named, capsys, tmp_path, monkeypatch):
    """Exit code 2, one message that names the field."""
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == 2
    shown = capsys.readouterr().err
    assert named in shown.replace("\n", " ") and "legal" in shown and "Traceback" not in shown


@pytest.mark.parametrize("arguments", [
    ["compare", "smoke", "--strategies", "best"], ["compare", "smoke", "--orders", "best"],
    ["sweep", "smoke", "--vary", "tile.slots"], ["sweep", "smoke", "--vary", "array.ddr_tiles=0,1"],
    ["buffer", "smoke", "--slack", "2"], ["compare", "smoke", "--tokens", "many"]])
def test_arguments_that_cannot_be_read(arguments, capsys):
    """The parser's own exit, with the option's name."""
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == 2 and arguments[2] in capsys.readouterr().err


def test_a_trace_of_another_shape(tmp_path):
    """Names the shapes."""
    np.savez(tmp_path / "trace.npz", **arrays())
    gate = experiments.Gate(str(tmp_path / "trace.npz"), None, 0.2, 1)
    with pytest.raises(UserError, match="8 experts, top 3; legal for smoke: 6 experts, top 2"):
        gate.read(load("smoke"))


def test_too_many_fields():
    """A sweep has one or two."""
    with pytest.raises(UserError, match="once or twice"):
        variants.variants(load("smoke"), [("tile.slots", [2])] * 3)


def test_fit_skew():
    """The skew of a synthetic gate is found again."""
    for skew in (0.0, 0.4, 1.0):
        found, error = fit_skew(synthetic_trace(64, 6, 2048, skew, 9))
        assert abs(found - skew) <= 0.1 and error < 0.1
