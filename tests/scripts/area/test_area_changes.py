"""What changed in area: tables, growth that fails, the Pareto front."""

import copy
import io
import json

import pytest
from rich.console import Console

from trajectile.scripts import cli
from trajectile.scripts.area import changes, pareto
from trajectile.scripts.flow import variants
from trajectile.scripts.maintain import area_check

PART = {"cells": 10, "cell_area": 100.0, "sram_area": 50.0}
BASE = {"totals": {"cells": 30, "cell_area": 300.0, "sram_area": 50.0},
        "groups": {"router": PART, "host port": {"cells": 20, "cell_area": 200.0, "sram_area": 0.0}}}


def changed(**areas):
    now = copy.deepcopy(BASE)
    for name, area in areas.items():
        part = now["totals"] if name == "totals" else now["groups"][name]
        part["cell_area"] = area
    return now


def test_growth():
    """Over 2 % of the whole or of a part; a part's is forgiven below a thousandth of the tile. Shrinking is welcome."""
    assert changes.grown(BASE, BASE) == []
    assert changes.grown(BASE, changed(totals=306.0)) == []
    assert changes.grown(BASE, changed(totals=306.1)) == ["cells of total: 300 to 306 (+2.0%)"]
    assert changes.grown(BASE, changed(router=103.0)) == ["cells of router: 100 to 103 (+3.0%)"]
    assert changes.grown(BASE, changed(router=50.0)) == []
    small = changed(router=1.0)
    assert changes.grown(small, changed(router=1.3)) == []
    new = changed()
    new["groups"]["link layer"] = PART
    assert changes.grown(BASE, new) == ["cells of link layer: 0 to 100 (new)", "SRAM of link layer: 0 to 50 (new)"]


def test_the_table():
    """Before, after, change; what is new or gone has a row."""
    now = changed(router=110.0)
    del now["groups"]["host port"]
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(changes.table(BASE, now))
    text = console.export_text()
    assert "+10.00%" in text and "-100.00%" in text


@pytest.mark.parametrize(("growth", "okay"), [(1.0, True), (1.5, False)])
def test_the_check(growth, okay, tmp_path, monkeypatch):
    """``make area``: growth fails; with a reason the baseline takes it, and the reason."""
    path = tmp_path / "baseline.json"
    monkeypatch.setattr(area_check, "synthesize", lambda *_: changed(totals=300.0 * growth))
    path.write_text(json.dumps({"areas": {"smoke sg13g2": BASE}, "reasons": []}))
    console = Console(quiet=True)
    assert area_check.check(["smoke"], ["sg13g2"], tmp_path, console, path=path) == okay
    assert json.loads(path.read_text())["areas"]["smoke sg13g2"] == BASE
    assert area_check.check(["smoke"], ["sg13g2"], tmp_path, console, reason="two links", path=path)
    kept = json.loads(path.read_text())
    assert kept["areas"]["smoke sg13g2"]["totals"]["cell_area"] == 300.0 * growth
    assert kept["reasons"][0]["why"] == "two links" and len(kept["reasons"][0]["what"]) == (not okay)
    assert area_check.check(["smoke"], ["sg13g2"], tmp_path, console, path=path)
    assert not area_check.check(["demo"], ["sg13g2"], tmp_path, console, path=path)  # not in the baseline


def test_the_baseline():
    """Presets in both technologies; each change has a reason."""
    kept = json.loads(area_check.BASELINE.read_text())
    known = {f"{preset} {name}" for preset in area_check.PRESETS for name in area_check.TECHNOLOGIES}
    assert kept["areas"].keys() == known
    assert kept["reasons"] and all(reason["why"] for reason in kept["reasons"])


def test_the_front():
    """What no other beats in both; equals stay; what is not known is never on it."""
    assert pareto.front([(1, 9), (2, 5), (3, 5), (2, 5), (9, 1)]) == [True, True, False, True, True]
    entries = [{"area": 1, "cycles": 5}, {"area": None, "cycles": 1}, {"area": 2, "cycles": None}, {"area": 2, "cycles": 6}]
    pareto.mark(entries)
    assert [entry["pareto"] for entry in entries] == [True, False, False, False]
    assert pareto.whole({"cell_area": 1.0, "sram_area": None}) is None
    assert pareto.whole({"cell_area": 1.0, "sram_area": 2.0}) == 3


def test_sweep_with_areas(tmp_path, monkeypatch, capsys):
    """``trajectile sweep --area``: areas beside the cycles, the front marked and drawn; what cannot be built has none."""
    monkeypatch.setattr(variants, "synthesize", lambda config, *_, **__: {
        "totals": {"cell_area": 100.0 * config.tile.slots, "sram_area": 10.0}})
    assert cli.main(["sweep", "smoke", "--vary", "tile.slots=1,3,4", "--tokens", "4", "--windows", "1", "--area", "-o",
                     str(tmp_path)]) == 0
    entries = json.loads((tmp_path / "sweep.json").read_text())
    assert [entry["area"] for entry in entries] == [None, 310.0, 410.0]
    assert entries[1]["pareto"] and not entries[0]["pareto"]
    assert entries[2]["pareto"] == (entries[2]["cycles"] < entries[1]["cycles"])
    assert (tmp_path / "pareto.png").stat().st_size > 5000 and "Pareto" in capsys.readouterr().out
