"""Arguments that say where gate decisions come from, and where many batches are played; and lists of words."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from trajectile.scripts.command_line.batch import add_trace_as
from trajectile.scripts.errors import UserError
from trajectile.scripts.flow.experiments import Gate
from trajectile.scripts.flow.workload import DEFAULT_SKEW
from trajectile.sw_model.gates import traces, workloads
from trajectile.sw_model.gates.reading import Reading
from trajectile.sw_model.gates.selection import Selection


def integers(text: str) -> list[int]:
    """``1,2,4``."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not legal; legal: integers with commas, as 1,16,64") from None


def names(legal: Sequence[str]) -> Callable[[str], list[str]]:
    """A parser of a list of names."""
    def parse(text: str) -> list[str]:
        chosen = [part.strip() for part in text.split(",")]
        if wrong := [name for name in chosen if name not in legal]:
            raise argparse.ArgumentTypeError(f"{wrong[0]!r} is not legal; legal values: {', '.join(legal)}")
        return chosen
    return parse


def add_gate_arguments(parser: argparse.ArgumentParser) -> None:
    """Where the gate decisions come from, and where the work is done."""
    parser.add_argument("--trace", metavar="FILE", type=Path, help="gate trace; without one a synthetic gate")
    add_trace_as(parser)
    parser.add_argument("--layer", metavar="L", type=int, help="layer of the trace (default: its first)")
    parser.add_argument("--skew", type=float, default=DEFAULT_SKEW, help=f"of the synthetic gate (default {DEFAULT_SKEW})")
    parser.add_argument("--fit", metavar="FILE", type=Path, help="fit the synthetic gate's skew to this trace")
    parser.add_argument("--seed", type=int, default=1, help="of the synthetic gate (default 1)")
    parser.add_argument("--executor", choices=("process", "dask"), default="process", help="default process")
    parser.add_argument("--scheduler", metavar="ADDRESS", help="of the Dask cluster")
    parser.add_argument("-o", "--output", metavar="DIR", type=Path,
                        help="folder for table, JSON, plots; a run that was stopped is continued from it")


def gate_of(args: argparse.Namespace, console: Console) -> Gate:
    """What the arguments say of the gate; a fit is printed, and a selection.

    Raises:
        UserError: for a trace that cannot be fitted, or a selection that there is not.
    """
    skew, how = args.skew, Reading.of(args.trace_as)
    if args.fit:
        try:
            fitted = traces.load_trace(args.fit, how=how)
            skew, error = workloads.fit_skew(fitted)
        except workloads.TraceError as wrong:
            raise UserError(str(wrong)) from wrong
        console.print(f"skew {skew} fitted to {args.fit.name}, {fitted.experts} experts: mean relative error {error:.1%} of "
                      "active experts and hottest load over windows of 16, 64 and 256 tokens", highlight=False)
    try:
        select = Selection.of(args.select) if getattr(args, "select", None) is not None else None
    except ValueError as wrong:
        raise UserError(str(wrong)) from wrong
    if select:
        console.print(f"{select}: batches keep {select.share:.0%} of their active experts, so the layer's results change "
                      "(docs/selection.md)", highlight=False)
    return Gate(str(args.trace) if args.trace else None, args.layer, skew, args.seed, how, select)
