"""The command line: files, JSON, exit codes and messages."""

import json

import numpy as np
import pytest

from tests.support.tools import require_icarus
from tests.support.trace_files import arrays
from tests.support.waves import check_save_file
from trajectile.scripts import cli
from trajectile.tb import runner

SIMULATE_KEYS = {"config", "trace", "tokens", "order", "dataflow", "seed", "simulator", "results_exact", "events_exact",
                 "cycles_rtl", "cycles_model", "roofline_cycles", "utilisation", "wall_seconds"}


def test_generate(tmp_path, capsys):
    """All files; an override reaches the Verilog; the heads name the command, without folders."""
    assert cli.main(["generate", "smoke", "-o", str(tmp_path), "--set", "tile.slots=4", "--set", "link.crc_bits=16",
                     "--mhz", "500"]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {
        "trajectile_tile.v", "trajectile_array.v", "trajectile_sram.v", "trajectile_tile_instance.vh",
        "trajectile_array_instance.vh", "trajectile_tile.sdc", "trajectile_array.sdc", "trajectile.core", "registers.md",
        "registers.rdl", "frame.md", "trajectile.h", "trajectile_driver.h", "trajectile_driver.c", "waves.gtkw",
        "config.json"}
    assert json.loads((tmp_path / "config.json").read_text())["tile"]["slots"] == 4
    assert "modules" in capsys.readouterr().out
    command = "trajectile generate smoke --set tile.slots=4 --set link.crc_bits=16 --mhz 500 -o DIR"
    for name in ("trajectile_tile.v", "trajectile_sram.v", "trajectile_array.sdc", "trajectile_tile_instance.vh"):
        assert command in (tmp_path / name).read_text() and str(tmp_path) not in (tmp_path / name).read_text()
    assert "trajectile_period_ns 2.000" in (tmp_path / "trajectile_tile.sdc").read_text()


def test_generate_again(tmp_path):
    """Into the folder of another configuration: nothing of that one is left; what is not generated stays."""
    again, note = tmp_path / "again", tmp_path / "other"
    note.mkdir()
    (note / "frame.md").write_text("not of a design")
    for folder, changes in ((again, ["--set", "link.crc_bits=16"]), (again, ["--timing-only"]), (note, ["--timing-only"])):
        assert cli.main(["generate", "smoke", "-o", str(folder), *changes]) == 0
    assert (again / "trajectile_tile.v").exists() and (note / "frame.md").exists()
    assert not any((again / name).exists() for name in ("frame.md", "trajectile_driver.h", "trajectile_driver.c"))


def test_simulate_on_a_trace(tmp_path, capsys, monkeypatch):
    """Every promised key, and a table for people."""
    require_icarus()
    trace = tmp_path / "trace.npz"
    np.savez(trace, **arrays())
    out = tmp_path / "deep" / "run.json"
    assert cli.main(["simulate", "smoke", "--set", "layer.experts=8", "--set", "layer.top_k=3", "--trace", str(trace),
                     "--layer", "9", "--offset", "2", "--tokens", "5", "--order", "paired", "--simulator", "icarus",
                     "--waves", "--seed", "3", "--dataflow", "shared", "--json", str(out), "-o", str(tmp_path / "run")]) == 0
    values = json.loads(out.read_text())
    assert values.keys() >= SIMULATE_KEYS
    assert values["results_exact"] is True and values["events_exact"] is True
    assert values["cycles_rtl"] == values["cycles_model"] >= values["roofline_cycles"] > 0
    assert (values["tokens"], values["order"], values["seed"], values["simulator"]) == (5, "paired", 3, "icarus")
    assert values["dataflow"] == "shared" and not any(tile["COUNT_SEND"] for tile in values["counters"])
    assert values["trace"].startswith("trace.npz layer 9")
    assert values["utilisation"].keys() == {"ddr", "mac", "d2d"} and all(0 < v < 1 for v in values["utilisation"].values())
    assert values["wall_seconds"].keys() == {"generate", "build", "run"}
    assert values["config"]["layer"]["experts"] == 8
    check_save_file(tmp_path / "run" / "dump.fst")
    assert "exact (60 results and 5 counts of clips equal)" in capsys.readouterr().out


def test_demo_writes_everything(tmp_path, capsys):
    """The whole path on the smoke configuration; a batch whose results differ would end with code 1."""
    require_icarus()
    assert cli.main(["demo", "smoke", "--simulator", "icarus", "-o", str(tmp_path)]) == 0
    for name in ("verilog/trajectile_tile.v", "report.html", "timeline.png", "run.json", "area.json"):
        assert (tmp_path / name).stat().st_size > 0
    assert (tmp_path / "timeline.png").read_bytes().startswith(b"\x89PNG")
    shown = capsys.readouterr().out
    assert "mm2 of cells" in shown and "results" in shown


@pytest.mark.parametrize(("arguments", "named"), [
    (["simulate", "nothing"], "CONFIG = 'nothing'"),
    (["simulate", "smoke", "--set", "tile.slots=1"], "tile.slots = 1"),
    (["simulate", "smoke", "--tokens", "99"], "--tokens = 99"),
    (["simulate", "smoke", "--tokens", "-1"], "--tokens = -1"),
    (["simulate", "smoke", "--trace", "nothing.npz"], "nothing.npz: no such file"),
    (["simulate", "demo", "--offset", "5000"], "offset = 5000"),
    (["simulate", "demo", "--layer", "7"], "layer = 7"),
    (["simulate", "smoke", "--simulator", "native", "--waves"], "--waves"),
    (["simulate", "smoke", "--skew", "-1"], "skew = -1.0"),
    (["simulate", "smoke", "--dataflow", "shared", "--tokens", "7"], "tokens = 7 is not legal with dataflow = 'shared'"),
    (["simulate", "smoke", "--dataflow", "shared", "--set", "array.dataflows=spread"], "array.dataflows = 'spread'"),
    (["synthesize", "smoke", "--liberty", "nothing.lib"], "--liberty = nothing.lib"),
    (["generate", "smoke", "-o", "x", "--set", "slots"], "--set = 'slots'"),
    (["generate", "smoke", "-o", "x", "--mhz", "0"], "--mhz = 0"),
])
def test_wrong_input(arguments, named, capsys, tmp_path, monkeypatch):
    """One line that names the field, exit code 2, nothing written."""
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == 2
    shown = capsys.readouterr().err
    assert named in shown.replace("\n", " ") and "legal" in shown and "Traceback" not in shown
    assert not list(tmp_path.glob("*.v"))


def test_a_missing_simulator(tmp_path, capsys, monkeypatch):
    """Not wrong input: exit code 3, and what to install."""
    monkeypatch.setattr(runner, "have_icarus", lambda: False)
    assert cli.main(["simulate", "smoke", "--simulator", "icarus", "-o", str(tmp_path)]) == 3
    assert "apt install iverilog" in capsys.readouterr().err


def test_a_trace_of_another_shape(tmp_path, capsys):
    """The message says which overrides would fit."""
    np.savez(tmp_path / "trace.npz", **arrays())
    assert cli.main(["simulate", "smoke", "--trace", str(tmp_path / "trace.npz"), "--tokens", "4"]) == 2
    assert "--set layer.experts=8 --set layer.top_k=3" in capsys.readouterr().err


def test_a_trace_that_can_be_read_in_two_ways(tmp_path, capsys, monkeypatch):
    """Refused with the option that says which; with it, the trace is played. Every command that reads a trace has it."""
    monkeypatch.chdir(tmp_path)
    ids = np.array([[[token % 5, 5]] for token in range(16)])
    ids[-4:] = -1
    np.save("trace.npy", ids)
    trace = ["--trace", "trace.npy", "--tokens", "4", "--trace-as", "axes=tokens,layers,top_k"]
    for command in (["compare", "smoke", "--windows", "1"], ["buffer", "smoke", "--batches", "1", "--slack", "0"],
                    ["sweep", "smoke", "--vary", "tile.slots=3", "--windows", "1"], ["timeline", "smoke"]):
        assert cli.main([*command, *trace, "-o", "out"]) == 2
        assert "--trace-as padding=-1, which leaves these tokens out" in capsys.readouterr().err
        assert cli.main([*command, *trace, "--trace-as", "padding=-1", "-o", "out"]) == 0
        assert cli.main([*command, *trace, "--trace-as", "padding=x", "-o", "out"]) == 2
        assert "--trace-as padding = 'x' is not legal" in capsys.readouterr().err
    assert cli.main(["simulate", "smoke", "--trace-as", "zeros=missing"]) == 2
    assert "--trace-as = 'zeros=missing' is not legal without --trace" in capsys.readouterr().err
