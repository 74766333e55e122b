"""What each part of the schedule is worth: ``python -m trajectile.scripts.maintain.ablation CONFIG [--trace FILE]``
(docs/scheduling.md).
"""

import argparse
from collections.abc import Callable, Sequence
from statistics import fmean

import numpy as np
from rich.console import Console
from rich.table import Table

from trajectile.scripts.command_line.gate import add_gate_arguments, gate_of
from trajectile.scripts.flow.comparison import window_offsets
from trajectile.sw_model import config as configuration
from trajectile.sw_model.config import Config
from trajectile.sw_model.schedule.placement import Records, dealt, in_blocks, place_tokens
from trajectile.sw_model.schedule.scheduler import ORDERS, roofline, schedule
from trajectile.sw_model.timeline.model import simulate

#: the MAC array of the paper preset: two token lanes that share a weight word
LANES = ["tile.mac_n=32", "tile.mac_t=2"]
#: where tokens are: by the experts that they chose; in blocks, and in turn, as others may have put them
PLACEMENTS: dict[str, Callable[[Config, np.ndarray], Records]] = {
    "by expert": place_tokens,
    "in blocks": lambda config, ids: in_blocks(config, len(ids)),
    "in turn": lambda config, ids: dealt(config, len(ids)),
}
#: token lanes, placement, turns
VARIANTS = ((2, "in blocks", True), (2, "in turn", True), (2, "by expert", True),
            (1, "in turn", False), (1, "by expert", False),
            (1, "in blocks", True), (1, "in turn", True), (1, "by expert", True))


def measure(config: Config, windows: list[np.ndarray], order: str, *, placement: str, turns: bool) -> tuple[float, float]:
    """Cycles over the roofline, and the bound of the token lanes over it; means over some batches."""
    ratios, bounds = [], []
    for ids in windows:
        plan = schedule(config, ids, order, records=PLACEMENTS[placement](config, ids))
        bound = roofline(plan).cycles
        ratios.append(simulate(plan, record=False, turns=turns).cycles / bound)
        mac = int(plan.passes.sum(axis=1).max()) * config.pass_words * config.tile.slices
        bounds.append(max(1.0, mac / bound))
    return fmean(ratios), fmean(bounds)


def parsed(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", metavar="CONFIG")
    parser.add_argument("--tokens", type=int, default=1024)
    parser.add_argument("--windows", type=int, default=2)
    add_gate_arguments(parser)
    return parser.parse_args(arguments)


def measured(args: argparse.Namespace) -> list[tuple[list[float], float]]:
    """For each of ``VARIANTS``: cycles over the roofline for each order, and the bound of the token lanes over it."""
    config = configuration.load(args.config)
    trace = gate_of(args, Console(stderr=True)).read(config)
    layer = int(trace.layers[0]) if args.layer is None else args.layer
    windows = [trace.window(layer, offset, args.tokens).topk_ids
               for offset in window_offsets(trace, args.tokens, args.windows)]
    rows = []
    for lanes, placement, turns in VARIANTS:
        variant = configuration.load(args.config, LANES) if lanes == 2 else config
        found = [measure(variant, windows, order, placement=placement, turns=turns) for order in ORDERS]
        rows.append(([ratio for ratio, _ in found], found[0][1]))
    return rows


def main() -> None:
    """Print the table."""
    args = parsed()
    table = Table(title=f"{args.config}, {args.tokens} tokens of {args.trace or 'a synthetic gate'}: cycles / roofline",
                  title_justify="left", box=None, padding=(0, 2, 0, 0))
    for name in ("lanes", "placement", "turns", *ORDERS, "bound of the lanes"):
        table.add_column(name, justify="right", no_wrap=True)
    for (lanes, placement, turns), (ratios, bound) in zip(VARIANTS, measured(args), strict=True):
        table.add_row(str(lanes), placement, "yes" if turns else "no",
                      *(f"{ratio:.3f}" for ratio in ratios), f"{bound:.3f}")
    Console().print(table)


if __name__ == "__main__":
    main()
