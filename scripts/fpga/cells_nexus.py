"""Verilog models of a Nexus' cells, for the simulation of a netlist: Yosys' own, and the block RAM that it only declares."""

from trajectile.scripts.fpga.cells import installed, untimed

_INCLUDE = '`include "parse_init.vh"'


def _block_ram() -> str:
    """PDPSC16K as a table: read with words of 18 bits at one clock, never written, without a register behind what is read.

    An address counts bits. Contents are strings of hexadecimal digits, with nine bits of memory in ten.
    """
    contents = [f"INITVAL_{number:02X}" for number in range(64)]
    return f"""module PDPSC16K(
  input [35:0] DI, input [13:0] ADW, ADR, input CLK, CER, CEW, RST, input [2:0] CSW, CSR,
  output [35:0] DO, output ONEBITERR, TWOBITERR
);
  parameter DATA_WIDTH_W = "X36";
  parameter DATA_WIDTH_R = "X36";
  parameter OUTREG = "BYPASSED";
  parameter RESETMODE = "SYNC";
  parameter ASYNC_RST_RELEASE = "SYNC";
  parameter GSR = "ENABLED";
  parameter ECC = "DISABLED";
  parameter CSDECODE_W = "000";
  parameter CSDECODE_R = "000";
{"".join(f"  parameter [82*8-1:0] {name} = 0;{chr(10)}" for name in contents)}
  function [319:0] bits(input [82*8-1:0] text);
    integer i;
    for (i = 0; i < 80; i = i + 1)
      bits[4*i +: 4] = text[8*i +: 8] < "A" ? text[8*i +: 4] : text[8*i +: 4] + 4'd9;
  endfunction

  reg [319:0] rows [0:63];
  initial begin
{"".join(f"    rows[{number}] = bits({name});{chr(10)}" for number, name in enumerate(contents))}  end
  wire [319:0] row = rows[ADR[13:8]];
  reg [17:0] read = 0;
  always @(posedge CLK)
    if (CER) read <= {{row[20 * ADR[7:4] + 10 +: 9], row[20 * ADR[7:4] +: 9]}};
  assign DO = {{18'b0, read}};
endmodule
"""


def models() -> str:
    """Verilog of all cells that a netlist for a Nexus may have.

    Raises:
        YosysError: if Yosys is missing.
    """
    folder = installed() / "lattice"
    text = (folder / "cells_sim_nexus.v").read_text(encoding="utf-8")
    text = text.replace(_INCLUDE, (folder / "parse_init.vh").read_text(encoding="utf-8"))
    # a small memory has sixteen words, and all of them an initial value
    return untimed(text).replace("i < 15", "i < 16") + _block_ram()
