"""Verilog models of the ECP5's cells, for the simulation of a netlist.

Those of logic, carry chains, flip-flops and small memories are Yosys' own, read from where it is installed. Of multiplier and
block RAM Yosys only declares the pins; what they do is written here, as far as Yosys uses them.
"""

import re
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from trajectile.hw.lib import yosys
from trajectile.scripts.errors import ToolError

#: files of Yosys with models that simulate
_THEIRS = ("common_sim.vh", "ccu2c_sim.vh", "cells_sim.v")
_MODULE = re.compile(r"^module\s+(\w+)\b.*?^endmodule$", re.M | re.S)
_INSTANCE = re.compile(r"^  ([A-Z]\w+) (?:#\($|\S+ +\($)", re.M)
#: timing, which this is not about
_SPECIFY = re.compile(r"^\s*specify$.*?^\s*endspecify$\n", re.M | re.S)


def _bus(name: str, bits: int) -> str:
    """Pins of a bus, the highest first, as in a concatenation: ``A17, A16, ...``."""
    return ", ".join(f"{name}{bit}" for bit in reversed(range(bits)))


def _multiplier() -> str:
    """MULT18X18D without registers: what Yosys makes of a product."""
    return f"""module MULT18X18D(
  input {_bus("A", 18)},
  input {_bus("B", 18)},
  input {_bus("C", 18)},
  input SIGNEDA, SIGNEDB, SOURCEA, SOURCEB,
  output {_bus("P", 36)}
);
  wire signed [18:0] a = {{SIGNEDA & A17, {_bus("A", 18)}}};
  wire signed [18:0] b = {{SIGNEDB & B17, {_bus("B", 18)}}};
  wire signed [37:0] product = a * b;
  assign {{{_bus("P", 36)}}} = product[35:0];
endmodule
"""


def _block_ram_port(port: str) -> str:
    """Pins of one of the two ports of a block RAM."""
    return f"""  input {_bus(f"DI{port}", 18)},
  input {_bus(f"AD{port}", 14)},
  input CE{port}, OCE{port}, CLK{port}, WE{port}, RST{port}, CS{port}2, CS{port}1, CS{port}0,
  output {_bus(f"DO{port}", 18)}"""


def _block_ram_access(port: str) -> str:
    """What one of the ports does: address and data as numbers, read and write at its clock."""
    return f"""
  parameter DATA_WIDTH_{port} = 18;
  parameter REGMODE_{port} = "NOREG";
  parameter CSDECODE_{port} = "0b000";
  parameter [127:0] WRITEMODE_{port} = "NORMAL";
  parameter [31:0] CLK{port}MUX = "CLK{port}";
  wire clk_{port} = CLK{port}MUX == "INV" ? ~CLK{port} : CLK{port};
  wire [13:0] address_{port} = {{{_bus(f"AD{port}", 14)}}};
  wire [17:0] data_{port} = {{{_bus(f"DI{port}", 18)}}};
  reg [17:0] read_{port} = 0;
  assign {{{_bus(f"DO{port}", 18)}}} = read_{port};
  always @(posedge clk_{port}) begin
    if (RST{port})
      read_{port} <= 0;
    else if (CE{port} && (!WE{port} || WRITEMODE_{port} != "NORMAL"))
      read_{port} <= WE{port} && WRITEMODE_{port} == "WRITETHROUGH" ? data_{port} : word(address_{port}, DATA_WIDTH_{port});
    if (CE{port} && WE{port})
      case (DATA_WIDTH_{port})
        18: begin
          if (address_{port}[0]) mem[{{address_{port}[13:4], 1'b0}}] <= data_{port}[8:0];
          if (address_{port}[1]) mem[{{address_{port}[13:4], 1'b1}}] <= data_{port}[17:9];
        end
        9: mem[address_{port}[13:3]] <= data_{port}[8:0];
        4: mem[address_{port}[13:3]][4 * address_{port}[2] +: 4] <= data_{port}[3:0];
        2: mem[address_{port}[13:3]][2 * address_{port}[2:1] +: 2] <= data_{port}[1:0];
        default: mem[address_{port}[13:3]][address_{port}[2:0]] <= data_{port}[0];
      endcase
  end
"""


def _block_ram() -> str:
    """DP16KD: 2,048 bytes of 9 bits, two ports of 1, 2, 4, 9 or 18 bits, without registers behind what is read.

    An address counts bits; with 18 bits a word, its two lowest bits say which half is written.
    """
    contents = [f"INITVAL_{number:02X}" for number in range(64)]
    return f"""module DP16KD(
{_block_ram_port("A")},
{_block_ram_port("B")}
);
  parameter RESETMODE = "SYNC";
  parameter ASYNC_RESET_RELEASE = "SYNC";
  parameter GSR = "ENABLED";
{"".join(f"  parameter [319:0] {name} = 0;{chr(10)}" for name in contents)}
  // 16 words of two bytes each, a word in 20 bits
  localparam [20479:0] CONTENTS = {{{", ".join(reversed(contents))}}};
  reg [8:0] mem [0:2047];
  integer i;
  initial for (i = 0; i < 2048; i = i + 1) mem[i] = CONTENTS[i / 2 * 20 + i % 2 * 9 +: 9];

  function [17:0] word(input [13:0] address, input integer bits);
    case (bits)
      18: word = {{mem[{{address[13:4], 1'b1}}], mem[{{address[13:4], 1'b0}}]}};
      9: word = mem[address[13:3]];
      4: word = mem[address[13:3]][4 * address[2] +: 4];
      2: word = mem[address[13:3]][2 * address[2:1] +: 2];
      default: word = mem[address[13:3]][address[2:0]];
    endcase
  endfunction
{_block_ram_access("A")}{_block_ram_access("B")}endmodule
"""


def _installed() -> Path:
    """Where Yosys keeps what it has of the ECP5.

    Raises:
        YosysError: if Yosys is missing.
    """
    found = find_spec(yosys.wheel().split()[0].replace("-", "_"))
    assert found is not None and found.origin is not None
    return Path(found.origin).parent / "share" / "ecp5"


def used(netlist: str) -> set[str]:
    """Kinds of cells in a netlist that Yosys has written, which begin with a capital."""
    return set(_INSTANCE.findall(netlist))


def models(cells: Iterable[str]) -> str:
    """Verilog of some cells, and of the cells inside of these.

    Raises:
        ToolError: for a cell that has no model.
        YosysError: if Yosys is missing.
    """
    folder = _installed()
    theirs = {found[1]: _SPECIFY.sub("", found[0]) for name in _THEIRS
              for found in _MODULE.finditer((folder / name).read_text(encoding="utf-8"))}
    known = theirs | {"MULT18X18D": _multiplier(), "DP16KD": _block_ram()}
    wanted, done = sorted(cells), dict[str, str]()
    while wanted:
        name = wanted.pop()
        if name not in known:
            raise ToolError(f"cell {name} has no model; those that have one: {', '.join(sorted(known))}")
        if name not in done:
            done[name] = known[name]
            wanted += [inner for inner in re.findall(r"\b[A-Z]\w+(?= #?\()", known[name]) if inner in theirs]
    return "\n".join(text for _, text in sorted(done.items()))
