"""The graph of a mapped tile: nets of all instances side by side, arcs of the cells between them, loads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trajectile.scripts.area.cells import Arc, Cells
from trajectile.scripts.area.flat import Flat
from trajectile.scripts.area.wires import Wire

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
    #: of ``wdata``, and of any other input: those go to every macro
    setup_ps: float
    address_setup_ps: float
    #: of a bit
    data_ff: float = 0.0
    address_ff: float = 0.0

    def setup_of(self, pin: str) -> float:
        """How long before the clock an input has its value."""
        return self.setup_ps if pin.startswith("wdata") else self.address_setup_ps

    def load_of(self, pin: str) -> float:
        """What an input weighs."""
        return self.data_ff if pin.startswith("wdata") else self.address_ff


class Graph:
    """Every net of a tile and what lies between them; nets that are joined through ports have one number, their ``root``.

    Args:
        flat: the tile.
        cells: with delays.
        loads: what is assumed beside the cells.
        macros: SRAM modules; their outputs are called ``rdata``, their inputs but for ``wdata`` and ``clk`` address them.
        wire: what wires weigh; by default ``loads.wire_ff`` a pin.

    Where there are several clocks, nothing leads from a register of one to a register of another: what lies between two
    clocks is no path. Inputs and outputs belong to all of them.
    """

    def __init__(self, flat: Flat, cells: Cells, loads: LoadModel, macros: Mapping[str, MacroTiming],
                 wire: Wire | None = None):
        self.flat, self.cells, self.loads, self.macros = flat, cells, loads, macros
        self.wire = wire or Wire("pins", "", ff_per_pin=loads.wire_ff)
        self.size = len(flat.names)
        #: of what an output of the tile drives: one reference buffer
        self.port_ff = next(iter(cells[loads.buffer].capacitance.values()))
        self.root = self._join(self.size, flat.joined)
        #: arcs of all kinds of cells
        self.kinds: list[Arc] = []
        self._first: dict[str, int] = {}
        self._compile()
        self.weigh()

    def first(self, kind: str) -> int:
        """The number of a cell's first arc; the others follow."""
        if kind not in self._first:
            self._first[kind] = len(self.kinds)
            self.kinds += self.cells[kind].arcs
        return self._first[kind]

    def _compile(self) -> None:
        """Arcs, pins, starts and ends of paths from the cells."""
        sense = {"positive_unate": 0, "negative_unate": 1}
        arcs: list[tuple[int, int, int, int]] = []
        arc_cell: list[int] = []
        pins: list[int] = []
        pin_ff: list[float] = []
        pin_cell: list[int] = []
        pin_slot: list[int] = []
        pin_place: list[int] = []
        #: nets that start a path, with the arc from the clock (or -1) and the time
        self.starts: list[tuple[int, int, float]] = []
        #: nets that end a path, with the setup and the net that names the end
        self.ends: list[tuple[int, float, int]] = []
        #: the cell of each start and end
        self.start_cell: list[int] = []
        self.end_cell: list[int] = []
        #: the clock of each start and end; the number of each clock's net
        start_clock: list[int] = []
        end_clock: list[int] = []
        self.clocks: dict[int, int] = {}
        for index, (kind, connections) in enumerate(self.flat.cells):
            if kind in self.macros:
                timing = self.macros[kind]
                clock = self._clock(connections, "clk")
                for place, (pin, net) in enumerate(connections):
                    if pin.startswith("rdata"):
                        self.starts.append((net, -1, timing.access_ps))
                        self.start_cell.append(index)
                        start_clock.append(clock)
                    elif pin != "clk":
                        self.ends.append((net, timing.setup_of(pin), net))
                        self.end_cell.append(index)
                        end_clock.append(clock)
                        pins.append(net)
                        pin_ff.append(timing.load_of(pin))
                        pin_cell.append(index)
                        pin_slot.append(-1)
                        pin_place.append(place)
                continue
            cell, nets, first = self.cells[kind], dict(connections), self.first(kind)
            places = {pin: place for place, (pin, _) in enumerate(connections)}
            for slot, (pin, capacitance) in enumerate(cell.capacitance.items()):
                if pin in nets:
                    pins.append(nets[pin])
                    pin_ff.append(capacitance)
                    pin_cell.append(index)
                    pin_slot.append(slot)
                    pin_place.append(places[pin])
            if cell.sequential:
                clock = self._clock(connections, cell.clock)
                out = next(nets[pin] for pin in cell.functions if pin in nets)
                if self.flat.names[out].startswith("$"):  # of an inverted output: the register's own name
                    self.flat.names[out] = self.flat.labels.get(index, self.flat.names[out])
                for number, arc in enumerate(cell.arcs):
                    if arc.target in nets and arc.clocked:
                        self.starts.append((nets[arc.target], first + number, 0.0))
                        self.start_cell.append(index)
                        start_clock.append(clock)
                for pin in cell.capacitance:
                    if pin != cell.clock and pin in nets:
                        self.ends.append((nets[pin], cell.setup_ps, out))
                        self.end_cell.append(index)
                        end_clock.append(clock)
            else:
                for number, arc in enumerate(cell.arcs):
                    if arc.source in nets and arc.target in nets:
                        arcs.append((nets[arc.source], nets[arc.target], sense.get(arc.sense, 2), first + number))
                        arc_cell.append(index)
        self.arcs = np.array(arcs, dtype=np.int64).reshape(-1, 4)
        self.arc_cell = np.array(arc_cell, dtype=np.int64)
        #: of each arc, the net it drives as its own block calls it; of nets that start a path likewise
        self.owned = self.arcs[:, 1].copy()
        self.sources = {int(self.root[net]): net for net, _, _ in self.starts}
        self.arcs[:, :2] = self.root[self.arcs[:, :2]]
        if len(self.clocks) > 1:
            self._separate(start_clock, end_clock)
        #: input pins in the order of the cells: root of the net, capacitance, cell, place among the inputs of that kind of
        #: cell (-1 for SRAM) and among the pins of the cell
        self.pins = self.root[np.array(pins, dtype=np.int64)]
        self.pin_ff = np.array(pin_ff)
        self.pin_cell = np.array(pin_cell, dtype=np.int64)
        self.pin_slot = np.array(pin_slot, dtype=np.int64)
        self.pin_place = np.array(pin_place, dtype=np.int64)
        self.fanout = np.bincount(self.pins, minlength=self.size)

    def _clock(self, connections: Sequence[tuple[str, int]], pin: str) -> int:
        """The number of the clock at a pin; 0 where there is no such pin."""
        net = next((net for name, net in connections if name == pin), None)
        return 0 if net is None else self.clocks.setdefault(int(self.root[net]), len(self.clocks))

    def _reached(self, first: Sequence[int], clocks: Sequence[int], ports: Sequence[int], source: Ints, target: Ints) -> Ints:
        """For each net the clocks, a bit each, of all nets of ``first`` from which arcs lead to it; ``ports`` have all."""
        found = np.zeros(self.size, dtype=np.int64)
        np.bitwise_or.at(found, self.root[list(first)], 1 << np.array(clocks, dtype=np.int64))
        found[self.root[list(ports)]] = (1 << len(self.clocks)) - 1
        while True:
            before = found.copy()
            np.bitwise_or.at(found, target, found[source])
            if (found == before).all():
                return found

    def _separate(self, start_clock: Sequence[int], end_clock: Sequence[int]) -> None:
        """Take out ends and arcs that only paths from one clock to another go through."""
        source, target = self.arcs[:, 0], self.arcs[:, 1]
        top = self.flat.top
        inputs = [net for net in top.inputs if int(self.root[net]) not in self.clocks]
        came = self._reached([net for net, _, _ in self.starts], start_clock, inputs, source, target)
        goes = self._reached([net for net, _, _ in self.ends], end_clock, top.outputs, target, source)
        kept = (came[source] == 0) | (goes[target] == 0) | (came[source] & goes[target] != 0)
        self.arcs, self.arc_cell, self.owned = self.arcs[kept], self.arc_cell[kept], self.owned[kept]
        at = [int(came[self.root[net]]) for net, _, _ in self.ends]
        ends = [number for number, clock in enumerate(end_clock) if not at[number] or at[number] >> clock & 1]
        self.ends = [self.ends[number] for number in ends]
        self.end_cell = [self.end_cell[number] for number in ends]

    def weigh(self) -> None:
        """The load of every net, from what its pins weigh now."""
        self.load = np.bincount(self.pins, weights=self.pin_ff, minlength=self.size) + self.wire.load(self.fanout)
        np.add.at(self.load, self.root[self.flat.top.outputs], self.port_ff)

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
        """Kind of block and name of a net."""
        return self.flat.where(net)
