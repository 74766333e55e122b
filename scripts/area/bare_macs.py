"""The MAC array's cells against bare multiply-accumulators, synthesized alone by the same flow.

Two yardsticks, both plain Verilog without control, enable or operand registers, with codes in the tile's weight format:

* ``mac``: one product of an int8 and a code, added to an int32 accumulator of its own, ``mac_k * mac_n * mac_t`` times. It
  flatters the array, whose elements share one accumulator between ``mac_k`` products.
* ``dot``: ``mac_k`` products, the shift and the mantissa of each block's scale, and one accumulator of ``sum_bits``,
  ``mac_n * mac_t`` times. The strict one: the same arithmetic.
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

#: bits of the shift of a block: of its weights' scale and of its activations
SHIFT_BITS = 4
#: what a code is as a signed number, by weight format
_CODES = {
    "mx8": "signed [7:0] code; input [7:0] c; code = $signed(c);",
    "int4": "signed [3:0] code; input [3:0] c; code = $signed(c);",
    "mxfp4": "signed [4:0] code; input [3:0] c; reg signed [4:0] size; begin case (c[2:0]) 0: size = 0; 1: size = 1; "
             "2: size = 2; 3: size = 3; 4: size = 4; 5: size = 6; 6: size = 8; default: size = 12; endcase "
             "code = c[3] ? -size : size; end",
}


def _products(config: Config, inputs: range) -> str:
    """The sum of some products."""
    bits = config.tile.code_bits
    return " + ".join(f"$signed(a[{8 * i} +: 8]) * code(b[{bits * i} +: {bits}])" for i in inputs)


def _module(config: Config, name: str, inputs: int, bits: int, wires: str, total: str) -> str:
    """A yardstick: an accumulator to which ``total`` is added."""
    tile = config.tile
    return (f"module {name}(input clk, input clear, input [{8 * inputs - 1}:0] a, input [{tile.code_bits * inputs - 1}:0] b, "
            f"input [{SHIFT_BITS * tile.word_scales - 1}:0] s, input [{3 * tile.word_scales - 1}:0] m, "
            f"output reg signed [{bits - 1}:0] total);\n"
            f"  function {_CODES[tile.weights]} endfunction\n{wires}"
            f"  always @(posedge clk) total <= clear ? 0 : total + {total};\nendmodule\n")


def verilog(config: Config) -> dict[str, str]:
    """Both yardsticks, ``bare_mac`` and ``bare_dot``."""
    tile, wires, terms = config.tile, "", []
    for block in range(tile.word_scales):
        inputs = range(block * tile.word_inputs, (block + 1) * tile.word_inputs)
        width = (tile.word_inputs * 127 * tile.code_max).bit_length() + 1
        wires += f"  wire signed [{width - 1}:0] dot_{block} = {_products(config, inputs)};\n"
        factor = f" * $signed({{2'b01, m[{3 * block} +: 3]}})" if tile.scale_mantissa else ""
        terms.append(f"((dot_{block}{factor}) <<< s[{SHIFT_BITS * block} +: {SHIFT_BITS}])")
    return {"bare_mac": _module(config, "bare_mac", 1, 32, f"  wire signed [15:0] product = {_products(config, range(1))};\n",
                                "product"),
            "bare_dot": _module(config, "bare_dot", tile.mac_k, config.sum_bits, wires, " + ".join(terms))}


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
    modules = verilog(config)
    # a top that holds one of each; its own wires cost nothing
    inputs = (f"input clk, input clear, input [{8 * tile.mac_k - 1}:0] a, input [{tile.code_bits * tile.mac_k - 1}:0] b, "
              f"input [{SHIFT_BITS * tile.word_scales - 1}:0] s, input [{3 * tile.word_scales - 1}:0] m")
    top = (f"module bare({inputs}, output [31:0] t_mac, output [{config.sum_bits - 1}:0] t_dot);\n"
           "  bare_mac mac(.clk(clk), .clear(clear), .a(a[7:0]), "
           f".b(b[{tile.code_bits - 1}:0]), .s(s), .m(m), .total(t_mac));\n"
           "  bare_dot dot(.clk(clk), .clear(clear), .a(a), .b(b), .s(s), .m(m), .total(t_dot));\nendmodule\n")
    made = Design(config, False, modules | {"bare": top}, {}, "", "bare")
    mapped = map_tile(made, folder, technology, {}).modules
    areas = {name: sum(technology.cells[kind].area_um2 * count for kind, count in mapped[name].items()) for name in modules}
    lanes = tile.mac_n * tile.mac_t
    array = sum(values["groups"]["MAC array"]["blocks"][kind]["cell_area"] for kind in ARRAY)
    return {"macs": lanes * tile.mac_k, "array_area": round(array, 4),
            "mac_area": round(areas["bare_mac"], 4), "over_macs": array / (areas["bare_mac"] * lanes * tile.mac_k),
            "dot_inputs": tile.mac_k, "dot_area": round(areas["bare_dot"], 4),
            "over_dots": array / (areas["bare_dot"] * lanes)}


def show(values: Mapping[str, Any], unit: str, console: Console) -> None:
    """Print the comparison."""
    array, macs, inputs = values["array_area"], values["macs"], values["dot_inputs"]
    console.print(f"MAC array ({' and '.join(ARRAY)}): {array:,.0f} {unit} for {macs:,} products per cycle\n"
                  f"  {values['over_macs']:.2f} of {macs:,} bare multiply-accumulators with an accumulator each "
                  f"({values['mac_area']:,.1f} {unit} one)\n"
                  f"  {values['over_dots']:.2f} of {macs // inputs:,} bare dot products of {inputs} with one accumulator "
                  f"({values['dot_area']:,.1f} {unit} one): the same arithmetic", highlight=False)
