"""Technologies: which cells and which SRAM macros a tile is made of."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from trajectile.scripts.area import liberty
from trajectile.scripts.area.cells import Cell, Cells
from trajectile.scripts.area.graph import LoadModel
from trajectile.scripts.area.sram_compiler import Macro, SramTable, read_table
from trajectile.scripts.errors import UserError

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True)
class Known:
    """What comes with the project for a technology."""

    title: str
    #: what areas are in
    unit: str
    #: what timing assumes beside a full Liberty; None where there is none to be had
    loads: LoadModel | None
    #: cells of the full Liberty that are not used: hold and clock buffers, scan, and what only makes flip-flops larger
    unused: str = r"(?!)"
    #: that speed and power estimates aim at
    clock_mhz: float = 100.0


#: wires of ASAP7: 1.5 um of 0.2 fF/um a pin; of SG13G2: the wire load "0_1k" of its Liberty, 0.1 fF/um and some 7 um a pin
TECHNOLOGIES = {
    "sg13g2": Known("IHP SG13G2, 130 nm", "um2",
                    LoadModel(wire_ff=0.75, slew_ps=100.0, buffer="sg13g2_buf_2", macro_pin_ff=3.2),
                    r"sg13g2_(dly|ebuf|einv|sdf|slg|lgc|dl|sighold|fill|decap|antenna|dfrbp_)"),
    "asap7": Known("ASAP7, 7 nm predictive", "um2",
                   LoadModel(wire_ff=0.3, slew_ps=20.0, buffer="BUFx4_ASAP7_75t_R", macro_pin_ff=5.0),
                   r"HB\d|CKINV|ICG|SDF|D[HL]L|DFFHQx4|DFFL|DFFASR|FAx|HAx", clock_mhz=800.0),
    "generic": Known("generic gates, NAND2 equivalents", "NAND2", None),
}


@dataclass(frozen=True)
class Technology:
    """Cells and macros that a tile is mapped to."""

    name: str
    title: str
    unit: str
    #: where the cells come from: file names
    sources: tuple[str, ...]
    cells: Cells
    srams: SramTable
    #: None without delays
    loads: LoadModel | None
    #: the project's own library, not a user's
    own: bool

    @property
    def mux_area(self) -> float:
        """Area of a two-input multiplexer: the smallest cell that is one, else what two and a half NAND gates take."""
        found = [cell.area_um2 for cell in self.cells.values() if re.search(r"mux2", cell.name, re.I)]
        gates = [cell.area_um2 for cell in self.cells.values() if re.search(r"nand2", cell.name, re.I)]
        return min(found, default=2.5 * min(gates, default=0.0))

    @property
    def port_load_ff(self) -> float:
        """What an output of a block is assumed to drive: eight inputs of the reference buffer."""
        if self.loads is None:
            return 0.0
        buffer = self.cells[self.loads.buffer]
        return self.loads.fanout * (next(iter(buffer.capacitance.values())) + self.loads.wire_ff)

    @property
    def register_area(self) -> float:
        """Area of a bit of memory in flip-flops, as a first guess: the flip-flop, its enable, its part of the reading."""
        flops = [cell.area_um2 for cell in self.cells.values() if cell.sequential]
        return min(flops, default=0.0) + 2 * self.mux_area


def liberty_macros(cells: Iterable[tuple[str, float]]) -> list[Macro]:
    """SRAM macros among Liberty cells: ``RAM`` or ``RM_`` and ``<depth>x<width>`` in the name; ``2P`` means two ports,
    ``_BM`` bit masks.
    """
    found = []
    for name, area in cells:
        if size := re.search(r"(?:RAM|RM_).*?(\d+)x(\d+)", name, re.I):
            found.append(Macro(name, int(size[1]), int(size[2]), "2P" in name.upper(), area,
                               masked="_BM" in name.upper()))
    return found


def _measured(macros: Sequence[Macro], table: SramTable) -> tuple[Macro, ...]:
    """Macros of a Liberty file with what the technology's table knows about them by name."""
    known = {macro.name: macro for macro in table.macros}
    result = []
    for macro in macros:
        same = next((known[name] for name in known if macro.name.startswith(name)), None)
        result.append(replace(same, name=macro.name, area_um2=macro.area_um2) if same else macro)
    return tuple(result)


def _usable(cell: Cell, unused: str) -> bool:
    """Logic of one output, or a flip-flop."""
    return len(cell.functions) == 1 and all(cell.functions.values()) and not re.match(unused, cell.name)


def load(name: str = "sg13g2", paths: Sequence[Path] = (), sram: Path | None = None) -> Technology:
    """A technology of the project, with Liberty files or SRAM macros of the user's own instead.

    Args:
        name: one of ``TECHNOLOGIES``.
        paths: Liberty files of cells and of SRAM macros; none for the areas that come with the project.
        sram: a table of SRAM macros (TOML).

    Raises:
        UserError: if a file cannot be read, or the cells are not enough to build anything.
    """
    known = TECHNOLOGIES[name]
    files = list(paths) or [DATA / f"{name}_area.lib"]
    libraries, areas = [], dict[str, float]()
    for path in files:
        found, groups = liberty.read(path, liberty.text_of(path))
        areas |= found
        libraries += groups
    try:
        cells = Cells(libraries)
    except (ValueError, IndexError, KeyError) as error:
        raise UserError(f"--liberty = {', '.join(map(str, paths))} is not legal; legal values: Liberty files with tables of "
                        f"numbers ({error})") from None
    table = read_table(DATA / f"{name}_sram.toml")
    macros = liberty_macros(areas.items())
    for macro in macros:
        cells.pop(macro.name, None)
    if macros:
        table = SramTable(", ".join(path.name for path in files), any("fake" in macro.name for macro in macros),
                          _measured(macros, table))
    elif paths and not sram and not _same_process(cells, name):
        table = SramTable("none", False)
    if sram:
        table = read_table(sram)
    for cell in [cell for cell in cells.values() if not _usable(cell, known.unused)]:
        del cells[cell.name]
    loads = known.loads if cells.timed and known.loads and known.loads.buffer in cells else None
    return Technology(name, known.title if _same_process(cells, name) else "cells of the user", known.unit,
                      tuple(path.name for path in files), cells, table, loads, not paths)


def _same_process(cells: Cells, name: str) -> bool:
    """The cells are those of a technology of the project: its flip-flop is among them."""
    own = Cells(liberty.read(DATA / f"{name}_area.lib", liberty.text_of(DATA / f"{name}_area.lib"))[1])
    return any(cell in cells for cell in own)


def check(technology: Technology) -> None:
    """Refuse cells that nothing can be built of, before Yosys spends minutes on the attempt.

    Raises:
        UserError: with what is missing.
    """
    cells = technology.cells.values()
    if not any(cell.state_kind == "ff" for cell in cells):
        missing = "flip-flop"
    elif not any(len(cell.capacitance) == 1 and not cell.sequential for cell in cells):
        missing = "inverter"
    elif not any(len(cell.capacitance) > 1 and not cell.sequential for cell in cells):
        missing = "gate of two inputs"
    else:
        return
    raise UserError(f"--liberty = {', '.join(technology.sources)} is not legal: no {missing} among its usable cells; legal "
                    f"values: Liberty files with cells that a design can be mapped to")
