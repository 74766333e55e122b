"""What a tile costs: area by block in a technology, SRAM as macros; on request its speed and the energy of a batch."""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from trajectile.scripts.area import bare_macs, changes, power, speed, tile_report
from trajectile.scripts.area.outside import Outside
from trajectile.scripts.area.synthesis import synthesize
from trajectile.scripts.area.technology import TECHNOLOGIES
from trajectile.scripts.command_line import terminal
from trajectile.scripts.command_line.batch import add_dataflow, add_workload_arguments, workload_of
from trajectile.scripts.command_line.cells import add_technology, technology_of
from trajectile.scripts.errors import UserError
from trajectile.scripts.plots import area as area_plots
from trajectile.sw_model.config import Config
from trajectile.sw_model.schedule.dataflow import planned
from trajectile.sw_model.schedule.scheduler import ORDERS
from trajectile.sw_model.timeline.counters import Counters, count
from trajectile.sw_model.timeline.model import simulate


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``trajectile synthesize``."""
    add_technology(parser)
    clocks = ", ".join(f"{name} {known.clock_mhz:.0f}" for name, known in TECHNOLOGIES.items() if known.loads)
    parser.add_argument("--speed", action="store_true",
                        help="also map for a clock and report the longest paths (needs --liberty with the full libraries)")
    parser.add_argument("--sta", action="store_true",
                        help="also let OpenSTA check the tile under its constraints (needs the same; implies --speed)")
    parser.add_argument("--power", action="store_true",
                        help="also estimate the energy of a batch (needs the same; implies --speed)")
    parser.add_argument("--clock", metavar="MHZ", type=float, help=f"of --speed, --sta and --power (default {clocks})")
    parser.add_argument("--ddr-pj", metavar="PJ", type=float, default=0.0,
                        help="energy of a bit from DRAM for --power (default: DRAM is not counted)")
    parser.add_argument("--bare-macs", action="store_true", help="also compare the MAC array with bare multiply-accumulators")
    parser.add_argument("--compare", metavar="BASE", type=Path, help="show what changed against a result of --json")
    parser.add_argument("--plot", metavar="PNG", type=Path, help="draw the shares of the blocks")
    parser.add_argument("-o", "--output", metavar="DIR", type=Path,
                        help="folder for scripts and logs (default build/area/CONFIG-TECHNOLOGY)")
    batch = parser.add_argument_group("batch of --power")
    add_workload_arguments(batch)
    batch.add_argument("--order", choices=ORDERS, default="balanced", help="load order (default balanced)")
    add_dataflow(batch)


def _counters(args: argparse.Namespace, config: Config) -> Counters:
    """What the batch of the arguments does, from the timeline model."""
    load = workload_of(args, config, gate_only=True)
    plan = planned(config, load.topk_ids, args.order, args.dataflow)
    if not plan.tokens:
        raise UserError("--tokens = 0 is not legal with --power; legal values: 1 or more")
    return count(plan, simulate(plan, record=False))


def _base(path: Path) -> dict[str, Any]:
    """The areas of an earlier result.

    Raises:
        UserError: if the file is none.
    """
    try:
        return changes.digest(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        why = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
        raise UserError(f"--compare = {path} is not legal ({why}); legal values: a file that --json of this command wrote"
                        ) from None


def run(args: argparse.Namespace, config: Config) -> int:
    """``trajectile synthesize``."""
    console = terminal.console(args)
    if not console.is_terminal:
        console.width = max(console.width, 160)
    technology = technology_of(args)
    folder = args.output or Path("build/area") / f"{config.name}-{args.technology}"
    for name, low, high in (("clock", 1, 100_000), ("ddr_pj", 0, 1e6), ("registers", 0, 1 << 40)):
        value = getattr(args, name)
        if value is not None and not low <= value <= high:
            raise UserError(f"--{name.replace('_', '-')} = {value} is not legal; legal values: {low} to {high:.0f}")
    base = _base(args.compare) if args.compare else None
    clock = (args.clock or TECHNOLOGIES[args.technology].clock_mhz) if args.speed or args.power or args.sta else None
    counters = _counters(args, config) if args.power else None
    with terminal.status("synthesizing the tile"):
        values = synthesize(config, folder, technology, registers=args.registers, clock_mhz=clock, counters=counters,
                            outside=Outside(ddr_pj_per_bit=args.ddr_pj), sta=args.sta)
        if args.bare_macs:
            values["bare_macs"] = bare_macs.compare(config, values, folder / "bare_macs", technology)
    terminal.answer(args, values)
    if args.plot:
        area_plots.bars([values], args.plot)
    show(values, console)
    broken = args.sta and not values["speed"]["sta"]["holds"]
    if base:
        console.print(f"\nagainst {args.compare}", highlight=False)
        console.print(changes.table(base, changes.digest(values)), highlight=False)
    return 1 if broken else 0


def show(values: Mapping[str, Any], console: Console) -> None:
    """Print a result."""
    tile_report.show(values, console)
    if "bare_macs" in values:
        bare_macs.show(values["bare_macs"], values["technology"]["unit"], console)
    for name, shower in (("speed", speed.show), ("power", power.show)):
        if name in values:
            console.print()
            shower(values[name], console)
