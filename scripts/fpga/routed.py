"""The routed netlist as Verilog, from what nextpnr writes of it: its cells, after packing, placement and routing.

The wrapper is cut away: where its registers drive a port of the design, the port drives the same nets.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trajectile.scripts.errors import ToolError
from trajectile.scripts.fpga.harness import NAME, Harness

#: parameters that the models of cells.py read, with ``INITVAL`` and what follows it; others are dealt with here or say
#: nothing of what a cell does
_READ = {
    "TRELLIS_FF": ("CEMUX", "CLKMUX", "LSRMUX", "SRMODE", "REGSET"),
    "TRELLIS_COMB": ("MODE", "CCU2_INJECT1", "WREMUX", "WCKMUX"),
    "MULT18X18D": tuple(f"REG_{which}_{pin}" for which in ("INPUTA", "INPUTB", "OUTPUT") for pin in ("CLK", "CE", "RST")),
    "DP16KD": tuple(f"{name}_{port}" for port in "AB" for name in ("DATA_WIDTH", "REGMODE", "CSDECODE", "WRITEMODE"))
              + ("CLKAMUX", "CLKBMUX"),
}
#: pins with an inverter that the models know
_INVERTED = {("TRELLIS_FF", pin) for pin in ("CLK", "LSR", "CE")} | {("TRELLIS_COMB", pin) for pin in ("WRE", "WCK")} | {
    ("DP16KD", pin) for pin in ("CLKA", "CLKB")}
#: pins that are at 0 when nothing is connected; all others are pulled up
_LOW = {("TRELLIS_FF", "LSR"), ("TRELLIS_COMB", "FCI")}
#: pins of shift chains, of which Yosys uses none
_IDLE = {"MULT18X18D": re.compile(r"(?:SR[IO][AB]|RO[ABC])\d+")}
#: parameters that say whether there are registers; those that the models know are not among them
_REGISTERS = re.compile(r"REG(?:MODE)?_(?!(?:INPUT[AB]|OUTPUT)_)")

#: a net by its number, or a constant
Net = int | str


@dataclass(frozen=True)
class Netlist:
    """A routed design."""

    cells: Mapping[str, Any]
    #: net by name
    nets: Mapping[str, Net]


@dataclass(frozen=True)
class Pin:
    """A port of the Verilog: the nets that it drives or shows, bit 0 first."""

    name: str
    is_input: bool
    nets: tuple[Net, ...]


def read(path: Path) -> Netlist:
    """Read the file that ``--write`` of nextpnr has made."""
    module = next(iter(json.loads(path.read_text(encoding="utf-8"))["modules"].values()))
    return Netlist(module["cells"], {name: net["bits"][0] for name, net in module["netnames"].items() if net["bits"]})


def aliases(netlist: Path) -> dict[Net, list[str]]:
    """All names of each net of Yosys' ``netlist.json``, a bit of a bus as ``name[2]``, as nextpnr names it."""
    module = json.loads(netlist.read_text(encoding="utf-8"))["modules"][NAME]
    found: dict[Net, list[str]] = {}
    for name, net in module["netnames"].items():
        for at, bit in enumerate(net["bits"]):
            index = net.get("offset", 0) + at
            found.setdefault(bit, []).append(name if len(net["bits"]) == 1 and not index else f"{name}[{index}]")
    return found


def pins(wrapped: Harness, netlist: Path, routed: Netlist) -> list[Pin]:
    """The ports of the wrapped design in the routed netlist.

    Args:
        wrapped: its wrapper, whose registers drive them and listen to them.
        netlist: ``netlist.json``, as nextpnr got it.
        routed: what nextpnr made of it.

    Raises:
        ToolError: if a net of a port is not found any more.
    """
    names = aliases(netlist)
    bits = {name: module["bits"] for name, module in json.loads(netlist.read_text(encoding="utf-8"))[
        "modules"][NAME]["netnames"].items() if name in ("clk", "reset", "drive", "said")}

    def net(bit: Net) -> Net:
        if isinstance(bit, str):
            return bit
        found = next((name for name in names[bit] if name in routed.nets), None)
        if found is None:
            raise ToolError(f"the routed netlist has no net {names[bit][0]}")
        return routed.nets[found]
    return [Pin(wire.port, wire.is_input, tuple(net(bit) for bit in bits[wire.signal][wire.first:wire.first + wire.width]))
            for wire in wrapped.wires]


def _value(text: str) -> str:
    """A parameter in Verilog. A string that looks like a number has a blank at its end."""
    return f"{len(text)}'b{text}" if re.fullmatch("[01]+", text) else f'"{text.removesuffix(" ")}"'


def _bit(net: Net) -> str:
    return f"n[{net}]" if isinstance(net, int) else f"1'b{net}"


def _tied(kind: str, pin: str, parameters: Mapping[str, str]) -> str:
    """What an input is at that is connected to nothing."""
    way = parameters.get(f"{pin}MUX", pin).strip()
    if way in ("0", "1"):
        return f"1'b{way}"
    low = (kind, pin) in _LOW
    if way == "INV" and (kind, pin) not in _INVERTED:
        low = not low
    return f"1'b{int(not low)}"


def _instance(name: str, cell: Mapping[str, Any]) -> str:
    """A cell in Verilog.

    Raises:
        ToolError: if its model does not know what it is set to.
    """
    kind, parameters, nets = cell["type"], cell["parameters"], cell["connections"]
    idle = _IDLE.get(kind)
    used = {pin: direction for pin, direction in cell["port_directions"].items() if not (idle and idle.fullmatch(pin))}
    inputs = [pin for pin, direction in used.items() if direction == "input"]
    for pin in inputs:
        if nets[pin] and parameters.get(f"{pin}MUX", "").strip() not in ("", pin) and (kind, pin) not in _INVERTED:
            raise ToolError(f"pin {pin} of {name} ({kind}) is {parameters[f'{pin}MUX'].strip()}, which has no model")
    if any(value.strip() not in ("NONE", "NOREG") for key, value in parameters.items() if _REGISTERS.match(key)):
        raise ToolError(f"{name} ({kind}) has registers, which have no model")
    given = {key: _value(value) for key, value in parameters.items()
             if key in _READ.get(kind, ()) or key.startswith("INITVAL")}
    wires = {pin: _bit(nets[pin][0]) if nets[pin] else _tied(kind, pin, parameters) for pin in inputs}
    if kind == "TRELLIS_FF" and parameters.get("SD", "1").strip() == "0":  # not from the LUT beside it
        wires["DI"] = wires.get("M", "1'b1")
    if kind == "TRELLIS_COMB" and (nets.get("FXA") or nets.get("FXB")):  # its output OFX is that of a wider multiplexer
        given["IS_Z1"] = "1'b1"
    wires |= {pin: _bit(nets[pin][0]) for pin, direction in used.items() if direction != "input" and nets[pin]}
    set_to = f"#(\n{_listed(given)}\n  ) " if given else ""
    return f"  {kind} {set_to}\\{name} (\n{_listed(wires)}\n  );\n"


def _listed(values: Mapping[str, str]) -> str:
    return ",\n".join(f"    .{name}({value})" for name, value in values.items())


def _wire(cell: Mapping[str, Any]) -> tuple[Net, Net] | None:
    """What a buffer of a pin or of a clock joins: the net that it drives, and its source; None for any other cell."""
    nets = cell["connections"]
    if cell["type"] == "DCCA":
        return nets["CLKO"][0], nets["CLKI"][0]
    if cell["type"] == "TRELLIS_IO":
        return (nets["O"][0], nets["B"][0]) if cell["parameters"]["DIR"] == "INPUT" else (nets["B"][0], nets["I"][0])
    return None


def _needed(cells: Mapping[str, Any], given: set[Net], wanted: Iterable[Net]) -> list[str]:
    """The cells that some nets come from, some others being given."""
    driver = {cell["connections"][pin][0]: name for name, cell in cells.items()
              for pin, direction in cell["port_directions"].items() if direction != "input" and cell["connections"][pin]
              and not (cell["type"] == "TRELLIS_IO" and cell["parameters"]["DIR"] == "INPUT" and pin == "B")}
    left, found = list(wanted), dict[str, None]()
    while left:
        net = left.pop()
        if net in given or isinstance(net, str) or driver[net] in found:
            continue
        cell = cells[driver[net]]
        found[driver[net]] = None
        left += [cell["connections"][pin][0] for pin, direction in cell["port_directions"].items()
                 if cell["connections"][pin] and (direction == "input" or _wire(cell))]
    return list(found)


def verilog(routed: Netlist, module: str, ports: Sequence[Pin]) -> str:
    """A module of the routed cells between some ports. What no output depends on is left out, as the wrapper.

    Raises:
        ToolError: if a cell is set to something that its model does not know.
    """
    given = {net for port in ports if port.is_input for net in port.nets}
    needed = _needed(routed.cells, given, (net for port in ports if not port.is_input for net in port.nets))
    lines = [f"  {'input' if port.is_input else 'output'} [{len(port.nets) - 1}:0] {port.name}" for port in ports]
    text = [f"module {module}(\n" + ",\n".join(lines) + "\n);\n",
            f"  wire [{max(net for net in routed.nets.values() if isinstance(net, int))}:0] n;\n"]
    for port in ports:
        for at, net in enumerate(port.nets):
            ends = (_bit(net), f"{port.name}[{at}]")
            if isinstance(net, int) or not port.is_input:
                text.append("  assign {} = {};\n".format(*(ends if port.is_input else ends[::-1])))
    for name in needed:
        joined = _wire(routed.cells[name])
        if joined is None:
            text.append(_instance(name, routed.cells[name]))
        elif joined[0] not in given:
            text.append(f"  assign {_bit(joined[0])} = {_bit(joined[1])};\n")
    return "".join([*text, "endmodule\n"])
