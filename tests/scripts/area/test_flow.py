"""A folder keeps what Yosys made of its inputs, so that a second demo with other tokens is quick; and keeps nothing else."""

import pytest

from trajectile.hw.lib import yosys
from trajectile.scripts.area import flow

TEXTS = {"synth.ys": "read_verilog tile.v\n", "tile.v": "module a; endmodule\n"}


@pytest.fixture
def runs(monkeypatch):
    """Scripts that Yosys was to run."""
    found = []

    def run(script, folder, name):
        found.append(script)
        if "error" in script:
            raise yosys.YosysError("no")
        (folder / f"{name}.log").write_text(f"log {len(found)}")
        return f"log {len(found)}"
    monkeypatch.setattr(yosys, "run", run)
    return found


def test_run_once(runs, tmp_path):
    """The same texts once; another text, more script or another folder again, and then the first ones again."""
    for texts, more in ((TEXTS, ""), (TEXTS | {"tile.v": "module b; endmodule\n"}, ""), (TEXTS, "stat\n"), (TEXTS, "")):
        before = len(runs)
        said = flow._run_once(texts, more, tmp_path)
        assert runs[before:] == [texts["synth.ys"] + more] and said == f"log {before + 1}"
        assert flow._run_once(texts, more, tmp_path) == said and len(runs) == before + 1


def test_failures_are_not_kept(runs, tmp_path):
    """Nor what was there before one."""
    flow._run_once(TEXTS, "", tmp_path)
    for _ in range(2):
        with pytest.raises(yosys.YosysError):
            flow._run_once(TEXTS, "error\n", tmp_path)
    flow._run_once(TEXTS, "", tmp_path)
    assert len(runs) == 4


def test_side_by_side(monkeypatch, tmp_path):
    """The run for speed begins when that for area has saved the design; if area fails before, it never does."""
    order = []

    def run(script, folder, name):
        order.append(name)
        if name == "synth":
            if "error" in script:
                raise yosys.YosysError("no")
            (folder / "synthesized").write_text("whole")
        (folder / f"{name}.log").write_text(f"log of {name}")
        return ""
    monkeypatch.setattr(yosys, "run", run)
    both = TEXTS | {"fast.ys": "read_rtlil synthesized.il\n"}
    assert flow._run_once(both, "", tmp_path) == flow._run_once(both, "", tmp_path) == "log of fast"
    assert order == ["synth", "fast"]
    with pytest.raises(yosys.YosysError):
        flow._run_once(both, "error\n", tmp_path)
    assert order == ["synth", "fast", "synth"]
