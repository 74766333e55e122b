"""What a tile costs: area by block in a technology, SRAM as macros; on request its speed and the energy of a batch."""

import argparse
from pathlib import Path
from typing import Any

from hw.lib.yosys import YosysError
from scripts import generate, terminal
from scripts.area import power, speed, tile_report
from scripts.area import technology as technologies
from scripts.area.power import Counters, Outside
from scripts.area.technology import TECHNOLOGIES, Technology
from scripts.errors import ToolError, UserError
from sw_model.config import Config


def synthesize(config: Config, folder: Path, technology: Technology | None = None, *, registers: int | None = None,
               clock_mhz: float | None = None, counters: Counters | None = None, outside: Outside | None = None,
               made: generate.Design | None = None) -> dict[str, Any]:
    """What one tile of a configuration takes: :func:`scripts.area.tile_report.area_of`, and on request speed and power.

    Args:
        config: the accelerator.
        folder: where scripts and logs go.
        technology: cells and SRAM macros; IHP SG13G2 by default.
        registers: memories of at most so many bits become flip-flops; None: those that are smaller so.
        clock_mhz: map once more for this clock, and estimate the speed.
        counters: what a batch did; with ``clock_mhz`` also estimate its energy.
        outside: energies outside of the tiles.
        made: the generated design, where somebody has it.

    Raises:
        UserError: if Yosys cannot use the libraries of the user, or they have no delays or energies.
        ToolError: if Yosys fails with the project's own.
    """
    technology = technology or technologies.load()
    if clock_mhz and technology.loads is None:
        raise UserError("a speed or power estimate needs delays and energies; legal: --technology sg13g2 or asap7, with "
                        "--liberty for the full libraries of its cells")
    made, period = made or generate.design(config), clock_mhz and 1e6 / clock_mhz
    try:
        values, mapped, choices = tile_report.area_of(config, made, folder, technology, registers=registers, period_ps=period)
    except YosysError as error:
        raise failed(error, technology, folder) from error
    if period:
        values["speed"] = speed.speed_of(made, mapped, folder, technology, choices, period)
    if clock_mhz and counters:
        values["power"] = power.power_of(config, made, mapped, folder, technology, choices, counters, clock_mhz,
                                         outside or Outside())
    return values


def failed(error: YosysError, technology: Technology, folder: Path) -> UserError:
    """What to say when Yosys fails: a user's libraries are to blame before the project's are."""
    if technology.own:
        return ToolError(str(error))
    said = [line for line in str(error).splitlines() if "ERROR" in line or "error" in line]
    return UserError(f"--liberty = {', '.join(technology.sources)} is not legal; legal values: cells that a design can be "
                     f"mapped to (Yosys: {said[-1].strip() if said else 'failed'}; log in {folder})")


def add_technology(parser: argparse.ArgumentParser) -> None:
    """Arguments that say what a tile is made of."""
    parser.add_argument("--technology", choices=TECHNOLOGIES, default="sg13g2",
                        help="; ".join(f"{name}: {known.title}" for name, known in TECHNOLOGIES.items())
                             + " (default sg13g2)")
    parser.add_argument("--liberty", metavar="FILE", type=Path, action="append", default=[],
                        help="Liberty file (plain or gzip) of cells or SRAM macros, in place of the areas that come with the "
                             "project; may be repeated")
    parser.add_argument("--sram", metavar="FILE", type=Path, help="SRAM macros: a TOML table (docs/area.md)")
    parser.add_argument("--registers", metavar="BITS", type=int,
                        help="memories of at most BITS bits become flip-flops (default: those that are smaller so)")


def chosen(args: argparse.Namespace) -> Technology:
    """The technology that the arguments name."""
    return technologies.load(args.technology, args.liberty, args.sram)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``trajectile synthesize``."""
    add_technology(parser)
    parser.add_argument("--speed", action="store_true",
                        help="also map for a clock and report the longest paths (needs --liberty with the full libraries)")
    parser.add_argument("--clock", metavar="MHZ", type=float,
                        help="clock that --speed and --power aim at (default: "
                             + ", ".join(f"{name} {known.clock_mhz:.0f}" for name, known in TECHNOLOGIES.items()
                                         if known.loads) + ")")
    parser.add_argument("-o", "--output", metavar="DIR", type=Path,
                        help="folder for scripts and logs (default build/area/CONFIG-TECHNOLOGY)")


def run(args: argparse.Namespace, config: Config) -> int:
    """``trajectile synthesize``."""
    console = terminal.console(args)
    if not console.is_terminal:
        console.width = max(console.width, 160)
    technology = chosen(args)
    folder = args.output or Path("build/area") / f"{config.name}-{args.technology}"
    if args.clock is not None and not 1 <= args.clock <= 100_000:
        raise UserError(f"--clock = {args.clock} is not legal; legal values: 1 to 100000 (MHz)")
    clock = (args.clock or TECHNOLOGIES[args.technology].clock_mhz) if args.speed else None
    with terminal.status("synthesizing the tile"):
        values = synthesize(config, folder, technology, registers=args.registers, clock_mhz=clock)
    terminal.answer(args, values)
    tile_report.show(values, console)
    if "speed" in values:
        console.print()
        speed.show(values["speed"], console)
    return 0
