"""Longest paths of a mapped tile, across its blocks, with the delays of a full Liberty file.

A static timing analysis by graph: each net has an arrival and a slew for its rising and its falling edge; of the arcs into a
net the latest arrival and the slowest slew count. What is assumed about wires is in :class:`LoadModel`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scripts.area.cells import POINTS, Arc, Cell, Cells, Floats
from scripts.area.netlist import CONSTANTS, Module

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


@dataclass(frozen=True)
class MacroTiming:
    """An SRAM."""

    access_ps: float
    setup_ps: float


@dataclass(frozen=True)
class Step:
    """The part of a path inside one block."""

    block: str
    #: the last net with a name of its own in the block
    net: str
    ps: float


@dataclass(frozen=True)
class Path:
    """From one register, SRAM or pin of the tile to another."""

    ps: float
    start: str
    end: str
    steps: tuple[Step, ...]

    @property
    def block(self) -> str:
        """The block in which it ends."""
        return self.steps[-1].block


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


class Timing:
    """The timing graph of a tile.

    Args:
        modules: the netlist.
        top: the tile's module.
        cells: with delays.
        loads: what is assumed about wires.
        macros: SRAM modules; their outputs are called ``rdata``.
    """

    def __init__(self, modules: Mapping[str, Module], top: str, cells: Cells, loads: LoadModel,
                 macros: Mapping[str, MacroTiming]):
        self.modules, self.top, self.cells, self.loads, self.macros = modules, top, cells, loads, macros
        self._arcs: list[Arc] = []
        self._numbers: dict[str, list[tuple[str, str, int, int]]] = {}
        self._compiled = {name: self._compile(module) for name, module in modules.items() if name not in macros}
        self._flatten()
        self._tables()
        self._run()

    def _arcs_of(self, cell: Cell) -> list[tuple[str, str, int, int]]:
        """Source pin, target pin, sense, number of each arc."""
        if cell.name not in self._numbers:
            sense = {"positive_unate": 0, "negative_unate": 1}
            first = len(self._arcs)
            self._arcs += cell.arcs
            self._numbers[cell.name] = [(arc.source, arc.target, sense.get(arc.sense, 2), first + index)
                                        for index, arc in enumerate(cell.arcs)]
        return self._numbers[cell.name]

    def _compile(self, module: Module) -> _Compiled:
        arcs, pins, pin_ff, starts, ends, children = [], [], [], [], [], []
        for kind, connections in module.cells:
            nets = dict(connections)
            if kind in self.macros:
                timing = self.macros[kind]
                for pin, net in connections:
                    if pin.startswith("rdata"):
                        starts.append((net, -1, timing.access_ps))
                    elif pin != "clk":
                        ends.append((net, timing.setup_ps, net))
                        pins.append(net)
                        pin_ff.append(1.0)
            elif kind in self.cells:
                cell = self.cells[kind]
                for pin, capacitance in cell.capacitance.items():
                    if pin in nets:
                        pins.append(nets[pin])
                        pin_ff.append(capacitance)
                if cell.sequential:
                    out = next(nets[pin] for pin in cell.functions if pin in nets)
                    starts += [(nets[arc[1]], arc[3], 0.0) for arc in self._arcs_of(cell)
                               if arc[1] in nets and self._arcs[arc[3]].clocked]
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
        offsets, owners, arcs, pins, pin_ff, joined = [], [], [], [], [], []
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

    def _tables(self) -> None:
        """The tables of all arcs in arrays: [arc, output edge, slew, load]."""
        count = len(self._arcs)
        self.slews, self.caps = np.empty((count, POINTS)), np.empty((count, POINTS))
        self.delays, self.outs = (np.empty((count, 2, POINTS, POINTS)) for _ in range(2))
        for number, arc in enumerate(self._arcs):
            self.slews[number], self.caps[number] = arc.delay[0].slews, arc.delay[0].loads
            for edge in (0, 1):
                self.delays[number, edge], self.outs[number, edge] = arc.delay[edge].values, arc.slew[edge].values
        # a net with too much load: a tree of buffers, each stage driving ``fanout`` others
        cell = self.cells[self.loads.buffer]
        arc = cell.arcs[0]
        one = next(iter(cell.capacitance.values())) + self.loads.wire_ff
        self.limit = self.loads.fanout * one
        slew = self.loads.slew_ps
        for _ in range(3):
            slew = max(table.at(slew, self.limit) for table in arc.slew)
        self.stage_ps, self.stage_slew = max(table.at(slew, self.limit) for table in arc.delay), slew
        with np.errstate(divide="ignore"):
            self.stages = np.ceil(np.maximum(np.log(self.load / self.limit) / np.log(self.loads.fanout), 0) - 1e-9)

    def _look_up(self, arc: Ints, edge: Ints, slew: Floats, load: Floats) -> tuple[Floats, Floats]:
        """Delay and output slew."""
        def place(axes: Floats, value: Floats) -> tuple[Ints, Floats]:
            at = np.clip((axes <= value[:, None]).sum(axis=1) - 1, 0, POINTS - 2)
            rows = np.arange(len(at))
            low, high = axes[rows, at], axes[rows, at + 1]
            return at, (value - low) / (high - low)

        i, x = place(self.slews[arc], slew)
        j, y = place(self.caps[arc], load)
        x = np.clip(x, 0.0, None)

        def read(tables: Floats) -> Floats:
            top = tables[arc, edge, i, j] * (1 - y) + tables[arc, edge, i, j + 1] * y
            low = tables[arc, edge, i + 1, j] * (1 - y) + tables[arc, edge, i + 1, j + 1] * y
            return top * (1 - x) + low * x

        return read(self.delays), np.maximum(read(self.outs), 0.1)

    def _drive(self, nets: Ints, at: Floats, slew: Floats) -> tuple[Floats, Floats]:
        """After the buffer tree of a net, if it has one."""
        stages = self.stages[nets]
        return at + stages * self.stage_ps, np.where(stages > 0, self.stage_slew, slew)

    def _run(self) -> None:
        """Propagate arrivals level by level."""
        # nodes are 2 * net + edge (0 rise, 1 fall)
        source, target, sense, number = self.arcs.T
        kinds = [(sense != 1, 0, 0), (sense != 1, 1, 1), (sense != 0, 0, 1), (sense != 0, 1, 0)]
        src = np.concatenate([2 * source[mask] + edge for mask, edge, _ in kinds])
        dst = np.concatenate([2 * target[mask] + edge for mask, _, edge in kinds])
        arc = np.concatenate([number[mask] for mask, _, _ in kinds])
        order = np.argsort(dst, kind="stable")
        self.src, self.dst, self.arc = src[order], dst[order], arc[order]
        nodes = 2 * self.size
        into = np.concatenate([[0], np.cumsum(np.bincount(self.dst, minlength=nodes))])
        by_source = np.argsort(self.src, kind="stable")
        out_of = np.concatenate([[0], np.cumsum(np.bincount(self.src, minlength=nodes))])
        waiting = np.diff(into)
        self.at, self.slew = np.full(nodes, -np.inf), np.full(nodes, self.loads.slew_ps)
        self.came = np.full(nodes, -1)
        ready = self._launch(waiting)
        while len(ready):
            leaving = by_source[_ranges(out_of[ready], out_of[ready + 1])]
            touched, count = np.unique(self.dst[leaving], return_counts=True)
            waiting[touched] -= count
            ready = touched[waiting[touched] == 0]
            if len(ready):
                self._level(ready, into)
        #: nets that no order reaches: combinational loops
        self.loops = np.flatnonzero(waiting > 0)

    def _launch(self, waiting: Ints) -> Ints:
        """Arrivals where paths start; returns all nodes without arcs into them."""
        clocked = [(net, arc) for net, arc, _ in self.starts if arc >= 0]
        for edge in (0, 1):
            nets, arcs = self.root[[net for net, _ in clocked]], np.array([arc for _, arc in clocked])
            slew = np.full(len(nets), self.loads.slew_ps)
            delay, out = self._look_up(arcs, np.full(len(nets), edge), slew, np.minimum(self.load[nets], self.limit))
            self.at[2 * nets + edge], self.slew[2 * nets + edge] = self._drive(nets, delay, out)
            for net, arc, at in self.starts:
                if arc < 0:
                    self.at[2 * self.root[net] + edge] = at + self.stages[self.root[net]] * self.stage_ps
            for net in self.modules[self.top].inputs:
                # reset is a tree of its own and the clock ideal
                if self.modules[self.top].nets[net] not in ("clk", "rst"):
                    self.at[2 * self.root[net] + edge] = self.stages[self.root[net]] * self.stage_ps
        return np.flatnonzero(waiting == 0)

    def _level(self, ready: Ints, into: Ints) -> None:
        """Arrivals of nodes whose sources are all known."""
        arcs = _ranges(into[ready], into[ready + 1])
        src, dst = self.src[arcs], self.dst[arcs]
        nets = dst // 2
        delay, out = self._look_up(self.arc[arcs], dst % 2, self.slew[src], np.minimum(self.load[nets], self.limit))
        at, slew = self._drive(nets, self.at[src] + delay, out)
        slew = np.where(np.isfinite(at), slew, 0.0)
        first = np.concatenate([[0], np.cumsum(into[ready + 1] - into[ready])[:-1]])
        best = np.maximum.reduceat(at, first)
        self.at[ready] = best
        self.slew[ready] = np.maximum(np.maximum.reduceat(slew, first), 0.1)
        here = np.repeat(np.arange(len(ready)), into[ready + 1] - into[ready])
        latest = np.flatnonzero(at == best[here])
        self.came[ready[here[latest]]] = arcs[latest]

    def _where(self, net: int) -> tuple[str, str]:
        """Module and name of a net."""
        place = int(np.searchsorted(self.offsets, net, side="right")) - 1
        return self.owners[place], self.modules[self.owners[place]].nets[net - int(self.offsets[place])]

    def _path(self, end: tuple[int, float, int]) -> Path:
        """Back from an end to its start."""
        net, setup, named = end
        node = 2 * int(self.root[net])
        node += int(self.at[node + 1] > self.at[node])
        total = float(self.at[node]) + setup
        points = [(node // 2, float(self.at[node]))]
        while self.came[node] >= 0:
            node = int(self.src[self.came[node]])
            points.append((node // 2, float(self.at[node])))
        points.reverse()
        steps: list[Step] = []
        before = 0.0
        for place, at in [*points, (named, total)]:
            block, name = self._where(place)
            shown = "" if name.startswith("$") else name
            if steps and steps[-1].block == block:
                steps[-1] = Step(block, shown or steps[-1].net, steps[-1].ps + at - before)
            else:
                steps.append(Step(block, shown, at - before))
            before = at
        return Path(total, "/".join(self._where(points[0][0])), "/".join(self._where(named)), tuple(steps))

    def paths(self, count: int, *, per_block: bool = False) -> list[Path]:
        """The longest paths, one for each register or port that ends them; with ``per_block`` one for each kind of block."""
        ends = list(self.ends)
        top = self.modules[self.top]
        ends += [(net, 0.0, net) for net in top.outputs]
        nets = self.root[[net for net, _, _ in ends]]
        total = np.maximum(self.at[2 * nets], self.at[2 * nets + 1]) + np.array([setup for _, setup, _ in ends])
        seen: set[tuple[str, ...]] = set()
        found = []
        for index in np.argsort(-total, kind="stable"):
            if not np.isfinite(total[index]):
                break
            block, name = self._where(ends[index][2])
            key = (block,) if per_block else (block, name.split("[")[0])
            if key in seen:
                continue
            seen.add(key)
            found.append(self._path(ends[index]))
            if len(found) == count:
                break
        return found


def _ranges(first: Ints, end: Ints) -> Ints:
    """All numbers of the ranges, one after the other."""
    length = end - first
    if not length.sum():
        return np.empty(0, dtype=np.int64)
    return np.repeat(first - np.concatenate([[0], np.cumsum(length)[:-1]]), length) + np.arange(length.sum())


#: nets that never change
CONSTANT_NETS = frozenset(CONSTANTS)
