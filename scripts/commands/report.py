"""One HTML file about a run: exactness, cycles, where they went, trajectories, area, and the command that gives it again."""

import argparse
import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trajectile.scripts.command_line import tables as report
from trajectile.scripts.command_line import terminal
from trajectile.scripts.command_line.errors import Exit, ToolError, UserError
from trajectile.scripts.commands import simulate, synthesize
from trajectile.scripts.report.facts import facts
from trajectile.scripts.report.page import render
from trajectile.sw_model.config import Config

#: its name beside a run's other files
FILE = "report.html"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``trajectile report``."""
    simulate.add_batch_arguments(parser)
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, dest="page",
                        help=f"the page (default build/run/CONFIG/{FILE})")
    parser.add_argument("--area", metavar="FILE", type=Path,
                        help="area, and energy if it is there, that trajectile synthesize --json wrote; default: synthesize "
                             "the tile now, in IHP SG13G2 (not with --timing-only)")
    parser.add_argument("--no-area", action="store_true", help="leave the area out")


def command_line(args: argparse.Namespace, page: str = "report") -> str:
    """The command that gives a page with the same figures: what differs from the default of an argument."""
    parser = argparse.ArgumentParser()
    simulate.add_batch_arguments(parser)
    words = ["trajectile", page, str(args.config)]
    for override in args.overrides:
        words += ["--set", override]
    for name, default in vars(parser.parse_args([])).items():
        value, option = getattr(args, name), "--" + name.replace("_", "-")
        if value is True:
            words.append(option)
        elif value is not False and value != default and not (name == "simulator" and value == _usual(args)):
            words += [option, str(value)]
    if getattr(args, "area", None):
        words += ["--area", str(args.area)]
    return shlex.join([*words, *(["--no-area"] if getattr(args, "no_area", False) else [])])


def _usual(args: argparse.Namespace) -> str:
    """The simulator that is taken where none is named."""
    return "native" if args.timing_only else "verilator"


def write(page: Path, done: simulate.Simulation, values: Mapping[str, Any], area: Mapping[str, Any] | None,
          command: str) -> Path:
    """Write the page of a simulation; returns its path.

    Args:
        page: the file; its folder is made.
        done: the simulation.
        values: its summary.
        area: what ``synthesize`` says, if it was asked.
        command: that gives the page again.

    Raises:
        UserError: if ``area`` is of another configuration.
        ToolError: if the batch did not come to its end.
    """
    if not values["counters"]:
        raise ToolError(f"no report on a batch that did not end: {values['events']}")
    page.parent.mkdir(parents=True, exist_ok=True)
    shown = facts(done.config, done.plan, done.first.log, values, area, command)
    page.write_text(render(done.config, shown), encoding="utf-8")
    return page


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
    folder = args.output = Path("build/run") / config.name
    page = args.page or folder / FILE
    done, load = simulate.with_progress(args, config, console)
    values = simulate.summary(done, load, args)
    if not (args.area or args.no_area or args.timing_only):
        with terminal.status("synthesizing the tile"):
            area = synthesize.synthesize(config, folder / "area")
    write(page, done, values, area, command_line(args))
    terminal.answer(args, values | {"report": str(page)})
    console.print(report.simulation_table(values))
    console.print(f"report            {page}", highlight=False, soft_wrap=True)
    return Exit.DONE if simulate.exact(done) else Exit.NOT_EXACT
