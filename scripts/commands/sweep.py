"""One or two hardware parameters varied: a curve or a heat map."""

import argparse
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.table import Table

from trajectile.scripts.area import pareto
from trajectile.scripts.area.technology import Technology
from trajectile.scripts.command_line import terminal
from trajectile.scripts.command_line.errors import UserError
from trajectile.scripts.commands import compare, synthesize
from trajectile.scripts.flow import experiments
from trajectile.scripts.plots import area as area_plots
from trajectile.scripts.plots import comparison as plots
from trajectile.sw_model import config as configuration
from trajectile.sw_model.config import Config, ConfigError
from trajectile.sw_model.schedule.scheduler import ORDERS


def values(text: str) -> tuple[str, list[Any]]:
    """``section.field=1,2,4`` or, for lists, ``section.field=[0],[0,3]``."""
    field, sign, rest = text.partition("=")
    if not sign:
        raise argparse.ArgumentTypeError(f"{text!r} is not legal; legal: section.field=value,value,...")
    try:
        found = json.loads(f"[{rest}]")
    except (ValueError, RecursionError) as error:
        raise argparse.ArgumentTypeError(f"{rest!r} is not legal; legal: numbers, or lists of numbers") from error
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} has no value; legal: section.field=value,value,...")
    return field.strip(), found


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``trajectile sweep``."""
    parser.add_argument("--vary", type=values, action="append", required=True, metavar="SECTION.FIELD=V,V,...",
                        help="a field and its values; once for a curve, twice for a heat map")
    parser.add_argument("--tokens", type=int, default=64, help="batch size (default 64)")
    parser.add_argument("--strategy", choices=experiments.STRATEGIES, default="fse", help="default fse")
    parser.add_argument("--order", choices=ORDERS, default="balanced", help="default balanced")
    parser.add_argument("--windows", type=int, default=2, help="windows of the trace (default 2)")
    parser.add_argument("--area", action="store_true",
                        help="also synthesize each variant (half a minute to some minutes each): area against cycles, and "
                             "which variants no other beats in both")
    synthesize.add_technology(parser)
    compare.add_gate_arguments(parser)


def variants(base: Config, vary: Sequence[tuple[str, Sequence[Any]]]) -> list[tuple[tuple[Any, ...], Config | str]]:
    """Each combination of values with its configuration, or with why it cannot be built.

    Raises:
        UserError: if more than two fields are varied.
        ConfigError: for a field that does not exist.
    """
    if len(vary) > 2:
        raise UserError(f"--vary is given {len(vary)} times; legal: once or twice")
    found: list[tuple[tuple[Any, ...], Config | str]] = []
    for chosen in itertools.product(*(options for _, options in vary)):
        fields = {k: dict(v) for k, v in base.as_dict.items() if k != "name"}
        for (field, _), value in zip(vary, chosen, strict=True):
            section, name, _ = configuration.parse_override(f"{field}=0")
            if name not in fields[section]:
                raise ConfigError(field, value, f"a field of [{section}]: {', '.join(fields[section])}")
            fields[section][name] = value
        try:
            found.append((chosen, configuration.from_dict(fields, base.name)))
        except ConfigError as error:
            found.append((chosen, str(error)))
    return found


def run(args: argparse.Namespace, config: Config) -> int:
    """``trajectile sweep``."""
    console = terminal.console(args)
    gate = compare.gate_of(args, console)
    if args.tokens < 1:
        raise UserError(f"--tokens = {args.tokens} is not legal; legal values: 1 or more")
    points = variants(config, args.vary)
    tasks, owner = [], []
    for number, (_, variant) in enumerate(points):
        if isinstance(variant, str) or args.tokens > variant.token_capacity:
            continue
        for offset in compare.window_offsets(gate.read(variant), args.tokens, args.windows):
            text = experiments.config_text(variant)
            tasks.append(experiments.Task(text, gate, offset, args.tokens, args.strategy, args.order))
            owner.append(number)
    if not tasks:
        why = [variant for _, variant in points if isinstance(variant, str)]
        raise UserError("--vary leaves no configuration that can be built: " + "; ".join(
            why or [f"none holds --tokens = {args.tokens}"]) + "; legal: at least one that can")
    folder = args.output or Path("build/sweep")
    technology = synthesize.chosen(args)
    rows = experiments.run_all(tasks, folder, kind=args.executor, address=args.scheduler)
    fields = [field for field, _ in args.vary]
    reasons: list[str] = []
    entries, table = [], Table(box=None, padding=(0, 2, 0, 0))
    for name in (*fields, "cycles", "/roofline", "DDR", "MAC", "D2D"):
        table.add_column(name, justify="right")
    for number, (chosen, variant) in enumerate(points):
        mine = [row for row, place in zip(rows, owner, strict=True) if place == number]
        entry: dict[str, Any] = dict(zip(fields, chosen, strict=True))
        if mine:
            entry |= {key: fmean(row[key] for row in mine)
                      for key in ("cycles", "over_roofline", "use_ddr", "use_mac", "use_d2d")} | {"why_not": ""}
            table.add_row(*map(str, chosen), f"{entry['cycles']:,.0f}", f"{entry['over_roofline']:.3f}",
                          *(f"{entry[key]:.0%}" for key in ("use_ddr", "use_mac", "use_d2d")))
        else:
            why = variant if isinstance(variant, str) else f"holds {variant.token_capacity} tokens only"
            entry |= dict.fromkeys(("cycles", "over_roofline", "use_ddr", "use_mac", "use_d2d")) | {"why_not": why}
            table.add_row(*map(str, chosen), "-")
            reasons.append(why)
        entries.append(entry)
    files = "sweep.csv, sweep.json, sweep.png"
    if args.area:
        _add_areas(entries, points, folder, technology, args.registers)
        area_plots.pareto(entries, fields, technology.unit, folder / "pareto.png", f"{config.name}, {args.tokens} tokens")
        table, files = _pareto_table(entries, fields, technology.unit), f"{files}, pareto.png"
    compare.write(entries, folder, "sweep")
    plots.sweep(entries, fields, folder / "sweep.png", f"{config.name}, {args.tokens} tokens, {args.strategy} {args.order}")
    console.print(table)
    for reason in dict.fromkeys(reasons):
        console.print(f"- {reason}", highlight=False)
    console.print(f"\n{folder}/{files}", highlight=False)
    terminal.answer(args, entries)
    return 0


def _add_areas(entries: Sequence[dict[str, Any]], points: Sequence[tuple[Any, Config | str]], folder: Path,
               technology: Technology, registers: int | None) -> None:
    """Synthesize what was simulated; add areas, and whether a variant is on the Pareto front of area and cycles."""
    for number, (entry, (_, variant)) in enumerate(zip(entries, points, strict=True)):
        entry |= dict.fromkeys(("area", "cell_area", "sram_area"))
        if entry["cycles"] is not None and isinstance(variant, Config):
            with terminal.status(f"synthesizing variant {number + 1} of {len(points)}"):
                totals = synthesize.synthesize(variant, folder / f"area_{number}", technology, registers=registers)["totals"]
            entry |= {"area": pareto.whole(totals), "cell_area": totals["cell_area"], "sram_area": totals["sram_area"]}
    pareto.mark(entries)


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
