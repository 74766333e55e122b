"""Registers behind multipliers of an ECP5, which Yosys leaves beside them, go into the multipliers."""

from collections import defaultdict
from typing import Any

#: bits of a product
_BITS = 36


def registered(module: dict[str, Any]) -> int:
    """Give multipliers their output registers, and remove the flip-flops that these were; returns how many have one now.

    A multiplier is changed if each bit of its product that anything reads is read by nothing but one flip-flop, which is
    neither enabled nor reset: then its output register does the same, a cycle's way shorter at both sides.

    Args:
        module: a module of Yosys' JSON, flat; it is changed.
    """
    cells = module["cells"]
    users: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for name, cell in cells.items():
        for port, bits in cell["connections"].items():
            if cell["port_directions"][port] == "input":
                for bit in bits:
                    users[bit].append((name, port))
    for port in module["ports"].values():
        for bit in port["bits"]:
            users[bit].append(("", ""))
    done = 0
    for cell in [cell for cell in cells.values() if cell["type"] == "MULT18X18D"]:
        behind: dict[str, str] = {}
        for port in (f"P{bit}" for bit in range(_BITS)):
            read = [user for net in cell["connections"].get(port, []) for user in users[net]]
            if read:
                behind[port] = read[0][0] if len(read) == 1 and _takes(cells, *read[0]) else ""
        clocks = {tuple(cells[name]["connections"]["CLK"]) if name else () for name in behind.values()}
        if len(clocks) != 1 or clocks == {()}:
            continue
        cell["parameters"] |= {"REG_OUTPUT_CLK": "CLK0", "REG_OUTPUT_CE": "CE0", "REG_OUTPUT_RST": "RST0", "GSR": "DISABLED"}
        for port, bits in (("CLK0", list(*clocks)), ("CE0", ["1"]), ("RST0", ["0"])):
            cell["connections"][port] = bits
            cell["port_directions"][port] = "input"
        for port, name in behind.items():
            cell["connections"][port] = cells.pop(name)["connections"]["Q"]
        done += 1
    return done


def _takes(cells: dict[str, Any], name: str, port: str) -> bool:
    """Whether a bit goes to the input of a flip-flop that takes it in each cycle."""
    cell = cells.get(name, {"type": ""})
    if cell["type"] != "TRELLIS_FF" or port != "DI":
        return False
    has, wires = cell["parameters"], cell["connections"]
    return (has.get("CEMUX", "").strip() == "1" and wires.get("LSR", ["0"]) in ([], ["0"]) and has.get("REGSET") == "RESET"
            and has.get("CLKMUX", "CLK") == "CLK")
