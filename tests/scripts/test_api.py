"""The functions of ``import trajectile``: the documented example runs, errors are those of the command line."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest

import trajectile
from tests.support.configurations import TINY
from tests.support.paths import DOCS
from trajectile.scripts import cli
from trajectile.tb.cache import cache_folder


def test_the_documented_example(capsys):
    """As it stands on the page."""
    text = (DOCS / "python.md").read_text(encoding="utf-8")
    [example] = re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)
    exec(example, {})
    assert "trajectile_array" in capsys.readouterr().out
    assert all(hasattr(trajectile, name) for name in re.findall(r"^\| `(\w+)\(", text, re.M))


def test_the_same_as_the_command(tmp_path, monkeypatch, capsys):
    """A run gives the JSON of the command, prints nothing, and leaves nothing behind."""
    monkeypatch.setenv("TRAJECTILE_BUILD", str(cache_folder()))
    monkeypatch.chdir(tmp_path)
    run = trajectile.simulate("smoke", tokens=4, seed=3)
    assert capsys.readouterr() == ("", "") and not list(tmp_path.iterdir())
    assert cli.main(["simulate", "smoke", "--tokens", "4", "--seed", "3", "--json", "run.json"]) == 0
    theirs, ours = json.loads((tmp_path / "run.json").read_text()), json.loads(json.dumps(run.summary()))
    for own in ("wall_seconds", "files"):
        assert theirs.pop(own) and ours.pop(own)
    assert ours == theirs
    assert repr(run) == f"<Simulation of smoke: exact, {run.cycles:,} cycles>"
    assert run.exact and run.results.dtype == np.int32
    golden = run.load.given.results(run.config)
    assert np.array_equal(run.results, golden.y) and np.array_equal(run.clips, golden.clips)


def test_synthesis():
    """The areas of the report; a tile that takes seconds."""
    made = trajectile.synthesize("smoke", {name.replace("__", "."): value for name, value in TINY.items()})
    assert made.cell_area == made.summary()["totals"]["cell_area"] > 0
    assert repr(made).startswith("<Synthesis of a smoke tile: ")


def test_notebooks_show_a_line():
    """Not a megabyte of Verilog, nor ten thousand events."""
    made = trajectile.generate("smoke")
    assert repr(made) == f"<Design of smoke: {len(made.modules)} modules, {len(made.srams)} SRAM sizes>"
    assert len(repr(trajectile.timeline("smoke", tokens=4))) < 1500


def test_configurations():
    """Four ways to name one, and overrides of each."""
    base = trajectile.load("smoke")
    tables = {key: value for key, value in base.as_dict.items() if key != "name"}
    for given in ("smoke", trajectile.presets()["smoke"], base, tables):
        changed = trajectile.load(given, {"tile.slots": 4})
        assert changed.tile.slots == 4 and changed.layer == base.layer
    for wrong in ({"tile.slot": 4}, {"slots": 4}, {"tile.slots": -1}):
        with pytest.raises(trajectile.ConfigError, match="legal"):
            trajectile.load("smoke", wrong)


def test_errors():
    """One line each, as on the command line."""
    with pytest.raises(trajectile.UserError, match=r"^--tokens = 1000000 is not legal; legal values: 0 to"):
        trajectile.timeline("smoke", tokens=10**6)
    for play in (trajectile.timeline, trajectile.simulate):
        for changes, tokens, wrong in (({"array.dataflows": "spread"}, 4, "array.dataflows = 'spread'"),
                                       ({}, 7, "tokens = 7")):
            with pytest.raises(trajectile.UserError, match=f"{wrong}.*legal values"):
                play("smoke", changes, tokens=tokens, dataflow="shared")
        with pytest.raises(trajectile.UserError, match=r"^dataflow = 'both' is not legal; legal values: spread, shared, a"):
            play("smoke", tokens=4, dataflow="both")
    with pytest.raises(AttributeError, match="no attribute 'simulates'"):
        _ = trajectile.simulates


def test_import_is_instant():
    """Nothing heavy comes with the name; the version is the package's."""
    script = ("import sys, trajectile; heavy = {'numpy', 'amaranth', 'cocotb', 'matplotlib'} & set(sys.modules); "
              "assert not heavy, heavy; print(trajectile.__version__)")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"\d+\.\d+\S*\n", done.stdout)
