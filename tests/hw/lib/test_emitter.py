"""The generated Verilog: one module a kind of block, SRAM in wrappers, clean under lint."""

import re
from dataclasses import replace

import pytest

from tests.support.configurations import minimal_configs, random_config, smallest
from tests.support.lint import lint
from tests.support.reserved_words import GRAYWOLF, SYSTEM_VERILOG, VHDL
from trajectile.hw.design import design
from trajectile.scripts.soc import bundle
from trajectile.scripts.soc.ports import ports_of
from trajectile.sw_model.config import load

PROTECTED = load("smoke", ["tile.protect=secded"])


#: configurations, and whether they are without their arithmetic
ORDINARY = [(load("smoke"), False), (load("smoke"), True), (load("demo"), False)]
REGRESS = [(load("demo"), True),
           *((random_config(seed), timing_only) for seed in (1, 2, 3) for timing_only in (False, True))]


@pytest.mark.parametrize(("config", "timing_only"), [
    pytest.param(config, timing_only, id=f"{config.name}-timing-only" if timing_only else config.name, marks=marks)
    for pairs, marks in ((ORDINARY, ()), (REGRESS, pytest.mark.regress)) for config, timing_only in pairs])
def test_lint(config, timing_only, tmp_path):
    """No warning is left on tile and array but the waived classes."""
    made = design(config, timing_only=timing_only)
    bundle.write(made, tmp_path)
    files = ["trajectile_sram.v", "trajectile_tile.v"]
    assert lint(tmp_path, files, made.tile) == ""
    assert lint(tmp_path, [*files, "trajectile_array.v"], made.top) == ""


#: with those that differ from the usual in one field, and most of the others, in `make regress`
ORDINARY_MINIMAL = {"smallest", *(f"smallest-{name}" for name in (
    "secded", "mxfp4", "two-batches", "crc16"))}
MINIMAL = [pytest.param(config, timing_only, id=f"{config.name}-timing-only" if timing_only else config.name,
                        marks=[] if config.name in ORDINARY_MINIMAL and (not timing_only or config.name == "smallest")
                        else [pytest.mark.regress])
           for config in minimal_configs() for timing_only in (False, True) if not timing_only or "smallest" in config.name]


@pytest.mark.parametrize(("config", "timing_only"), MINIMAL)
def test_one_of_something(config, timing_only, tmp_path):
    """One expert, one slice, one token, one lane and so on: no signal of no bits, no warning."""
    made = design(config, timing_only=timing_only)
    assert not re.search(r"\[-", "".join(made.modules.values()))
    bundle.write(made, tmp_path)
    assert lint(tmp_path, ["trajectile_sram.v", "trajectile_tile.v", "trajectile_array.v"], made.top) == ""


def test_lint_sees_a_wrong_design(tmp_path):
    """The check above can fail: an unconnected port is reported."""
    made = design(load("smoke"))
    tile = made.modules[made.tile]
    changed, count = re.subn(r"^    \.ddr__rvalid\(.*\n", "", tile, count=1, flags=re.M)
    assert count == 1
    bundle.write(replace(made, modules={**made.modules, made.tile: changed}), tmp_path)
    assert "PINMISSING" in lint(tmp_path, ["trajectile_sram.v", "trajectile_tile.v"], made.tile)


@pytest.mark.parametrize("config", [load("smoke"), load("demo"), PROTECTED], ids=["smoke", "demo", "secded"])
def test_one_module_a_kind_of_block(config):
    """No text twice under two names, all names prefixed, a MAC element written once and placed k x n x t times or once a dot
    product, and no submodule of a tile is flat.
    """
    made = design(config)
    bodies = [text.split("(", 1)[1] for text in made.modules.values()]
    assert len(set(bodies)) == len(bodies)
    assert all(name.startswith("trajectile_") for name in made.modules)
    array = made.modules["trajectile_mac_array"]
    assert len(re.findall(r"^  trajectile_mac_pe ", array, re.M)) == config.tile.mac_n * config.tile.mac_t
    top = made.modules[made.top]
    assert len(re.findall(r"^  trajectile_tile ", top, re.M)) == config.array.tiles


@pytest.mark.parametrize("timing_only", [False, True])
@pytest.mark.parametrize("config", [load("smoke", ["array.dataflows=both"]), PROTECTED], ids=["both", "secded"])
def test_always_reads_something(config, timing_only):
    """A simulator evaluates ``always @*`` when something that it reads changes: a constant alone would never be assigned."""
    for name, text in design(config, timing_only=timing_only).modules.items():
        constant = re.search(r"^  always @\*\n    \S+ = \d+'\w+;", text, re.M)
        assert not constant, (name, constant)


@pytest.mark.parametrize("config", [load("smoke"), load("demo"), PROTECTED], ids=["smoke", "demo", "secded"])
def test_memory_is_in_the_wrappers(config):
    """Verilog arrays stand in SRAM modules only, without initial contents; but for the SiLU table, a ROM made of gates."""
    made = design(config)
    arrays = {name: re.findall(r"reg (?:\[\d+:0\] )?\w+ *\[(\d+):0\];", text) for name, text in made.modules.items()}
    for name, depths in arrays.items():
        if name in made.srams:
            assert len(depths) == 1 and int(depths[0]) + 1 == made.srams[name][0]
            assert "initial" not in made.modules[name].replace("initial begin end", "")
        elif name == "trajectile_swiglu_lane":
            assert depths == ["511"]
        else:
            assert not depths, f"{name} holds a memory"


def test_names_say_what_they_belong_to():
    """Wires to a block inside another have its name in front, ports are listed in the order of the block, none twice, and
    no name depends on what else the design holds.
    """
    with_link = design(load("smoke", ["link.crc_bits=16"])).modules
    made = design(load("smoke"))
    modules = made.modules
    ports = re.findall(r"^  (?:input|output) (?:wire|reg) (?:\[\d+:0\] )?(\w+)", modules["trajectile_tile"], re.M)
    assert ports[:5] == ["clk", "rst", "tile_id", "host__awaddr", "host__awvalid"] and len(set(ports)) == len(ports)
    assert "  wire rule_engine__send__cut;" in modules["trajectile_tile"]
    assert modules["trajectile_rule_engine"] == with_link["trajectile_rule_engine"]
    assert set(re.findall(r"\\\S+|\$\w+|\b_(?:signal|like)\w*", "".join(
        text for name, text in modules.items() if name not in made.srams))) <= {"$signed"}


@pytest.mark.parametrize("config", [
    load("smoke"), load("smoke", ["link.crc_bits=16", "tile.protect=secded", "tile.multiplier=shared"]), smallest()],
    ids=["smoke", "all-options", "smallest"])
def test_names_are_no_keywords(config):
    """No module, port, net or instance has a name that is a keyword of SystemVerilog or of a placer; no port of tile or
    array has one that is a keyword of VHDL.
    """
    made = design(config)
    text = re.sub(r"//.*", "", "".join(made.modules.values()))
    kinds = (r"module (\w+)", r"  \w+ (\w+) \(", r"  (?:(?:input|output) )?(?:wire|reg) (?:signed )?(?:\[\d+:0\] )?(\w+)")
    names = {name for kind in kinds for name in re.findall(f"^{kind}", text, re.M)}
    assert {"trajectile_tile", "rule_engine", "clk", "flits_left"} <= names
    assert not {name.lower() for name in names} & (SYSTEM_VERILOG | GRAYWOLF) and "\\" not in text
    seen = {port.name for name in (made.tile, made.top) for port in ports_of(made.components[name])}
    assert "clk" in seen and not seen & VHDL


def test_two_runs_write_the_same_bytes():
    """Builds are found again by their content."""
    config = load("smoke")
    assert design.__wrapped__(config).files() == design.__wrapped__(config).files()


def test_timing_only_leaves_the_arithmetic_out():
    """No MAC array, no SwiGLU, no expert buffer; the controllers stay."""
    made = design(load("smoke"), timing_only=True)
    kept = {"trajectile_rule_engine", "trajectile_router", "trajectile_ddr_loader", "trajectile_mac_sequencer"}
    assert kept <= set(made.modules)
    assert not {"trajectile_mac_array", "trajectile_swiglu_lane", "trajectile_lane_memory"} & set(made.modules)
