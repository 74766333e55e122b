"""Blocks of the smoke tile placed and routed, for docs/area.md: what wires and the space between cells add to Yosys's figure.

    python -m trajectile.scripts.maintain.place_and_route                 # all blocks: some minutes
    python -m trajectile.scripts.maintain.place_and_route --block router  # some of them, printed and not written

The tools are those that Debian has (``apt install qflow qflow-tech-osu018 graywolf qrouter magic xvfb``), the process is
OSU's 180 nm library. qflow maps a block with its own Yosys and buffers, graywolf places it, qrouter routes it in six
layers of metal.
"""

import argparse
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from trajectile.hw.design import Design, design
from trajectile.scripts.area import technology
from trajectile.scripts.area.blocks import PREFIX
from trajectile.scripts.area.flow import map_tile
from trajectile.scripts.errors import ToolError
from trajectile.scripts.maintain import pages
from trajectile.scripts.report.markdown import table_rows
from trajectile.sw_model.config import load

TECH = "osu018"
LIBRARY = Path("/usr/share/qflow/tech") / TECH
FOLDER = Path("build/place_and_route")
PAGE, PART = "area.md", "area placed"
#: of the smoke tile, without SRAM, some hundred cells each
BLOCKS = ("access_port", "bfloat_converter", "ddr_loader", "record_parser", "rule_engine", "slice_sender", "expert_order")
HEAD = ("block", "cells of Yosys", "um2", "cells placed", "um2", "placed / Yosys", "die um2", "cells in it", "mm of wire",
        "um a sink", "in cells")
STEPS = ("synthesize", "place", "route")
TOOLS = ("qflow", "graywolf", "qrouter", "magic")
#: nets that are trees of their own on a chip
_TREES = ("clk", "rst")

_POINT = re.compile(r"\( (\S+) (\S+)[^)]*\)")


@dataclass(frozen=True)
class Layout:
    """A block as it has been laid out. Areas in um2, lengths in um."""

    cells: int
    cell_area: float
    die_area: float
    #: of all signals but clock and reset: inputs that they go to, and the length of their wires
    sinks: int
    wire: float

    @property
    def wire_per_sink(self) -> float:
        """Length of wire for each input."""
        return self.wire / self.sinks if self.sinks else 0.0

    @property
    def in_cells(self) -> float:
        """The same in edges of a square of a cell's mean area: what stays much the same from one process to another."""
        return self.wire_per_sink / (self.cell_area / self.cells) ** 0.5 if self.cells else 0.0


def missing() -> list[str]:
    """What is not installed of what this needs."""
    return [tool for tool in TOOLS if shutil.which(tool) is None] + ([] if LIBRARY.is_dir() else [f"qflow-tech-{TECH}"])


def lef_areas(text: str) -> dict[str, float]:
    """Area of each cell of a LEF file."""
    found = re.findall(r"^MACRO (\S+)\n(?:.*\n)*?\s*SIZE\s+([\d.]+)\s+BY\s+([\d.]+)", text, re.M)
    return {name: float(width) * float(height) for name, width, height in found}


def _length(routed: str) -> int:
    """Of the wires of a net, in the unit of the file."""
    total = 0
    for segment in re.split(r"\bNEW\b", routed):
        last: tuple[int, int] | None = None
        for x, y in _POINT.findall(segment):
            if last is None:
                last = int(x), int(y)
                continue
            point = (last[0] if x == "*" else int(x), last[1] if y == "*" else int(y))
            total += abs(point[0] - last[0]) + abs(point[1] - last[1])
            last = point
    return total


def layout_of(text: str, areas: dict[str, float]) -> Layout:
    """Reads a routed DEF file.

    Raises:
        ToolError: if a net has no wires.
    """
    unit = int(re.search(r"UNITS DISTANCE MICRONS (\d+)", text)[1])  # type: ignore[index]
    (left, bottom), (right, top) = [(int(x), int(y)) for x, y in _POINT.findall(
        re.search(r"^DIEAREA .*;", text, re.M)[0])][:2]  # type: ignore[index]
    components = text.partition("\nCOMPONENTS")[2].partition("END COMPONENTS")[0]
    kinds = dict(re.findall(r"^- (\S+) (\S+)", components, re.M))
    cells = [kind for kind in kinds.values() if not kind.startswith("FILL")]
    sinks, wire = 0, 0.0
    for net in text.partition("\nNETS")[2].partition("END NETS")[0].split("\n- ")[1:]:
        name, pins = net.split()[0], re.findall(r"^\s+\( (\S+) (\S+) \)", net.partition("+ ROUTED")[0], re.M)
        if len(pins) < 2 or name in _TREES or re.match(rf"({'|'.join(_TREES)})_bF", name):
            continue
        if "+ ROUTED" not in net:
            raise ToolError(f"net {name} of {len(pins)} pins has no wire")
        sinks += len(pins) - 1
        wire += _length(net.partition("+ ROUTED")[2]) / unit
    return Layout(len(cells), sum(areas[kind] for kind in cells), (right - left) * (top - bottom) / unit ** 2, sinks, wire)


def closure(made: Design, block: str) -> dict[str, str]:
    """The modules of a block and of the blocks in it."""
    found, waiting = dict[str, str](), [PREFIX + block]
    while waiting:
        name = waiting.pop()
        if name not in made.modules or name in made.srams:
            raise ToolError(f"--block = {block} is not legal: {name} is no block of logic; legal: {', '.join(BLOCKS)}")
        found[name] = made.modules[name]
        waiting += [other for other in {*made.modules, *made.srams} - found.keys()
                    if re.search(rf"^  {other} ", made.modules[name], re.M)]
    return found


def yosys_area(made: Design, block: str) -> tuple[int, float]:
    """Cells and their area by the flow of ``trajectile synthesize``, in the same library."""
    cells = technology.load("generic", [LIBRARY / f"{TECH}_stdcells.lib"])
    parts = closure(made, block)
    mapped = map_tile(Design(made.config, False, parts, {}, "", PREFIX + block), None, cells, {}).modules

    def total(name: str) -> tuple[int, float]:
        count, area = 0, 0.0
        for kind, number in mapped[name].items():
            inner = total(kind) if kind in mapped else (1, cells.cells[kind].area_um2)
            count, area = count + number * inner[0], area + number * inner[1]
        return count, area
    return total(PREFIX + block)


def lay_out(made: Design, block: str) -> Layout:
    """Place and route a block.

    Raises:
        ToolError: if a tool is missing or fails, or a net is left without wires.
    """
    if lacking := missing():
        raise ToolError(f"not installed: {', '.join(lacking)} (Debian: apt install qflow qflow-tech-{TECH} graywolf qrouter "
                        "magic xvfb)")
    name, folder = PREFIX + block, FOLDER / block
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "source").mkdir(parents=True)
    (folder / "source" / f"{name}.v").write_text("\n".join(closure(made, block).values()), encoding="utf-8")
    screen = [] if os.environ.get("DISPLAY") or shutil.which("xvfb-run") is None else ["xvfb-run", "-a"]
    for step in STEPS:
        with (folder / f"{step}.log").open("w", encoding="utf-8") as log:
            done = subprocess.run([*screen, "qflow", "-T", TECH, step, name], cwd=folder, stdout=log, stderr=log,
                                  stdin=subprocess.DEVNULL, check=False, timeout=1800)
        if done.returncode:
            raise ToolError(f"qflow {step} of {block} failed (log: {folder / f'{step}.log'})")
    said = (folder / "log" / "route.log").read_text(encoding="utf-8", errors="replace")
    if "Final: No failed routes!" not in said:
        raise ToolError(f"{block} is not routed in full (log: {folder / 'log' / 'route.log'})")
    text = (folder / f"{name}.def").read_text(encoding="utf-8")
    return layout_of(text, lef_areas((LIBRARY / f"{TECH}_stdcells.lef").read_text(encoding="utf-8")))


def rows(blocks: Sequence[str]) -> Iterator[tuple[object, ...]]:
    """Of the table."""
    made = design(load("smoke"))
    for block in blocks:
        count, area = yosys_area(made, block)
        placed = lay_out(made, block)
        yield (f"`{block}`", f"{count:,}", f"{area:,.0f}", f"{placed.cells:,}", f"{placed.cell_area:,.0f}",
               f"{placed.cell_area / area:.2f}", f"{placed.die_area:,.0f}", f"{placed.cell_area / placed.die_area:.0%}",
               f"{placed.wire / 1000:,.1f}", f"{placed.wire_per_sink:.1f}", f"{placed.in_cells:.2f}")


def markdown(found: Iterable[tuple[object, ...]]) -> str:
    """The table of some rows."""
    return "\n".join(table_rows(HEAD, found))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="place_and_route", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--block", action="append", metavar="NAME", help=f"default: {', '.join(BLOCKS)}, into docs/{PAGE}")
    args = parser.parse_args(arguments)
    text = markdown(rows(args.block or BLOCKS))
    if not args.block:
        pages.write_part(PAGE, PART, text)
    print(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
