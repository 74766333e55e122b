"""Token buffering: what deferring the tokens of the coldest experts gains, and how long they are held."""

import argparse
from pathlib import Path

from rich.table import Table

from trajectile.scripts.command_line import terminal
from trajectile.scripts.command_line.gate import add_gate_arguments, gate_of
from trajectile.scripts.flow.comparison import write
from trajectile.scripts.flow.deferral import buffered
from trajectile.scripts.folders import private
from trajectile.sw_model.config import Config
from trajectile.sw_model.schedule.scheduler import ORDERS


def fractions(text: str) -> list[float]:
    """``0,0.1,0.3``, each from 0 to 1."""
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = [-1.0]
    if not all(0 <= value <= 1 for value in found):
        raise argparse.ArgumentTypeError(f"{text!r} is not legal; legal values: 0 to 1")
    return found


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``trajectile buffer``."""
    parser.add_argument("--tokens", type=int, default=16, help="new tokens per batch (default 16)")
    parser.add_argument("--batches", type=int, default=16, help="batches in a row; the last finishes everything (default 16)")
    parser.add_argument("--slack", type=fractions, default=[0, 0.1, 0.2, 0.3], metavar="S,S,...",
                        help="shares of a batch that may stay over (default 0,0.1,0.2,0.3)")
    parser.add_argument("--order", choices=ORDERS, default="balanced", help="default balanced")
    add_gate_arguments(parser)


def run(args: argparse.Namespace, config: Config) -> int:
    """``trajectile buffer``."""
    console = terminal.console(args)
    gate = gate_of(args, console)
    with terminal.status("playing the batches"):
        entries = buffered(config, gate, tokens=args.tokens, batches=args.batches, slacks=args.slack, order=args.order)
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("slack", "cycles", "tokens per million cycles", "gain", "held", "mean wait (cycles)", "longest wait"):
        table.add_column(name, justify="right")
    for entry in entries:
        table.add_row(f"{entry['slack']:.0%}", f"{entry['cycles']:,}", f"{entry['tokens_per_million_cycles']:.2f}",
                      f"{entry['gain']:.3f}", f"{entry['held_tokens']} of {entry['tokens']}",
                      f"{entry['mean_wait_cycles']:,.0f}", f"{entry['longest_wait_cycles']:,}")
    with private(args.output or Path("build/buffer")) as work:
        write(entries, work, "buffer")
    console.print(table)
    terminal.answer(args, entries)
    return 0
