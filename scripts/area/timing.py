"""Longest paths of a mapped tile, across its blocks, with the delays of a full Liberty file.

A static timing analysis by graph: each net has an arrival and a slew for its rising and its falling edge; of the arcs into a
net the latest arrival and the slowest slew count. What is assumed about wires is in
:class:`~trajectile.scripts.area.graph.LoadModel`. Clocks are ideal, reset (``rst``) a tree of its own, inputs come at
the clock's edge. There are no paths between two clocks.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from trajectile.scripts.area.cells import POINTS, Cells, Floats
from trajectile.scripts.area.flat import Flat
from trajectile.scripts.area.graph import Graph, Ints, LoadModel, MacroTiming
from trajectile.scripts.area.wires import Wire


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


@dataclass(frozen=True)
class Tree:
    """A stage of a tree of buffers."""

    fanout: int
    #: of a buffer's input
    pin_ff: float
    #: the load from which on a net is driven through a tree: ``fanout`` buffers
    limit: float
    ps: float
    slew: float

    @classmethod
    def of(cls, cells: Cells, loads: LoadModel, wire: Wire) -> "Tree":
        """From the reference buffer; each stage drives ``fanout`` others."""
        buffer = cells[loads.buffer]
        pin_ff = next(iter(buffer.capacitance.values()))
        limit = loads.fanout * pin_ff + float(wire.load(loads.fanout))
        arc, slew = buffer.arcs[0], loads.slew_ps
        for _ in range(3):
            slew = max(table.at(slew, limit) for table in arc.slew)
        return cls(loads.fanout, pin_ff, limit, max(table.at(slew, limit) for table in arc.delay), slew)

    def stages(self, load: ArrayLike) -> Floats:
        """How many stages a net with such a load has."""
        with np.errstate(divide="ignore"):
            depth = np.log(np.asarray(load, dtype=np.float64) / self.limit) / np.log(self.fanout)
        whole: Floats = np.ceil(np.maximum(depth, 0) - 1e-9)
        return whole


class Timing:
    """Arrivals at every net of a tile; the arguments are those of :class:`~trajectile.scripts.area.graph.Graph`.

    With ``trees`` a net with too much load counts as driven through a tree of buffers; without, its driver drives all of it.
    """

    def __init__(self, flat: Flat, cells: Cells, loads: LoadModel, macros: Mapping[str, MacroTiming],
                 wire: Wire | None = None, *, trees: bool = True):
        self.trees = trees
        self.graph = Graph(flat, cells, loads, macros, wire)
        self.loads, self.root = loads, self.graph.root
        self.tables()
        self._order()
        self.run()

    def tables(self) -> None:
        """The tables of the arcs of all kinds that the graph knows in arrays: [arc, output edge, slew, load]."""
        count = len(self.graph.kinds)
        self.slews, self.caps = np.empty((count, POINTS)), np.empty((count, POINTS))
        self.delays, self.outs = (np.empty((count, 2, POINTS, POINTS)) for _ in range(2))
        for number, arc in enumerate(self.graph.kinds):
            self.slews[number], self.caps[number] = arc.delay[0].slews, arc.delay[0].loads
            for edge in (0, 1):
                self.delays[number, edge], self.outs[number, edge] = arc.delay[edge].values, arc.slew[edge].values
        self.tree = Tree.of(self.graph.cells, self.loads, self.graph.wire)

    def look_up(self, arc: Ints, edge: Ints, slew: Floats, load: Floats) -> tuple[Floats, Floats]:
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
        return at + stages * self.tree.ps, np.where(stages > 0, self.tree.slew, slew)

    def _order(self) -> None:
        """The arcs by what they drive, and the levels in which arrivals are known."""
        # nodes are 2 * net + edge (0 rise, 1 fall)
        source, target, sense, _ = self.graph.arcs.T
        kinds = [(sense != 1, 0, 0), (sense != 1, 1, 1), (sense != 0, 0, 1), (sense != 0, 1, 0)]
        src = np.concatenate([2 * source[mask] + edge for mask, edge, _ in kinds])
        dst = np.concatenate([2 * target[mask] + edge for mask, _, edge in kinds])
        which = np.concatenate([np.flatnonzero(mask) for mask, _, _ in kinds])
        order = np.argsort(dst, kind="stable")
        #: of each arc and edge: its source, what it drives, its number in the graph
        self.src, self.dst, self.which = src[order], dst[order], which[order]
        nodes = 2 * self.graph.size
        into = np.concatenate([[0], np.cumsum(np.bincount(self.dst, minlength=nodes))])
        by_source = np.argsort(self.src, kind="stable")
        out_of = np.concatenate([[0], np.cumsum(np.bincount(self.src, minlength=nodes))])
        waiting = np.diff(into)
        ready = np.flatnonzero(waiting == 0)
        #: nodes whose sources are all known, the arcs into them, the first of these for each node
        self.levels: list[tuple[Ints, Ints, Ints]] = []
        while len(ready):
            leaving = by_source[_ranges(out_of[ready], out_of[ready + 1])]
            touched, count = np.unique(self.dst[leaving], return_counts=True)
            waiting[touched] -= count
            ready = touched[waiting[touched] == 0]
            if len(ready):
                length = into[ready + 1] - into[ready]
                self.levels.append((ready, _ranges(into[ready], into[ready + 1]),
                                    np.concatenate([[0], np.cumsum(length)[:-1]])))
        #: nets that no order reaches: combinational loops
        self.loops = np.flatnonzero(waiting > 0)

    def run(self) -> None:
        """Arrivals, with what cells and nets weigh now."""
        nodes = 2 * self.graph.size
        self.load = self.graph.load
        self.stages, self.driven = np.zeros(len(self.load)), self.load
        if self.trees:
            self.stages = self.tree.stages(self.load)
            self.driven = np.minimum(self.load, self.tree.limit)
        self.arc = self.graph.arcs[self.which, 3]
        self.at, self.slew = np.full(nodes, -np.inf), np.full(nodes, self.loads.slew_ps)
        self.came = np.full(nodes, -1)
        #: of each arc and edge, its delay with that of the tree behind it
        self.ps = np.zeros(len(self.src))
        self._launch()
        for level in self.levels:
            self._level(*level)

    def _launch(self) -> None:
        """Arrivals where paths start."""
        clocked = [(net, arc) for net, arc, _ in self.graph.starts if arc >= 0]
        nets = self.root[np.array([net for net, _ in clocked], dtype=np.int64)]
        arcs = np.array([arc for _, arc in clocked], dtype=np.int64)
        slew = np.full(len(nets), self.loads.slew_ps)
        top = self.graph.flat.top
        # reset is a tree of its own and clocks are ideal
        held = [(net, at) for net, arc, at in self.graph.starts if arc < 0]
        held += [(net, 0.0) for net in top.inputs if top.nets[net] not in ("clk", "rst")
                 and int(self.root[net]) not in self.graph.clocks]
        for edge in (0, 1):
            delay, out = self.look_up(arcs, np.full(len(nets), edge), slew, self.driven[nets])
            self.at[2 * nets + edge], self.slew[2 * nets + edge] = self._drive(nets, delay, out)
            for net, at in held:
                self.at[2 * self.root[net] + edge] = at + self.stages[self.root[net]] * self.tree.ps

    def _level(self, ready: Ints, arcs: Ints, first: Ints) -> None:
        """Arrivals of nodes whose sources are all known."""
        src, dst = self.src[arcs], self.dst[arcs]
        nets = dst // 2
        delay, out = self.look_up(self.arc[arcs], dst % 2, self.slew[src], self.driven[nets])
        delay, slew = self._drive(nets, delay, out)
        self.ps[arcs] = delay
        at = self.at[src] + delay
        slew = np.where(np.isfinite(at), slew, 0.0)
        best = np.maximum.reduceat(at, first)
        self.at[ready] = best
        self.slew[ready] = np.maximum(np.maximum.reduceat(slew, first), 0.1)
        latest = np.flatnonzero(at == np.repeat(best, np.diff([*first, len(arcs)])))
        self.came[self.dst[arcs[latest]]] = arcs[latest]

    def required(self, period_ps: float) -> Floats:
        """When each node must have its value for a clock of ``period_ps``; infinite where no path ends."""
        need = np.full(2 * self.graph.size, np.inf)
        ends = np.array([net for net, _, _ in self.graph.ends] + self.graph.flat.top.outputs, dtype=np.int64)
        setup = np.array([setup for _, setup, _ in self.graph.ends] + [0.0] * len(self.graph.flat.top.outputs))
        for edge in (0, 1):
            np.minimum.at(need, 2 * self.root[ends] + edge, period_ps - setup)
        for _, arcs, _ in reversed(self.levels):
            np.minimum.at(need, self.src[arcs], need[self.dst[arcs]] - self.ps[arcs])
        return need

    def _point(self, node: int) -> tuple[int, float]:
        """The net of a node as the block calls it that drives it, and its arrival."""
        came = int(self.came[node])
        net = int(self.graph.owned[self.which[came]]) if came >= 0 else self.graph.sources.get(node // 2, node // 2)
        return net, float(self.at[node])

    def _path(self, end: tuple[int, float, int]) -> Path:
        """Back from an end to its start."""
        net, setup, named = end
        node = 2 * int(self.root[net])
        node += int(self.at[node + 1] > self.at[node])
        total = float(self.at[node]) + setup
        points = [self._point(node)]
        while self.came[node] >= 0:
            node = int(self.src[self.came[node]])
            points.append(self._point(node))
        points.reverse()
        steps: list[Step] = []
        before = 0.0
        for place, at in [*points, (named, total)]:
            block, name = self.graph.where(place)
            shown = "" if name.startswith("$") else name
            if steps and steps[-1].block == block:
                steps[-1] = Step(block, shown or steps[-1].net, steps[-1].ps + at - before)
            else:
                steps.append(Step(block, shown, at - before))
            before = at
        return Path(total, "/".join(self.graph.where(points[0][0])), "/".join(self.graph.where(named)), tuple(steps))

    def paths(self, count: int, *, per_block: bool = False) -> list[Path]:
        """The longest paths, one for each register or port that ends them; with ``per_block`` one for each kind of block."""
        ends = list(self.graph.ends)
        ends += [(net, 0.0, net) for net in self.graph.flat.top.outputs]
        nets = self.root[[net for net, _, _ in ends]]
        total = np.maximum(self.at[2 * nets], self.at[2 * nets + 1]) + np.array([setup for _, setup, _ in ends])
        seen: set[tuple[str, ...]] = set()
        found = []
        for index in np.argsort(-total, kind="stable"):
            if not np.isfinite(total[index]):
                break
            block, name = self.graph.where(ends[index][2])
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
