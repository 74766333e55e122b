"""Goodput of a link against its bit error rate, measured on the RTL."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from trajectile.hw.params import Params
from trajectile.scripts.command_line import terminal
from trajectile.scripts.command_line.errors import Exit
from trajectile.scripts.errors import ToolError, UserError
from trajectile.scripts.flow.link_rates import batches, measure
from trajectile.scripts.plots import comparison as plots
from trajectile.sw_model.config import Config, ConfigError
from trajectile.sw_model.latencies import replay_cycles
from trajectile.sw_model.timeline.goodput import goodput
from trajectile.tb.runner import SimulationError

DEFAULT_BER = "0,1e-7,1e-6,1e-5,3e-5,1e-4,3e-4,1e-3"


def rates(text: str) -> tuple[float, ...]:
    """Bit error rates of ``--ber``, ascending.

    Raises:
        UserError: for anything but numbers from 0 to below 1.
    """
    try:
        found = tuple(sorted({float(part) for part in text.split(",")}))
    except ValueError:
        found = ()
    if not found or not all(0 <= rate < 1 for rate in found):
        raise UserError(f"--ber = {text!r} is not legal; legal values: numbers from 0 to below 1, as in {DEFAULT_BER}")
    return found


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``trajectile link``."""
    parser.add_argument("--ber", metavar="P,P,...", default=DEFAULT_BER, help=f"bit error rates (default {DEFAULT_BER})")
    parser.add_argument("--cycles", type=int, default=200_000, help="cycles of full load at each rate (default 200000)")
    parser.add_argument("--seeds", metavar="N", type=int, default=1, help="runs at each rate (default 1)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the first run (default 1)")
    parser.add_argument("--batch", action="store_true", help="run a batch at each rate too, checked against the golden model")
    parser.add_argument("--tokens", metavar="N", type=int, help="tokens of that batch (default: 64, or what fits)")
    parser.add_argument("--plot", metavar="FILE", type=Path, help="draw goodput over bit error rate")
    parser.add_argument("-o", "--output", metavar="DIR", type=Path, help="folder for logs (default build/link/CONFIG)")


def table(config: Config, rows: Sequence[dict[str, Any]]) -> Table:
    """The rows for people, in 80 columns."""
    batch = "batch_cycles" in rows[0]
    shown = Table(title=f"{config.name}: frames of {Params(config).frame_bits} bits, CRC-{config.link.crc_bits}, "
                        f"flight {config.link_flight_cycles} cycles", title_justify="left", box=None, padding=(0, 2, 0, 0),
                  caption="spoilt: CRC errors; least, most: goodput as predicted; missed: errors that no CRC has found"
                          + "; batch: its cycles" * batch, caption_justify="left")
    for column in ["BER", "frames", "spoilt", "replays", "goodput", "least", "most", "missed"] + ["batch"] * batch:
        shown.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        cells = [f"{row['ber']:g}", *(f"{row[name]:,}" for name in ("frames", "crc_errors", "replays")),
                 *(f"{row[name]:.4f}" for name in ("goodput", "goodput_least", "goodput_most")), f"{row['undetected']:,}"]
        if row["down"] or row["hung"]:
            cells[4] = f"{row['down']} down" if row["down"] else f"{row['hung']} hung"
        if batch:
            cells.append(f"{row['batch_failed']} down" if row["batch_failed"] else
                         f"{row['batch_cycles']:,.0f}" if row["batch_exact"] else "NOT EXACT")
        shown.add_row(*cells)
    return shown


def run(args: argparse.Namespace, config: Config) -> int:
    """``trajectile link``."""
    if config.array.independent:
        raise ConfigError("array.clocks", config.array.clocks,
                          "common (trajectile link measures the link layer in one clock)")
    if not config.link.crc_bits:
        raise ConfigError("link.crc_bits", 0, "16 or 32 (trajectile link measures the link layer: --set link.crc_bits=16)")
    bers = rates(args.ber)
    if args.plot and not any(bers):
        raise UserError(f"--ber = {args.ber!r} is not legal with --plot; legal values: at least one rate above 0")
    console = terminal.console(args)
    folder, seeds = args.output or Path("build/link") / config.name, range(args.seed, args.seed + args.seeds)
    try:
        with terminal.status("starting") as line:
            rows = measure(config, bers, cycles=args.cycles, seeds=seeds, folder=folder, say=line.update)
            if args.batch:
                more = batches(config, bers, tokens=args.tokens, seeds=seeds, folder=folder / "batch", say=line.update)
                rows = [row | other for row, other in zip(rows, more, strict=True)]
    except SimulationError as error:
        raise ToolError(str(error)) from error
    console.print(table(config, rows))
    terminal.answer(args, {
        "config": {"name": config.name, **config.as_dict}, "frame_bits": Params(config).frame_bits,
        "flight_cycles": config.link_flight_cycles, "replay_cycles": replay_cycles(config),
        "cycles": args.cycles, "seeds": list(seeds), "rates": rows})
    if args.plot:
        bits = Params(config).frame_bits
        plots.goodput(rows, lambda ber: goodput(config, ber, bits), args.plot,
                      f"{config.name}: frames of {bits} bits, flight of {config.link_flight_cycles} cycles")
        console.print(str(args.plot), highlight=False)
    wrong = any(row["undetected"] or row["hung"] or not row.get("batch_exact", True) for row in rows)
    return Exit.NOT_EXACT if wrong else Exit.DONE
