"""``trajectile simulate --ddr``: what it refuses, and what it says where LiteDRAM is missing; the core that it makes."""

import re

import numpy as np
import pytest

from tests.support.tools import require_litedram
from trajectile.scripts import cli
from trajectile.scripts.flow.simulation import DDR_CORES
from trajectile.scripts.soc import litedram_core
from trajectile.sw_model.config import load
from trajectile.sw_model.timeline.activity import ddr_share_of_peak
from trajectile.sw_model.timeline.model import Event


def test_without_litedram(tmp_path, monkeypatch, capsys):
    """Exit code 3 and how to get it, before anything is made."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(litedram_core, "find_spec", lambda name: None)
    assert cli.main(["simulate", "demo", "--timing-only", "--ddr", "litedram-ddr4"]) == 3
    said = capsys.readouterr().err
    assert "pip install 'trajectile[litedram]'" in said and "Traceback" not in said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("arguments", "named"), [
    (["smoke", "--ddr", "litedram-ddr4"], "ddr.bytes_per_cycle = 2"),
    (["demo", "--ddr", "litedram-ddr4", "--simulator", "icarus"], "--simulator icarus"),
    (["demo", "--set", "ddr.refresh_interval_cycles=100", "--set", "ddr.refresh_cycles=9"], "ddr.refresh_cycles"),
])
def test_refused(arguments, named, tmp_path, monkeypatch, capsys):
    """One line that says what is legal, exit code 2."""
    monkeypatch.setattr(litedram_core, "check", lambda: None)
    monkeypatch.chdir(tmp_path)
    assert cli.main(["simulate", *arguments]) == 2
    said = capsys.readouterr().err
    assert named in said and "legal" in said and "Traceback" not in said


@pytest.mark.parametrize("name", DDR_CORES)
def test_core(name, tmp_path):
    """As many ports as there are to be, as wide as the tile's; contents are dealt to banks row by row."""
    require_litedram()
    config = load("demo", ["ddr.ports=2"])
    core = litedram_core.core_of(config, name, DDR_CORES[name], 3 * 4096, address_bits=40, contents=True)
    text = core.verilog()
    assert len(re.findall(r"^\toutput \[31:0\] p\d_rdata", text, re.M)) == 2 and "input [39:0] p1_araddr" in text
    assert text.count("$readmemh") == core.memory.banks
    timing = re.search(r'"tREFI": (\d+), "tRFC": (\d+), "tRP": (\d+)', text)
    followed = litedram_core.core_of(config, name, DDR_CORES[name], 1, address_bits=40, contents=False)
    assert timing and followed.rows_kept == 2
    size = core.row_bytes * core.memory.banks
    core.write_contents(tmp_path / "ddr0", np.arange(size, dtype=np.int64).astype(np.uint8))
    lines = (tmp_path / "ddr0.1").read_text().split()
    assert len(lines) == core.rows_kept * core.row_bytes // 4
    assert int(lines[0], 16) == int.from_bytes(bytes((core.row_bytes + i) % 256 for i in range(4)), "little")


def test_share_of_peak():
    """Beats of all channels over the cycles from each one's first address to its last beat."""
    config = load("demo")
    beats = config.slice_beats
    events = [Event(10, 0, "load", 0, 0, 0, 0), Event(10 + 2 * beats + 1, 0, "loaded", 0, 0, 0, 0),
              Event(40, 1, "load", 0, 0, 0, 0), Event(40 + beats + 1, 1, "loaded", 0, 0, 0, 0)]
    assert ddr_share_of_peak(config, events) == pytest.approx(2 / 3)
    assert ddr_share_of_peak(config, events[2:]) == 1
    assert ddr_share_of_peak(config, []) is None
