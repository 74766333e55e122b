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
_SPECIFY = re.compile(r"^\s*specify$.*?^\s*endspecify$\n", re.M | re.S)


def _bus(name: str, bits: int) -> str:
    """Pins of a bus, the highest first, as in a concatenation: ``A17, A16, ...``."""
    return ", ".join(f"{name}{bit}" for bit in reversed(range(bits)))


def _register(which: str, bits: int, source: str) -> str:
    """A register of a multiplier by its name, or a wire where it is not in use; its value has the same name."""
    def chosen(pin: str) -> str:
        given = f"REG_{which}_{pin}"
        return "".join(f'{given} == "{pin}{number}" ? {pin}{number} : ' for number in (3, 2, 1)) + f"{pin}0"
    return f"""
  parameter [31:0] REG_{which}_CLK = "NONE";
  parameter [31:0] REG_{which}_CE = "CE0";
  parameter [31:0] REG_{which}_RST = "RST0";
  wire [{bits - 1}:0] {which};
  generate
    if (REG_{which}_CLK == "NONE")
      assign {which} = {{{source}}};
    else begin
      wire clk = {chosen("CLK")};
      reg [{bits - 1}:0] kept = 0;
      always @(posedge clk)
        if ({chosen("RST")}) kept <= 0;
        else if ({chosen("CE")}) kept <= {{{source}}};
      assign {which} = kept;
    end
  endgenerate
"""


def _multiplier() -> str:
    """MULT18X18D with registers for both operands and for the product, or without: what Yosys makes of a product, and what
    :mod:`trajectile.scripts.fpga.multipliers` makes of that.

    Which of four clocks, enables and resets a register listens to says a parameter each: nextpnr may choose others, as
    multipliers share these wires. Signs are constants, so they need no register.
    """
    return f"""module MULT18X18D(
  input {_bus("A", 18)},
  input {_bus("B", 18)},
  input {_bus("C", 18)},
  input SIGNEDA, SIGNEDB, SOURCEA, SOURCEB,
  input CLK3, CLK2, CLK1, CLK0, CE3, CE2, CE1, CE0, RST3, RST2, RST1, RST0,
  output {_bus("P", 36)}
);
  parameter GSR = "ENABLED";
{_register("INPUTA", 18, _bus("A", 18))}{_register("INPUTB", 18, _bus("B", 18))}
  wire signed [18:0] a = {{SIGNEDA & INPUTA[17], INPUTA}};
  wire signed [18:0] b = {{SIGNEDB & INPUTB[17], INPUTB}};
  wire signed [37:0] product = a * b;
{_register("OUTPUT", 36, "product[35:0]")}
  assign {{{_bus("P", 36)}}} = OUTPUT;
endmodule
"""


def _logic() -> str:
    """TRELLIS_COMB of a routed design: a LUT as logic, half a carry chain or a bit of a small memory, with the multiplexer
    behind it. Yosys has one too, whose carry does not leave it and whose memory begins with its words in another order.
    """
    return """module TRELLIS_COMB(
  input A, B, C, D, M, FCI, F1, FXA, FXB, DI0, DI1, WD, WAD0, WAD1, WAD2, WAD3, WRE, WCK,
  output F, FCO, OFX
);
  parameter [127:0] MODE = "LOGIC";
  parameter [15:0] INITVAL = 0;
  parameter [31:0] CCU2_INJECT1 = "NO";
  parameter [31:0] WREMUX = "WRE";
  parameter [31:0] WCKMUX = "WCK";
  parameter [0:0] IS_Z1 = 0;
  wire lut = INITVAL[{D, C, B, A}];
  wire alone = CCU2_INJECT1 == "YES";
  wire pair = INITVAL[{2'b0, B, A}] & ~alone;
  wire clk = WCKMUX == "INV" ? ~WCK : WCK;
  reg [15:0] mem = INITVAL;
  generate
    if (MODE == "DPRAM")
      always @(posedge clk)
        if (WREMUX == "INV" ? ~WRE : WRE) mem[{WAD0, WAD2, WAD1, WAD3}] <= WD;
  endgenerate
  assign F = MODE == "DPRAM" ? mem[{D, C, B, A}] : MODE == "CCU2" ? lut ^ (FCI & ~alone) : lut;
  assign FCO = lut ? FCI : pair;
  assign OFX = IS_Z1 ? (M ? FXB : FXA) : (M ? F1 : F);
endmodule
"""


def _memory_write() -> str:
    """TRELLIS_RAMW of a routed design: address and data on their way to the bits of a small memory."""
    return """module TRELLIS_RAMW(
  input A0, B0, C0, D0, A1, B1, C1, D1,
  output WDO0, WDO1, WDO2, WDO3, WADO0, WADO1, WADO2, WADO3
);
  assign {WADO3, WADO2, WADO1, WADO0} = {A0, C0, B0, D0};
  assign {WDO3, WDO2, WDO1, WDO0} = {B1, D1, A1, C1};
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


def installed() -> Path:
    """Where Yosys keeps what it has of FPGAs: a folder for each family.

    Raises:
        YosysError: if Yosys is missing.
    """
    found = find_spec(yosys.wheel().split()[0].replace("-", "_"))
    assert found is not None and found.origin is not None
    return Path(found.origin).parent / "share"


def untimed(text: str) -> str:
    """Yosys' models without their times, which this is not about."""
    return _SPECIFY.sub("", text)


def used(netlist: str) -> set[str]:
    """Kinds of cells in a netlist that Yosys has written, which begin with a capital."""
    return set(_INSTANCE.findall(netlist))


def models(cells: Iterable[str]) -> str:
    """Verilog of some cells, and of the cells inside of these.

    Raises:
        ToolError: for a cell that has no model.
        YosysError: if Yosys is missing.
    """
    folder = installed() / "ecp5"
    theirs = {found[1]: untimed(found[0]) for name in _THEIRS
              for found in _MODULE.finditer((folder / name).read_text(encoding="utf-8"))}
    known = theirs | {"MULT18X18D": _multiplier(), "DP16KD": _block_ram(), "TRELLIS_COMB": _logic(),
                      "TRELLIS_RAMW": _memory_write()}
    wanted, done = sorted(cells), dict[str, str]()
    while wanted:
        name = wanted.pop()
        if name not in known:
            raise ToolError(f"cell {name} has no model; those that have one: {', '.join(sorted(known))}")
        if name not in done:
            done[name] = known[name]
            wanted += [inner for inner in re.findall(r"\b[A-Z]\w+(?= #?\()", known[name]) if inner in theirs]
    return "\n".join(text for _, text in sorted(done.items()))
