"""Speed and power: energies by hand, a batch's counters, the whole command on a tiny tile of cells with made-up delays."""

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.support.configurations import TINY
from trajectile.scripts import cli
from trajectile.scripts.area import power, technology
from trajectile.scripts.area.activity import CYCLES, energy_of
from trajectile.scripts.area.cells import Arc, Cell, Table
from trajectile.scripts.area.graph import LoadModel
from trajectile.scripts.area.library_text import library_text
from trajectile.scripts.area.netlist import CONSTANTS, Module
from trajectile.scripts.area.outside import Outside
from trajectile.scripts.flow import workload
from trajectile.scripts.plots import area as area_plots
from trajectile.sw_model.config import load
from trajectile.sw_model.schedule.scheduler import schedule
from trajectile.sw_model.timeline.counters import count
from trajectile.sw_model.timeline.model import simulate

LOADS = LoadModel(wire_ff=1.0, slew_ps=10.0, buffer="sg13g2_buf_2")


def module(*cells, nets):
    made = Module("m", nets=[*CONSTANTS, *nets])
    made.cells = [(kind, [(pin, made.nets.index(net)) for pin, net in pins.items()]) for kind, pins in cells]
    return made


class Two(dict):
    """Cells at two volts."""

    volts = 2.0


CELLS = Two({cell.name: cell for cell in (
    Cell("XOR", 1.0, {"A": 3.0, "B": 3.0}, {"Y": "A^B"}, leakage_nw=2.0, toggle_fj=10.0),
    Cell("INV", 1.0, {"A": 3.0}, {"Y": "!A"}, leakage_nw=1.0, toggle_fj=5.0),
    Cell("DFF", 1.0, {"D": 2.0, "C": 4.0}, {"Q": "IQ"}, clock="C", state_kind="ff", state_names=("IQ", "IQN"),
         leakage_nw=7.0, toggle_fj=20.0, clock_fj=8.0))})


def test_what_does_not_move_takes_no_energy():
    """``a ^ a`` is 0 in every cycle, and so is what hangs on it; all of it leaks."""
    made = module(("XOR", {"A": "a", "B": "a", "Y": "y"}), ("INV", {"A": "y", "Y": "z"}), nets="ayz")
    still = energy_of(made, CELLS, LOADS)
    assert (still.logic_fj, still.clock_fj, still.leakage_nw) == (0.0, 0.0, 3.0)


def test_an_inverter_moves_as_its_input():
    """Random bits toggle in half of the cycles: internal energy, and half of C V^2 of what it drives."""
    made = module(("INV", {"A": "y", "Y": "z"}), ("INV", {"A": "a", "Y": "y"}), nets="ayz")  # not in their order
    toggle = energy_of(made, CELLS, LOADS).logic_fj / ((5 + (3 + 1) * 4 / 2) + 5)
    assert 0.5 - 3 / CYCLES ** 0.5 < toggle < 0.5 + 3 / CYCLES ** 0.5
    assert energy_of(made, CELLS, LOADS) == energy_of(made, CELLS, LOADS)


def test_a_flip_flop_by_hand():
    """The clock pin charges and discharges in each cycle; half of the cycles the output toggles."""
    flop = ("DFF", {"D": "d", "C": "c", "Q": "q"})
    energy = energy_of(module(flop, ("INV", {"A": "q", "Y": "z"}), nets="dcqz"), CELLS, LOADS)
    assert energy.clock_fj == pytest.approx(8 + (4 + 1) * 4)
    only = energy_of(module(flop, nets="dcq"), CELLS, LOADS)
    assert only.logic_fj == pytest.approx(0.5 * (20 - 8 / 2))


@pytest.mark.parametrize("cols", [2, 3])
def test_counters_of_a_batch(cols):
    """Against sums over the timeline and the schedule; in a line of three the way back passes the tile between."""
    config = load("smoke", [f"array.cols={cols}"])
    plan = schedule(config, workload.load(config, gate_only=True).topk_ids, "balanced")
    line = simulate(plan)
    counters = count(plan, line)
    assert counters.words == sum(line.mac_busy) == counters.weight_words + counters.computes * config.parameter_words
    assert counters.weight_words == counters.passes * config.pass_words
    kinds = [event.kind for event in line.events]
    assert [counters.slices_loaded, counters.slices_sent, counters.computes, counters.picks] == [
        kinds.count(kind) for kind in ("load", "send", "compute", "pick")]
    assert counters.slices_loaded * config.slice_beats == counters.beats
    assert counters.slices_sent * (1 + config.slice_flits) == counters.flits == counters.slice_flits
    assert counters.records == counters.summed == power.busy_cycles(config, counters)["ring_reduction"] == 0
    assert counters.flits_passed == (line.flits[2] if cols == 3 else 0)
    assert cols == 2 or counters.flits_passed > 0
    reads, writes = power.accesses(config, counters)["expert buffer"][0]
    assert reads == counters.words + counters.slices_sent * config.slice_words
    assert writes == (counters.slices_loaded + counters.slices_sent) * config.slice_words


def test_counters_of_a_shared_batch():
    """No slice moves: flits are items of records, with a header for each section that a tile hands on, and words of sums."""
    config = load("demo")
    plan = schedule(config, workload.load(config, gate_only=True, tokens=10).topk_ids, "balanced", dataflow="shared")
    line, ways = simulate(plan), config.array.tiles - 1
    counters, kinds = count(plan, line), [event.kind for event in line.events]
    assert [counters.slices_loaded, counters.slices_sent, counters.computes, counters.picks] == [
        kinds.count(kind) for kind in ("load", "send", "compute", "pick")]
    assert counters.slice_flits == 0 and counters.summed == 10 * ways
    assert counters.records == ways * (2 * config.array.tiles + config.records_bytes(10) // config.io.bytes_per_cycle)
    assert counters.choices == config.array.tiles * int((plan.topk_ids >= 0).sum())
    busy = power.busy_cycles(config, counters)
    assert 0 < busy["record_port"] == counters.records and busy["slice_sender"] == 0 < busy["ring_reduction"]
    # places of streams, by their part
    parts = "io port", "tokens travel"
    tile = power.TileEnergy(tuple(power.Works(part, "two_places_head1_error1", 1.0, 0.0, 0.0) for part in parts), (), (), "")
    found = power.parts_pj(config, tile, counters, 500, Outside())
    assert [found[part]["logic"] for part in parts] == [busy["record_parser"], busy["record_port"]]


@pytest.fixture(scope="module")
def timed(tmp_path_factory):
    """The shipped cells with one delay for all, 10 ps and 2 ps for each fF."""
    cells = dict(technology.load().cells)
    cells["sg13g2_buf_2"] = replace(cells["sg13g2_buf_1"], name="sg13g2_buf_2")
    axes = np.linspace(0, 60, 7)
    delay, slew = Table(axes, axes, np.tile(10 + 2 * axes, (7, 1))), Table(axes, axes, np.full((7, 7), 12.0))
    for name, cell in cells.items():
        target = next(iter(cell.functions))
        sources = [cell.clock] if cell.sequential else list(cell.capacitance)
        cells[name] = replace(cell, capacitance=dict.fromkeys(cell.capacitance, 1.0), arcs=[
            Arc(source, target, "non_unate", cell.sequential, (delay, delay), (slew, slew)) for source in sources])
    path = tmp_path_factory.mktemp("cells") / "timed.lib"
    path.write_text(library_text(cells, replace(LOADS, wire_ff=0.0)))
    return path


def test_the_command(timed, tmp_path, capsys):
    """Speed, power, bare multiply-accumulators, a comparison and a picture, in one go; then the same again."""
    tiny = [part for name, value in TINY.items() for part in ("--set", f"{name.replace('__', '.')}={value}")]
    out, image = tmp_path / "area.json", tmp_path / "area.png"
    command = ["synthesize", "smoke", *tiny, "--liberty", str(timed), "--power", "--clock", "500", "--bare-macs", "--json",
               str(out), "--plot", str(image), "-o", str(tmp_path / "o")]
    assert cli.main(command) == 0
    text, values = capsys.readouterr().out, json.loads(out.read_text())
    speed, energy = values["speed"], values["power"]
    assert speed["loops"] == 0 and speed["target_mhz"] == 500
    worst = speed["longest"][0]
    assert 1e6 / worst["ps"] == pytest.approx(speed["reached_mhz"], abs=0.1) and worst["ps"] == max(
        path["ps"] for path in speed["blocks"].values())
    assert all(sum(step["ps"] for step in path["through"]) == pytest.approx(path["ps"], abs=1) for path in speed["longest"])
    assert {"mac_pe", "router", "rule_engine"} <= speed["blocks"].keys() and {"mac_pe", "router"} <= speed["abc_ps"].keys()
    assert not [path for path in speed["longest"] if "$" in path["from"] + path["to"]]  # registers have names
    parts = energy["parts_uj"]
    assert sum(sum(row.values()) for row in parts.values()) == pytest.approx(energy["energy_uj"])
    tile = power.TileEnergy.read(energy["tile"])  # another program can make the sum from what the file has
    config = load("smoke", tiny[1::2])
    plan = schedule(config, workload.load(config, gate_only=True).topk_ids, "balanced")
    again = power.parts_pj(config, tile, count(plan, simulate(plan, record=False)), 500, Outside())
    assert {part: sum(row.values()) / 1e6 for part, row in again.items()} == pytest.approx(
        {part: sum(row.values()) for part, row in parts.items()})
    assert energy["uj_per_token"] * energy["tokens"] == pytest.approx(energy["energy_uj"]) and "DDR" not in parts
    assert energy["energy_uj"] / (energy["cycles"] / 500) == pytest.approx(energy["watts"])
    # two products that share a scale and an accumulator: less than two accumulators, more than one
    bare = values["bare_macs"]
    assert bare["mac_area"] < bare["dot_area"] < 3 * bare["mac_area"] and bare["over_macs"] > 0.5 < bare["over_dots"]
    assert "ESTIMATE" in text and "DRAM is not counted" in text and image.stat().st_size > 10_000
    area_plots.bars([values, values], image)


@pytest.mark.parametrize(("arguments", "message"), [
    (["--speed"], "speed or power estimate needs delays"), (["--power", "--technology", "generic"], "needs delays"),
    (["--clock", "0"], "--clock = 0.0 is not legal"), (["--ddr-pj", "-1"], "--ddr-pj = -1.0 is not legal"),
    (["--compare", "nothing.json"], "--compare = nothing.json is not legal"), (["--registers", "-1"], "--registers = -1"),
    (["--sram", "nothing.toml"], "--sram = nothing.toml is not legal")])
def test_bad_arguments(arguments, message, capsys, tmp_path, monkeypatch):
    """Refused before Yosys runs."""
    monkeypatch.chdir(tmp_path)
    assert cli.main(["synthesize", "smoke", *arguments]) == 2
    assert message in capsys.readouterr().err
