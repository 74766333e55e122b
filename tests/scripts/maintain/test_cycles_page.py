"""The tables of cycles: their commands stand on the pages, their rows are what the commands answer."""

import json

import pytest

from tests.support.pages import code_lines
from tests.support.paths import ROOT
from trajectile.scripts.maintain import ablation, cycles_page, pages
from trajectile.sw_model.schedule.scheduler import ORDERS

SMOKE = "compare smoke --tokens 1,8 --windows 2"


@pytest.fixture(name="commands")
def commands_of(tmp_path):
    """Without traces."""
    return cycles_page.Commands(tmp_path)


@pytest.mark.parametrize(("page", "command"), [
    *(("comparison.md", f"trajectile {command}") for command in (
        *cycles_page.COMPARED.values(), *cycles_page.FIFTHS, *cycles_page.BUFFERED)),
    ("results.md", "trajectile " + cycles_page.WINDOW_COMMAND.format(
        experts=60, top_k=4, trace=cycles_page.QWEN, layer=0, tokens=64, order="balanced")),
    *(("scheduling.md", f"python -m trajectile.scripts.maintain.ablation {words}") for words in
    cycles_page.ABLATED.values())])
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
    [shared] = [entry for entry in entries if entry["strategy"] == "tokens-travel"]  # eight tokens have no room in a tile
    assert [row[6] for row in rows] == [f"{shared['over_roofline']:.3f}", ""] and shared["tokens"] == 1
    other = list(cycles_page.others(entries, skip="demo"))[2]
    assert other.startswith("| smoke | ") and f"{ours[0]['speedup_over_ep']:.2f}" in other
    assert not any("smoke" in line for line in cycles_page.others(entries, skip="smoke"))


def test_rows_of_two_formats():
    """The second over the first, of the same batch size and order."""
    def entry(tokens, cycles, order="balanced"):
        return {"config": "smoke", "tokens": tokens, "strategy": "fse", "order": order, "cycles": cycles,
                "over_roofline": 1.01, "worst_over_roofline": 1.02, "speedup_over_ep": 1.5,
                "use_ddr": 0.9, "use_mac": 0.1, "use_d2d": 0.2}
    lines = list(cycles_page.formats([entry(1, 2000), entry(64, 8000), entry(1, 9, "index")],
                                     [entry(1, 1100), entry(64, 4000), entry(64, 9, "index")], "smoke"))
    assert lines[2:4] == [
        "| 1 | 2,000 | 1,100 | **0.550** | 1.010 | 1.020 | 1.50 | 90% | 10% | 20% |",
        "| 64 | 8,000 | 4,000 | **0.500** | 1.010 | 1.020 | 1.50 | 90% | 10% | 20% |"]


def test_rows_of_simulations(commands, monkeypatch):
    """Those of the pages have the heads, commands and windows that would be written today; a row says what its run said."""
    asked = []

    def answer(command):
        asked.append(command)
        cycles = 1000 + len(asked)
        return {"events_exact": True, "results_exact": True, "cycles_rtl": cycles, "cycles_model": cycles,
                "events": "7000 of 7000", "wall_seconds": {"build": 0.4, "run": 2.6},
                "roofline": {"ddr": 900, "mac": 400, "d2d": 100}, "roofline_cycles": 900}
    monkeypatch.setattr(commands, "answer", answer)
    tables = {("comparison.md", "control"): list(cycles_page.control(commands)),
              ("results.md", "windows"): list(cycles_page.windows(commands))}
    for (page, name), lines in tables.items():
        stands = pages.read_part(page, f"cycles {name}").splitlines()
        keys = 1 if name == "control" else 2
        assert stands[:2] == lines[:2]
        assert [line.split("|")[:1 + keys] for line in stands] == [line.split("|")[:1 + keys] for line in lines if line]
    control, windows = tables.values()
    assert control[2].endswith("| 1,001 | 7,000 | built before | 3 |")
    first = len(cycles_page.CONTROL) + 1
    assert windows[2] == f"| FLAME | 16 | 900 (DDR) | {1000 + first:,} | {1001 + first:,} | {1002 + first:,} |"
    assert len(asked) == len(cycles_page.CONTROL) + 18 == len(set(asked))


def test_rows_of_the_ablation(commands, monkeypatch):
    """The least of each layer is bold."""
    ratios = iter(range(1, 3 * len(ablation.VARIANTS) + 1))
    rows = [([float(next(ratios)) for _ in ORDERS], 9.9) for _ in ablation.VARIANTS]
    monkeypatch.setattr(ablation, "measured", lambda args: rows if args.trace else rows[::-1])
    lines = list(cycles_page.ablated(commands))
    stands = pages.read_part("scheduling.md", "cycles ablation").splitlines()
    assert stands[:2] == lines[:2]
    assert [line.split("|")[:4] for line in stands] == [line.split("|")[:4] for line in lines if line]
    assert lines[2] == "| 2 | in blocks | yes | **1.000**, 2.000, 3.000 | **1.000**, 2.000, 3.000 | 22.000, 23.000, 24.000 |"
    assert lines[9].endswith("| 22.000, 23.000, 24.000 | 22.000, 23.000, 24.000 | **1.000**, 2.000, 3.000 |")


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
