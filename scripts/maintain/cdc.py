"""Every way from one clock to another in the generated Verilog: ``python -m trajectile.scripts.maintain.cdc``.

Yosys flattens the array, and each register and memory is looked at. A register may depend on registers of its own clock,
and on others only where the way is one of these:

* *synchroniser*: a register of the other clock, nothing else and no logic, before two flip-flops in a row of which the first
  goes nowhere else;
* *reset synchroniser*: a register of the other clock at the asynchronous reset of two flip-flops in a row;
* *memory*: a word of a memory that the other clock writes, straight into a register, read where a register of its own
  clock says.

That pointers are in gray code, and that a word is read only after it was written, is proved
(``tests/formal/crossing_spec.py``).
"""

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trajectile.hw.design import design
from trajectile.hw.lib import yosys
from trajectile.sw_model.config import load

#: what flattens the array
_SCRIPT = """read_verilog array.v
hierarchy -top {top}
proc
flatten
opt_clean
opt_dff
memory_collect
opt_clean
write_json array.json
"""
#: cells that hold a state; a name that begins so
_REGISTERS = ("$dff", "$sdff", "$adff", "$aldff", "$dffsr")
#: cells of which bit i of the output depends on bit i of some inputs alone, and on all bits of the others
_BITWISE = {"$and": "AB", "$or": "AB", "$xor": "AB", "$xnor": "AB", "$not": "A", "$mux": "AB", "$bwmux": "ABS", "$pos": "A"}

#: a bit of a net, a number; constants are texts
Bit = int | str
#: what a bit depends on: by clock, one register of it
Sources = dict[Bit, str]


@dataclass
class Cell:
    """A cell of the netlist."""

    name: str
    kind: str
    parameters: Mapping[str, str]
    pins: Mapping[str, Sequence[Bit]]
    outputs: Sequence[str]

    @property
    def register(self) -> bool:
        """It holds a state; what is not clocked is none."""
        return self.kind.startswith(_REGISTERS)


@dataclass
class Report:
    """What was found."""

    registers: int
    clocks: int
    #: number of bits that cross, by the way they take
    ways: Counter[str] = field(default_factory=Counter)
    #: what is not one of the ways
    wrong: list[str] = field(default_factory=list)


class Netlist:
    """A flat module, as Yosys writes it."""

    def __init__(self, module: Mapping[str, Any]):
        self.cells = [Cell(name, cell["type"], cell.get("parameters", {}), cell["connections"],
                           [pin for pin, way in cell["port_directions"].items() if way == "output"])
                      for name, cell in module["cells"].items()]
        self.names = {bit: name for name, net in module["netnames"].items() for bit in net["bits"]}
        self.ports = {bit for port in module["ports"].values() if port["direction"] == "input" for bit in port["bits"]}
        #: what drives each bit: cell, pin, place
        self.driver: dict[Bit, tuple[Cell, str, int]] = {}
        #: what reads each bit: cell and pin
        self.readers: dict[Bit, list[tuple[Cell, str]]] = {}
        for cell in self.cells:
            for pin, bits in cell.pins.items():
                for place, bit in enumerate(bits):
                    if isinstance(bit, str):
                        continue
                    if pin in cell.outputs:
                        self.driver[bit] = (cell, pin, place)
                    else:
                        self.readers.setdefault(bit, []).append((cell, pin))
        self._known: dict[Bit, Sources] = {}

    def clock(self, cell: Cell) -> Bit:
        """The clock of a register."""
        return cell.pins["CLK"][0]

    def register_of(self, bit: Bit) -> Cell | None:
        """The register whose output a bit is, without logic between."""
        found = self.driver.get(bit)
        return found[0] if found and found[0].register else None

    def memory_of(self, bit: Bit) -> Cell | None:
        """The memory of whose read data a bit is, without logic between."""
        found = self.driver.get(bit)
        return found[0] if found and found[0].kind == "$mem_v2" and found[1] == "RD_DATA" else None

    def sources(self, first: Bit) -> Sources:
        """What a bit depends on, through all logic."""
        waiting = [first]
        while waiting:
            bit = waiting[-1]
            if bit in self._known:
                waiting.pop()
                continue
            below = list(self._below(bit))
            open_ = [one for one in below if isinstance(one, int) and one not in self._known]
            if open_:
                waiting += open_
                continue
            found: Sources = {}
            driver = self.driver.get(bit)
            if driver and driver[0].register:
                found = {self.clock(driver[0]): self.names.get(bit, driver[0].name)}
            elif driver and driver[0].kind == "$mem_v2":
                found = {clock: driver[0].name for clock in set(driver[0].pins["WR_CLK"]) if isinstance(clock, int)}
            for one in below:
                found |= self._known.get(one, {})
            self._known[bit] = found
            waiting.pop()
        return self._known[first]

    def _below(self, bit: Bit) -> Iterator[Bit]:
        """The bits that the driver of a bit makes it of; none of a register."""
        driver = self.driver.get(bit)
        if driver is None or driver[0].register:
            return
        cell, pin, place = driver
        if cell.kind == "$mem_v2":
            width = int(cell.parameters["WIDTH"], 2)
            port, size = place // width, int(cell.parameters["ABITS"], 2)
            if int(cell.parameters["RD_CLK_ENABLE"], 2) >> port & 1:
                raise ValueError(f"{cell.name}: a read port with a clock of its own was not expected")
            yield from cell.pins["RD_ADDR"][size * port:size * (port + 1)]
            return
        same = _BITWISE.get(cell.kind, "")
        for name, bits in cell.pins.items():
            if name in cell.outputs:
                continue
            if name in same and len(bits) == len(cell.pins[pin]):
                yield bits[place]
            else:
                yield from bits


def check(netlist: Netlist) -> Report:
    """Look at every register and at every port of a memory."""
    registers = [cell for cell in netlist.cells if cell.register]
    report = Report(len(registers), len({netlist.clock(cell) for cell in registers}))
    for cell in registers:
        own = netlist.clock(cell)
        for pin, bits in cell.pins.items():
            if pin in (*cell.outputs, "CLK"):
                continue
            for place, bit in enumerate(bits):
                if isinstance(bit, str):
                    continue
                others = {clock: source for clock, source in netlist.sources(bit).items() if clock != own}
                if others:
                    way = _way(netlist, cell, pin, place, bit)
                    report.ways[way] += bool(way)
                    if not way:
                        outputs = cell.pins["Q"]
                        name = netlist.names.get(outputs[min(place, len(outputs) - 1)], cell.name)
                        report.wrong.append(f"{name}, pin {pin}: from {', '.join(others.values())}")
    for cell in netlist.cells:
        if cell.kind != "$mem_v2":
            continue
        for clock in {one for one in cell.pins["WR_CLK"] if isinstance(one, int)}:
            for pin in ("WR_ADDR", "WR_DATA", "WR_EN"):
                for bit in cell.pins[pin]:
                    if isinstance(bit, int) and set(netlist.sources(bit)) - {clock}:
                        report.wrong.append(f"{cell.name}, pin {pin}: from {netlist.sources(bit)}")
    report.ways.pop("", None)
    return report


def _way(netlist: Netlist, cell: Cell, pin: str, place: int, bit: Bit) -> str:
    """By which legal way a bit of another clock comes to a register; empty if it is none."""
    source = netlist.register_of(bit)
    if pin == "D" and source is not None and _second(netlist, cell, place):
        return "synchroniser"
    if pin == "ARST" and source is not None:
        # constants below, so only the reset itself crosses
        first, second = _chain(netlist, cell)
        same = [one.pins["ARST"][0] == bit for one in (first, second)]
        if all(same) and isinstance(first.pins["D"][0], str) and first is not second:
            return "reset synchroniser"
    memory = netlist.memory_of(bit)
    if pin == "D" and memory is not None:
        own = netlist.clock(cell)
        width, size = int(memory.parameters["WIDTH"], 2), int(memory.parameters["ABITS"], 2)
        port = netlist.driver[bit][2] // width
        address = memory.pins["RD_ADDR"][size * port:size * (port + 1)]
        enables = [one for name in ("EN", "SRST") for one in cell.pins.get(name, ())]
        if all(set(netlist.sources(one)) <= {own} for one in (*address, *enables) if isinstance(one, int)):
            return "memory"
    return ""


def _second(netlist: Netlist, first: Cell, place: int) -> bool:
    """Whether a bit of a register goes straight into another one of the same clock, and nowhere else."""
    readers = netlist.readers.get(first.pins["Q"][place], [])
    return (len(readers) == 1 and readers[0][1] == "D" and readers[0][0].register
            and netlist.clock(readers[0][0]) == netlist.clock(first))


def _chain(netlist: Netlist, cell: Cell) -> tuple[Cell, Cell]:
    """The two flip-flops of a chain, of which one is given; twice the same one if there is no chain."""
    before = netlist.register_of(cell.pins["D"][0])
    if before is not None:
        return before, cell
    readers = [one for one, pin in netlist.readers.get(cell.pins["Q"][0], []) if pin == "D" and one.register]
    return (cell, readers[0]) if readers else (cell, cell)


def flat(modules: Mapping[str, str], top: str) -> Netlist:
    """The netlist of Verilog modules.

    Raises:
        YosysError: if Yosys fails.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "array.v").write_text("\n".join(modules.values()), encoding="utf-8")
        yosys.run(_SCRIPT.format(top=top), folder)
        found = json.loads((folder / "array.json").read_text(encoding="utf-8"))
    return Netlist(found["modules"][top])


def main(arguments: list[str] | None = None) -> int:
    """Check an array, and say what crosses."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("config", nargs="?", default="smoke")
    parser.add_argument("--set", metavar="FIELD=VALUE", action="append", default=[])
    parser.add_argument("--timing-only", action="store_true")
    options = parser.parse_args(arguments)
    config = load(options.config, ["link.crc_bits=16", "array.clocks=independent", *options.set])
    made = design(config, timing_only=options.timing_only)
    report = check(flat(made.modules, made.top))
    print(f"{report.registers:,} registers, {report.clocks} clocks; bits that cross: "
          + ", ".join(f"{count:,} by {way}" for way, count in sorted(report.ways.items())))
    for line in report.wrong[:20]:
        print(f"WRONG: {line}")
    return int(bool(report.wrong))


if __name__ == "__main__":
    sys.exit(main())
