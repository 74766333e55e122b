"""One HTML file about a run: exactness, cycles, where they went, trajectories, area, and the command that gives it again."""

import argparse
import json
import shlex
from pathlib import Path
from typing import Any

from trajectile.scripts.area.synthesis import synthesize
from trajectile.scripts.command_line import terminal
from trajectile.scripts.command_line.again import again
from trajectile.scripts.command_line.batch import add_batch_arguments, simulated
from trajectile.scripts.command_line.errors import Exit
from trajectile.scripts.command_line.tables import simulation_table
from trajectile.scripts.errors import UserError
from trajectile.scripts.flow.simulation import usual_simulator
from trajectile.scripts.report.page import FILE, write
from trajectile.sw_model.config import Config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``trajectile report``."""
    add_batch_arguments(parser)
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, dest="page",
                        help=f"the page (default build/run/CONFIG/{FILE})")
    parser.add_argument("--area", metavar="FILE", type=Path,
                        help="area, and energy if it is there, that trajectile synthesize --json wrote; default: synthesize "
                             "the tile now, in IHP SG13G2 (not with --timing-only)")
    parser.add_argument("--no-area", action="store_true", help="leave the area out")


def command_line(args: argparse.Namespace, page: str = "report") -> str:
    """The command that gives a page with the same figures."""
    words = [again(args, page, add_batch_arguments, {"simulator": usual_simulator(timing_only=args.timing_only)})]
    if getattr(args, "area", None):
        words += ["--area", shlex.quote(str(args.area))]
    return " ".join([*words, *(["--no-area"] if getattr(args, "no_area", False) else [])])


def _read_area(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"--area = {path} is not legal ({error}); legal: JSON that trajectile synthesize --json "
                        "wrote") from None


def run(args: argparse.Namespace, config: Config) -> int:
    """``trajectile report``."""
    console = terminal.console(args)
    if args.area and args.no_area:
        raise UserError("--area is not legal with --no-area; legal: one of them")
    area = _read_area(args.area) if args.area else None
    folder = Path("build/run") / config.name
    page = args.page or folder / FILE
    done = simulated(args, config, console, folder)
    values = done.summary()
    if not (args.area or args.no_area or args.timing_only):
        with terminal.status("synthesizing the tile"):
            area = synthesize(config, folder / "area")
    write(page, config, done.plan, done.events, values, area, command_line(args))
    terminal.answer(args, values | {"report": str(page)})
    console.print(simulation_table(values))
    console.print(f"report            {page}", highlight=False, soft_wrap=True)
    return Exit.DONE if done.exact else Exit.NOT_EXACT
