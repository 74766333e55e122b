"""The tile as cells of an ECP5: the netlist that is placed and routed, with models of the cells, in place of its Verilog."""

import re

from trajectile.hw.design import Design
from trajectile.scripts.fpga import flow
from trajectile.scripts.fpga.cells import models, used
from trajectile.scripts.fpga.harness import NAME, harness


def gate_level(made: Design) -> dict[str, str]:
    """The files of a design with the tile and its memories mapped to cells: netlist, cells, and the array as it is.

    It is the netlist of :func:`trajectile.scripts.fpga.flow.synthesize` before its hierarchy is dissolved, without the
    wrapper around the tile. Flip-flops and memories have the initial values that the bitstream gives them.

    Raises:
        ToolError: if a cell has no model.
        YosysError: if Yosys is missing or fails.
    """
    folder = flow.synthesize(made, harness(made, made.tile))
    netlist = re.sub(rf"^module {NAME}\b.*?^endmodule$", "", (folder / "netlist.v").read_text(encoding="utf-8"),
                     flags=re.M | re.S)
    return {f"{made.top}.v": made.files()[f"{made.top}.v"], f"{made.tile}.v": netlist, "cells.v": models(used(netlist))}
