"""One or two hardware parameters varied: a curve or a heat map."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from trajectile.scripts.command_line import terminal
from trajectile.scripts.command_line.batch import add_select
from trajectile.scripts.command_line.cells import add_technology, technology_of
from trajectile.scripts.command_line.gate import add_gate_arguments, gate_of
from trajectile.scripts.flow.comparison import write
from trajectile.scripts.flow.experiments import STRATEGIES, run_all
from trajectile.scripts.flow.variants import add_areas, entries_of, plan
from trajectile.scripts.folders import private
from trajectile.scripts.plots import area as area_plots
from trajectile.scripts.plots import comparison as plots
from trajectile.sw_model.config import Config, ConfigError, parse_variation
from trajectile.sw_model.schedule.scheduler import ORDERS


def values(text: str) -> tuple[str, list[Any]]:
    """``section.field=1,2,4`` or, for lists, ``section.field=[0],[0,3]``."""
    try:
        return parse_variation(text)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``trajectile sweep``."""
    parser.add_argument("--vary", type=values, action="append", required=True, metavar="SECTION.FIELD=V,V,...",
                        help="a field and its values (1,2,4 or plain,shared or, for lists, [0],[0,3]); once for a curve, "
                             "twice for a heat map")
    parser.add_argument("--tokens", type=int, default=64, help="batch size (default 64)")
    parser.add_argument("--strategy", choices=STRATEGIES, default="fse", help="default fse")
    parser.add_argument("--order", choices=ORDERS, default="balanced", help="default balanced")
    parser.add_argument("--windows", type=int, default=2, help="windows of the trace (default 2)")
    parser.add_argument("--area", action="store_true",
                        help="also synthesize each variant (half a minute to some minutes each): area against cycles, and "
                             "which variants no other beats in both")
    add_technology(parser)
    add_gate_arguments(parser)
    add_select(parser)


def run(args: argparse.Namespace, config: Config) -> int:
    """``trajectile sweep``."""
    console = terminal.console(args)
    gate = gate_of(args, console)
    swept = plan(config, args.vary, gate, tokens=args.tokens, strategy=args.strategy, order=args.order, windows=args.windows)
    folder = args.output or Path("build/sweep")
    technology = technology_of(args)
    with terminal.bar("batches", len(swept.tasks)) as done:
        entries = entries_of(swept, run_all(swept.tasks, folder, kind=args.executor, address=args.scheduler, done=done))
    fields, title = swept.fields, f"{config.name}, {args.tokens} tokens"
    table, files = _table(entries, fields), "sweep.csv, sweep.json, sweep.png"
    if args.area:
        with terminal.status("synthesizing") as line:
            add_areas(entries, swept, folder, technology, args.registers, line.update)
        table, files = _pareto_table(entries, fields, technology.unit), f"{files}, pareto.png"
    with private(folder) as work:
        write(entries, work, "sweep")
        plots.sweep(entries, fields, work / "sweep.png", f"{title}, {args.strategy} {args.order}")
        if args.area:
            area_plots.pareto(entries, fields, technology.unit, work / "pareto.png", title)
    console.print(table)
    for reason in dict.fromkeys(entry["why_not"] for entry in entries if entry["why_not"]):
        console.print(f"- {reason}", highlight=False)
    console.print(f"\n{folder}/{files}", highlight=False)
    terminal.answer(args, entries)
    return 0


def _table(entries: Sequence[dict[str, Any]], fields: Sequence[str]) -> Table:
    """Cycles and how busy the parts are; a dash for a variant that cannot run."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in (*fields, "cycles", "/roofline", "DDR", "MAC", "D2D"):
        table.add_column(name, justify="right")
    for entry in entries:
        measured = ["-"] if entry["why_not"] else [
            f"{entry['cycles']:,.0f}", f"{entry['over_roofline']:.3f}",
            *(f"{entry[key]:.0%}" for key in ("use_ddr", "use_mac", "use_d2d"))]
        table.add_row(*(str(entry[field]) for field in fields), *measured)
    return table


def _pareto_table(entries: Sequence[dict[str, Any]], fields: Sequence[str], unit: str) -> Table:
    """Area and cycles; the front is marked."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in (*fields, "cycles", f"cells {unit}", f"SRAM {unit}", f"area {unit}"):
        table.add_column(name, justify="right")
    table.add_column("Pareto front")
    for entry in entries:
        table.add_row(*(str(entry[field]) for field in fields),
                      *("-" if entry[key] is None else f"{entry[key]:,.0f}" for key in (
                          "cycles", "cell_area", "sram_area", "area")), "yes" if entry["pareto"] else "")
    return table
