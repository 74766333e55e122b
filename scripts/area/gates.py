"""The tile as gates: the netlist of ``trajectile synthesize``, with models of the cells, in place of the tile's Verilog."""

import re

from trajectile.hw.design import Design
from trajectile.scripts.area.cell_models import cell_models
from trajectile.scripts.area.flow import map_tile
from trajectile.scripts.area.memories import choose
from trajectile.scripts.area.technology import Technology
from trajectile.scripts.errors import UserError


def gate_level(made: Design, technology: Technology) -> dict[str, str]:
    """The files of a design with the tile mapped to cells: netlist, cells, and SRAM and array as they are.

    The hierarchy stays, so every block is its own module of cells. Flip-flops have no initial value: they are x until a
    reset, and what the netlist does not reset must not matter.

    Raises:
        UserError: if the libraries lack a cell that the design needs, or one cannot be modelled.
        YosysError: if Yosys fails.
    """
    files = made.files()
    mapped = map_tile(made, None, technology, choose(made, technology, registers=0), more="write_verilog -noattr netlist.v\n")
    netlist = (mapped.folder / "netlist.v").read_text(encoding="utf-8")
    used = set(re.findall(r"^  (\w+) \S+ \($", netlist, re.M)) - made.modules.keys()
    if unknown := used - technology.cells.keys():
        raise UserError(f"cell {min(unknown)} is not mapped: the Liberty files have no cell for it")
    groups = {name: cell.group for name, cell in technology.cells.items() if cell.group is not None}
    return files | {"trajectile_tile.v": netlist, "cells.v": cell_models(groups, used)}
