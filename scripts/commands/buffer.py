"""Token buffering: what deferring the tokens of the coldest experts gains, and how long they are held."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from trajectile.scripts.command_line import terminal
from trajectile.scripts.command_line.errors import UserError
from trajectile.scripts.commands import compare
from trajectile.sw_model.config import Config
from trajectile.sw_model.schedule.buffering import deferral
from trajectile.sw_model.schedule.scheduler import ORDERS, schedule
from trajectile.sw_model.timeline.model import simulate


def fractions(text: str) -> list[float]:
    """``0,0.1,0.3``, each from 0 to 1."""
    found = [float(part) for part in text.split(",")]
    if not all(0 <= value <= 1 for value in found):
        raise argparse.ArgumentTypeError(f"{text!r} is not legal; legal values: 0 to 1")
    return found


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``trajectile buffer``."""
    parser.add_argument("--tokens", type=int, default=16, help="new tokens a batch (default 16)")
    parser.add_argument("--batches", type=int, default=16, help="batches in a row; the last finishes everything (default 16)")
    parser.add_argument("--slack", type=fractions, default=[0, 0.1, 0.2, 0.3], metavar="S,S,...",
                        help="shares of a batch that may stay over (default 0,0.1,0.2,0.3)")
    parser.add_argument("--order", choices=ORDERS, default="balanced", help="default balanced")
    compare.add_gate_arguments(parser)


def measure(config: Config, batches: list[np.ndarray], slack: float, order: str) -> dict[str, Any]:
    """Throughput of a sequence of batches with some slack, and how long its tokens were held."""
    start, ends, held = 0, [], 0
    plan = deferral(batches, slack, config.layer.experts)
    for tokens, late in plan:
        ids = np.array([batches[batch][token] for batch, token in tokens]).reshape(len(tokens), -1)
        start += simulate(schedule(config, ids, order), record=False).cycles
        ends.append(start)
        held += late
    waits = [ends[number] - ends[batch] for number, (tokens, _) in enumerate(plan) for batch, _ in tokens if batch < number]
    total = sum(len(ids) for ids in batches)
    return {"slack": slack, "tokens": total, "cycles": start, "tokens_per_million_cycles": total / start * 1e6,
            "held_tokens": held, "mean_wait_cycles": float(np.mean(waits)) if waits else 0.0,
            "longest_wait_cycles": max(waits, default=0)}


def run(args: argparse.Namespace, config: Config) -> int:
    """``trajectile buffer``."""
    console = terminal.console(args)
    if args.tokens < 1:
        raise UserError(f"--tokens = {args.tokens} is not legal; legal values: 1 or more")
    trace = compare.gate_of(args, console).read(config)
    layer = int(trace.layers[0]) if args.layer is None else args.layer
    if args.tokens * args.batches > trace.tokens:
        raise UserError(f"--tokens {args.tokens} x --batches {args.batches} is not legal for {trace.name}; legal: together "
                        f"1 to {trace.tokens} tokens")
    if int(args.tokens * (1 + max(args.slack))) > config.token_capacity:
        raise UserError(f"--tokens = {args.tokens} with slack {max(args.slack)} is not legal; legal values: together up to "
                        f"{config.token_capacity}")
    batches = [trace.window(layer, number * args.tokens, args.tokens).topk_ids for number in range(args.batches)]
    with terminal.status("playing the batches"):
        entries = [measure(config, batches, slack, args.order) for slack in args.slack]
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("slack", "cycles", "tokens per million cycles", "gain", "held", "mean wait (cycles)", "longest wait"):
        table.add_column(name, justify="right")
    for entry in entries:
        entry["gain"] = entries[0]["cycles"] / entry["cycles"]
        table.add_row(f"{entry['slack']:.0%}", f"{entry['cycles']:,}", f"{entry['tokens_per_million_cycles']:.2f}",
                      f"{entry['gain']:.3f}", f"{entry['held_tokens']} of {entry['tokens']}",
                      f"{entry['mean_wait_cycles']:,.0f}", f"{entry['longest_wait_cycles']:,}")
    compare.write(entries, args.output or Path("build/buffer"), "buffer")
    console.print(table)
    terminal.answer(args, entries)
    return 0
