"""Other sizes of the cells on paths that are too long, chosen with the loads that they have in the whole tile."""

from collections.abc import Iterable

import numpy as np

from trajectile.scripts.area.cells import Cell, Floats
from trajectile.scripts.area.graph import Ints
from trajectile.scripts.area.timing import Timing

#: at most so many times all cells are looked at
ROUNDS = 30
#: a cell is looked at if its path is short of at least this share of what the worst path is short of
CRITICAL = 0.8
#: after so many rounds without a gain the search ends
PATIENCE = 6


def _family(cell: Cell) -> tuple[object, ...]:
    """Cells that may take each other's place have the same."""
    return (tuple(cell.capacitance), tuple(cell.functions.items()), cell.clock, cell.state_kind,
            tuple(sorted(cell.state.items())),
            tuple((arc.source, arc.target, arc.sense, arc.clocked) for arc in cell.arcs))


class Sizes:
    """The sizes of all cells of a tile, and how to change them."""

    def __init__(self, timing: Timing):
        self.timing, graph = timing, timing.graph
        cells = graph.cells
        used = {_family(cells[kind]) for kind, _ in graph.flat.cells if kind in cells}
        #: names of all kinds, among them those that are not used yet
        self.kinds = [name for name, cell in cells.items() if _family(cell) in used]
        number = {name: index for index, name in enumerate(self.kinds)}
        families: dict[tuple[object, ...], list[int]] = {}
        for index, name in enumerate(self.kinds):
            families.setdefault(_family(cells[name]), []).append(index)
        most = max(map(len, families.values()))
        #: of each kind all of its family, padded with itself
        self.others = np.array([(mine + [index] * most)[:most] for index, name in enumerate(self.kinds)
                                for mine in [families[_family(cells[name])]]])
        self.first = np.array([graph.first(name) for name in self.kinds])
        self.setup = np.array([cells[name].setup_ps for name in self.kinds])
        pins = max(len(cells[name].capacitance) for name in self.kinds)
        self.weight = np.array([(list(cells[name].capacitance.values()) + [0.0] * pins)[:pins] for name in self.kinds])
        inputs = [[list(cells[name].capacitance).index(arc.source) for arc in cells[name].arcs] for name in self.kinds]
        most = max(map(len, inputs))
        #: of each kind and arc, the place of the input that it starts at
        self.inputs = np.array([(row + [0] * most)[:most] for row in inputs])
        #: of each cell its kind; -1 for SRAM
        self.kind = np.array([number.get(kind, -1) for kind, _ in graph.flat.cells])
        self.slot = graph.arcs[:, 3] - self.first[self.kind[graph.arc_cell]]
        self.starts = np.array([arc for _, arc, _ in graph.starts], dtype=np.int64)
        self.start_cell = np.array(graph.start_cell, dtype=np.int64)
        self.clocked = self.starts >= 0
        self.start_slot = np.where(self.clocked, self.starts - self.first[self.kind[self.start_cell]], -1)
        self.start_net = graph.root[[net for net, _, _ in graph.starts]]
        timing.tables()

    def put(self, kind: Ints) -> None:
        """Give all cells these kinds, and analyse again."""
        graph = self.timing.graph
        self.kind = kind
        graph.arcs[:, 3] = self.first[kind[graph.arc_cell]] + self.slot
        sized = kind[graph.pin_cell] >= 0
        graph.pin_ff[sized] = self.weight[kind[graph.pin_cell[sized]], graph.pin_slot[sized]]
        arcs = np.where(self.clocked, self.first[kind[self.start_cell]] + self.start_slot, -1)
        graph.starts = [(net, int(arc), at) for (net, _, at), arc in zip(graph.starts, arcs, strict=True)]
        graph.ends = [(net, float(self.setup[kind[cell]]) if kind[cell] >= 0 else setup, named)
                      for (net, setup, named), cell in zip(graph.ends, graph.end_cell, strict=True)]
        graph.weigh()
        self.timing.run()

    def keep(self) -> None:
        """Write the kinds into the netlist."""
        cells = self.timing.graph.flat.cells
        for index in np.flatnonzero(self.kind >= 0):
            cells[index] = (self.kinds[self.kind[index]], cells[index][1])

    def candidates(self, need: Floats, short: float) -> tuple[Ints, Ints, Ints, Floats]:
        """Cells on paths that are short of ``short`` or more, with a better kind and what it gains on its worst path."""
        timing, graph = self.timing, self.timing.graph
        left = need[timing.dst] - timing.ps - timing.at[timing.src]
        arcs = np.flatnonzero(left <= -short)
        arcs = arcs[np.argsort(left[arcs], kind="stable")]
        cells, one = np.unique(graph.arc_cell[timing.which[arcs]], return_index=True)
        arcs = arcs[one]
        source, target = timing.src[arcs], timing.dst[arcs]
        slot, entry = self.slot[timing.which[arcs]], timing.which[arcs]
        load = timing.driven[target // 2]
        pin = self.inputs[self.kind[graph.arc_cell[entry]], slot]
        came = timing.came[source]
        #: what drives the input: an arc, or the clock of a flip-flop
        launch = np.full(graph.size, -1)
        launch[self.start_net] = np.where(self.clocked, self.first[self.kind[self.start_cell]] + self.start_slot, -1)
        driver = np.where(came >= 0, timing.arc[came], launch[source // 2])
        slew_in = np.where(came >= 0, timing.slew[timing.src[came]], timing.loads.slew_ps)
        mine = self.kind[cells]
        best, gain = mine.copy(), np.zeros(len(cells))
        old = timing.look_up(self.first[mine] + slot, target % 2, timing.slew[source], load)[0]
        before = timing.look_up(np.maximum(driver, 0), source % 2, slew_in, timing.driven[source // 2])[0]
        for column in self.others.T:
            other = column[mine]
            more = self.weight[other, pin] - self.weight[mine, pin]
            new = timing.look_up(self.first[other] + slot, target % 2, timing.slew[source], load)[0]
            after = timing.look_up(np.maximum(driver, 0), source % 2, slew_in, timing.driven[source // 2] + more)[0]
            gains = old - new - np.where(driver >= 0, after - before, 0.0)
            best, gain = np.where(gains > gain, other, best), np.maximum(gains, gain)
        return cells, source // 2, best, gain

    def launches(self, need: Floats, short: float) -> tuple[Ints, Ints, Ints, Floats]:
        """The same of flip-flops that start such paths."""
        timing = self.timing
        nets, cells, slot = self.start_net[self.clocked], self.start_cell[self.clocked], self.start_slot[self.clocked]
        nodes = 2 * nets
        left = np.minimum(need[nodes] - timing.at[nodes], need[nodes + 1] - timing.at[nodes + 1])
        chosen = np.flatnonzero(left <= -short)
        nets, cells, slot = nets[chosen], cells[chosen], slot[chosen]
        mine = self.kind[cells]
        slew, load = np.full(len(cells), timing.loads.slew_ps), timing.driven[nets]

        def slower(kind: Ints) -> Floats:
            edges = [timing.look_up(self.first[kind] + slot, np.full(len(cells), edge), slew, load)[0] for edge in (0, 1)]
            return np.maximum(*edges)
        best, gain, old = mine.copy(), np.zeros(len(cells)), slower(mine)
        for column in self.others.T:
            gains = old - slower(column[mine])
            best, gain = np.where(gains > gain, column[mine], best), np.maximum(gains, gain)
        return cells, nets, best, gain


def _worst(timing: Timing, need: Floats) -> float:
    """The least slack."""
    with np.errstate(invalid="ignore"):
        slack = need - timing.at
    return float(np.min(slack[np.isfinite(slack)], initial=np.inf))


def resize(timing: Timing, period_ps: float, rounds: Iterable[int] = range(ROUNDS)) -> int:
    """Change sizes until every path fits into ``period_ps``, or nothing is gained any more.

    Returns:
        The number of cells with another size than before. ``timing`` is that of the tile as it is then.
    """
    sizes = Sizes(timing)
    start = best = sizes.kind
    best_slack, since = -np.inf, 0
    for number in rounds:
        need = timing.required(period_ps)
        slack = _worst(timing, need)
        if slack > best_slack + 0.1:
            best, best_slack, since = sizes.kind, slack, 0
        else:
            since += 1
        if slack >= 0 or since >= PATIENCE:
            break
        kind = sizes.kind.copy()
        short = -CRITICAL * slack
        for cells, driver, better, gain in (sizes.candidates(need, short), sizes.launches(need, short)):
            # a part of them in each round: neighbours that change together miss each other's load
            taken = np.flatnonzero(gain > 0.02 * timing.tree.ps)
            taken = taken[np.argsort(-gain[taken], kind="stable")]
            taken = taken[np.unique(driver[taken], return_index=True)[1]]
            taken = taken[(cells[taken] * 2654435761 + number * 40503) % 97 < 64]
            kind[cells[taken]] = better[taken]
        sizes.put(kind)
    sizes.put(best)
    sizes.keep()
    return int(np.count_nonzero(best != start))
