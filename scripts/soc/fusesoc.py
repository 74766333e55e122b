"""The FuseSoC core of a generated design (CAPI2)."""

import re

#: lint messages that are waived (docs/architecture.md, "Lint")
WAIVED = ("CASEINCOMPLETE", "WIDTH", "UNUSED", "PROCASSINIT", "DECLFILENAME")


def core_name(config: str, version: str) -> str:
    """Vendor, library, name and version of the core."""
    return f"trajectile:generated:{re.sub(r'[^A-Za-z0-9_]', '_', config)}:{version}"


def core(config: str, version: str, description: str) -> str:
    """Text of the core file: filesets for SRAM, tile and array, and targets to use and to lint tile and array."""
    options = ", ".join(["-Wall", *(f"-Wno-{name}" for name in WAIVED)])

    def lint(sets: str, top: str) -> str:
        return (f"    filesets: [{sets}]\n    toplevel: {top}\n    flow: lint\n    flow_options:\n      tool: verilator\n"
                f"      verilator_options: [{options}]\n")
    return f"""CAPI=2:

name: {core_name(config, version)}
description: "{description}"

filesets:
  # replace this one by wrappers of the same ports around compiled macros
  sram:
    files: [trajectile_sram.v]
    file_type: verilogSource-2005
  tile:
    files: [trajectile_tile.v]
    file_type: verilogSource-2005
  # reference: tiles and a model of the PHY between them
  array:
    files: [trajectile_array.v]
    file_type: verilogSource-2005
  tile_constraints:
    files: [trajectile_tile.sdc]
    file_type: SDC
  array_constraints:
    files: [trajectile_array.sdc]
    file_type: SDC

targets:
  default:
    filesets: [sram, tile, array]
  tile:
    description: One tile
    filesets: [sram, tile, tile_constraints]
    toplevel: trajectile_tile
  array:
    description: The array, with its model of the PHY
    filesets: [sram, tile, array, array_constraints]
    toplevel: trajectile_array
  lint:
    description: Verilator's lint of the array
{lint("sram, tile, array", "trajectile_array")}  lint_tile:
    description: Verilator's lint of the tile
{lint("sram, tile", "trajectile_tile")}"""
