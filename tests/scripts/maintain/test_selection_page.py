"""Batches with fewer experts: what is measured of the toy model, the tables, their places on the page."""

import json

import numpy as np
import pytest

from tests.support.pages import code_lines
from tests.support.paths import ROOT
from trajectile.scripts.maintain import pages
from trajectile.scripts.maintain import selection_page as page
from trajectile.scripts.maintain.cycles_page import Commands
from trajectile.scripts.maintain.toy_model import fewer_experts
from trajectile.sw_model.gates import toy_model
from trajectile.sw_model.gates.selection import selected
from trajectile.sw_model.gates.workloads import GateBatch


@pytest.fixture(scope="module", name="found")
def measured():
    """Batches of four texts, of which half of the experts stay."""
    return {one.way.name: one for one in page.measured((4,), (0.5,), 8)}


def test_all_experts_are_the_model(found):
    """Bits per byte are what was recorded in training."""
    one = found["all experts"]
    assert one.bits_per_byte == pytest.approx(toy_model.load()[1].bits[:8].mean(), abs=1e-3) and one.choices == 6


def test_fewer_experts(found):
    """They are fewer, the layer is faster, the model worse; who chooses again has as many choices as before."""
    whole = found["all experts"]
    assert list(found) == ["all experts", *page.RULES]
    for name in page.RULES:
        one = found[name]
        assert one.experts == pytest.approx(whole.experts / 2, rel=0.05)
        assert one.cycles_per_token < 0.6 * whole.cycles_per_token
        assert one.bits_per_byte > 1.02 * whole.bits_per_byte
        assert (one.choices == 6) == ("again" in name)


def test_batches_are_positions_of_texts():
    """Each is what the rule leaves of the choices of some texts at one position."""
    model, recorded = toy_model.load()
    [_, way, *_] = page.ways((0.5,))
    layers = fewer_experts.Batches(model, way, 2, 4)
    x, gate = model.moe_inputs(recorded.held_out[:4, :9])[0]
    layers(0, x[:4 * 9], gate)
    assert len(layers.chosen) == 2 * 9
    for text, position, number in ((0, 0, 0), (0, 8, 8), (2, 3, 12)):
        rows = [9 * text + position, 9 * (text + 1) + position]
        one = selected(GateBatch(gate.topk_ids[rows], gate.topk_weights[rows], 64), way.rule)
        np.testing.assert_array_equal(layers.chosen[number], one.topk_ids)


def test_rows():
    """Relative to the row with all experts of the same batch size."""
    one, other, rule = page.ALL, page.ALL, page.ways((0.5,))[1]
    lines = list(page.toy([fewer_experts.Measured(way, tokens, *values) for way, tokens, values in (
        (one, 4, (2.0, 20, 6, 100)), (rule, 4, (2.5, 10, 4, 40)), (other, 8, (2.0, 20, 6, 80)))]))
    assert lines[2:5] == ["| 4 | all experts |  | 20.0 | 6.00 | 100 | 1.00 | 2.0000 | 1.0000 |",
                          "| 4 | XShare | 0.5 | 10.0 | 4.00 | 40 | 2.50 | 2.5000 | 1.2500 |",
                          "| 8 | all experts |  | 20.0 | 6.00 | 80 | 1.00 | 2.0000 | 1.0000 |"]


def test_rows_of_traces(tmp_path, monkeypatch):
    """A row for each batch size: experts and cycles of all, then of each rule."""
    command = "compare smoke --tokens 4,8 --windows 2 --strategies fse,ep --orders balanced"
    monkeypatch.setattr(page, "COMPARED", {"S": command})
    monkeypatch.setattr(page, "FOLDER", tmp_path)
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.traces(Commands(tmp_path))][2:-1]
    last = json.loads((tmp_path / "S" / "compare.json").read_text())
    assert {entry["select"] for entry in last} == {page.SELECTED[-1]}
    assert [row[:2] for row in rows] == [["S", "4"], ["S", "8"]]
    for row, entry in zip(rows, (entry for entry in last if entry["strategy"] == "fse"), strict=True):
        assert float(row[7]) == entry["active_experts"] < float(row[2])
        assert float(row[8]) == pytest.approx(float(row[3].replace(",", "")) / entry["cycles"], abs=0.006)


def test_the_page(tmp_path):
    """It has the commands and the tables that are written today, and a plot."""
    for command in page.COMPARED.values():
        assert f"trajectile {command}" in code_lines(ROOT / "docs" / page.PAGE)
    table = pages.read_part(page.PAGE, page.TOY).splitlines()
    heads = next(iter(page.toy([fewer_experts.Measured(page.ALL, 4, 2.0, 20, 6, 100)])))
    assert table[0] == heads and len(table) == 2 + len(page.SIZES) * len(page.ways())
    assert table[2].split("|")[8].strip() == f"{toy_model.load()[1].bits.mean():.4f}"
    assert [line.split("|")[1].strip() for line in pages.read_part(page.PAGE, page.TRACES).splitlines()[2:]] == [
        name for name in page.COMPARED for _ in range(3)]
    assert (ROOT / "docs" / page.PLOT).read_bytes().startswith(b"\x89PNG")
    page.draw([fewer_experts.Measured(way, 4, 2.0 + n, 20, 6, 100 - n) for n, way in enumerate(page.ways((0.5,)))],
              tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
