"""What Yosys made of its inputs is kept, so that a second demo with other tokens is quick; and nothing else is kept."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from trajectile.hw.lib import yosys
from trajectile.scripts.area import flow

TEXTS = {"synth.ys": "read_verilog tile.v\n", "tile.v": "module a; endmodule\n"}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Nothing is kept yet."""
    monkeypatch.setenv("TRAJECTILE_BUILD", str(tmp_path / "cache"))


@pytest.fixture
def runs(monkeypatch):
    """Scripts that Yosys was to run."""
    found = []

    def run(script, folder, name):
        found.append(script)
        (folder / f"{name}.log").write_text(f"log {len(found)}")
        if "error" in script:
            raise yosys.YosysError(f"no: {folder}")
    monkeypatch.setattr(yosys, "run", run)
    return found


def test_run_once(runs, tmp_path):
    """The same texts once, whoever wants copies; another text or another script again."""
    first = flow.run_once(TEXTS, tmp_path / "out")
    assert flow.run_once(TEXTS) == first and runs == [TEXTS["synth.ys"]]
    for number, texts in enumerate((TEXTS | {"tile.v": "module b; endmodule\n"}, TEXTS | {"synth.ys": "stat\n"})):
        assert flow.run_once(texts, tmp_path / "out") != first and len(runs) == 2 + number
    assert flow.run_once(TEXTS, tmp_path / "out") == first and len(runs) == 3
    assert (tmp_path / "out" / "tile.v").read_text() == TEXTS["tile.v"]
    assert (tmp_path / "out" / "synth.log").read_text() == "log 1"


def test_failures_are_not_kept(runs, tmp_path):
    """But the folder that was named has the log."""
    wrong = TEXTS | {"synth.ys": "error\n"}
    for number in range(2):
        with pytest.raises(yosys.YosysError):
            flow.run_once(wrong, tmp_path / "out")
        assert (tmp_path / "out" / "synth.log").read_text() == f"log {number + 1}"
    assert len(runs) == 2


def test_side_by_side(monkeypatch):
    """The run for speed begins when that for area has saved the design; if area fails before, it never does."""
    order = []

    def run(script, folder, name):
        order.append(name)
        if name == "synth":
            if "error" in script:
                raise yosys.YosysError("no")
            (folder / "synthesized").write_text("whole")
    monkeypatch.setattr(yosys, "run", run)
    both = TEXTS | {"fast.ys": "read_rtlil synthesized.il\n"}
    assert flow.run_once(both) == flow.run_once(both)
    assert order == ["synth", "fast"]
    with pytest.raises(yosys.YosysError):
        flow.run_once(both | {"synth.ys": "error\n"})
    assert order == ["synth", "fast", "synth"]


def test_two_at_once(monkeypatch, tmp_path):
    """Two designs, one folder named by both, Yosys at work on both at the same time: each gets its own outcome."""
    both = threading.Barrier(2, timeout=60)

    def run(script, folder, name):
        text = (folder / "tile.v").read_text()
        both.wait()
        (folder / f"{name}.log").write_text(text)
    monkeypatch.setattr(yosys, "run", run)
    designs = [TEXTS | {"tile.v": f"module {name}; endmodule\n"} for name in "ab"]
    with ThreadPoolExecutor(2) as pool:
        folders = list(pool.map(lambda texts: flow.run_once(texts, tmp_path / "out"), designs))
    assert [(folder / "synth.log").read_text() for folder in folders] == [texts["tile.v"] for texts in designs]
    out = tmp_path / "out"
    assert (out / "synth.log").read_text() == (out / "tile.v").read_text()
