"""The timeline command: the same trace from RTL and model, files where they are said to be, wrong input refused."""

import json
from pathlib import Path

from tests.support.tools import require_icarus
from trajectile.scripts.cli import main


def test_rtl_and_model_say_the_same(tmp_path, capsys):
    """Byte for byte."""
    require_icarus()
    batch = ["timeline", "smoke", "--tokens", "9", "--order", "paired"]
    counts = [str(tmp_path / "model.json"), str(tmp_path / "rtl.json")]
    assert main([*batch, "-o", str(tmp_path / "model"), "--json", counts[0]]) == 0
    assert main([*batch, "-o", str(tmp_path / "rtl"), "--rtl", "--simulator", "icarus", "--json", counts[1]]) == 0
    model, rtl = (json.loads(Path(count).read_text()) for count in counts)
    assert (model["cycles"], model["events"]) == (rtl["cycles"], rtl["events"])
    traces = [(tmp_path / name / "trace.json").read_text() for name in ("model", "rtl")]
    assert traces[0] == traces[1] and len(json.loads(traces[0])["traceEvents"]) > 200
    assert (tmp_path / "model" / "timeline.png").stat().st_size > 10_000
    assert "ui.perfetto.dev" in capsys.readouterr().out


def test_a_simulator_without_rtl(capsys):
    """It would do nothing."""
    assert main(["timeline", "smoke", "--simulator", "icarus"]) == 2
    assert "--simulator" in capsys.readouterr().err


def test_the_full_size_layer_has_a_timeline(tmp_path):
    """From the model, in seconds; a trace of some megabytes."""
    assert main(["timeline", "olmoe-1b-7b", "--tokens", "1", "-o", str(tmp_path)]) == 0
    assert len(json.loads((tmp_path / "trace.json").read_text())["traceEvents"]) > 500
