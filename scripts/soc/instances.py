"""Instantiation templates in Verilog: a wire for every port, and the instance."""

from collections.abc import Sequence

from trajectile.scripts.soc.ports import Port
from trajectile.scripts.soc.verilog import comment

#: what the tile's AXI ports leave out, and what a fabric that has these wants to see
LEFT_OUT = """\
AXI signals that are left out, for fabrics that have them: AWPROT and ARPROT of the host port are ignored; of the DDR and io
ports tie ARID and AWID 0, LOCK 0, CACHE 4'b0011, PROT 3'b010, QOS 0, REGION 0, leave RID and BID open; tie off the write
channels of DDR."""


def template(module: str, instance: str, ports: Sequence[Port], origin: str) -> str:
    """Text to copy into a module that has ``clk`` and ``rst``; it compiles as it is."""
    own = [port for port in ports if port.name not in ("clk", "rst")]
    wires = {port.name: f"{instance}_{port.name.replace('__', '_')}" for port in own}
    lines, interface = [], ""
    for port in own:
        if port.interface != interface:
            interface = port.interface
            lines.append("")
        note = f"{'to' if port.is_input else 'from'} the {instance}" + (f": {port.meaning}" if port.meaning else "")
        lines.append(f"wire {port.span}{wires[port.name]};  // {note}")
    pins = [*((port.name, port.name) for port in ports if port not in own), *wires.items()]
    where = " with clk and rst" if len(pins) > len(wires) else ""
    return (comment(f"Instantiation template of {module}: copy it into a module{where}, drive the wires 'to the "
                    f"{instance}'.\n\n{origin}\n\n{LEFT_OUT}") + "\n".join(lines)
            + f"\n\n{module} {instance} (\n" + ",\n".join(f"    .{port}({wire})" for port, wire in pins) + "\n);\n")
