"""What timing and power need of a full Liberty file: capacitances, delays, energies. In ps, fF, fJ and nW."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from trajectile.scripts.area.liberty import Group
from trajectile.scripts.errors import UserError
from trajectile.sw_model.config.checks import shown

Floats = NDArray[np.float64]
#: points of a table along each axis; others are resampled to this
POINTS = 7
_PREFIX = {"f": 1e-15, "p": 1e-12, "n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1.0}


@dataclass(frozen=True)
class Table:
    """A look-up table over input slew (ps) and load (fF)."""

    slews: Floats
    loads: Floats
    values: Floats

    def at(self, slew: float, load: float) -> float:
        """Bilinear, held at the ends."""
        rows = [float(np.interp(load, self.loads, row)) for row in self.values]
        return float(np.interp(slew, self.slews, rows))

    def resampled(self) -> "Table":
        """On ``POINTS`` x ``POINTS`` points."""
        if self.values.shape == (POINTS, POINTS):
            return self
        slews, loads = (np.linspace(axis[0], axis[-1] if len(axis) > 1 else axis[0] + 1, POINTS)
                        for axis in (self.slews, self.loads))
        return Table(slews, loads, np.array([[self.at(slew, load) for load in loads] for slew in slews]))


@dataclass(frozen=True)
class Arc:
    """From an input pin to an output pin. Tables by what the output does: rise, fall."""

    source: str
    target: str
    #: ``positive_unate``, ``negative_unate`` or ``non_unate``
    sense: str
    #: from a clock edge
    clocked: bool
    delay: tuple[Table, Table]
    slew: tuple[Table, Table]


@dataclass
class Cell:
    """A cell of a library."""

    name: str
    area_um2: float
    #: by input pin
    capacitance: dict[str, float] = field(default_factory=dict)
    #: by output pin, as Liberty writes it
    functions: dict[str, str] = field(default_factory=dict)
    clock: str = ""
    #: of a flip-flop or latch: ``ff`` or ``latch``, the names of its state and its inverse, what Liberty says of it
    state_kind: str = ""
    state_names: tuple[str, ...] = ()
    state: dict[str, str] = field(default_factory=dict)
    arcs: list[Arc] = field(default_factory=list)
    #: of the data pins of a flip-flop
    setup_ps: float = 0.0
    leakage_nw: float = 0.0
    #: inside the cell, for one toggle of an output
    toggle_fj: float = 0.0
    #: inside the cell, for a clock period without a toggle of the output
    clock_fj: float = 0.0
    #: pins that are neither inputs nor outputs, and groups of pins or states: what it does is not known in full
    unread: list[str] = field(default_factory=list)
    #: all that the library says
    group: Group | None = None

    @property
    def sequential(self) -> bool:
        """A flip-flop or latch."""
        return bool(self.state_kind)


def _floats(words: Sequence[str]) -> Floats:
    return np.array([float(number) for word in words for number in word.replace(",", " ").split()])


def _unit(words: Sequence[str], base: str, factor: float) -> float:
    """A unit such as ``10ps``, ``(1, pf)`` or ``1 nW``, in ``factor`` of its ``base``.

    Raises:
        ValueError: if it is none.
    """
    text = "".join(words).replace(",", "").replace(" ", "")
    found = re.fullmatch(rf"([\d.]*(?:e[+-]?\d+)?)([fpnum]?){base}", text, re.I)
    if not found or not float(found[1] or 1) > 0:
        raise ValueError(f"{shown(text)} is no unit: a number and {', '.join(f'{prefix}{base}' for prefix in _PREFIX)}")
    return float(found[1] or 1) * _PREFIX[found[2].lower()] / factor


class Reader:
    """Reads the cells of one library."""

    def __init__(self, library: Group):
        self.library = library
        self.ps = _unit(library.values.get("time_unit", ["1ns"]), "s", 1e-12)
        self.ff = _unit(library.values.get("capacitive_load_unit", ["1", "pf"]), "f", 1e-15)
        self.fj = self.ff * _unit(library.values.get("voltage_unit", ["1V"]), "V", 1) ** 2
        self.nw = _unit(library.values.get("leakage_power_unit", ["1nW"]), "W", 1e-9)
        self.volts = self._volts()
        #: what a pin or a cell has that says nothing of it
        self.pin_load = float(library.value("default_input_pin_cap", "0"))
        self.leakage = float(library.value("default_cell_leakage_power", "0"))
        self.templates = {group.name: group for kind in ("lu_table_template", "power_lut_template")
                          for group in library.of(kind)}
        #: slew and load at which setups and energies are read: the middle of the first delay table
        self.slew_ps = self.load_ff = 0.0
        first = next((self.table(group, self.ps).resampled() for cell in library.of("cell") for pin in cell.of("pin")
                      for timing in pin.of("timing") for group in timing.of("cell_rise")), None)
        if first is not None:
            self.slew_ps, self.load_ff = float(first.slews[2]), float(first.loads[2])

    def _volts(self) -> float:
        """The supply: that of the library, or of its operating conditions."""
        conditions = list(self.library.of("operating_conditions"))
        default = self.library.value("default_operating_conditions")
        conditions.sort(key=lambda group: group.name != default)
        stated = [self.library.value("nom_voltage"), *(group.value("voltage") for group in conditions)]
        return float(next(filter(None, stated), "1"))

    def table(self, group: Group, unit: float) -> Table:
        """A table in ``unit``; what lacks an axis does not depend on it."""
        template = self.templates.get(group.name, Group("", ""))
        axes = {"slew": np.zeros(1), "load": np.zeros(1)}
        order = []
        for number in (1, 2):
            variable = template.value(f"variable_{number}")
            words = group.values.get(f"index_{number}") or template.values.get(f"index_{number}")
            if variable and words:
                axis = "load" if "capacitance" in variable or variable.startswith("related") else "slew"
                axes[axis] = _floats(words) * (self.ff if "capacitance" in variable else self.ps)
                order.append(axis)
        values = _floats(group.values.get("values", ["0"])) * unit
        if order == ["load", "slew"]:
            values = values.reshape(len(axes["load"]), -1).T
        return Table(axes["slew"], axes["load"], values.reshape(len(axes["slew"]), len(axes["load"])))

    def cells(self) -> Iterable[Cell]:
        """All cells with an area."""
        for group in self.library.of("cell"):
            if "area" in group.values:
                yield self.cell(group)

    def cell(self, group: Group) -> Cell:
        """One cell."""
        cell = Cell(group.name, float(group.value("area")), group=group)
        for state in group.groups:
            if state.kind in ("ff", "latch"):
                cell.unread += [state.kind] if cell.state_kind else []
                cell.state_kind = state.kind
                cell.state_names = tuple(part.strip() for part in state.name.split(","))
                cell.state = {name: words[0] for name, words in state.values.items() if words}
            elif state.kind in ("bus", "bundle", "ff_bank", "latch_bank", "statetable"):
                cell.unread.append(state.kind)
        cell.leakage_nw = self._leakage(group) * self.nw
        setups: list[float] = []
        toggles: list[float] = []
        clocks: list[float] = []
        for name, pin in [(name, pins) for pins in group.of("pin") for name in pins.names]:
            direction = pin.value("direction").lower()
            if name in cell.functions or name in cell.capacitance:
                cell.unread.append(f"pin {name} twice")
            if direction == "output":
                cell.functions[name] = pin.value("function")
                self._arcs(cell, name, pin)
                toggles += self._energies(pin)
                continue
            if direction != "input":
                cell.unread.append(f"{direction or 'unknown'} pin")
            cell.capacitance[name] = float(pin.value("capacitance") or self.pin_load) * self.ff
            if pin.true("clock"):
                cell.clock = name
                clocks += [2 * energy for energy in self._energies(pin)]  # two edges
            setups += [self.table(edge, self.ps).at(self.slew_ps, self.slew_ps) for timing in pin.of("timing")
                       if timing.value("timing_type").startswith("setup")
                       for kind in ("rise_constraint", "fall_constraint") for edge in timing.of(kind)]
        if cell.state_kind == "ff" and not cell.clock:
            name = cell.state.get("clocked_on", "").strip(" !'()")
            cell.clock = name if name in cell.capacitance else ""
        cell.setup_ps = max(setups, default=0.0)
        cell.toggle_fj, cell.clock_fj = (fmean(found) if found else 0.0 for found in (toggles, clocks))
        return cell

    def _leakage(self, group: Group) -> float:
        """Leakage in the library's unit: in any state, else the mean over the states that are given, else the library's."""
        found = [leak for leak in group.of("leakage_power") if leak.value("related_pg_pin", "VDD") != "VSS"]
        if leaks := [float(leak.value("value", "0")) for leak in found if "when" not in leak.values]:
            return leaks[0]
        if stated := group.value("cell_leakage_power"):
            return float(stated)
        return fmean(float(leak.value("value", "0")) for leak in found) if found else self.leakage

    def _arcs(self, cell: Cell, target: str, pin: Group) -> None:
        """Combinational arcs and those from the clock; conditions are joined to the worst."""
        found: dict[tuple[str, str, bool], list[Table]] = {}
        for timing in pin.of("timing"):
            kind = timing.value("timing_type", "combinational")
            if kind not in ("combinational", "rising_edge", "falling_edge"):
                continue
            named = ("cell_rise", "cell_fall", "rise_transition", "fall_transition")
            tables = [self.table(group, self.ps).resampled() for name in named for group in timing.of(name)]
            if len(tables) != len(named):
                continue
            for source in timing.value("related_pin").split():
                key = (source, timing.value("timing_sense", "non_unate"), kind != "combinational")
                known = found.setdefault(key, tables)
                found[key] = [Table(old.slews, old.loads, np.maximum(old.values, new.values))
                              for old, new in zip(known, tables, strict=True)]
        for (source, sense, clocked), (rise, fall, slow_rise, slow_fall) in found.items():
            cell.arcs.append(Arc(source, target, sense, clocked, (rise, fall), (slow_rise, slow_fall)))

    def _energies(self, pin: Group) -> list[float]:
        """Internal energy of one toggle of a pin, for each condition: mean of rise and fall, sum over the supplies."""
        by_condition: dict[tuple[str, str], float] = {}
        for power in pin.of("internal_power"):
            key = power.value("related_pin"), power.value("when")
            rise, fall, both = ([self.table(edge, self.fj).at(self.slew_ps, self.load_ff) for edge in power.of(kind)]
                                for kind in ("rise_power", "fall_power", "power"))
            if edges := [*rise, *fall, *both, *both]:
                by_condition[key] = by_condition.get(key, 0.0) + sum(edges) / 2
        return list(by_condition.values())


class Cells(dict[str, Cell]):
    """The cells of some libraries by name."""

    def __init__(self, libraries: Iterable[Group]):
        super().__init__()
        self._supplies: dict[str, float] = {}
        for library in libraries:
            reader = Reader(library)
            for cell in reader.cells():
                self[cell.name] = cell
                self._supplies[cell.name] = reader.volts

    @cached_property
    def volts(self) -> float:
        """The supply of all of them.

        Raises:
            UserError: if it is not the same for all.
        """
        found = sorted({self._supplies[name] for name in self})
        if len(found) > 1:
            raise UserError(f"nom_voltage = {found[0]} and {found[-1]} is not legal; legal values: cells of one supply")
        return found[0] if found else 1.0

    @cached_property
    def timed(self) -> bool:
        """There are delays."""
        return any(cell.arcs for cell in self.values())
