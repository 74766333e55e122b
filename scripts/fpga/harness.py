"""A design between shift registers, so that hundreds of ports need four pins and pins limit neither fit nor speed."""

from dataclasses import dataclass

from trajectile.hw.design import Design
from trajectile.scripts.soc.ports import ports_of

#: module name, its pins
NAME = "trajectile_fpga"
PINS = ("clk", "rst", "serial_in", "serial_out")
_TEXT = """module {name} (
  input wire clk,
  input wire rst,
  input wire serial_in,
  output wire serial_out
);
  // reset comes from a register
  reg reset;
  // what the design gets at its inputs; moves on by a bit per cycle
  reg [{inputs}:0] drive;
  // what the design says; what collects it: each bit is the one before, exclusive-or an output, and it moves on likewise
  wire [{outputs}:0] said;
  reg [{outputs}:0] heard;
  reg [{outputs}:0] watch;
  always @(posedge clk) begin
    reset <= rst;
    drive <= {{drive, serial_in}};
    heard <= said;
    watch <= {{watch, drive[{inputs}]}} ^ heard;
  end
  assign serial_out = watch[{outputs}];
  {module} {label} (
{ports}
  );
endmodule
"""


@dataclass(frozen=True)
class Wire:
    """A port of the design, and where the wrapper has it."""

    port: str
    is_input: bool
    #: ``clk``, ``reset``, ``drive`` or ``said``; which of its bits is the port's first
    signal: str
    first: int
    width: int


@dataclass(frozen=True)
class Harness:
    """The wrapper: its Verilog, and how many bits the design takes and gives.

    Of itself it takes a flip-flop for reset and for each bit that the design takes, and two and a LUT for each that it gives.
    Every input of the design comes from a register and every output goes into one, so no path leaves the FPGA but those of
    the wrapper.
    """

    text: str
    #: instance name of the design in it
    label: str
    inputs: int
    outputs: int
    wires: tuple[Wire, ...]


def harness(made: Design, module: str) -> Harness:
    """Wrap one module of a design.

    Args:
        made: the design.
        module: which of its modules: any that came from a block, such as ``made.tile`` or ``made.top``.
    """
    label = module.removeprefix("trajectile_")
    wires, inputs, outputs = [], 0, 0
    for port in ports_of(made.components[module]):
        if port.name in ("clk", "rst"):
            wires.append(Wire(port.name, True, "clk" if port.name == "clk" else "reset", 0, 1))
        elif not port.width:
            continue
        elif port.is_input:
            wires.append(Wire(port.name, True, "drive", inputs, port.width))
            inputs += port.width
        else:
            wires.append(Wire(port.name, False, "said", outputs, port.width))
            outputs += port.width
    lines = [f"    .{wire.port}({wire.signal})" if wire.signal in ("clk", "reset") else
             f"    .{wire.port}({wire.signal}[{wire.first} +: {wire.width}])" for wire in wires]
    text = _TEXT.format(name=NAME, module=module, label=label, inputs=inputs - 1, outputs=outputs - 1,
                        ports=",\n".join(lines))
    return Harness(text, label, inputs, outputs, tuple(wires))
