"""The model command: its parts add up to what the layers say, and wrong input is refused."""

import json

import pytest

from trajectile.scripts.cli import main
from trajectile.sw_model.config import load
from trajectile.sw_model.gates import workloads
from trajectile.sw_model.schedule.scheduler import schedule
from trajectile.sw_model.timeline.model import simulate


def answered(tmp_path, *arguments):
    """What the command answers."""
    path = tmp_path / "model.json"
    assert main(["model", *arguments, "-o", str(tmp_path / "out"), "--json", str(path)]) == 0
    return json.loads(path.read_text())


def test_parts_add_up(tmp_path, capsys):
    """A layer's cycles are those of its windows; a step is all layers and the rest; tokens a second follow."""
    found = answered(tmp_path, "smoke", "--layers", "3", "--rest-us", "2", "--sequences", "1,4", "--windows", "2",
                     "--strategies", "fse,ep", "--mhz", "100")
    rows = {(row["sequences"], row["strategy"]): row for row in found["rows"]}
    assert set(rows) == {(number, strategy) for number in (1, 4) for strategy in ("fse", "ep")}
    config = load("smoke")
    trace = workloads.synthetic_trace(config.layer.experts, config.layer.top_k, 4096, 0.2, 1)
    cycles = [simulate(schedule(config, trace.window(0, offset, 4).topk_ids, "balanced")).cycles for offset in (2048, 4092)]
    row = rows[4, "fse"]
    assert row["layer_cycles"] == sum(cycles) / 2
    assert row["moe_us"] == pytest.approx(3 * row["layer_cycles"] / 100) and row["rest_us"] == pytest.approx(2)
    assert row["tokens_per_second"] == pytest.approx(4 / (row["step_us"] * 1e-6))
    assert (tmp_path / "out" / "model.png").stat().st_size > 5000
    assert "as given" in capsys.readouterr().out


def test_tokens_that_do_not_fit_a_tile(tmp_path, capsys):
    """They do not travel: that strategy has no row, and is refused where it is the only one."""
    size = ["smoke", "--layers", "2", "--rest-us", "1", "--windows", "1"]
    found = answered(tmp_path, *size, "--sequences", "4,8")
    assert [row["sequences"] for row in found["rows"] if row["strategy"] == "tokens-travel"] == [4]
    for arguments, wrong in ((["--strategies", "tokens-travel"], "--strategies = tokens-travel"),
                             (["--dataflow", "shared"], "--sequences = 8")):
        assert main(["model", *size, "--sequences", "8", *arguments]) == 2
        assert wrong in capsys.readouterr().err


def test_a_known_model(tmp_path, capsys):
    """Its layers and the rest are known; too small a memory is said, and by how much."""
    found = answered(tmp_path, "qwen3-30b-a3b", "--sequences", "1", "--windows", "1", "--strategies", "fse", "--ddr-gib", "2")
    [row] = found["rows"]
    assert found["moe_layers"] == 48 and not found["placement"]["fits"]
    config, rest = load("qwen3-30b-a3b"), found["rest"]
    rate = config.array.channels * config.ddr.bytes_per_cycle * 800e6
    assert row["rest_us"] == pytest.approx((rest["weight_bytes"] + rest["cache_bytes"]) / rate * 1e6)
    assert found["placement"]["missing_bytes"] == found["placement"]["channel_bytes"] - 2 * 2**30
    assert "does not fit" in capsys.readouterr().out


@pytest.mark.parametrize(("arguments", "names"), [
    (["smoke"], "--layers is missing"), (["smoke", "--layers", "2"], "--rest-us is missing"),
    (["smoke", "--layers", "0", "--rest-us", "1"], "--layers = 0"),
    (["qwen3-30b-a3b", "--sequences", "0"], "--sequences = 0"), (["qwen3-30b-a3b", "--rest-bits", "64"], "--rest-bits = 64")])
def test_wrong_input(arguments, names, capsys):
    """Named, with the legal values."""
    assert main(["model", *arguments]) == 2
    message = capsys.readouterr().err
    assert names in message and "legal" in message
