"""Area by block: sums, SRAM as macros, libraries good and bad."""

import gzip
import json
import re
import shutil
from collections import defaultdict
from types import SimpleNamespace

import pytest

from hw.lib import yosys
from scripts import generate, synthesize
from scripts.errors import ToolError, UserError
from scripts.synthesize import Macro, liberty_macros, read_libraries, shipped_macros, sram_area
from sw_model.config import load


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    """The smoke tile, and the folder it was made in."""
    folder = tmp_path_factory.mktemp("area")
    return synthesize.synthesize(load("smoke"), folder), folder


def test_totals_are_sums(smoke):
    """To the last digit."""
    values, _ = smoke
    for key, total in values["totals"].items():
        assert total == sum(block[key] for block in values["blocks"].values()) > 0


def test_sram_bits_are_those_of_the_design(smoke):
    """Every SRAM of the tile is counted once, and none became flip-flops."""
    values, folder = smoke
    config = load("smoke")
    made = generate.design(config)
    assert values["totals"]["sram_bits"] == sum(block["sram_bits"] for block in values["blocks"].values())
    assert values["blocks"]["expert_buffer"]["sram_bits"] == config.tile.slots * config.slice_bytes * 8
    mapped = json.loads((folder / "stat.json").read_text())["modules"]
    kinds = {kind.lstrip("\\") for module in mapped.values() for kind in module["num_cells_by_type"]}
    assert set(made.srams) <= kinds  # black boxes in the netlist
    assert not [kind for kind in kinds if kind.startswith("$")]
    # what is left in flip-flops: far less than the SRAM
    flops = sum(count for module in mapped.values() for kind, count in module["num_cells_by_type"].items() if "_df" in kind)
    assert 0 < flops < values["totals"]["sram_bits"]


def test_every_block_of_the_tile_is_there(smoke):
    """MAC array, SwiGLU, buffers, loader, router, tables, engine, host port."""
    values, _ = smoke
    assert {"mac_pe", "swiglu_lane", "expert_buffer", "lane_memory", "ddr_loader", "router", "rule_engine", "slot_table",
            "host_port", "slice_sender", "slice_receiver", "mac_sequencer"} <= values["blocks"].keys()
    assert "d2d_link" not in values["blocks"]  # a model of the PHY, not part of the tile
    config = load("smoke")
    assert values["blocks"]["mac_pe"]["instances"] == config.tile.mac_n * config.tile.mac_t


def test_two_runs_are_equal(smoke, tmp_path):
    """Byte for byte."""
    assert json.dumps(synthesize.synthesize(load("smoke"), tmp_path)) == json.dumps(smoke[0])


def test_areas_of_the_shipped_library():
    """Facts of IHP's SG13G2 standard cells; the macros carry their source."""
    areas = read_libraries([]).areas
    assert areas["sg13g2_inv_1"] == pytest.approx(5.4432) and areas["sg13g2_dfrbpq_1"] > 40
    assert all(macro.area_um2 > 1000 for macro in shipped_macros())
    assert "IHP" in synthesize.DEFAULT_SRAM.read_text() and "IHP" in synthesize.DEFAULT_LIBERTY.read_text()


def test_shipped_areas_are_those_of_the_full_library(shared):
    """Against the foundry's own Liberty, beside the repository."""
    full = read_libraries([shared / "pdk/ihp-sg13g2/sg13g2_stdcell_typ_1p20V_25C.lib.gz"]).areas
    ours = read_libraries([]).areas
    assert ours and all(full[name] == pytest.approx(area) for name, area in ours.items())


def test_sram_area_tiles_macros():
    """Words and bits are rounded up to whole macros; the smallest sum wins."""
    macros = [Macro("a", 64, 64, False, 10.0), Macro("b", 256, 16, False, 12.0), Macro("c", 32, 32, True, 30.0)]
    assert sram_area(macros, 64, 64, two_port=False) == 10.0
    assert sram_area(macros, 65, 64, two_port=False) == 20.0
    assert sram_area(macros, 256, 16, two_port=False) == 12.0
    assert sram_area(macros, 1, 1, two_port=False) == 10.0
    assert sram_area(macros, 33, 32, two_port=True) == 60.0
    assert sram_area(macros[:2], 64, 64, two_port=True) == 20.0
    assert sram_area([], 64, 64, two_port=False) is None and sram_area([], 64, 64, two_port=True) is None


def test_macros_of_a_liberty_file():
    """By the depth and width in their names."""
    found = liberty_macros({"RM_IHPSG13_1P_64x64_c2": 1.0, "fakeram7_256x34": 2.0, "sg13g2_inv_1": 3.0, "RM_X_2P_8x4": 4.0})
    assert [(m.depth, m.width, m.two_port) for m in found] == [(64, 64, False), (256, 34, False), (8, 4, True)]


def test_a_library_that_cannot_map(tmp_path, monkeypatch):
    """What Yosys says of a library of the user's is wrong input; of the project's own, a tool that failed."""
    def run(*_):
        raise yosys.YosysError("Yosys failed on synth.ys:\n1. Executing.\nERROR: no flip-flops")
    monkeypatch.setattr(yosys, "run", run)
    monkeypatch.setattr(generate, "design", lambda _: SimpleNamespace(files=lambda: defaultdict(str), tile="tile"))
    path = tmp_path / "cells.lib"
    path.write_text("library (x) { cell (INV) { area : 1; } }")
    with pytest.raises(UserError, match=r"--liberty = .*cells\.lib is not legal.*ERROR: no flip-flops") as error:
        synthesize.synthesize(load("smoke"), tmp_path / "out", [path])
    assert not isinstance(error.value, ToolError)
    with pytest.raises(ToolError, match="no flip-flops"):
        synthesize.synthesize(load("smoke"), tmp_path / "out")


def test_a_gzipped_library(smoke, tmp_path, monkeypatch):
    """Gzip is told by content, not by name; without SRAM macros the area of SRAM is unknown, never zero."""
    path = tmp_path / "cells.lib"
    path.write_bytes(gzip.compress(synthesize.DEFAULT_LIBERTY.read_bytes()))
    # the cells are those of the project, so Yosys would map the same netlist again
    monkeypatch.setattr(yosys, "run", lambda script, folder, name: shutil.copy(smoke[1] / "stat.json", folder))
    values = synthesize.synthesize(load("smoke"), tmp_path / "out", [path])
    assert (tmp_path / "out" / "library_0.lib").read_bytes() == synthesize.DEFAULT_LIBERTY.read_bytes()
    assert values["totals"]["sram_area_um2"] is None and values["totals"]["sram_bits"] > 0
    assert values["totals"]["cell_area_um2"] == smoke[0]["totals"]["cell_area_um2"]
    assert values["liberty"] == [str(path)]


def test_page_has_the_commands(smoke):
    """docs/area.md gives the plain Yosys commands that the synthesis runs."""
    page = (synthesize.DATA.parents[1] / "docs" / "area.md").read_text()
    for line in synthesize.SCRIPT.splitlines():
        assert re.sub(r"\{\w+\}.*", "", line).strip() in page
