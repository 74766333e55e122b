"""Strategies against each other on the same hardware: streaming, EP, Hydra; over batch sizes and windows of a trace."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from trajectile.scripts.command_line import terminal
from trajectile.scripts.command_line.batch import add_dataflow, add_select
from trajectile.scripts.command_line.gate import add_gate_arguments, gate_of, integers, names
from trajectile.scripts.flow.comparison import DEFAULT_TOKENS, means, tasks_of, write
from trajectile.scripts.flow.experiments import STRATEGIES, can_travel, run_all
from trajectile.scripts.folders import private
from trajectile.scripts.plots import comparison as plots
from trajectile.sw_model.config import Config
from trajectile.sw_model.config.memories import MEMORIES, with_memory
from trajectile.sw_model.schedule.scheduler import ORDERS

#: several configurations side by side
CONFIGS = "+"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``trajectile compare``."""
    parser.add_argument("--tokens", type=integers, default=list(DEFAULT_TOKENS), metavar="N,N,...",
                        help="batch sizes (default " + ",".join(map(str, DEFAULT_TOKENS)) + ")")
    parser.add_argument("--strategies", type=names(STRATEGIES), default=list(STRATEGIES),
                        metavar="S,S,...", help="of " + ", ".join(STRATEGIES) + " (default all)")
    parser.add_argument("--orders", type=names(ORDERS), default=list(ORDERS), metavar="O,O,...",
                        help="load orders of fse (default all)")
    parser.add_argument("--windows", type=int, default=4, help="windows of the trace for each batch size (default 4)")
    add_dataflow(parser, "of fse: ")
    parser.add_argument("--ddr", choices=tuple(MEMORIES), help="let the channels of all strategies refresh and change rows "
                        "as a controller of this memory does (docs/ddr.md; default: as [ddr] of the configuration says)")
    add_gate_arguments(parser)
    add_select(parser)


def named(entry: dict[str, Any]) -> str:
    """A strategy with its load order, where it has a choice; and its dataflow, where that is not the usual one."""
    if entry["strategy"] == "tokens-travel" or entry["order"] == "-":
        return str(entry["strategy"])
    other = "" if entry["dataflow"] == "spread" else f" ({entry['dataflow']})"
    return f"{entry['strategy']} {entry['order']}{other}"


def shown(config: str, entries: Sequence[dict[str, Any]]) -> Table:
    """The table of one configuration, for people."""
    table = Table(title=config, title_justify="left", box=None, padding=(0, 2, 0, 0))
    for name in ("tokens", "strategy", "cycles", "streaming", "/roofline", "vs EP", "vs Hydra", "DDR", "MAC", "D2D",
                 "weights kB", "tokens kB", "D2D MB", "D2D uJ"):
        table.add_column(name, justify="left" if name == "strategy" else "right", no_wrap=True)
    for e in entries:
        table.add_row(
            str(e["tokens"]), named(e),
            f"{e['cycles']:,.0f}", f"{e['streaming_cycles']:,.0f}", f"{e['over_roofline']:.3f}",
            *("" if e[key] is None else f"{e[key]:.2f}" for key in ("speedup_over_ep", "speedup_over_hydra")),
            *(f"{e[key]:.0%}" for key in ("use_ddr", "use_mac", "use_d2d")),
            f"{e['weight_bytes'] / 1000:,.0f}", f"{e['token_bytes'] / 1000:,.0f}", f"{e['d2d_bytes'] / 1e6:,.2f}",
            f"{e['d2d_uj']:,.1f}")
    return table


def run(args: argparse.Namespace, configs: Sequence[Config]) -> int:
    """``trajectile compare``."""
    console = terminal.console(args)
    if not console.is_terminal:
        console.width = max(console.width, 160)
    if args.ddr:
        configs = [with_memory(config, args.ddr) for config in configs]
    tasks = tasks_of(configs, gate_of(args, console), tokens=args.tokens, strategies=args.strategies, orders=args.orders,
                     dataflow=args.dataflow, windows=args.windows)
    for config in configs:
        if "tokens-travel" in args.strategies and (left := [n for n in args.tokens if not can_travel(config, n)]):
            console.print(f"{config.name}: tokens-travel is left out for {', '.join(map(str, left))} tokens, of which every "
                          f"tile would hold all (tile.tokens = {config.tile.tokens})", highlight=False)
    folder = args.output or Path("build/compare")
    with terminal.bar("batches", len(tasks)) as done:
        entries = means(run_all(tasks, folder, kind=args.executor, address=args.scheduler, done=done))
    with private(folder) as work:
        write(entries, work, "compare")
        drawn = plots.comparison(entries, work)
    for config in configs:
        console.print(shown(config.name, [entry for entry in entries if entry["config"] == config.name]))
    console.print(f"{len(tasks)} batches; {folder}/compare.csv, compare.json, {', '.join(drawn)}", highlight=False)
    terminal.answer(args, entries)
    return 0
