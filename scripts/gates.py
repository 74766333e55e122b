"""The tile as gates: the netlist of ``trajectile synthesize``, with models of the cells, in place of the tile's Verilog."""

import re
from importlib.metadata import version
from pathlib import Path

from scripts import generate
from scripts.cell_models import cell_models
from scripts.errors import UserError
from scripts.synthesize import MAPPING, SCRIPT, Libraries, map_tile
from tb.runner import cached


def gate_level(made: generate.Design, libraries: Libraries) -> dict[str, str]:
    """The files of a design with the tile mapped to cells: netlist, cells, and SRAM and array as they are.

    The hierarchy stays, so every block is its own module of cells. Flip-flops have no initial value: they are x until a
    reset, and what the netlist does not reset must not matter.

    Raises:
        UserError: if the libraries lack a cell that the design needs, or one cannot be modelled.
        YosysError: if Yosys fails.
    """
    files = made.files()

    def synthesize(folder: Path, log: Path) -> None:
        map_tile(made, folder, libraries, "write_verilog -noattr netlist.v\n")

    folder = cached("gates", [version("pyosys")], {
        "tile.v": files["trajectile_tile.v"], "sram.v": files["trajectile_sram.v"],
        "map.abc": MAPPING, "script": SCRIPT,
        **{f"cells_{number}.lib": text for number, text in enumerate(libraries.texts)}}, synthesize).folder
    netlist = (folder / "netlist.v").read_text(encoding="utf-8")
    used = set(re.findall(r"^  (\w+) \S+ \($", netlist, re.M)) - made.modules.keys()
    if unknown := used - libraries.cells.keys():
        raise UserError(f"cell {min(unknown)} is not mapped: the Liberty files have no cell for it")
    return files | {"trajectile_tile.v": netlist, "cells.v": cell_models(libraries.cells, used)}
