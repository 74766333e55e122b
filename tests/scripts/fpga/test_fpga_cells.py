"""Models of the ECP5's cells: what Yosys maps to them does the same as the Verilog that it was made of."""

import re
import subprocess

import pytest

from tests.support.tools import require_icarus, require_nextpnr
from trajectile.hw.lib import yosys
from trajectile.scripts.errors import ToolError
from trajectile.scripts.fpga import cells_nexus, flow, nextpnr, routed
from trajectile.scripts.fpga.cells import installed, models, used
from trajectile.scripts.fpga.devices import ECP5, GW2A, GW5A, NEXUS

MEMORY = """module dut(input clk, input [63:0] in, output [63:0] out);
  (* ram_style = "block" *) reg [{width}-1:0] mem [0:{depth}-1];
  integer i;
  // few addresses, so that what was written is read: the first eight and the last eight
  initial for (i = 0; i < 8; i = i + 1) begin
    mem[i] = 40503 * (i + 3) >> 3;
    mem[{depth} - 8 + i] = 40503 * (i + 17) >> 3;
  end
  wire [{bits}-1:0] write = {{{{({bits}-3){{in[30]}}}}, in[2:0]}}, read = {{{{({bits}-3){{in[31]}}}}, in[6:4]}};
  reg [{width}-1:0] first = 0, second = 0;
  always @(posedge clk) begin
{body}
  end
  assign out = {{second, first}};
endmodule
"""
WRITE = "    if (in[8]) mem[write] <= in[63:32];\n"
#: a read port of its own; a port that reads what was there, what is new, or nothing while it writes; halves of a word; reset
BODIES = {
    "two ports": WRITE + "    if (in[9]) first <= mem[read];",
    "read before write": WRITE + "    if (in[9]) first <= mem[write];",
    "no change": "    if (in[8]) mem[write] <= in[63:32]; else first <= mem[write];",
    "halves": "    if (in[8]) mem[write][8:0] <= in[40:32];\n    if (in[9]) mem[write][17:9] <= in[49:41];\n"
              "    first <= mem[read];",
    "reset": WRITE + "    if (in[10]) first <= 0; else if (in[9]) first <= mem[read];",
}
MEMORIES = {f"{name}, {width} bits": (MEMORY.format(width=width, depth=depth, bits=depth.bit_length() - 1, body=BODIES[name]),
                                     "DP16KD")
            for name, width, depth in [("two ports", 18, 1024), ("two ports", 9, 2048), ("two ports", 4, 4096),
                                       ("two ports", 2, 8192), ("two ports", 1, 16384), ("two ports", 25, 2048),
                                       ("read before write", 18, 1024), ("no change", 9, 2048), ("no change", 4, 4096),
                                       ("halves", 18, 1024), ("reset", 18, 1024)]}
PRODUCT = """module dut(input clk, input [63:0] in, output reg [63:0] out);
  wire {sign} [{width}-1:0] a = in, b = in >> 32;
  wire {sign} [2*{width}-1:0] product = a * b;
  always @(posedge clk) out <= product;
endmodule
"""
PRODUCTS = {f"{width} bits {sign or 'unsigned'}": (PRODUCT.format(sign=sign, width=width), "MULT18X18D")
            for width in (8, 18, 30) for sign in ("signed", "")}
#: Products between registers; those of 12 flip-flops or more have an enable, and those that are a product stay with it. What
#: a multiplier's operand reads may be read by others. Four multipliers, all with an output register, two with operands'.
REGISTERS = {"registers": ("""module dut(input clk, input [63:0] in, output reg [63:0] out);
  reg signed [7:0] a = 0, b = 0;
  reg signed [15:0] c = 0, ab = 0;
  reg [8:0] d = 0, e = 0;
  reg signed [23:0] ac = 0;
  reg [17:0] de = 0;
  reg signed [24:0] abd = 0;
  initial out = 0;
  always @(posedge clk) begin
    {a, b, d, e} <= in;
    if (in[40]) c <= in[63:48];
    ab <= a * b;
    ac <= a * c;
    de <= d * e;
    abd <= ab * $signed({1'b0, d});
    out <= {de, ac, ab} ^ {abd, 20'b0};
  end
endmodule
""", "MULT18X18D")}
#: by constants, and by numbers of few bits: sums of shifts, whose carry chains show; a product is cut, or wider than it needs
SUMS = {"small products": ("""module dut(input clk, input [63:0] in, output reg [63:0] out);
  wire [5:0] a = in[5:0];
  wire [11:0] b = in[17:6];
  wire [2:0] c = in[20:18];
  wire [15:0] by_45 = b * 7'd45, by_7 = a * 3'd7;
  always @(posedge clk) out <= {by_45, by_7[8:0], 4'd13 * c, b * c, c * a};
endmodule
""", "CCU2C")}
#: an adder, a comparison, a small memory, a flip-flop with set and enable
LOGIC = {"logic": ("""module dut(input clk, input [63:0] in, output reg [63:0] out);
  reg [7:0] mem [0:15];
  integer i;
  initial begin out = 0; for (i = 0; i < 16; i = i + 1) mem[i] = 3 * i; end
  always @(posedge clk) begin
    if (in[0]) mem[in[7:4]] <= in[15:8];
    out[7:0] <= mem[in[23:20]];
    out[31:8] <= in[31:8] + in[55:32] + in[1];
    if (in[16]) out[39:32] <= 8'hA5; else if (in[17]) out[39:32] <= in[63:56];
    out[63:40] <= {in[30:16] < in[46:32], ^in[12:0], in[2] ? in[63:42] : ~in[41:20]};
  end
endmodule
""", "CCU2C")}
BENCH = """module bench;
  reg clk = 0;
  reg [63:0] in = 0;
  wire [63:0] wanted, found;
  integer cycle, wrong = 0, alive = 0;
  dut_rtl rtl(.clk(clk), .in(in), .out(wanted));
  dut gates(.clk(clk), .in(in), .out(found));
  initial begin
    for (cycle = 0; cycle < 3000; cycle = cycle + 1) begin
      in = {$random, $random};
      #1 clk = 1;
      #1 clk = 0;
      #1 if (found !== wanted) wrong = wrong + 1;
      if (^wanted !== 1'bx && wanted != 0) alive = alive + 1;
    end
    $display("wrong %0d alive %0d", wrong, alive);
  end
endmodule
"""


def mapped(text, folder, family=ECP5):
    """What Yosys makes of it, ``netlist.v``, and what nextpnr gets, ``netlist.json``."""
    for name, content in (flow.helpers(family) | {"design.v": text}).items():
        (folder / name).write_text(content)
    yosys.run(flow.script(family, flat=True, top="dut"), folder)
    flow.finish(folder, family)


def same(folder, text, netlist, cells=None):
    """A netlist does the same as the Verilog that it was made of: 3,000 cycles of random inputs, from the first one on."""
    for name, content in {"rtl.v": text.replace("module dut", "module dut_rtl"), "netlist.v": netlist,
                          "cells.v": cells or models(used(netlist)), "bench.v": BENCH}.items():
        (folder / name).write_text(content)
    subprocess.run(["iverilog", "-g2005", "-s", "bench", "-o", "bench", "bench.v", "rtl.v", "netlist.v", "cells.v"],
                   cwd=folder, check=True)
    said = subprocess.run(["vvp", "bench"], cwd=folder, check=True, capture_output=True, text=True).stdout
    found = re.search(r"^wrong (\d+) alive (\d+)$", said, re.M)
    assert found and int(found[1]) == 0 and int(found[2]) > 600, said


@pytest.mark.parametrize("what", [*MEMORIES, *PRODUCTS, *SUMS, *LOGIC])
def test_same_as_verilog(what, tmp_path):
    """As Yosys maps it."""
    require_icarus()
    text, cell = (MEMORIES | PRODUCTS | SUMS | LOGIC)[what]
    mapped(text, tmp_path)
    netlist = (tmp_path / "netlist.v").read_text()
    assert cell in used(netlist), used(netlist)
    assert ("MULT18X18D" in used(netlist)) == (what in PRODUCTS), used(netlist)
    same(tmp_path, text, netlist)


def registers(netlist):
    """How many multipliers have an output register, registers of operand A, of operand B, in Verilog."""
    return tuple(len(re.findall(rf'\.REG_{which}_CLK\("CLK\d"\)', netlist)) for which in ("OUTPUT", "INPUTA", "INPUTB"))


#: what is wanted of that; a product of 30 bits is added up before it is kept
WANTED = {"registers": (4, 2, 2), "8 bits unsigned": (1, 0, 0), "18 bits signed": (1, 0, 0), "30 bits unsigned": (0, 0, 0)}


@pytest.mark.parametrize("what", WANTED)
def test_same_with_registers(what, tmp_path):
    """As nextpnr gets it: with registers in multipliers, where flip-flops allow it."""
    require_icarus()
    text, _ = (PRODUCTS | REGISTERS)[what]
    mapped(text, tmp_path)
    assert registers((tmp_path / "netlist.v").read_text()) == (0, 0, 0)
    yosys.run("read_json netlist.json\nwrite_verilog -noattr netlist.v\n", tmp_path)
    netlist = (tmp_path / "netlist.v").read_text()
    assert registers(netlist) == WANTED[what]
    same(tmp_path, text, netlist)


def test_all_of_a_multiplier(tmp_path):
    """Its model with clocks, enables and resets apart, which nextpnr may give other numbers."""
    require_icarus()
    def bits(pin, bus, count):
        return "".join(f", .{pin}{bit}({bus}[{bit}])" for bit in range(count))
    netlist = f"""module dut(input clk, input [63:0] in, output [63:0] out);
  wire [17:0] b = in[35:18];
  MULT18X18D #(.REG_INPUTA_CLK("CLK1"), .REG_INPUTA_CE("CE2"), .REG_INPUTA_RST("RST3"), .REG_INPUTB_CLK("CLK2"),
    .REG_INPUTB_CE("CE3"), .REG_INPUTB_RST("RST1"), .REG_OUTPUT_CLK("CLK3"), .REG_OUTPUT_CE("CE1"), .REG_OUTPUT_RST("RST2"))
  m(.CLK0(1'b0), .CLK1(clk), .CLK2(clk & in[40]), .CLK3(clk), .CE0(1'b0), .CE1(in[50]), .CE2(in[51]), .CE3(in[52]),
    .RST0(1'b1), .RST1(&in[55:53]), .RST2(&in[57:55]), .RST3(&in[60:58]), .SIGNEDA(1'b1), .SIGNEDB(1'b0)
    {bits("A", "in", 18)}
    {bits("B", "b", 18)}
    {bits("P", "out", 36)});
  assign out[63:36] = 0;
endmodule
"""
    text = """module dut(input clk, input [63:0] in, output [63:0] out);
  reg signed [17:0] a = 0;
  reg [17:0] b = 0;
  reg [35:0] product = 0;
  always @(posedge clk) if (&in[60:58]) a <= 0; else if (in[51]) a <= in[17:0];
  always @(posedge clk) if (in[40]) if (&in[55:53]) b <= 0; else if (in[52]) b <= in[35:18];
  always @(posedge clk) if (&in[57:55]) product <= 0; else if (in[50]) product <= a * $signed({1'b0, b});
  assign out = product;
endmodule
"""
    same(tmp_path, text, netlist, models(["MULT18X18D"]))


@pytest.mark.parametrize(("what", "cells"), [
    ("logic", {"TRELLIS_COMB", "TRELLIS_RAMW", "TRELLIS_FF"}), ("registers", {"MULT18X18D"}),
    *(pytest.param(what, cells, marks=pytest.mark.regress) for what, cells in (
        ("two ports, 18 bits", {"DP16KD"}), ("halves, 18 bits", {"DP16KD"}),
        ("no change, 4 bits", {"DP16KD", "TRELLIS_COMB"}), ("18 bits signed", {"MULT18X18D"}),
        ("30 bits unsigned", {"MULT18X18D", "TRELLIS_COMB"}), ("small products", {"TRELLIS_COMB"})))])
def test_same_when_routed(what, cells, tmp_path):
    """As nextpnr has packed, placed and routed it."""
    require_icarus()
    require_nextpnr()
    text, _ = (MEMORIES | PRODUCTS | REGISTERS | SUMS | LOGIC)[what]
    mapped(text, tmp_path)
    code, log = nextpnr.run(ECP5.nextpnr, [
        "--12k", "--package", "CABGA381", "--json", "netlist.json", "--write", "routed.json", "--router", "router1",
        "--lpf-allow-unconstrained"], tmp_path, "nextpnr.log")
    assert code == 0, log[-1000:]
    found = routed.read(tmp_path / "routed.json")

    def bus(name, is_input, bits=64):
        pads = (f"{name}[{bit}]" if bits > 1 else name for bit in range(bits))
        return routed.Pin(name, is_input, tuple(found.cells[f"{pad}$tr_io"]["connections"]["B"][0] for pad in pads))
    netlist = routed.verilog(found, "dut", [bus("clk", True, 1), bus("in", True), bus("out", False)])
    assert cells <= used(netlist), used(netlist)
    assert registers(netlist) == WANTED.get(what, (0, 0, 0))
    same(tmp_path, text, netlist)


#: multipliers of Gowin without registers, which Yosys only declares; those of a GW5A are signed
GOWIN = "".join(f"""module MULT{bits}X{bits}(input [{bits - 1}:0] A, B, SIA, SIB,
  input ASIGN, BSIGN, ASEL, BSEL, CLK, CE, RESET, output [{2 * bits - 1}:0] DOUT, output [{bits - 1}:0] SOA, SOB);
  wire signed [{bits}:0] a = {{ASIGN & A[{bits - 1}], A}}, b = {{BSIGN & B[{bits - 1}], B}};
  assign DOUT = a * b;
endmodule
""" for bits in (9, 18)) + """module MULT12X12(input signed [11:0] A, B, input [1:0] CLK, CE, RESET,
  output signed [23:0] DOUT);
  assign DOUT = A * B;
endmodule
"""


def others(family):
    """Models of another family's cells: Yosys' own, and what they lack."""
    return cells_nexus.models() if family is NEXUS else (installed() / "gowin/cells_sim.v").read_text() + GOWIN


@pytest.mark.parametrize(("family", "what", "cells"), [
    (NEXUS, "logic", {"CCU2", "DPR16X4"}), (NEXUS, "8 bits signed", {"MULT18X18"}), (NEXUS, "small products", {"CCU2"}),
    (GW2A, "logic", {"ALU", "RAM16SDP4"}), (GW2A, "8 bits signed", {"MULT9X9"}), (GW2A, "18 bits unsigned", {"MULT18X18"}),
    (GW5A, "logic", {"ALU", "RAM16SDP4"}), (GW5A, "8 bits signed", {"MULT12X12"}), (GW5A, "8 bits unsigned", {"MULT12X12"}),
    (GW5A, "18 bits signed", {"MULT12X12"})])
def test_same_in_other_families(family, what, cells, tmp_path):
    """What Yosys makes of a design for Nexus and Gowin does the same, with our files for carry chains and products."""
    require_icarus()
    text, _ = (PRODUCTS | SUMS | LOGIC)[what]
    mapped(text, tmp_path, family)
    netlist = (tmp_path / "netlist.v").read_text()
    assert cells <= used(netlist), used(netlist)
    same(tmp_path, text, netlist, others(family))


def test_no_model():
    """A cell that nothing is known of."""
    with pytest.raises(ToolError, match="cell ALU54B has no model"):
        models(["LUT4", "ALU54B"])
