"""The tables of cycles: their commands stand on the pages, their rows are what the commands answer."""

import json

import pytest

from scripts import cycles_page, pages
from tests.scripts.test_docs import ROOT, code_lines

SMOKE = "compare smoke --tokens 1,8 --windows 2"


@pytest.fixture(name="commands")
def commands_of(tmp_path):
    """Without traces."""
    return cycles_page.Commands(tmp_path)


@pytest.mark.parametrize(("page", "command"), [
    *(("comparison.md", f"trajectile {command}") for command in (
        *cycles_page.COMPARED.values(), *cycles_page.FIFTHS, *cycles_page.BUFFERED)),
    *(("scheduling.md", f"python -m scripts.ablation {words}") for words in cycles_page.ABLATED.values())])
def test_commands_stand_on_the_page(page, command):
    """As they are run."""
    assert command in [" ".join(line.split()) for line in code_lines(ROOT / "docs" / page)]


def test_every_table_has_its_place(commands, monkeypatch):
    """With something in it."""
    monkeypatch.setattr(commands, "answer", lambda *_: [])
    for page, name, _ in cycles_page.parts(commands):
        assert pages.read_part(page, f"cycles {name}").startswith("| ")


def test_rows(commands, tmp_path):
    """A row for each batch size, with the cycles of `balanced`; a configuration beside another."""
    entries = commands.answer(SMOKE, "-o", str(tmp_path))
    assert entries == json.loads((tmp_path / "compare.json").read_text())
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in cycles_page.strategies(entries, "smoke")][2:-1]
    ours = [entry for entry in entries if entry["strategy"] == "fse" and entry["order"] == "balanced"]
    assert [row[:2] for row in rows] == [[str(entry["tokens"]), f"{entry['cycles']:,.0f}"] for entry in ours]
    assert [row[4] for row in rows] == [f"**{entry['over_roofline']:.3f}**" for entry in ours]
    other = list(cycles_page.others(entries, skip="demo"))[2]
    assert other.startswith("| smoke | ") and f"{ours[0]['speedup_over_ep']:.2f}" in other
    assert not any("smoke" in line for line in cycles_page.others(entries, skip="smoke"))


def test_what_fails_is_not_written(commands, monkeypatch):
    """Wrong input says why; a run that is not exact is refused."""
    with pytest.raises(SystemExit, match=r"(?s)compare smoke --tokens 99: exit code 2\n.*--tokens = 99"):
        commands.answer("compare smoke --tokens 99")
    run = {"events_exact": True, "results_exact": None, "cycles_rtl": 5, "cycles_model": 5}
    for changed in ({}, {"events_exact": False}, {"results_exact": False}, {"cycles_model": 6}):
        monkeypatch.setattr(commands, "answer", lambda _, changed=changed: run | changed)
        if changed:
            with pytest.raises(SystemExit, match="simulate smoke: not exact"):
                commands.exact("simulate smoke")
        else:
            assert commands.exact("simulate smoke") == run
