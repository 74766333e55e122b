"""Area of a tile by block: cells from Yosys, SRAM as macros."""

import argparse
import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from rich.console import Console

from hw.lib import yosys
from scripts import generate, liberty, report
from scripts.errors import ToolError, UserError
from sw_model.config import Config

DATA = Path(__file__).parent / "data"
#: what ships with the project: standard cells and SRAM macros of IHP SG13G2, areas only
DEFAULT_LIBERTY = DATA / "sg13g2_area.lib"
DEFAULT_SRAM = DATA / "sg13g2_sram.toml"

#: SRAM modules are black boxes and the hierarchy stays, so every block is mapped once and found again in the report.
SCRIPT = """read_verilog sram.v
blackbox *
read_verilog tile.v
hierarchy -check -top {top}
synth -noabc -top {top}
dfflibmap {liberty}
abc -script map.abc {liberty}
opt_clean -purge
check -mapped
tee -q -o stat.json stat -json {liberty}
"""
#: What ABC does with each block. Its default script spends minutes in sequential cleaning on our multipliers, for the same
#: area.
MAPPING = "strash\ndc2\n&get -n\n&nf\n&put\n"


@dataclass(frozen=True)
class Macro:
    """An SRAM macro of a library."""

    name: str
    depth: int
    width: int
    #: read and write in the same cycle
    two_port: bool
    area_um2: float


@dataclass(frozen=True)
class BlockArea:
    """One kind of block in a tile. Blocks inside it are counted by themselves."""

    instances: int
    #: of all instances
    cell_area_um2: float
    sram_bits: int
    #: None if the libraries have no SRAM macro
    sram_area_um2: float | None


@dataclass(frozen=True)
class Libraries:
    """Texts of the Liberty files, and of each cell its area (um2) and its group."""

    texts: Sequence[str]
    areas: Mapping[str, float]
    macros: Sequence[Macro]
    cells: Mapping[str, liberty.Group]


def read_libraries(paths: Sequence[Path]) -> Libraries:
    """Read Liberty files; without any the cells and SRAM macros that come with the project.

    Raises:
        UserError: if one cannot be read, is not Liberty or has no cells.
    """
    texts = [liberty.text_of(path) for path in paths or [DEFAULT_LIBERTY]]
    known: dict[str, float] = {}
    cells: dict[str, liberty.Group] = {}
    for path, text in zip(paths or [DEFAULT_LIBERTY], texts, strict=True):
        found, trees = liberty.read(path, text)
        known |= found
        cells |= {cell.name: cell for library in trees for cell in library.of("cell")}
    return Libraries(texts, known, liberty_macros(known) if paths else shipped_macros(), cells)


def liberty_macros(areas_by_cell: Mapping[str, float]) -> list[Macro]:
    """SRAM macros among Liberty cells: ``RAM`` or ``RM_`` and ``<depth>x<width>`` in the name; ``2P`` means two ports."""
    found = []
    for name, area in areas_by_cell.items():
        if size := re.search(r"(?:RAM|RM_).*?(\d+)x(\d+)", name, re.I):
            found.append(Macro(name, int(size[1]), int(size[2]), "2P" in name.upper(), area))
    return found


def shipped_macros() -> list[Macro]:
    """The SRAM macros of the default library."""
    table = tomllib.loads(DEFAULT_SRAM.read_text(encoding="utf-8"))
    return [Macro(**entry) for entry in table["macro"]]


def sram_area(macros: Sequence[Macro], depth: int, width: int, *, two_port: bool) -> float | None:
    """Smallest area of ``depth`` words of ``width`` bits tiled with one kind of macro; None without macros.

    A two-port SRAM of a library that has only single-port macros counts as two single-port ones (two banks).
    """
    fitting = [macro for macro in macros if macro.two_port == two_port]
    if not fitting:
        return 2 * sram_area(macros, depth, width, two_port=False) if two_port and macros else None
    return min(ceil(depth / macro.depth) * ceil(width / macro.width) * macro.area_um2 for macro in fitting)


def _cells(log: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """Instances of each cell type by module."""
    return {name.lstrip("\\"): {str(kind).lstrip("\\"): int(count) for kind, count in module["num_cells_by_type"].items()}
            for name, module in log["modules"].items()}


def map_tile(made: generate.Design, folder: Path, libraries: Libraries, more: str = "") -> None:
    """Map the tile of a design to cells in ``folder`` (``stat.json`` has what it took); ``more`` is script that comes after.

    Raises:
        YosysError: if Yosys fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = made.files()
    (folder / "sram.v").write_text(files["trajectile_sram.v"], encoding="utf-8")
    (folder / "tile.v").write_text(files["trajectile_tile.v"], encoding="utf-8")
    (folder / "map.abc").write_text(MAPPING, encoding="utf-8")
    names = [f"library_{number}.lib" for number in range(len(libraries.texts))]
    for name, text in zip(names, libraries.texts, strict=True):
        (folder / name).write_text(text, encoding="utf-8")
    script = SCRIPT.format(top=made.tile, liberty=" ".join(f"-liberty {name}" for name in names))
    yosys.run(script + more, folder, "synth")


def areas(made: generate.Design, folder: Path, libraries: Libraries) -> dict[str, BlockArea]:
    """Synthesize the tile of a design; areas by kind of block, without the prefix ``trajectile_``.

    Raises:
        UserError: if the libraries lack a cell that the design needs.
        YosysError: if Yosys fails.
    """
    map_tile(made, folder, libraries)
    cells = _cells(json.loads((folder / "stat.json").read_text(encoding="utf-8")))
    known = libraries.areas

    def instances(name: str, times: int = 1) -> Iterator[tuple[str, int]]:
        yield name, times
        for kind, count in cells.get(name, {}).items():
            if kind in cells or kind in made.srams:
                yield from instances(kind, times * count)

    count: dict[str, int] = {}
    for name, times in instances(made.tile):
        count[name] = count.get(name, 0) + times
    result = {}
    for name, times in count.items():
        if name in made.srams:
            continue
        bits, cell_area, macro_area = 0, 0.0, 0.0
        missing = False
        for kind, number in cells[name].items():
            if kind in made.srams:
                depth, width, ports = made.srams[kind]
                area = sram_area(libraries.macros, depth, width, two_port=ports == "1r1w")
                bits += number * depth * width
                macro_area += number * (area or 0.0)
                missing |= area is None
            elif kind not in cells:
                if kind not in known:
                    raise UserError(f"cell {kind} of {name} is not mapped: the Liberty files have no cell for it")
                cell_area += number * known[kind]
        result[name.removeprefix("trajectile_")] = BlockArea(
            times, round(times * cell_area, 3), times * bits,
            None if missing else round(times * macro_area, 3))
    return result


def summary(config: Config, blocks: Mapping[str, BlockArea], paths: Sequence[Path]) -> dict[str, Any]:
    """What ``--json`` writes: totals are the sums of the blocks."""
    known = all(block.sram_area_um2 is not None for block in blocks.values())
    return {
        "config": {"name": config.name, **config.as_dict},
        "liberty": [str(path) for path in paths] or [DEFAULT_LIBERTY.name],
        "what": "one tile",
        "blocks": {name: vars(block) for name, block in blocks.items()},
        "totals": {
            "cell_area_um2": sum(block.cell_area_um2 for block in blocks.values()),
            "sram_bits": sum(block.sram_bits for block in blocks.values()),
            "sram_area_um2": sum(block.sram_area_um2 or 0.0 for block in blocks.values()) if known else None,
        },
    }


def synthesize(config: Config, folder: Path, paths: Sequence[Path] = ()) -> dict[str, Any]:
    """Area of one tile of a configuration, as :func:`summary` has it.

    Args:
        config: the accelerator.
        folder: where scripts and logs go.
        paths: Liberty files; without any those of the project.

    Raises:
        UserError: if a library cannot be read, or Yosys cannot use it.
        ToolError: if Yosys fails with the project's own.
    """
    libraries = read_libraries(paths)
    try:
        return summary(config, areas(generate.design(config), folder, libraries), paths)
    except yosys.YosysError as error:
        if not paths:
            raise ToolError(str(error)) from error
        said = [line for line in str(error).splitlines() if "ERROR" in line or "error" in line]
        raise UserError(f"--liberty = {', '.join(map(str, paths))} is not legal; legal values: cells that a design can be "
                        f"mapped to (Yosys: {said[-1].strip() if said else 'failed'}; log in {folder})") from error


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``trajectile synthesize``."""
    parser.add_argument("--liberty", metavar="FILE", type=Path, action="append", default=[],
                        help="Liberty file (plain or gzip) of cells or SRAM macros; may be repeated; default: areas of "
                             "IHP SG13G2, which come with the project")
    parser.add_argument("--json", metavar="OUT", type=Path, help="write the result as JSON")
    parser.add_argument("-o", "--output", metavar="DIR", type=Path,
                        help="folder for scripts and logs (default build/area/CONFIG)")


def run(args: argparse.Namespace, config: Config) -> int:
    """``trajectile synthesize``."""
    console = Console()
    with console.status("synthesizing the tile"):
        values = synthesize(config, args.output or Path("build/area") / config.name, args.liberty)
    if args.json:
        report.write_json(args.json, values)
    console.print(report.area_table(values))
    return 0
