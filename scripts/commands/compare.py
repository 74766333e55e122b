"""Strategies against each other on the same hardware: streaming, EP, Hydra; over batch sizes and windows of a trace."""

import argparse
import csv
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.console import Console
from rich.table import Table

from trajectile.scripts.command_line import tables as report
from trajectile.scripts.command_line import terminal
from trajectile.scripts.command_line.errors import UserError
from trajectile.scripts.flow import experiments, workload
from trajectile.scripts.flow.workload import DEFAULT_SKEW
from trajectile.scripts.plots import comparison as plots
from trajectile.sw_model.config import Config
from trajectile.sw_model.gates import traces, workloads
from trajectile.sw_model.gates.reading import Reading
from trajectile.sw_model.schedule.scheduler import ORDERS

#: several configurations side by side
CONFIGS = "+"
DEFAULT_TOKENS = (1, 2, 4, 8, 16, 64, 256, 1024)


def integers(text: str) -> list[int]:
    """``1,2,4``."""
    return [int(part) for part in text.split(",")]


def names(legal: Sequence[str]) -> Any:
    """A parser of a list of names."""
    def parse(text: str) -> list[str]:
        chosen = text.split(",")
        if wrong := [name for name in chosen if name not in legal]:
            raise argparse.ArgumentTypeError(f"{wrong[0]!r} is not legal; legal values: {', '.join(legal)}")
        return chosen
    return parse


def add_gate_arguments(parser: argparse.ArgumentParser) -> None:
    """Where the gate decisions come from, and where the work is done."""
    parser.add_argument("--trace", metavar="FILE", type=Path, help="gate trace; without one a synthetic gate")
    workload.add_trace_as(parser)
    parser.add_argument("--layer", metavar="L", type=int, help="layer of the trace (default: its first)")
    parser.add_argument("--skew", type=float, default=DEFAULT_SKEW, help=f"of the synthetic gate (default {DEFAULT_SKEW})")
    parser.add_argument("--fit", metavar="FILE", type=Path, help="fit the synthetic gate's skew to this trace")
    parser.add_argument("--seed", type=int, default=1, help="of the synthetic gate (default 1)")
    parser.add_argument("--executor", choices=("process", "dask"), default="process", help="default process")
    parser.add_argument("--scheduler", metavar="ADDRESS", help="of the Dask cluster")
    parser.add_argument("-o", "--output", metavar="DIR", type=Path,
                        help="folder for table, JSON, plots; a run that was stopped is continued from it")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``trajectile compare``."""
    parser.add_argument("--tokens", type=integers, default=list(DEFAULT_TOKENS), metavar="N,N,...",
                        help="batch sizes (default " + ",".join(map(str, DEFAULT_TOKENS)) + ")")
    parser.add_argument("--strategies", type=names(experiments.STRATEGIES), default=list(experiments.STRATEGIES),
                        metavar="S,S,...", help="of " + ", ".join(experiments.STRATEGIES) + " (default all)")
    parser.add_argument("--orders", type=names(ORDERS), default=list(ORDERS), metavar="O,O,...",
                        help="load orders of fse (default all)")
    parser.add_argument("--windows", type=int, default=4, help="windows of the trace for each batch size (default 4)")
    add_gate_arguments(parser)


def gate_of(args: argparse.Namespace, console: Console) -> experiments.Gate:
    """What the arguments say of the gate; a fit is printed."""
    skew, how = args.skew, Reading.of(args.trace_as)
    if args.fit:
        try:
            skew, error = workloads.fit_skew(traces.load_trace(args.fit, how=how))
        except workloads.TraceError as wrong:
            raise UserError(str(wrong)) from wrong
        console.print(f"skew {skew} fitted to {args.fit.name}: mean relative error {error:.1%} of active experts and "
                      "hottest load over windows of 16, 64 and 256 tokens", highlight=False)
    return experiments.Gate(str(args.trace) if args.trace else None, args.layer, skew, args.seed, how)


def window_offsets(trace: workloads.Trace, tokens: int, windows: int) -> list[int]:
    """First tokens of evenly spread windows in the second half of a trace; the first half is history for Hydra.

    Raises:
        UserError: if the trace is too short.
    """
    first, last = trace.tokens // 2, trace.tokens - tokens
    if last < first:
        raise UserError(f"--tokens = {tokens} is not legal for {trace.name}; legal values: 1 to {trace.tokens - first} "
                        "(half of the trace)")
    windows = min(windows, last - first + 1)
    return sorted({first + (last - first) * number // max(windows - 1, 1) for number in range(windows)})


def tasks_of(configs: Sequence[Config], gate: experiments.Gate, args: argparse.Namespace) -> list[experiments.Task]:
    """All batches of a comparison."""
    tasks = []
    for config in configs:
        trace = gate.read(config)
        for tokens in args.tokens:
            if not 1 <= tokens <= config.token_capacity:
                raise UserError(f"--tokens = {tokens} is not legal for {config.name}; legal values: 1 to "
                                f"{config.token_capacity}")
            for offset in window_offsets(trace, tokens, args.windows):
                for strategy in args.strategies:
                    orders = args.orders if strategy.startswith("fse") else ["-"]
                    tasks += [experiments.Task(experiments.config_text(config), gate, offset, tokens, strategy, order)
                              for order in orders]
    return tasks


def means(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row for each configuration, batch size, strategy and order: means over the windows, speedups in the same window."""
    cycles = {(r["config"], r["tokens"], r["offset"], r["strategy"]): r["cycles"] for r in rows if r["order"] == "-"}
    groups = defaultdict(list)
    for row in rows:
        groups[row["config"], row["tokens"], row["strategy"], row["order"]].append(row)
    table = []
    for (config, tokens, strategy, order), members in groups.items():
        entry = {"config": config, "tokens": tokens, "strategy": strategy, "order": order, "windows": len(members)}
        for key in ("cycles", "roofline", "over_roofline", "use_ddr", "use_mac", "use_d2d"):
            entry[key] = fmean(row[key] for row in members)
        entry["worst_over_roofline"] = max(row["over_roofline"] for row in members)
        entry["weight_bytes"] = members[0]["weight_bytes"]
        entry["token_bytes"] = max(row["token_bytes"] for row in members)
        for other in ("ep", "hydra"):
            ratios = [cycles[config, tokens, row["offset"], other] / row["cycles"] for row in members
                      if (config, tokens, row["offset"], other) in cycles]
            entry[f"speedup_over_{other}"] = fmean(ratios) if ratios else None
        table.append(entry)
    return table


def shown(config: str, entries: Sequence[dict[str, Any]]) -> Table:
    """The table of one configuration, for people."""
    table = Table(title=config, title_justify="left", box=None, padding=(0, 2, 0, 0))
    for name, justify in (("tokens", "right"), ("strategy", "left"), ("cycles", "right"), ("/roofline", "right"),
                          ("vs EP", "right"), ("vs Hydra", "right"), ("DDR", "right"), ("MAC", "right"), ("D2D", "right"),
                          ("weights kB", "right"), ("tokens kB", "right")):
        table.add_column(name, justify=justify, no_wrap=True)
    for e in entries:
        table.add_row(
            str(e["tokens"]), e["strategy"] if e["order"] == "-" else f"{e['strategy']} {e['order']}",
            f"{e['cycles']:,.0f}", f"{e['over_roofline']:.3f}",
            *("" if e[key] is None else f"{e[key]:.2f}" for key in ("speedup_over_ep", "speedup_over_hydra")),
            *(f"{e[key]:.0%}" for key in ("use_ddr", "use_mac", "use_d2d")),
            f"{e['weight_bytes'] / 1000:,.0f}", f"{e['token_bytes'] / 1000:,.0f}")
    return table


def write(entries: Sequence[dict[str, Any]], folder: Path, stem: str) -> None:
    """CSV and JSON."""
    report.write_json(folder / f"{stem}.json", list(entries))
    with (folder / f"{stem}.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(entries[0]))
        writer.writeheader()
        writer.writerows(entries)


def run(args: argparse.Namespace, configs: Sequence[Config]) -> int:
    """``trajectile compare``."""
    console = terminal.console(args)
    gate = gate_of(args, console)
    tasks = tasks_of(configs, gate, args)
    folder = args.output or Path("build/compare")
    entries = means(experiments.run_all(tasks, folder, kind=args.executor, address=args.scheduler))
    write(entries, folder, "compare")
    drawn = plots.comparison(entries, folder)
    for config in configs:
        console.print(shown(config.name, [entry for entry in entries if entry["config"] == config.name]))
    console.print(f"{len(tasks)} batches; {folder}/compare.csv, compare.json, {', '.join(drawn)}", highlight=False)
    terminal.answer(args, entries)
    return 0
