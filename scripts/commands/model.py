"""A whole model on the array: tokens a second, and where the time goes."""

import argparse
from pathlib import Path
from typing import Any

from rich.table import Table

from trajectile.scripts.area.outside import HBM2_PJ_PER_BIT, Outside
from trajectile.scripts.command_line import terminal
from trajectile.scripts.command_line.again import again
from trajectile.scripts.command_line.batch import add_dataflow
from trajectile.scripts.command_line.gate import add_gate_arguments, gate_of, integers, names
from trajectile.scripts.errors import UserError
from trajectile.scripts.files import write_text
from trajectile.scripts.flow.comparison import write
from trajectile.scripts.flow.experiments import STRATEGIES, run_all
from trajectile.scripts.flow.whole_model import (
    DEFAULT_SEQUENCES,
    GIB,
    energies_of,
    placement,
    rest_of,
    rows_of,
    shape_of,
    tasks_of,
)
from trajectile.scripts.folders import private
from trajectile.scripts.plots import whole_model as plots
from trajectile.scripts.report import layers as layers_page
from trajectile.sw_model.config import Config

#: strategies that a user compares, if none are given
USUAL = ("fse", "tokens-travel", "ep", "hydra")


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Those that the figures depend on."""
    parser.add_argument("--sequences", type=integers, default=list(DEFAULT_SEQUENCES), metavar="N,N,...",
                        help="sequences decoded at once (default " + ",".join(map(str, DEFAULT_SEQUENCES)) + ")")
    parser.add_argument("--strategies", type=names(STRATEGIES), default=list(USUAL), metavar="S,S,...",
                        help="of " + ", ".join(STRATEGIES) + " (default " + ",".join(USUAL) + ")")
    parser.add_argument("--layers", type=int, metavar="N", help="MoE layers (default: those of the known model)")
    parser.add_argument("--context", type=int, default=1024, metavar="N", help="tokens that attention sees (default 1024)")
    parser.add_argument("--rest-bits", type=int, default=8, metavar="N",
                        help="bits of a weight beside the experts (default 8)")
    parser.add_argument("--rest-us", type=float, metavar="US",
                        help="microseconds of a step beside the MoE layers (default: a roofline of their bytes)")
    parser.add_argument("--mhz", type=float, default=800, help="clock of the array (default 800)")
    parser.add_argument("--ddr-gib", type=float, default=16, metavar="GIB", help="capacity of a DDR channel (default 16)")
    parser.add_argument("--energy", metavar="FILE", type=Path,
                        help="energies of the tiles that trajectile synthesize --power --json wrote (default: not counted)")
    parser.add_argument("--d2d-pj", metavar="PJ", type=float, default=Outside().d2d_pj_per_bit,
                        help=f"energy of a bit over a link (default {Outside().d2d_pj_per_bit:g})")
    parser.add_argument("--ddr-pj", metavar="PJ", type=float, default=HBM2_PJ_PER_BIT,
                        help=f"energy of a bit from DRAM (default {HBM2_PJ_PER_BIT:g}, HBM2's)")
    parser.add_argument("--windows", type=int, default=4, help="windows of the trace, spread over its layers (default 4)")
    add_dataflow(parser, "of fse: ")
    add_gate_arguments(parser)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``trajectile model``."""
    add_model_arguments(parser)
    parser.add_argument("--report", metavar="FILE", type=Path, help="also write a page: the layers over time, energy, memory")


def checked(args: argparse.Namespace) -> None:
    """Refuse numbers that mean nothing.

    Raises:
        UserError: naming the option, its value and the legal values.
    """
    for name, low, high in (("layers", 1, 1000), ("context", 0, 10**7), ("rest_bits", 1, 32), ("rest_us", 0, 1e9),
                            ("ddr_gib", 0, 1024), ("d2d_pj", 0, 1e6), ("ddr_pj", 0, 1e6)):
        value = getattr(args, name)
        if value is not None and not low <= value <= high:
            raise UserError(f"--{name.replace('_', '-')} = {value} is not legal; legal values: {low} to {high}")


def shown(config: Config, rows: list[dict[str, Any]]) -> Table:
    """For people."""
    table = Table(title=config.name, title_justify="left", box=None, padding=(0, 2, 0, 0))
    for name in ("sequences", "strategy", "tokens/s", "ms a step", "of it MoE", "/roofline", "cycles a layer", "/roofline ",
                 "DDR MB a token", "mJ a token", "of it DDR", "on chip kB"):
        table.add_column(name, justify="left" if name == "strategy" else "right", no_wrap=True)
    for row in rows:
        table.add_row(
            str(row["sequences"]), row["strategy"], f"{row['tokens_per_second']:,.1f}", f"{row['step_us'] / 1000:,.2f}",
            f"{row['moe_share']:.0%}", f"{row['over_roofline']:.3f}", f"{row['layer_cycles']:,.0f}",
            f"{row['layer_cycles'] / row['layer_roofline']:.3f}", f"{row['ddr_bytes_per_token'] / 1e6:,.0f}",
            f"{row['uj_per_token'] / 1000:,.1f}", f"{row['ddr_uj_per_token'] / max(row['uj_per_token'], 1e-9):.0%}",
            f"{(row['weight_bytes'] + row['token_bytes']) / 1000:,.0f}")
    return table


def run(args: argparse.Namespace, config: Config) -> int:
    """``trajectile model``."""
    checked(args)
    console = terminal.console(args)
    shape = shape_of(config, args.layers, args.rest_us)
    layers = args.layers if args.layers is not None or shape is None else shape.moe_layers
    rest = rest_of(config, shape, context=args.context, rest_bits=args.rest_bits, rest_us=args.rest_us)
    energies = energies_of(config, args.energy, Outside(args.d2d_pj, args.ddr_pj))
    tasks = tasks_of(config, gate_of(args, console), args.sequences, args.strategies, args.windows, args.dataflow)
    folder = args.output or Path("build/model") / config.name
    with terminal.bar("batches", len(tasks)) as done:
        rows = rows_of(config, run_all(tasks, folder, kind=args.executor, address=args.scheduler, done=done), layers, rest,
                       args.mhz, energies)
    places = placement(config, layers, rest, args.ddr_gib)
    with private(folder) as work:
        write(rows, work, "model")
        plots.picture(config.name, rows, work / plots.FILE)
    values = {"config": {"name": config.name, **config.as_dict}, "moe_layers": layers, "mhz": args.mhz,
              "context": args.context, "dataflow": args.dataflow, "rest": vars(rest), "placement": places,
              "energy": {"d2d_pj_per_bit": args.d2d_pj, "ddr_pj_per_bit": args.ddr_pj,
                         "tiles": args.energy and str(args.energy)},
              "rows": rows}
    if args.report:
        write_text(args.report, layers_page.model_page(values, again(args, "model", add_model_arguments)))
    terminal.answer(args, values)
    console.print(shown(config, rows))
    held = places["channel_bytes"] / GIB
    fits = (f"fits: {held:.1f} GiB" if places["fits"] else
            f"[bold red]does not fit[/]: {held:.1f} GiB, {places['missing_bytes'] / GIB:.1f} more than there is")
    rest_text = ("as given" if args.rest_us is not None else
                 f"modelled: {rest.weight_bytes / 1e6:,.0f} MB of weights and {rest.cache_bytes / 1e6:,.1f} MB of cache a "
                 "sequence at the full rate of all channels, no arithmetic")
    tiles = f"tiles of {args.energy}" if args.energy else "tiles not counted (--energy)"
    console.print(f"\nMoE layers       {layers}, one after the other, each from its doorbells to its last completion record; "
                  f"timeline model, {args.mhz:g} MHz\nthe rest         {rest_text}\nDDR channel      {fits} of "
                  f"{args.ddr_gib:g} GiB, without caches\nenergy           an ESTIMATE: {args.d2d_pj:g} pJ a bit over links, "
                  f"{args.ddr_pj:g} pJ a bit from DRAM, {tiles}; no arithmetic of the rest\ntable, plot      {folder}",
                  highlight=False, soft_wrap=True)
    return 0
