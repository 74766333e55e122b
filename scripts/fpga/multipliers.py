"""Registers around the multipliers of an ECP5, which Yosys leaves beside them, go into them."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

#: bits of an operand, of a product
_OPERAND, _PRODUCT = 18, 36
#: what a flip-flop is set to that a multiplier's register can stand in for: it takes its input in every cycle, is not reset,
#: and begins with 0. Enables are left out, as the multipliers of a block share four wires for all of theirs
_PLAIN = {"CEMUX": "1", "CLKMUX": "CLK", "LSRMUX": "LSR", "REGSET": "RESET", "SD": "1"}

#: a net by its number, or a constant
Net = int | str


def registered(module: dict[str, Any]) -> tuple[int, int]:
    """Make flip-flops behind and before multipliers the multipliers' own registers.

    Behind a product they must be all that reads it. Before it others may read them too: then they stay, and the multiplier
    has a copy. Registers of one operand alone would not help: nextpnr counts them only where both operands have them.

    Args:
        module: a module of Yosys' JSON without hierarchy; it is changed.

    Returns:
        How many multipliers have an output register now, and how many have registers for both operands.
    """
    # as Yosys makes them; one that is set to anything is somebody's own
    found = [name for name, cell in module["cells"].items() if cell["type"] == "MULT18X18D" and cell.get("parameters") == {}]
    if not found:
        return 0, 0
    netlist = _Netlist(module)
    # outputs first: a register between two multipliers is all of the first one's product, but one operand of the other
    return sum([netlist.register_product(name) for name in found]), sum([netlist.register_operands(name) for name in found])


class _Netlist:
    """A module that loses flip-flops: its cells, who drives a net and who reads it."""

    def __init__(self, module: dict[str, Any]):
        self.cells: dict[str, Any] = module["cells"]
        self.driver: dict[Net, str] = {}
        #: cells and their pins; without names a port of the module
        self.readers: dict[Net, set[tuple[str, str]]] = defaultdict(set)
        for name, cell in self.cells.items():
            for pin, nets in cell["connections"].items():
                for net in nets:
                    if cell["port_directions"][pin] != "input":
                        self.driver[net] = name
                    if cell["port_directions"][pin] != "output":
                        self.readers[net].add((name, pin))
        for port in module["ports"].values():
            for net in port["bits"]:
                self.readers[net].add(("", ""))

    def register_product(self, name: str) -> bool:
        """Give a multiplier an output register, if flip-flops are all that reads its product."""
        nets = self.cells[name]["connections"]
        behind: dict[str, str] = {}
        for pin in (f"P{bit}" for bit in range(_PRODUCT)):
            readers = [reader for net in nets.get(pin, []) for reader in self.readers[net]]
            if len(readers) > 1 or any(reads != "DI" for _, reads in readers):
                return False
            if readers:
                behind[pin] = readers[0][0]
        clock = self._clock(behind.values())
        if clock is None:
            return False
        for pin, flip_flop in behind.items():
            nets[pin] = self._remove(flip_flop)
            self.driver[nets[pin][0]] = name
        self._turn_on(name, ("OUTPUT",), clock)
        return True

    def register_operands(self, name: str) -> bool:
        """Give a multiplier registers for both operands, if each comes from flip-flops but for bits that are always 0."""
        nets = self.cells[name]["connections"]
        if any(isinstance(nets[f"SIGNED{side}"][0], int) for side in "AB"):
            return False  # it would have to be as late as its operand
        operands = [{f"{side}{bit}": nets[f"{side}{bit}"][0] for bit in range(_OPERAND)} for side in "AB"]
        before = [{pin: self.driver.get(net, "") for pin, net in operand.items() if net != "0"} for operand in operands]
        clock = self._clock([flip_flop for operand in before for flip_flop in operand.values()])
        if clock is None or not all(before) or nets.get("CLK0", [clock]) != [clock]:
            return False
        for pin, flip_flop in (before[0] | before[1]).items():
            self._connect(name, pin, self.cells[flip_flop]["connections"]["DI"][0])
        for flip_flop in {flip_flop for operand in before for flip_flop in operand.values()}:
            if not self.readers[self.cells[flip_flop]["connections"]["Q"][0]]:
                self._remove(flip_flop)
        self._turn_on(name, ("INPUTA", "INPUTB"), clock)
        return True

    def _clock(self, names: Iterable[str]) -> Net | None:
        """The clock of some cells, if all of them are flip-flops of the plain kind on the same one."""
        clocks: set[Net | None] = set()
        for name in names:
            cell = self.cells.get(name)
            if cell is None or cell["type"] != "TRELLIS_FF":
                return None
            nets, parameters = cell["connections"], cell["parameters"]
            if any(parameters.get(key, plain).strip() != plain for key, plain in _PLAIN.items()):
                return None
            if nets.get("LSR") not in (None, [], ["0"]) or not nets.get("DI") or not nets.get("Q"):
                return None
            clocks.add(nets["CLK"][0])
        return clocks.pop() if len(clocks) == 1 else None

    def _turn_on(self, name: str, registers: Iterable[str], clock: Net) -> None:
        """Have registers of a multiplier in use: in every cycle, and never reset."""
        for which in registers:
            self.cells[name]["parameters"] |= {f"REG_{which}_CLK": "CLK0", f"REG_{which}_CE": "CE0",
                                               f"REG_{which}_RST": "RST0", "GSR": "DISABLED"}
        for pin, net in (("CLK0", clock), ("CE0", "1"), ("RST0", "0")):
            self._connect(name, pin, net)

    def _connect(self, name: str, pin: str, net: Net) -> None:
        """Put an input of a cell onto a net, in place of the one that it was on."""
        cell = self.cells[name]
        for old in cell["connections"].get(pin, []):
            self.readers[old].discard((name, pin))
        cell["connections"][pin] = [net]
        cell["port_directions"][pin] = "input"
        self.readers[net].add((name, pin))

    def _remove(self, flip_flop: str) -> list[Net]:
        """Remove a flip-flop; returned is what it drove."""
        nets: dict[str, list[Net]] = self.cells.pop(flip_flop)["connections"]
        for pin, bits in nets.items():
            for net in bits:
                self.readers[net].discard((flip_flop, pin))
        return nets["Q"]
