"""Trees of buffers on nets that go to many pins, where ABC could not build them: it sees one block at a time."""

from heapq import heapify, heappop, heappush

import numpy as np

from trajectile.scripts.area.flat import Flat
from trajectile.scripts.area.timing import Timing

#: a sink: minus the time by which it needs its value, a number that breaks ties, its cell, its pin's place, its load
_Sink = tuple[float, int, int, int, float]


def _sinks(timing: Timing, heavy: set[int], period_ps: float) -> dict[int, list[_Sink]]:
    """What hangs on some nets."""
    graph, found = timing.graph, dict[int, list[_Sink]]()
    need = timing.required(period_ps)
    by_arc = np.full(len(graph.arcs), np.inf)
    np.minimum.at(by_arc, timing.which, need[timing.dst] - timing.ps)
    latest: dict[tuple[int, int], float] = {}
    on_heavy = np.zeros(graph.size, dtype=bool)
    on_heavy[list(heavy)] = True
    for arc in np.flatnonzero(on_heavy[graph.arcs[:, 0]]):
        key = int(graph.arc_cell[arc]), int(graph.arcs[arc, 0])
        latest[key] = min(latest.get(key, np.inf), float(by_arc[arc]))
    for (net, setup, _), cell in zip(graph.ends, graph.end_cell, strict=True):
        if (root := int(graph.root[net])) in heavy:
            latest[cell, root] = min(latest.get((cell, root), np.inf), period_ps - setup)
    for entry in np.flatnonzero(on_heavy[graph.pins]):
        cell, root = int(graph.pin_cell[entry]), int(graph.pins[entry])
        at = graph.pin_place[entry]
        found.setdefault(root, []).append((-latest.get((cell, root), np.inf), int(entry), cell, int(at),
                                           float(graph.pin_ff[entry])))
    return found


def add_trees(flat: Flat, timing: Timing, period_ps: float) -> int:
    """Put a tree on every net but a clock that has more load than the limit of a
    :class:`~trajectile.scripts.area.timing.Tree`.

    Where time is short the tree is short: buffers take up first what can wait longest.

    Returns:
        The number of buffers added. The analysis is no longer that of the tile, and wants to be made again.
    """
    graph, limit = timing.graph, timing.tree.limit
    buffer = graph.cells[timing.loads.buffer]
    (pin, pin_ff), output = next(iter(buffer.capacitance.items())), next(iter(buffer.functions))
    heavy = {int(net) for net in np.flatnonzero(graph.load > limit)} - set(graph.clocks)
    before = len(flat.cells)
    for root, sinks in _sinks(timing, heavy, period_ps).items():
        heapify(sinks)
        load, count = sum(sink[4] for sink in sinks), len(sinks)
        while load + float(graph.wire.load(count)) > limit and count > 2:
            taken = [heappop(sinks)]
            weight = taken[0][4]
            while len(sinks) > 1 and weight + sinks[0][4] + float(graph.wire.load(len(taken) + 1)) <= limit:
                taken.append(heappop(sinks))
                weight += taken[-1][4]
            if len(taken) == 1 and weight <= pin_ff:  # a buffer weighs no less: leave it where it is
                heappush(sinks, (np.inf, *taken[0][1:]))
                if sinks[0][0] == np.inf:
                    break
                continue
            old = flat.cells[taken[0][2]][1][taken[0][3]][1]
            net = flat.add(flat.names[old], flat.homes[taken[0][2]])
            for _, _, cell, place, _ in taken:
                pins = flat.cells[cell][1]
                pins[place] = (pins[place][0], net)
            number = len(flat.cells)
            flat.cells.append((buffer.name, [(pin, root), (output, net)]))
            flat.homes.append(flat.homes[taken[0][2]])
            need = min(-sink[0] for sink in taken) - timing.tree.ps
            heappush(sinks, (-need, 1 << 40 | number, number, 0, pin_ff))
            load += pin_ff - weight
            count += 1 - len(taken)
    return len(flat.cells) - before
