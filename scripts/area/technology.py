"""Technologies: which cells and which SRAM macros a tile is made of."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import permutations, product
from pathlib import Path

from trajectile.scripts.area import liberty
from trajectile.scripts.area.cells import Cells
from trajectile.scripts.area.graph import LoadModel
from trajectile.scripts.area.macros import macro_of
from trajectile.scripts.area.sram_compiler import Macro, SramTable, read_table
from trajectile.scripts.area.usable import is_function, why_not
from trajectile.scripts.area.wires import Wire, of_libraries
from trajectile.scripts.errors import UserError

DATA = Path(__file__).parent / "data"
#: mean length of wires in a block of a million cells by that of a block of 650: with Rent's exponent 0.6 it grows with the
#: number of cells to the power of 0.1 (W. Donath, IEEE Transactions on Circuits and Systems 26, 1979)
LARGE = 2.0

_INVERTER = {(True, False)}
_NAND = {(True, True, True, False)}
#: any of three inputs chooses between the others
_MULTIPLEXERS = {tuple(bool(bits[a] if bits[select] else bits[b]) for bits in product((0, 1), repeat=3))
                 for select, a, b in permutations(range(3))}


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


#: Wires of routed blocks of some hundred cells are 2.5 edges of a square of a cell's mean area long for each input that they
#: go to (docs/area.md, "Placed blocks"): 9 um of 0.2 fF/um in SG13G2, 0.7 um of 0.2 fF/um in ASAP7.
TECHNOLOGIES = {
    "sg13g2": Known("IHP SG13G2, 130 nm", "um2",
                    LoadModel(wire_ff=1.8, slew_ps=100.0, buffer="sg13g2_buf_2", macro_pin_ff=3.2),
                    r"sg13g2_(dly|ebuf|einv|sdf|slg|lgc|dl|sighold|fill|decap|antenna|dfrbp_)"),
    "asap7": Known("ASAP7, 7 nm predictive", "um2",
                   LoadModel(wire_ff=0.14, slew_ps=20.0, buffer="BUFx4_ASAP7_75t_R", macro_pin_ff=5.0),
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
    #: what of the libraries is left out, or had to be guessed
    notes: tuple[str, ...] = ()
    #: the libraries that cells come from
    files: tuple[Path, ...] = ()
    #: the wire-load model that they name as their own
    wire_load: Wire | None = None

    @property
    def wires(self) -> tuple[Wire, ...]:
        """What is assumed about wires when speed is estimated, the lightest first; that of the libraries last."""
        if self.loads is None:
            return ()
        one = self.loads.wire_ff
        found = (Wire("none", "no wires"),
                 Wire("placed", f"{one:g} fF a pin, as in placed blocks of some hundred cells", one),
                 Wire("large", f"{LARGE * one:g} fF a pin, as in blocks of a million", LARGE * one))
        return (*found, self.wire_load) if self.wire_load else found

    @property
    def mux_area(self) -> float:
        """Area of a two-input multiplexer: the smallest cell that is one, else what two and a half NAND gates take."""
        cells = self.cells.values()
        found = [cell.area_um2 for cell in cells if is_function(cell, 3, _MULTIPLEXERS)]
        gates = [cell.area_um2 for cell in cells if is_function(cell, 2, _NAND)]
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


def _measured(macros: Sequence[Macro], table: SramTable) -> tuple[Macro, ...]:
    """Macros of a Liberty file with what the technology's table knows about them by name."""
    known = {macro.name: macro for macro in table.macros}
    result = []
    for macro in macros:
        same = next((known[name] for name in known if macro.name.startswith(name)), None)
        result.append(replace(same, name=macro.name, area_um2=macro.area_um2) if same else macro)
    return tuple(result)


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
    libraries, macros, notes = [], list[Macro](), list[str]()
    without_area: list[str] = []
    places = dict[str, Path]()
    for path in files:
        areas, groups = liberty.read(path, liberty.text_of(path))
        libraries += groups
        for cell, library in [(cell, group) for group in groups for cell in group.of("cell")]:
            if cell.name in places:
                raise UserError(f"--liberty = {path} is not legal: cell {cell.name} is in {places[cell.name]} too; legal "
                                "values: Liberty files of different cells, one corner of each")
            places[cell.name] = path
            macro, note = macro_of(library, cell, areas.get(cell.name, 0.0))
            macros += [macro] if macro else []
            notes += [note] if note else []
            without_area += [cell.name] if not macro and not note and cell.name not in areas else []
    try:
        cells = Cells(libraries)
    except (ValueError, IndexError, KeyError) as error:
        raise UserError(f"--liberty = {', '.join(map(str, paths))} is not legal; legal values: Liberty files with tables of "
                        f"numbers ({error})") from None
    table = read_table(DATA / f"{name}_sram.toml")
    for macro in macros:
        cells.pop(macro.name, None)
    if macros:
        table = SramTable(", ".join(path.name for path in files), any("fake" in macro.name for macro in macros),
                          _measured(macros, table))
    elif paths and not sram and not _same_process(cells, name):
        table = SramTable("none", False)
    if sram:
        table = read_table(sram)
    unused = {cell.name: why_not(cell) or ("of no use here" if re.match(known.unused, cell.name) else "")
              for cell in cells.values()}
    for unusable in [cell for cell, why in unused.items() if why]:
        del cells[unusable]
    loads = known.loads if cells.timed and known.loads and known.loads.buffer in cells else None
    unused |= dict.fromkeys(without_area, "no area")
    left_out = Counter(why for why in unused.values() if why)
    if left_out:
        notes.append(f"{left_out.total()} of {len(unused)} cells left out: "
                     + ", ".join(f"{count} {why}" for why, count in left_out.most_common()))
    return Technology(name, known.title if _same_process(cells, name) else "cells of the user", known.unit,
                      tuple(path.name for path in files), cells, table, loads, not paths, tuple(notes), tuple(files),
                      of_libraries(libraries) if loads else None)


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
    elif not any(is_function(cell, 1, _INVERTER) for cell in cells):
        missing = "inverter"
    elif not any(len(cell.capacitance) > 1 and not cell.sequential for cell in cells):
        missing = "gate of two inputs"
    else:
        return
    notes = f" ({'; '.join(technology.notes)})" if technology.notes else ""
    raise UserError(f"--liberty = {', '.join(technology.sources)} is not legal: no {missing} among its usable cells{notes}; "
                    "legal values: Liberty files with cells that a design can be mapped to")
