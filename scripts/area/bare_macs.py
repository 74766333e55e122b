"""The MAC array's cells against bare multiply-accumulators, synthesized alone by the same flow.

Two yardsticks, both plain Verilog without control, enable or operand registers:

* ``mac``: one int8 product added to an int32 accumulator of its own, ``mac_k * mac_n * mac_t`` times. It flatters the array,
  whose elements share one accumulator between ``mac_k`` products.
* ``dot``: ``mac_k`` int8 products and one int32 accumulator, ``mac_n * mac_t`` times. The strict one: the same arithmetic.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from trajectile.hw.design import Design
from trajectile.scripts.area.flow import map_tile
from trajectile.scripts.area.technology import Technology
from trajectile.sw_model.config import Config

#: modules of the tile that are the MAC array
ARRAY = ("mac_pe", "mac_array")


def verilog(inputs: int) -> str:
    """A bare multiply-accumulator of some products per cycle, named ``bare_<inputs>``."""
    products = " + ".join(f"$signed(a[{8 * i} +: 8]) * $signed(b[{8 * i} +: 8])" for i in range(inputs))
    return (f"module bare_{inputs}(input clk, input clear, input [{8 * inputs - 1}:0] a, input [{8 * inputs - 1}:0] b, "
            f"output reg signed [31:0] total);\n  wire signed [31:0] sum = {products};\n"
            "  always @(posedge clk) total <= clear ? 32'sd0 : total + sum;\nendmodule\n")


def compare(config: Config, values: Mapping[str, Any], folder: Path, technology: Technology) -> dict[str, Any]:
    """The cell area of the MAC array in a report, and its ratio to both yardsticks.

    Args:
        config: the accelerator.
        values: its area, of :func:`trajectile.scripts.area.tile_report.area_of` in the same technology.
        folder: for scripts and logs.
        technology: cells.

    Raises:
        YosysError: if Yosys fails.
    """
    tile = config.tile
    sizes = sorted({1, tile.mac_k})
    ports = "input clk, input clear, output [63:0] t"
    inputs = "".join(f", input [{8 * k - 1}:0] a{k}, input [{8 * k - 1}:0] b{k}" for k in sizes)
    # a top that holds one of each; its own wires cost nothing
    top = (f"module bare({ports}{inputs});\n" + "".join(
        f"  bare_{k} u{k}(.clk(clk), .clear(clear), .a(a{k}), .b(b{k}), .total(t[{32 * i} +: 32]));\n"
        for i, k in enumerate(sizes)) + "endmodule\n")
    made = Design(config, False, {f"bare_{k}": verilog(k) for k in sizes} | {"bare": top}, {}, "", "bare")
    mapped = map_tile(made, folder, technology, {}).modules
    areas = {k: sum(technology.cells[kind].area_um2 * count for kind, count in mapped[f"bare_{k}"].items()) for k in sizes}
    lanes = tile.mac_n * tile.mac_t
    array = sum(values["groups"]["MAC array"]["blocks"][kind]["cell_area"] for kind in ARRAY)
    return {"macs": lanes * tile.mac_k, "array_area": round(array, 4),
            "mac_area": round(areas[1], 4), "over_macs": array / (areas[1] * lanes * tile.mac_k),
            "dot_inputs": tile.mac_k, "dot_area": round(areas[tile.mac_k], 4),
            "over_dots": array / (areas[tile.mac_k] * lanes)}


def show(values: Mapping[str, Any], unit: str, console: Console) -> None:
    """Print the comparison."""
    array, macs, inputs = values["array_area"], values["macs"], values["dot_inputs"]
    console.print(f"MAC array ({' and '.join(ARRAY)}): {array:,.0f} {unit} for {macs:,} products per cycle\n"
                  f"  {values['over_macs']:.2f} of {macs:,} bare multiply-accumulators with an accumulator each "
                  f"({values['mac_area']:,.1f} {unit} one)\n"
                  f"  {values['over_dots']:.2f} of {macs // inputs:,} bare dot products of {inputs} with one accumulator "
                  f"({values['dot_area']:,.1f} {unit} one): the same arithmetic", highlight=False)
