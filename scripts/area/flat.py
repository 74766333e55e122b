"""A mapped tile without hierarchy: all cells side by side, each with the block that it lies in; and as Verilog."""

from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from trajectile.scripts.area.netlist import CONSTANTS, Module

Ints = NDArray[np.int64]

#: kind, then pairs of pin and net
Instance = tuple[str, list[tuple[str, int]]]


@dataclass
class Flat:
    """All instances of a tile. Every block keeps names of its own for its nets; ``joined`` says which are one."""

    top: Module
    #: of each instance of a block: its first net, its path, its kind
    offsets: list[int] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    owners: list[str] = field(default_factory=list)
    #: of each net
    names: list[str] = field(default_factory=list)
    #: cells of the library and SRAM
    cells: list[Instance] = field(default_factory=list)
    #: of each cell, the number of the instance that it lies in
    homes: list[int] = field(default_factory=list)
    #: name of a cell where it was given one
    labels: dict[int, str] = field(default_factory=dict)
    joined: list[tuple[int, int]] = field(default_factory=list)
    #: nets that have been added behind the last instance, with the instance that each lies in
    added: list[int] = field(default_factory=list)

    def home(self, net: int) -> int:
        """The instance that a net lies in."""
        beyond = net - (len(self.names) - len(self.added))
        return self.added[beyond] if beyond >= 0 else bisect_right(self.offsets, net) - 1

    def where(self, net: int) -> tuple[str, str]:
        """Kind of block and name of a net."""
        return self.owners[self.home(net)], self.names[net]

    def add(self, name: str, home: int) -> int:
        """A new net in an instance."""
        self.names.append(name)
        self.added.append(home)
        return len(self.names) - 1


def flatten(modules: Mapping[str, Module], top: str, leaves: Collection[str]) -> Flat:
    """The tile ``top`` of a netlist; ``leaves`` are cells and SRAM, all other kinds are modules."""
    flat = Flat(modules[top])
    ports = {name: {module.nets[net]: net for net in (*module.inputs, *module.outputs)} for name, module in modules.items()}
    counts: dict[str, int] = {}

    def place(name: str, path: str, outer: Sequence[tuple[str, int]]) -> None:
        module, base, number = modules[name], len(flat.names), len(flat.offsets)
        flat.offsets.append(base)
        flat.paths.append(path)
        flat.owners.append(name)
        flat.names += module.nets
        flat.joined += [(a + base, b + base) for a, b in module.aliases]
        flat.joined += [(net, base + ports[name][port]) for port, net in outer if port in ports[name]]
        inside = []
        for index, (kind, connections) in enumerate(module.cells):
            moved = [(pin, net + base) for pin, net in connections]
            if kind in leaves:
                if index in module.labels:
                    flat.labels[len(flat.cells)] = module.labels[index]
                flat.cells.append((kind, moved))
                flat.homes.append(number)
            else:
                inside.append((kind, module.labels.get(index, ""), moved))
        for kind, label, moved in inside:
            if not label:
                counts[kind] = counts.get(kind, -1) + 1
                label = f"{kind}_{counts[kind]}"
            place(kind, f"{path}/{label}" if path else label, moved)

    place(top, "", [])
    return flat


def _declared(nets: Sequence[str]) -> dict[str, int | None]:
    """Ports of some nets, with the number of their bits; None for a port without an index."""
    found: dict[str, int | None] = {}
    for net in nets:
        name, bracket, index = net.partition("[")
        found[name] = max(found.get(name) or 0, int(index[:-1]) + 1) if bracket else None
    return found


def verilog(flat: Flat, root: Ints, module: str) -> str:
    """The tile as one module. Ports have their names, nets and cells are numbers: ``n7``, ``c9``.

    Args:
        flat: the tile.
        root: of each net the number that stands for all that are joined with it.
        module: its name.
    """
    top = flat.top
    inputs, outputs = ([top.nets[net] for net in nets] for nets in (top.inputs, top.outputs))
    called: dict[int, str] = {}
    lines: list[str] = []
    for net, name in zip(top.inputs, inputs, strict=True):
        called[int(root[net])] = name
    for net, name in zip(top.outputs, outputs, strict=True):
        if called.setdefault(int(root[net]), name) != name:
            lines.append(f"  assign {name} = {called[int(root[net])]};")
    for offset in flat.offsets:
        for constant, value in zip(range(len(CONSTANTS)), ("1'b0", "1'b1", "1'b0"), strict=True):
            if (port := called.setdefault(int(root[offset + constant]), value)) in outputs:
                lines.append(f"  assign {port} = {value};")
    wires: set[int] = set()
    for number, (kind, pins) in enumerate(flat.cells):
        buses: dict[str, dict[int, str]] = {}
        plain = []
        for pin, net in pins:
            at = int(root[net])
            if at not in called:
                wires.add(at)
            name = called.get(at, f"n{at}")
            bus, bracket, index = pin.partition("[")
            if bracket:
                buses.setdefault(bus, {})[int(index[:-1])] = name
            else:
                plain.append(f".{pin}({name})")
        plain += [f".{bus}({{{', '.join(bits[at] for at in sorted(bits, reverse=True))}}})" for bus, bits in buses.items()]
        lines.append(f"  {kind} c{number} ({', '.join(plain)});")
    ports = [(way, name, width) for way, nets in (("input", inputs), ("output", outputs))
             for name, width in _declared(nets).items()]
    head = [f"module {module} ({', '.join(name for _, name, _ in ports)});"]
    head += [f"  {way} {f'[{width - 1}:0] ' if width is not None else ''}{name};" for way, name, width in ports]
    head += [f"  wire n{net};" for net in sorted(wires)]
    return "\n".join([*head, *lines, "endmodule"]) + "\n"
