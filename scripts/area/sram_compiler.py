"""A small SRAM compiler: which macros of a table hold a memory of given words, bits and ports in the least area.

Macros are stacked for more words and set side by side for more bits. They may be mixed in two ways: each row of macros of one
depth is filled with macros of several widths, or each column of one width with macros of several depths; the smaller wins.
Rows beyond the first need a multiplexer for each bit, which counts. Of tilings of nearly the same area
that of fewer macros is taken.
"""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, replace
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

from trajectile.scripts.errors import UserError
from trajectile.sw_model.config.checks import shown
from trajectile.sw_model.config.toml_file import TomlError
from trajectile.sw_model.config.toml_file import read as read_toml

T = TypeVar("T")
Entry = TypeVar("Entry", bound="Macro | Density")


@dataclass(frozen=True)
class Macro:
    """An SRAM macro of a library."""

    name: str
    depth: int
    width: int
    #: reads and writes in the same cycle
    two_port: bool
    area_um2: float
    access_ps: float | None = None
    setup_ps: float | None = None
    read_pj: float | None = None
    write_pj: float | None = None
    leakage_nw: float | None = None
    #: a write may leave any of its bits, or bytes, as they are
    masked: bool = False


@dataclass(frozen=True)
class Density:
    """A compiler that makes a macro of any size, known by its density."""

    two_port: bool
    bit_area_um2: float
    #: of each macro, whatever its size
    fixed_area_um2: float = 0.0
    access_ps: float | None = None
    setup_ps: float | None = None
    read_pj_per_bit: float | None = None
    write_pj_per_bit: float | None = None
    leakage_nw_per_bit: float | None = None
    #: as for a macro
    masked: bool = False

    def macro(self, depth: int, width: int) -> Macro:
        """The macro of a size."""
        def times(value: float | None, bits: int) -> float | None:
            return None if value is None else value * bits
        return Macro(f"compiled_{'2p' if self.two_port else '1p'}_{depth}x{width}", depth, width, self.two_port,
                     self.fixed_area_um2 + self.bit_area_um2 * depth * width, self.access_ps, self.setup_ps,
                     times(self.read_pj_per_bit, width), times(self.write_pj_per_bit, width),
                     times(self.leakage_nw_per_bit, depth * width), self.masked)


@dataclass(frozen=True)
class SramTable:
    """What a technology offers."""

    source: str
    #: stands for macros that nobody has laid out
    synthetic: bool
    macros: tuple[Macro, ...] = ()
    compilers: tuple[Density, ...] = ()


@dataclass(frozen=True)
class Memory:
    """A memory made of macros."""

    depth: int
    width: int
    two_port: bool
    #: name and number of each kind of macro
    macros: tuple[tuple[str, int], ...]
    #: read and write port from two memories with one port: the library has no two-port macros
    doubled: bool
    macro_area_um2: float
    #: multiplexers between rows of macros
    mux_area_um2: float
    #: macros, one above the other, that hold a bit; multiplexers that it passes
    rows: int
    mux_levels: int
    access_ps: float | None
    setup_ps: float | None
    #: of one access, on average over the addresses
    read_pj: float | None
    #: of a word, each of its lanes written by itself
    write_pj: float | None
    leakage_nw: float | None

    @property
    def area_um2(self) -> float:
        """Macros and multiplexers."""
        return self.macro_area_um2 + self.mux_area_um2

    @property
    def picked(self) -> str:
        """The macros in words."""
        return " + ".join(f"{count} {name}" for name, count in self.macros)


def _cover(length: int, pieces: Sequence[tuple[int, float, T]]) -> tuple[float, list[T]]:
    """Cheapest pieces (size, cost, what) that together are at least ``length`` long; the same may be taken again."""
    cost, taken = [0.0] + [float("inf")] * length, [-1] * (length + 1)
    for filled in range(1, length + 1):
        for number, (size, price, _) in enumerate(pieces):
            if cost[max(0, filled - size)] + price < cost[filled] - 1e-9:
                cost[filled], taken[filled] = cost[max(0, filled - size)] + price, number
    chosen = []
    while length > 0:
        chosen.append(pieces[taken[length]][2])
        length -= pieces[taken[length]][0]
    return cost[-1], chosen


def tile(macros: Sequence[Macro], depth: int, width: int, mux_um2: float) -> tuple[bool, list[list[Macro]]]:
    """Rows of macros of one depth, or columns of one width: whether it is rows, and the macros of each."""
    # fewer macros, if that costs next to nothing: their halos are not in the table
    extra = min(macro.area_um2 for macro in macros) / 10
    rows = []
    for row_depth in sorted({macro.depth for macro in macros}):
        area, row = _cover(width, [(m.width, m.area_um2 + extra, m) for m in macros if m.depth == row_depth])
        rows.append((row_depth, area + mux_um2 * width, row))
    area_of_rows, stacked = _cover(depth, rows)
    columns = []
    for column_width in sorted({macro.width for macro in macros}):
        area, column = _cover(depth, [(m.depth, m.area_um2 + extra + mux_um2 * column_width, m) for m in macros
                                      if m.width == column_width])
        columns.append((column_width, area, column))
    area_of_columns, beside = _cover(width, columns)
    by_rows = area_of_rows <= area_of_columns + 1e-9
    return by_rows, stacked if by_rows else beside


def compile_memory(table: SramTable, depth: int, width: int, *, two_port: bool, mux_um2: float = 0.0, lanes: int = 1
                   ) -> Memory | None:
    """The memory of the least area, of macros with known times if there are any; None if the table has nothing.

    Lanes that are written by themselves are memories of their own, side by side, or one of macros with masks.

    Args:
        table: what there is. A two-port macro may serve where one port is needed. Where two are needed and there is no such
            macro, two memories with one port count (two banks).
        depth: words.
        width: bits of a word.
        two_port: a read and a write in the same cycle.
        mux_um2: area of a two-input multiplexer.
        lanes: equal parts of a word that are written by themselves.
    """
    if lanes > 1:
        lane = compile_memory(table, depth, width // lanes, two_port=two_port, mux_um2=mux_um2)
        masked = SramTable(table.source, table.synthetic, tuple(macro for macro in table.macros if macro.masked),
                           tuple(compiler for compiler in table.compilers if compiler.masked))
        whole = _compile(masked, depth, width, two_port, mux_um2, lanes)
        found = [memory for memory in (lane and _beside(lane, lanes), whole) if memory]
        return min(found, key=lambda memory: memory.area_um2, default=None)
    return _compile(table, depth, width, two_port, mux_um2, lanes)


def _beside(lane: Memory, lanes: int) -> Memory:
    """A memory of several lanes, each a memory of its own."""
    def times(value: float | None) -> float | None:
        return None if value is None else value * lanes
    return replace(lane, width=lane.width * lanes, macros=tuple((name, count * lanes) for name, count in lane.macros),
                   macro_area_um2=lane.macro_area_um2 * lanes, mux_area_um2=lane.mux_area_um2 * lanes,
                   read_pj=times(lane.read_pj), write_pj=times(lane.write_pj), leakage_nw=times(lane.leakage_nw))


def _compile(table: SramTable, depth: int, width: int, two_port: bool, mux_um2: float, lanes: int) -> Memory | None:
    """:func:`compile_memory` without a choice about lanes."""
    offered: list[Macro | Density] = [*table.macros, *table.compilers]
    doubled = two_port and not any(part.two_port for part in offered)
    wanted = two_port and not doubled
    macros = [macro for macro in table.macros if macro.two_port or not wanted]
    # one memory without times would leave the whole tile without a speed
    macros = [macro for macro in macros if macro.access_ps is not None] or macros
    macros += [compiler.macro(depth, width) for compiler in table.compilers if compiler.two_port == wanted]
    if not macros:
        return None
    by_rows, parts = tile(macros, depth, width, mux_um2)
    used = [macro for part in parts for macro in part]
    # each macro with the share of the addresses that it answers
    height = sum(part[0].depth for part in parts)
    shares = [(macro, macro.depth / (height if by_rows else sum(other.depth for other in part)))
              for part in parts for macro in part]
    muxes = width * (len(parts) - 1) if by_rows else sum(part[0].width * (len(part) - 1) for part in parts)
    rows = len(parts) if by_rows else max(map(len, parts))
    copies = 2 if doubled else 1

    def known(measure: str) -> list[float]:
        """Of each macro; nothing if one does not say."""
        values = [getattr(macro, measure) for macro in used]
        return [] if None in values else values

    def mean(measure: str, times: Sequence[int]) -> float | None:
        return sum(value * share * often for value, (_, share), often in zip(known(measure), shares, times, strict=True)
                   ) if known(measure) else None

    leaks = known("leakage_nw")
    names = sorted({macro.name for macro in used})
    return Memory(depth, width, two_port, tuple((name, copies * sum(macro.name == name for macro in used)) for name in names),
                  doubled, copies * sum(macro.area_um2 for macro in used), copies * muxes * mux_um2, rows,
                  (rows - 1).bit_length(), max(known("access_ps"), default=None), max(known("setup_ps"), default=None),
                  read_pj=mean("read_pj", [1] * len(shares)),
                  write_pj=mean("write_pj", [1 if lanes == 1 else -(-macro.width * lanes // width) for macro, _ in shares]),
                  leakage_nw=copies * sum(leaks) if leaks else None)


def _entry(kind: type[Entry], name: str, entry: Any) -> Entry:
    """One table entry, checked field by field."""
    if not isinstance(entry, Mapping):
        raise UserError(f"{name} = {shown(entry)} is not legal; legal values: a table")
    known = {field.name: field for field in fields(kind)}
    if unknown := sorted(set(entry) - set(known)):
        raise UserError(f"{name}.{unknown[0]} is not legal; legal values: {', '.join(known)}")
    for field in known.values():
        value = entry.get(field.name)
        where = f"{name}.{field.name} = {shown(value)} is not legal; legal values:"
        if field.name not in entry:
            if field.default is MISSING:
                raise UserError(f"{name}.{field.name} is missing; legal: every entry has one")
        elif field.name == "name":
            if not isinstance(value, str) or not value:
                raise UserError(f"{where} a name")
        elif field.name in ("two_port", "masked"):
            if not isinstance(value, bool):
                raise UserError(f"{where} true or false")
        elif field.name in ("depth", "width"):
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 1 << 24:
                raise UserError(f"{where} an integer from 1 to {1 << 24}")
        elif isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or value < 0:
            raise UserError(f"{where} a number from 0")
    return kind(**entry)


def parse_table(values: Mapping[str, Any], default_source: str) -> SramTable:
    """A table of macros and compilers.

    Raises:
        UserError: with the entry, its field and the legal values.
    """
    if unknown := sorted(set(values) - {"source", "synthetic", "macro", "compiler"}):
        raise UserError(f"{shown(unknown[0])} is not legal; legal values: source, synthetic, [[macro]], [[compiler]]")
    source, synthetic = values.get("source", default_source), values.get("synthetic", False)
    if not isinstance(source, str) or not isinstance(synthetic, bool):
        raise UserError("source or synthetic is not legal; legal values: a text, and true or false")
    lists: dict[str, list[Any]] = {}
    for name in ("macro", "compiler"):
        lists[name] = values.get(name, [])
        if not isinstance(lists[name], list):
            raise UserError(f"{name} is not legal; legal values: [[{name}]] tables")
    macros = tuple(_entry(Macro, f"macro[{number}]", entry) for number, entry in enumerate(lists["macro"]))
    compilers = tuple(_entry(Density, f"compiler[{number}]", entry) for number, entry in enumerate(lists["compiler"]))
    if not macros and not compilers:
        raise UserError("it has no [[macro]] and no [[compiler]]; legal: at least one")
    return SramTable(source, synthetic, macros, compilers)


def read_table(path: Path) -> SramTable:
    """A table from a TOML file.

    Raises:
        UserError: if the file cannot be read, or is not such a table.
    """
    try:
        return parse_table(read_toml(path).values, path.name)
    except (OSError, TomlError, UserError) as error:
        line = f"line {error.line}: " if isinstance(error, TomlError) and error.line else ""
        raise UserError(f"--sram = {path} is not legal; legal values: a TOML file of SRAM macros (docs/area.md): "
                        f"{line}{getattr(error, 'strerror', None) or error}") from None
