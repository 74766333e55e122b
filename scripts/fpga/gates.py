"""The tile as cells of an FPGA, with models of the cells, in place of its Verilog: as it is placed, and as it is routed."""

import re
from pathlib import Path

from trajectile.hw.design import Design
from trajectile.scripts.errors import ToolError
from trajectile.scripts.fpga import cells_nexus, flow, routed
from trajectile.scripts.fpga.cells import models, used
from trajectile.scripts.fpga.devices import ECP5, NEXUS, Target
from trajectile.scripts.fpga.families.family import Family
from trajectile.scripts.fpga.harness import NAME, harness


def gate_level(made: Design, family: Family = ECP5) -> dict[str, str]:
    """The files of a design with the tile and its memories mapped to cells: netlist, cells, and the array as it is.

    It is the netlist of :func:`trajectile.scripts.fpga.flow.synthesize` before its hierarchy is dissolved, without the
    wrapper around the tile. Flip-flops and memories have the initial values that the bitstream gives them.

    Args:
        made: the design.
        family: of the FPGA: ECP5 or Nexus.

    Raises:
        ToolError: if a cell has no model.
        YosysError: if Yosys is missing or fails.
    """
    folder = flow.synthesize(made, harness(made, made.tile), family)
    netlist = re.sub(rf"^module {NAME}\b.*?^endmodule$", "", (folder / "netlist.v").read_text(encoding="utf-8"),
                     flags=re.M | re.S)
    cells = cells_nexus.models() if family is NEXUS else models(used(netlist))
    return {f"{made.top}.v": made.files()[f"{made.top}.v"], f"{made.tile}.v": netlist, "cells.v": cells}


def routed_level(made: Design, folder: Path, target: Target) -> dict[str, str]:
    """As :func:`gate_level`, with the cells of the routed design, of which the bitstream is made: that of ``--by-block``, in
    which the wrapper's registers still have their names.

    Args:
        made: the design.
        folder: gets what nextpnr writes.
        target: the FPGA.

    Raises:
        ToolError: if nextpnr is missing or fails, if the tile does not fit, or if a cell has no model.
        YosysError: if Yosys is missing or fails.
    """
    wrapped = harness(made, made.tile)
    netlist = flow.synthesize(made, wrapped, target.family)
    done = flow.place_and_route(netlist, folder, target, seed=1, freq_mhz=50.0, written="routed.json")
    if done.why_not:
        raise ToolError(f"not routed: {done.why_not}")
    found = routed.read(folder / "routed.json")
    tile = routed.verilog(found, made.tile, routed.pins(wrapped, netlist / "netlist.json", found))
    return {f"{made.top}.v": made.files()[f"{made.top}.v"], f"{made.tile}.v": tile, "cells.v": models(used(tile))}
