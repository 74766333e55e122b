"""A library with made-up delays: the shipped cells of SG13G2, each in a small and a strong size, all tables planes."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from trajectile.scripts.area import technology
from trajectile.scripts.area.cells import Arc, Cell, Cells, Table
from trajectile.scripts.area.graph import LoadModel
from trajectile.scripts.area.library_text import library_text

#: the library says capacitances as they are
NO_WIRE = LoadModel(wire_ff=0.0, slew_ps=10.0, buffer="sg13g2_buf_2")
#: of a flip-flop
SETUP_PS = 30.0
#: what the library names as its own wire-load model: 3 long for one pin, 20 for four, 4 more for each beyond
WIRE_LOAD = ('  default_wire_load : "some";\n  wire_load ("some") { capacitance : 0.5; resistance : 0; area : 0; slope : 4; '
             "fanout_length (1, 3); fanout_length (4, 20); }\n")
AXES = np.linspace(0, 600, 7)


def _plane(constant: float, of_slew: float, of_load: float) -> Table:
    """What is linear in both is exact between the points and beyond them."""
    return Table(AXES, AXES, constant + of_slew * AXES[:, None] + of_load * AXES[None, :])


def _timed(cell: Cell, name: str, strength: float) -> Cell:
    """A cell of so many times the strength."""
    target = next(iter(cell.functions))
    sources = [cell.clock] if cell.sequential else list(cell.capacitance)
    delay = (_plane(15, 0.1, 3 / strength), _plane(20, 0.15, 2 / strength))
    slew = (_plane(8, 0.0, 4 / strength), _plane(10, 0.0, 3 / strength))
    return replace(cell, name=name, area_um2=cell.area_um2 * (1 + strength) / 2, group=None,
                   capacitance=dict.fromkeys(cell.capacitance, 2.0 * (1 + strength) / 2),
                   setup_ps=SETUP_PS if cell.sequential else 0.0,
                   arcs=[Arc(source, target, "non_unate", cell.sequential, delay, slew) for source in sources])


def write(path: Path) -> Path:
    """Write the library."""
    cells = Cells([])
    for name, cell in technology.load().cells.items():
        cells[name] = _timed(cell, name, 1.0)
        strong = name.removesuffix("_1") + "_4" if name.endswith("_1") else f"{name}_strong"
        cells[strong] = _timed(cell, strong, 3.0)
    buffer = technology.load().cells["sg13g2_buf_1"]
    cells["sg13g2_buf_2"] = _timed(buffer, "sg13g2_buf_2", 2.0)
    head, brace, rest = library_text(cells, NO_WIRE).partition("{\n")
    path.write_text(head + brace + WIRE_LOAD + rest, encoding="utf-8")
    return path
