"""Wrapper, cells by block, critical path in the design's words; one block through place and route."""

import io
import re

import pytest
from rich.console import Console

from tests.support.configurations import TINY, small
from tests.support.tools import require_nextpnr
from trajectile.hw.design import design
from trajectile.scripts.fpga import devices, flow, report
from trajectile.scripts.fpga.devices import ECP5, GW2A, GW5A, NEXUS
from trajectile.scripts.fpga.families.family import Use
from trajectile.scripts.fpga.flow import Routed
from trajectile.scripts.fpga.harness import harness
from trajectile.scripts.fpga.nextpnr import Report, Step
from trajectile.scripts.fpga.report import Blocks
from trajectile.scripts.fpga.seeds import Tried


@pytest.fixture(scope="module")
def made():
    return design(small(**TINY))


def ports(text):
    """Width of each port of a module's Verilog, by name, without clock and reset: inputs, outputs."""
    head = text[text.rindex("\nmodule ") if "\nmodule " in text else 0:].partition(");")[0]
    found = {"input": {}, "output": {}}
    for way, high, name in re.findall(r"(input|output) wire (?:\[(\d+):0\] )?(\w+)", head):
        if name not in ("clk", "rst"):
            found[way][name] = int(high or 0) + 1
    return found["input"], found["output"]


@pytest.mark.parametrize("kind", ["tile", "top"])
def test_every_bit_has_its_place(made, kind):
    """No port bit is left out or wired twice: the module's own Verilog against the wrapper's."""
    module = getattr(made, kind)
    wrapped = harness(made, module)
    for register, widths, bits in (("drive", ports(made.modules[module])[0], wrapped.inputs),
                                   ("said", ports(made.modules[module])[1], wrapped.outputs)):
        wired = {name: range(int(at), int(at) + int(width)) for name, at, width in re.findall(
            rf"\.(\w+)\({register}\[(\d+) \+: (\d+)\]\)", wrapped.text)}
        assert {name: len(span) for name, span in wired.items()} == widths
        assert sorted(bit for span in wired.values() for bit in span) == list(range(bits))
        assert f"reg [{bits - 1}:0] {'drive' if register == 'drive' else 'watch'};" in wrapped.text


def test_blocks(made):
    """Where a cell is, what signal it is named after, what part of the tile that is."""
    tile, array = (Blocks(made, harness(made, module), ECP5) for module in (made.tile, made.top))
    assert tile.of("watch_TRELLIS_FF_Q_103") == ("", "watch", report.WRAPPER)
    assert tile.of("tile.tile_id_LUT4_A") == ("tile", "tile_id", "wiring")
    assert tile.of("tile.compute_unit.mac_array.pe_0_1.total_TRELLIS_FF_Q_2_DI_CCU2C_S0$CCU2_COMB1") == (
        "tile.compute_unit.mac_array.pe_0_1", "total", "MAC array")
    assert tile.of("tile.token_lists.nodes_0_0.memory.0.1$DPRAM_COMB2") == (
        "tile.token_lists.nodes_0_0", "memory", "token lists")
    assert tile.of("tile.record_reader.something.else_LUT4_Z") == ("tile.record_reader", "something.else", "io port")
    assert array.of("array.tile_1.router.full_LUT4_Z") == ("array.tile_1.router", "full", "router")
    assert array.of("array.link_0_to_1.line_TRELLIS_FF_Q")[2] == report.LINKS


@pytest.mark.parametrize(("family", "name"), [
    (NEXUS, "tile.router.full_WIDEFN9_Z"), (NEXUS, "tile.router.full_FD1P3IX_Q_1_D_CCU2_S0"),
    (GW2A, "tile.router.full_MUX2_LUT5_O"), (GW5A, "tile.router.full_DFFRE_Q_2_D_LUT4_F"), (GW2A, "tile.router.full_ALU_SUM"),
    (GW5A, "tile.router.full_MULT12X12_DOUT")])
def test_blocks_of_other_families(made, family, name):
    """Their cells are named after signals in the same way."""
    assert Blocks(made, harness(made, made.tile), family).of(name) == ("tile.router", "full", "router")


def test_halves():
    """Two multipliers of 9 x 9 are one; what is there is counted once."""
    used, there = GW2A.counted({"MULT18X18": (4, 48), "MULT9X9": (33, 96), "LUT4": (7, 20_736)})
    assert used == Use(lut=7, dsp=20.5) and there == Use(lut=20_736, dsp=48)
    assert used.numbers == {"lut": 7, "ff": 0, "bram": 0, "dsp": 20.5}
    assert isinstance((used - Use(dsp=0.5)).numbers["dsp"], int)


def test_by_block(made):
    """Each kind of cell counts for what it takes."""
    cells = {"drive_TRELLIS_FF_Q": "TRELLIS_FF", "tile.router.a_LUT4_Z": "LUT4", "tile.router.b_CCU2C_S0": "CCU2C",
             "tile.router.a_PFUMX_Z": "PFUMX", "tile.compute_unit.swiglu_0.t": "DP16KD",
             "tile.compute_unit.mac_array.pe_0_0.p_MULT18X18D_P0": "MULT18X18D",
             "tile.token_lists.nodes_0_0.memory.0.0": "TRELLIS_DPR16X4"}
    found = report.by_block(cells, Blocks(made, harness(made, made.tile), ECP5))
    assert found == {"MAC array": Use(dsp=1), "SwiGLU": Use(bram=1), "router": Use(lut=3), "token lists": Use(lut=6),
                     report.WRAPPER: Use(ff=1)}
    assert list(found)[-1] == report.WRAPPER


PATH = (Step("clk-to-q", 0.5, "tile.ddr_loader.beat_TRELLIS_FF_Q_1"),
        Step("routing", 1.0, "tile.ddr_loader.sum_CCU2C_S0_1$CCU2_COMB0", "tile.ddr_loader.beat[1]"),
        Step("logic", 0.25, "tile.ddr_loader.sum_CCU2C_S0_1$CCU2_COMB0"),
        Step("routing", 2.0, "tile.router.room_TRELLIS_FF_Q", "tile.ddr_loader.sum[1]"),
        Step("setup", 0.125, "tile.router.room_TRELLIS_FF_Q"))


def test_values(made):
    """Totals, the rest that place and route adds, the path by block; and they can be shown."""
    wrapped = harness(made, made.tile)
    used = {"TRELLIS_COMB": (10, 24_288), "TRELLIS_FF": (2, 24_288), "DP16KD": (0, 56), "MULT18X18D": (0, 28)}
    cells = {"tile.router.a_LUT4_Z": "LUT4", "tile.router.room_TRELLIS_FF_Q": "TRELLIS_FF",
             "drive_TRELLIS_FF_Q": "TRELLIS_FF"}
    values = report.values_of(made, wrapped, "one tile", devices.target("lfe5u-25f"), cells,
                              Tried(3, Routed(Report(used, 258.06, PATH), None, None), {2: 250.0, 3: 258.06, 4: None}),
                              freq_mhz=90, placer="heap", flat=False)
    assert (values["seed"], values["seeds"]) == (3, {"2": 250.0, "3": 258.06, "4": None})
    assert [values[name] for name in ("routed", "fmax_mhz", "lut", "ff", "bram", "dsp")] == [True, 258.06, 10, 2, 0, 0]
    assert values["blocks"][report.REST] == {"lut": 9, "ff": 0, "bram": 0, "dsp": 0}
    assert values["critical_path"] == {
        "from": "tile.ddr_loader: beat", "to": "tile.router: room", "ns": 3.875, "logic_ns": 0.875, "routing_ns": 3.0,
        "through": [{"block": "tile.ddr_loader", "logic_ns": 0.75, "routing_ns": 1.0, "signals": ["beat", "sum"]},
                    {"block": "tile.router", "logic_ns": 0.125, "routing_ns": 2.0, "signals": ["room"]}]}
    console = Console(width=120, record=True, file=io.StringIO())
    report.show(values, console)
    shown = console.export_text()
    assert "seed 3, the fastest of 3, the slowest 250.0 MHz" in shown
    assert "258.1 MHz" in shown and "tile.ddr_loader: beat" in shown and "place and route" in shown


@pytest.mark.parametrize(("device", "flat"), [
    pytest.param("lfe5u-12f", False, marks=pytest.mark.regress), ("lfe5u-12f", True), ("lifcl-17", True), ("gw2a-18", True),
    pytest.param("gw5a-25", True, marks=pytest.mark.regress), pytest.param("gw5ast-138", True, marks=pytest.mark.regress),
    pytest.param("lifcl-40", False, marks=pytest.mark.regress), pytest.param("gw2ar-18", False, marks=pytest.mark.regress)])
def test_one_block(made, tmp_path, device, flat):
    """The rule engine from Verilog to bitstream in a small device: sums are nextpnr's, the path is inside of it."""
    target, phases = devices.target(device), []
    require_nextpnr(target.family)
    wrapped = harness(made, "trajectile_rule_engine")
    netlist = flow.synthesize(made, wrapped, target.family, flat)
    routed = flow.place_and_route(netlist, tmp_path, target, seed=1, freq_mhz=50, told=phases.append)
    tried = Tried(1, routed, {1: routed.report.fmax_mhz})
    values = report.values_of(made, wrapped, "rule engine", target, flow.cells(netlist), tried, freq_mhz=50,
                              placer=target.family.placers[0], flat=flat)
    assert values["routed"] and 20 < values["fmax_mhz"] < 400 and values["bram"] == values["dsp"] == 0
    assert values["critical_path"]["ns"] == pytest.approx(1000 / values["fmax_mhz"], rel=0.01)
    for kind in ("lut", "ff"):
        assert sum(part[kind] for part in values["blocks"].values()) == values[kind] > 0
    # an input of which nothing depends goes; every output is watched
    assert wrapped.outputs <= values["blocks"][report.WRAPPER]["ff"] <= wrapped.inputs + 2 * wrapped.outputs + 1
    assert values["blocks"]["rule engine"]["lut"] > 0
    # Gowin's chains begin with a cell of their own, and flip-flops are reached through a table
    most = 2 if target.family in (GW2A, GW5A) else 4
    assert 0 <= values["blocks"].get(report.REST, {"lut": 0})["lut"] < values["lut"] / most
    assert routed.bitstream.stat().st_size > 100_000 and any("router2" in line for line in phases)
