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


def energy_file(tmp_path, made_for, **changes):
    """What ``synthesize --power --json`` writes of a tile of which one module has a clock, one multiplies, and all leaks."""
    tile = {"modules": [{"part": "rule engine", "kind": "rule_engine", "logic_pj": 0, "clock_pj": 2, "leakage_nw": 5},
                        {"part": "MAC array", "kind": "mac_array", "logic_pj": 7, "clock_pj": 0, "leakage_nw": 0}],
            "memories": [{"part": "expert buffer", "place": 0, "kinds": 1, "read_pj": 3, "write_pj": 4, "leakage_nw": 1}],
            "unknown": [], "sram_energies": "none"}
    path = tmp_path / "tile.json"
    path.write_text(json.dumps({"config": made_for.as_dict, "power": {"tile": tile}} | changes))
    return str(path)


def test_energy_adds_up(tmp_path, capsys):
    """A batch's counters times what each costs, by hand; the rest's bytes; leakage for the whole step."""
    config = load("smoke")
    size = ["smoke", "--layers", "3", "--rest-us", "2", "--sequences", "4", "--windows", "1", "--mhz", "100",
            "--strategies", "fse,tokens-travel,ep", "--d2d-pj", "0.5", "--ddr-pj", "4"]
    bare = answered(tmp_path, *size)
    assert "tiles not counted" in capsys.readouterr().out and bare["energy"] == {
        "d2d_pj_per_bit": 0.5, "ddr_pj_per_bit": 4, "tiles": None}
    found = answered(tmp_path, *size, "--energy", energy_file(tmp_path, config))
    rows = {row["strategy"]: row for row in found["rows"]}
    for row in rows.values():
        assert row["uj_per_token"] == pytest.approx(sum(row[f"{part}_uj_per_token"] for part in ("tiles", "d2d", "ddr")))
        assert row["watts"] == pytest.approx(row["uj_per_token"] * 1e-6 * row["tokens_per_second"])
        assert row["ddr_uj_per_token"] == pytest.approx(row["ddr_bytes_per_token"] * 8 * 4 / 1e6)
    trace = workloads.synthetic_trace(config.layer.experts, config.layer.top_k, 4096, 0.2, 1)
    line = simulate(schedule(config, trace.window(0, 2048, 4).topk_ids, "balanced"))
    kinds = [event.kind for event in line.events]
    loads, sends, computes = (kinds.count(kind) for kind in ("load", "send", "compute"))
    words = sum(line.mac_busy)
    layer_pj = (config.array.tiles * line.cycles * 2 + 7 * (words - computes * config.parameter_words)
                + 3 * words + 3 * sends * config.slice_words + 4 * (loads + sends) * config.slice_words)
    leaks_uj = config.array.tiles * 6e-9 * (rows["fse"]["step_us"])
    assert rows["fse"]["tiles_uj_per_token"] * 4 == pytest.approx(3 * layer_pj / 1e6 + leaks_uj)
    assert rows["fse"]["d2d_uj_per_token"] * 4 == pytest.approx(3 * sum(line.flits) * config.link.beat_bytes * 8 * 0.5 / 1e6)
    assert 0 < rows["tokens-travel"]["d2d_uj_per_token"] != rows["fse"]["d2d_uj_per_token"]
    bare_rows = {row["strategy"]: row for row in bare["rows"]}
    assert bare_rows["ep"]["tiles_uj_per_token"] == 0 < rows["ep"]["tiles_uj_per_token"]


@pytest.mark.parametrize(("changes", "names"), [({"power": {}}, "KeyError"), ({"config": {}}, "other tiles")])
def test_no_energy(changes, names, tmp_path, capsys):
    """A file of something else, or of other tiles."""
    path = energy_file(tmp_path, load("smoke"), **changes)
    assert main(["model", "smoke", "--layers", "1", "--rest-us", "1", "--energy", path]) == 2
    message = capsys.readouterr().err
    assert "--energy" in message and names in message and "legal" in message


@pytest.mark.parametrize(("arguments", "names"), [
    (["smoke"], "--layers is missing"), (["smoke", "--layers", "2"], "--rest-us is missing"),
    (["smoke", "--layers", "0", "--rest-us", "1"], "--layers = 0"),
    (["qwen3-30b-a3b", "--sequences", "0"], "--sequences = 0"), (["qwen3-30b-a3b", "--rest-bits", "64"], "--rest-bits = 64"),
    (["qwen3-30b-a3b", "--ddr-pj", "-1"], "--ddr-pj = -1"), (["smoke", "--energy", "no.json"], "--layers")])
def test_wrong_input(arguments, names, capsys):
    """Named, with the legal values."""
    assert main(["model", *arguments]) == 2
    message = capsys.readouterr().err
    assert names in message and "legal" in message
