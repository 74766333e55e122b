"""The graph of a mapped tile: nets of all instances side by side, arcs of the cells between them, loads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trajectile.scripts.area.cells import Arc, Cell, Cells, Floats
from trajectile.scripts.area.netlist import Module

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class LoadModel:
    """What is assumed beside the cells."""

    #: of a wire, for each pin that it drives
    wire_ff: float
    #: slew of the clock, and of what comes into the tile
    slew_ps: float
    #: a net with more load than ``fanout`` inputs of this buffer is driven through a tree of them
    buffer: str
    fanout: int = 8
    #: of an input of an SRAM macro
    macro_pin_ff: float = 4.0


@dataclass(frozen=True)
class MacroTiming:
    """An SRAM: what its clock gives and asks for, and what its inputs weigh."""

    access_ps: float
    setup_ps: float
    #: of a bit of ``wdata``, and of any other input: those go to every macro
    data_ff: float = 0.0
    address_ff: float = 0.0


@dataclass
class _Compiled:
    """One module as arrays over its own nets; an instance of it adds an offset."""

    nets: int
    #: source net, target net, sense (0 positive, 1 negative, 2 both), arc number
    arcs: Ints
    pins: Ints
    pin_ff: Floats
    #: nets that start a path, with the arc from the clock (or -1) and the time
    starts: list[tuple[int, int, float]]
    #: nets that end a path, with the setup and the net that names the end
    ends: list[tuple[int, float, int]]
    children: list[tuple[str, list[tuple[str, int]]]]
    ports: dict[str, int]


class Graph:
    """Every net of a tile and what lies between them; nets that are joined through ports have one number, their ``root``.

    Args:
        modules: the netlist.
        top: the tile's module.
        cells: with delays.
        loads: what is assumed about wires.
        macros: SRAM modules; their outputs are called ``rdata``, their inputs but for ``wdata`` and ``clk`` address them.
    """

    def __init__(self, modules: Mapping[str, Module], top: str, cells: Cells, loads: LoadModel,
                 macros: Mapping[str, MacroTiming]):
        self.modules, self.top, self.cells, self.loads, self.macros = modules, top, cells, loads, macros
        #: arcs of all kinds of cells
        self.kinds: list[Arc] = []
        self._numbers: dict[str, list[tuple[str, str, int, int]]] = {}
        self._compiled = {name: self._compile(module) for name, module in modules.items() if name not in macros}
        self._flatten()

    def _arcs_of(self, cell: Cell) -> list[tuple[str, str, int, int]]:
        """Source pin, target pin, sense, number of each arc."""
        if cell.name not in self._numbers:
            sense = {"positive_unate": 0, "negative_unate": 1}
            first = len(self.kinds)
            self.kinds += cell.arcs
            self._numbers[cell.name] = [(arc.source, arc.target, sense.get(arc.sense, 2), first + index)
                                        for index, arc in enumerate(cell.arcs)]
        return self._numbers[cell.name]

    def _compile(self, module: Module) -> _Compiled:
        arcs, pins, pin_ff, starts, ends, children = [], [], [], [], [], []
        for index, (kind, connections) in enumerate(module.cells):
            nets = dict(connections)
            if kind in self.macros:
                timing = self.macros[kind]
                for pin, net in connections:
                    if pin.startswith("rdata"):
                        starts.append((net, -1, timing.access_ps))
                    elif pin != "clk":
                        ends.append((net, timing.setup_ps, net))
                        pins.append(net)
                        pin_ff.append(timing.data_ff if pin.startswith("wdata") else timing.address_ff)
            elif kind in self.cells:
                cell = self.cells[kind]
                for pin, capacitance in cell.capacitance.items():
                    if pin in nets:
                        pins.append(nets[pin])
                        pin_ff.append(capacitance)
                if cell.sequential:
                    out = next(nets[pin] for pin in cell.functions if pin in nets)
                    if module.nets[out].startswith("$"):  # of an inverted output: the register's own name
                        module.nets[out] = module.labels.get(index, module.nets[out])
                    starts += [(nets[arc[1]], arc[3], 0.0) for arc in self._arcs_of(cell)
                               if arc[1] in nets and self.kinds[arc[3]].clocked]
                    ends += [(nets[pin], cell.setup_ps, out) for pin in cell.capacitance if pin != cell.clock and pin in nets]
                else:
                    arcs += [(nets[source], nets[target], sense, number)
                             for source, target, sense, number in self._arcs_of(cell) if source in nets and target in nets]
            else:
                children.append((kind, connections))
        ports = {module.nets[net]: net for net in (*module.inputs, *module.outputs)}
        return _Compiled(len(module.nets), np.array(arcs, dtype=np.int64).reshape(-1, 4), np.array(pins, dtype=np.int64),
                         np.array(pin_ff), starts, ends, children, ports)

    def _flatten(self) -> None:
        """All instances side by side; nets that are joined through ports get one number."""
        offsets, owners, arcs, pins, pin_ff = [], [], [], [], []
        joined: list[tuple[int, int]] = []
        starts: list[tuple[int, int, float]] = []
        ends: list[tuple[int, float, int]] = []
        size = 0

        def place(name: str, outer: Sequence[tuple[str, int]]) -> None:
            nonlocal size
            part, base = self._compiled[name], size
            size += part.nets
            offsets.append(base)
            owners.append(name)
            moved = part.arcs.copy()
            moved[:, :2] += base
            arcs.append(moved)
            pins.append(part.pins + base)
            pin_ff.append(part.pin_ff)
            starts.extend((net + base, arc, at) for net, arc, at in part.starts)
            ends.extend((net + base, setup, named + base) for net, setup, named in part.ends)
            joined.extend((a + base, b + base) for a, b in self.modules[name].aliases)
            joined.extend((net, base + part.ports[port]) for port, net in outer if port in part.ports)
            for kind, connections in part.children:
                place(kind, [(port, net + base) for port, net in connections])

        place(self.top, [])
        self.offsets, self.owners, self.size = np.array(offsets), owners, size
        self.root = self._join(size, joined)
        self.arcs = np.concatenate(arcs)
        #: of each arc, the net it drives as its own block calls it; of nets that start a path likewise
        self.owned = self.arcs[:, 1].copy()
        self.sources = {int(self.root[net]): net for net, _, _ in starts}
        self.arcs[:, :2] = self.root[self.arcs[:, :2]]
        all_pins = self.root[np.concatenate(pins)]
        self.load = np.bincount(all_pins, weights=np.concatenate(pin_ff) + self.loads.wire_ff, minlength=size)
        self.starts, self.ends = starts, ends

    @staticmethod
    def _join(size: int, joined: Sequence[tuple[int, int]]) -> Ints:
        """For each net the number that stands for all nets joined with it."""
        root = np.arange(size)
        parent: dict[int, int] = {}

        def find(net: int) -> int:
            while net in parent:
                net = parent[net]
            return net

        for a, b in joined:
            first, second = find(a), find(b)
            if first != second:
                parent[second] = first
        for net in parent:
            root[net] = find(net)
        return root

    def where(self, net: int) -> tuple[str, str]:
        """Module and name of a net."""
        place = int(np.searchsorted(self.offsets, net, side="right")) - 1
        return self.owners[place], self.modules[self.owners[place]].nets[net - int(self.offsets[place])]
