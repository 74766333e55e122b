"""``trajectile fpga``: what it refuses, what it says where nextpnr is missing, what it answers when nothing fits."""

import json
import re

import pytest

from trajectile.hw.design import design
from trajectile.hw.lib import yosys
from trajectile.scripts import cli
from trajectile.scripts.commands import fpga
from trajectile.scripts.fpga import flow, nextpnr
from trajectile.scripts.fpga.devices import DEVICES, ECP5, target
from trajectile.sw_model.config import load


@pytest.mark.parametrize(("arguments", "named"), [
    (["--device", "ice40"], "--device = ice40"),
    (["--package", "BGA1"], "--package = BGA1"),
    (["--device", "lfe5u-85f", "--package", "tqfp144"], "--package = TQFP144"),
    (["--speed", "5"], "--speed = 5"),
    (["--device", "lfe5um5g-25f", "--speed", "6"], "--speed = 6"),
    (["--device", "gw2a-18", "--package", "BG400"], "--package = BG400"),
    (["--device", "lifcl-40", "--speed", "6"], "--speed = 6"),
    (["--device", "lifcl-40", "--placer", "static"], "--placer = static"),
    (["--clock", "0"], "--clock = 0"),
    (["--clock", "nan"], "--clock = nan"),
    (["--seed", "-1"], "--seed = -1"),
    (["--seeds", "0"], "--seeds = 0"),
    (["--pins", "nowhere.lpf"], "--pins = nowhere.lpf"),
])
def test_wrong_input(arguments, named, capsys):
    """One line that names the option, exit code 2."""
    assert cli.main(["fpga", "smoke", *arguments]) == 2
    shown = capsys.readouterr().err
    assert named in shown and "legal values" in shown and "Traceback" not in shown


def test_targets():
    """What is left out is CABGA381 or the first package, and the slowest grade; names are read in any case."""
    for name, device in DEVICES.items():
        usual = "cabga381" if device.family is ECP5 else next(iter(device.packages)).lower()
        assert target(name) == target(name.upper(), usual, device.speeds[0])
    assert str(target("LFE5U-25F", "csfbga285", 8)) == "LFE5U-25F-8 in CSFBGA285"


@pytest.mark.parametrize(("device", "wheel"), [
    ("lfe5u-85f", "ecp5"), ("lifcl-40", "nexus"), ("gw5a-25", "himbaechel-gowin")])
def test_without_nextpnr(tmp_path, monkeypatch, capsys, device, wheel):
    """Exit code 3 and how to get it, before anything is made."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(nextpnr, "find_spec", lambda name: None)
    assert cli.main(["fpga", "smoke", "--device", device]) == 3
    assert f"pip install yowasp-nextpnr-{wheel}" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def made():
    return design(load("smoke"))


class Tools:
    """Stands for Yosys and nextpnr, of which only the answers are looked at."""

    def __init__(self, monkeypatch, tmp_path, made, log, code=0):
        monkeypatch.setattr(fpga, "design", lambda config: made)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("TRAJECTILE_BUILD", str(tmp_path / "kept"))
        monkeypatch.setattr(nextpnr, "check", lambda family: None)
        monkeypatch.setattr(yosys, "run", self.yosys)
        monkeypatch.setattr(nextpnr, "run", self.nextpnr)
        self.log, self.code, self.calls, self.scripts = log, code, [], []

    def yosys(self, script, folder, name):
        self.scripts.append(script)
        (folder / "netlist.json").write_text(json.dumps({"modules": {"trajectile_fpga": {"cells": {
            "tile.router.a_LUT4_Z": {"type": "LUT4"}}}}}))
        return ""

    def nextpnr(self, program, arguments, folder, log, told=None):
        self.calls.append(arguments)
        if "run_ecppack" in program:
            (folder / arguments[1]).write_bytes(b"bits")
        elif not self.code:
            (folder / "report.json").write_text(json.dumps(ROUTED))
        return self.code, self.log


ROUTED = {
    "utilization": {"TRELLIS_COMB": {"used": 1, "available": 83640}}, "fmax": {"clk": {"achieved": 61.25, "constraint": 55}},
    "critical_paths": [{"from": "posedge clk", "to": "posedge clk", "path": [
        {"type": "logic", "delay": 16.326, "from": {"cell": "x"}, "to": {"cell": "tile.router.a_LUT4_Z"}}]}],
}


def test_routed(tmp_path, monkeypatch, made, capsys):
    """Exit code 0; the folder has the bitstream and what led to it; the answer has speed and path, whatever was aimed at."""
    tools = Tools(monkeypatch, tmp_path, made, "")
    assert cli.main(["fpga", "smoke", "--clock", "55", "--json", "out.json"]) == 0
    values = json.loads((tmp_path / "out.json").read_text())
    assert values["routed"] and (values["fmax_mhz"], values["lut"], values["freq_mhz"]) == (61.25, 1, 55)
    assert values["critical_path"]["to"] == "tile.router: a" and values["blocks"]["router"]["lut"] == 1
    assert (tmp_path / values["bitstream"]).read_bytes() == b"bits"
    assert (tmp_path / "build/fpga/smoke-lfe5u-85f/netlist.json").is_file()
    assert "61.2 MHz" in capsys.readouterr().out and "--freq 55" in " ".join(tools.calls[0])


def test_seeds(tmp_path, monkeypatch, made, capsys):
    """Each is tried with the same netlist; the fastest one's files stay, and of the others logs and reports."""
    speeds = {"4": 61.25, "5": None, "6": 70.5, "7": 70.5}

    class Seeds(Tools):
        def nextpnr(self, program, arguments, folder, log, told=None):
            if "run_ecppack" not in program:
                told("Info: Packing constants")
                (folder / log).write_text(seed := arguments[arguments.index("--seed") + 1])
                if speeds[seed] is None:
                    return 1, "ERROR: Failed to route arc 3 of net 'clk'\n"
                (folder / "report.json").write_text(json.dumps(
                    ROUTED | {"fmax": {"clk": {"achieved": speeds[seed], "constraint": 100}}}))
                return 0, ""
            (folder / arguments[1]).write_bytes((folder / "nextpnr.log").read_bytes())
            return 0, ""

    Seeds(monkeypatch, tmp_path, made, "")
    assert cli.main(["fpga", "smoke", "--seed", "4", "--seeds", "4", "-o", "out", "--json", "out.json"]) == 0
    values = json.loads((tmp_path / "out.json").read_text())
    assert (values["seed"], values["fmax_mhz"], values["seeds"]) == (6, 70.5, speeds)
    assert (tmp_path / values["bitstream"]).read_text() == (tmp_path / "out/nextpnr.log").read_text() == "6"
    left = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").glob("seed-*/*")}
    assert left == {f"seed-{seed}/{name}" for seed in "457" for name in ("nextpnr.log", "report.json")
                    if (seed, name) != ("5", "report.json")}
    shown = " ".join(capsys.readouterr().out.split())
    assert "70.5 MHz (aimed at 100, seed 6, the fastest of 4, the slowest 61.2 MHz)" in shown


@pytest.mark.parametrize("by_block", [False, True])
def test_hierarchy(tmp_path, monkeypatch, made, by_block):
    """It is dissolved before synthesis, or after it, and the answer says which; small products take no DSP block before."""
    tools = Tools(monkeypatch, tmp_path, made, "")
    assert cli.main(["fpga", "smoke", "--json", "out.json", *["--by-block"] * by_block]) == 0
    assert json.loads((tmp_path / "out.json").read_text())["flat"] == (not by_block)
    (script,) = tools.scripts
    assert ("synth_ecp5 -noflatten" in script) == ("\nflatten\n" in script) == by_block
    assert script.index("techmap -map products.v") < script.index("synth_ecp5")


@pytest.mark.parametrize(("device", "wanted"), [
    ("lfe5u-85f", {"trajectile_sram_1rw_32x16", "trajectile_sram_1rw_49x288_lanes_9", "trajectile_sram_1rw_64x14"}),
    ("gw2a-18", set())])
def test_shallow_memories(device, wanted):
    """SRAM of 17 to 64 words becomes small memories, where these do not take a whole place each; what is deeper is left."""
    made = design(load("demo"))
    assert {"trajectile_sram_1rw_192x38", "trajectile_sram_1r1w_16x130"} < set(made.srams)
    shallow = flow.shallow_srams(made, target(device).family)
    found = re.findall(r'^setattr -set ram_style "distributed" (\w+)/m:\*$', flow.script(ECP5, shallow=shallow), re.M)
    assert set(found) == set(shallow) == wanted


FULL = """Info: Device utilisation:
Info: \t        TRELLIS_COMB:   30000/  24288   123%
ERROR: Unable to place cell 'x', no BELs remaining to implement cell type 'TRELLIS_COMB'
"""


def test_too_large(tmp_path, monkeypatch, made, capsys):
    """An answer with what it would take, and exit code 1."""
    tools = Tools(monkeypatch, tmp_path, made, FULL, 1)
    assert cli.main(["fpga", "smoke", "--device", "lfe5u-25f", "--seed", "7", "--placer", "heap", "--json",
                     "out.json"]) == 1
    values = json.loads((tmp_path / "out.json").read_text())
    assert not values["routed"] and values["fmax_mhz"] is None and values["critical_path"] is None
    assert (values["lut"], values["available"]["lut"], values["bitstream"]) == (30_000, 24_288, None)
    assert "too large: TRELLIS_COMB 30,000 of 24,288" in capsys.readouterr().out.replace("\n", " ")
    call = " ".join(tools.calls[0])
    assert "--25k --package CABGA381 --speed 6" in call and "--router router2" in call
    assert "--lpf-allow-unconstrained" in call and "--seed 7" in call and "--placer heap" in call


def test_pins(tmp_path, monkeypatch, made, capsys):
    """The file goes to nextpnr; what it says against it is wrong input."""
    tools = Tools(monkeypatch, tmp_path, made, "ERROR: IO pin 'clk' constrained to pin 'Z99', which does not exist\n", 1)
    (tmp_path / "board.lpf").write_text('LOCATE COMP "clk" SITE "Z99";\n')
    assert cli.main(["fpga", "smoke", "--pins", "board.lpf"]) == 2
    assert "--pins = board.lpf is not legal (IO pin 'clk'" in capsys.readouterr().err
    assert "--lpf pins " in " ".join(tools.calls[0])


def test_nextpnr_fails(tmp_path, monkeypatch, made, capsys):
    """Exit code 3 with the end of its log."""
    Tools(monkeypatch, tmp_path, made, "ERROR: out of ideas\n", 1)
    assert cli.main(["fpga", "smoke"]) == 3
    assert "out of ideas" in capsys.readouterr().err
