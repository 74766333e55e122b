"""Longest paths of a mapped tile, across its blocks, with the delays of a full Liberty file.

A static timing analysis by graph: each net has an arrival and a slew for its rising and its falling edge; of the arcs into a
net the latest arrival and the slowest slew count. What is assumed about wires is in
:class:`~trajectile.scripts.area.graph.LoadModel`. The clock is ideal, reset (``rst``) a tree of its own, inputs come at
its edge.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from trajectile.scripts.area.cells import POINTS, Cells, Floats
from trajectile.scripts.area.graph import Graph, Ints, LoadModel, MacroTiming
from trajectile.scripts.area.netlist import Module


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


class Timing:
    """Arrivals at every net of a tile; the arguments are those of :class:`~trajectile.scripts.area.graph.Graph`."""

    def __init__(self, modules: Mapping[str, Module], top: str, cells: Cells, loads: LoadModel,
                 macros: Mapping[str, MacroTiming]):
        self.graph = Graph(modules, top, cells, loads, macros)
        self.loads, self.root, self.load = loads, self.graph.root, self.graph.load
        self._tables()
        self._run()

    def _tables(self) -> None:
        """The tables of all arcs in arrays: [arc, output edge, slew, load]."""
        count = len(self.graph.kinds)
        self.slews, self.caps = np.empty((count, POINTS)), np.empty((count, POINTS))
        self.delays, self.outs = (np.empty((count, 2, POINTS, POINTS)) for _ in range(2))
        for number, arc in enumerate(self.graph.kinds):
            self.slews[number], self.caps[number] = arc.delay[0].slews, arc.delay[0].loads
            for edge in (0, 1):
                self.delays[number, edge], self.outs[number, edge] = arc.delay[edge].values, arc.slew[edge].values
        # a net with too much load: a tree of buffers, each stage driving ``fanout`` others
        cell = self.graph.cells[self.loads.buffer]
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
        source, target, sense, number = self.graph.arcs.T
        kinds = [(sense != 1, 0, 0), (sense != 1, 1, 1), (sense != 0, 0, 1), (sense != 0, 1, 0)]
        src = np.concatenate([2 * source[mask] + edge for mask, edge, _ in kinds])
        dst = np.concatenate([2 * target[mask] + edge for mask, _, edge in kinds])
        arc = np.concatenate([number[mask] for mask, _, _ in kinds])
        owned = np.concatenate([self.graph.owned[mask] for mask, _, _ in kinds])
        order = np.argsort(dst, kind="stable")
        self.src, self.dst, self.arc, self.owned = src[order], dst[order], arc[order], owned[order]
        nodes = 2 * self.graph.size
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
        clocked = [(net, arc) for net, arc, _ in self.graph.starts if arc >= 0]
        for edge in (0, 1):
            nets = self.root[np.array([net for net, _ in clocked], dtype=np.int64)]
            arcs = np.array([arc for _, arc in clocked], dtype=np.int64)
            slew = np.full(len(nets), self.loads.slew_ps)
            delay, out = self._look_up(arcs, np.full(len(nets), edge), slew, np.minimum(self.load[nets], self.limit))
            self.at[2 * nets + edge], self.slew[2 * nets + edge] = self._drive(nets, delay, out)
            for net, arc, at in self.graph.starts:
                if arc < 0:
                    self.at[2 * self.root[net] + edge] = at + self.stages[self.root[net]] * self.stage_ps
            for net in self.graph.modules[self.graph.top].inputs:
                # reset is a tree of its own and the clock ideal
                if self.graph.modules[self.graph.top].nets[net] not in ("clk", "rst"):
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

    def _point(self, node: int) -> tuple[int, float]:
        """The net of a node as the block calls it that drives it, and its arrival."""
        came = int(self.came[node])
        net = int(self.owned[came]) if came >= 0 else self.graph.sources.get(node // 2, node // 2)
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
        top = self.graph.modules[self.graph.top]
        ends += [(net, 0.0, net) for net in top.outputs]
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
