"""The tables of the two dataflows: what they are made of, and their places on the page."""

import pytest

from tests.support.pages import code_lines
from tests.support.paths import ROOT
from trajectile.scripts.maintain import dataflows_page as page
from trajectile.scripts.maintain import pages
from trajectile.scripts.maintain.cycles_page import Commands

TINY = "demo --windows 1"


@pytest.fixture(name="answer")
def answered(tmp_path, monkeypatch):
    """Answers of commands on the demo's layer."""
    monkeypatch.setattr(page, "TRACES", {"Demo": TINY})
    monkeypatch.setattr(page, "SIZES", "1,16")
    small = page.GRID.replace("qwen3-30b-a3b", "demo").replace("tile.tokens=1024", "tile.tokens=64")
    monkeypatch.setattr(page, "GRID", small)
    commands = Commands(tmp_path)
    return lambda command: commands.answer(command, "-o", str(tmp_path))


def cells(lines):
    """Of all rows of a table but its head."""
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line][2:]


def number(text):
    return float(text.strip("*").replace(",", ""))


def test_layers(answer, tmp_path):
    """A row for each batch size: cycles, bytes and energy of both, and what the rule took."""
    found = {"Demo": (answer(page.layer_command("Demo")), answer(page.layer_command("Demo", "auto")))}
    rows = cells(page.layers(found))
    assert [row[:2] for row in rows] == [["Demo", "1"], ["Demo", "16"]]
    for row in rows:
        spread, shared, ratio = map(number, row[2:5])
        assert ratio == pytest.approx(shared / spread, abs=6e-4) and row[-1] == "`shared`"
        of_spread, of_shared, _, times, energy, other = map(number, row[7:13])
        assert times > 20 and of_spread > of_shared
        assert energy > 20 * other
    page.draw(found, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_arrays(answer):
    """Shared over spread on each array, bold where the rule shares; bytes with the most slots only."""
    sizes = (1, 64)
    found = {(grid, slots): answer(page.grid_command(grid, slots, sizes)) for grid, slots in (
        ("2x2", 3), ("2x2", 6), ("4x4, corners", 6))}
    rows = cells(page.arrays(found, sizes))
    assert [row[:2] for row in rows] == [["2x2", "3"], ["2x2", "6"], ["4x4, corners", "6"]]
    for row, entries in zip(rows, found.values(), strict=True):
        spread, shared = (page.by_size(entries, name)[64]["cycles"] for name in ("fse", "tokens-travel"))
        assert number(row[3]) == pytest.approx(shared / spread, abs=6e-4) and row[3].startswith("**")
    assert [row[0] for row in cells(page.between(found, sizes))] == ["2x2", "4x4, corners"]


def test_memory(answer):
    """Both dataflows with few slots, against EP with two whole experts."""
    [row] = cells(page.memory({("Demo", 3): answer(page.memory_command("Demo", 3))}))
    kilobytes = [float(cell.split()[0]) for cell in row[2:]]
    assert row[:2] == ["Demo", "3"] and kilobytes[0] <= kilobytes[1] < kilobytes[3] and kilobytes[0] == kilobytes[2]


@pytest.mark.parametrize(("command", "name", "rows"), [
    (page.layer_command("Qwen1.5-MoE-A2.7B"), page.LAYERS, len(page.TRACES) * len(page.SIZES.split(","))),
    (page.memory_command("Qwen1.5-MoE-A2.7B", 3), page.MEMORY, len(page.TRACES) * len(page.FEW)),
    (page.grid_command("4x4, corners", 12), page.ARRAYS, len(page.GRIDS) * len(page.SLOTS)),
    (page.layer_command("Qwen1.5-MoE-A2.7B", "auto"), page.BYTES, len(page.GRIDS))])
def test_the_page(command, name, rows):
    """The commands as they are run, a table of so many rows, a plot."""
    assert f"trajectile {command}" in [" ".join(line.split()) for line in code_lines(ROOT / "docs" / page.PAGE)]
    assert len(cells(pages.read_part(page.PAGE, name).splitlines())) == rows
    assert (ROOT / "docs" / page.PLOT).read_bytes().startswith(b"\x89PNG")
