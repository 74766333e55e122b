"""Tokens a second of a whole model over the sequences that are decoded at once, and where a step's time goes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from trajectile.scripts.plots.comparison import COLOURS, save

FILE = "model.png"


def picture(name: str, rows: Sequence[dict[str, Any]], path: Path) -> None:
    """A line for each strategy; beside it the parts of the first strategy's step."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    strategies = list(dict.fromkeys(row["strategy"] for row in rows))
    sizes = sorted({row["sequences"] for row in rows})
    for number, strategy in enumerate(strategies):
        points = [(row["sequences"], row["tokens_per_second"]) for row in rows if row["strategy"] == strategy]
        left.plot(*zip(*points, strict=True), marker="o", markersize=3, color=COLOURS[number % len(COLOURS)], label=strategy)
    left.set_xscale("log", base=2)
    left.set_yscale("log")
    left.set_ylabel("tokens a second, all sequences")
    left.legend(fontsize=7)
    first = [row for row in rows if row["strategy"] == strategies[0]]
    places = range(len(first))
    moe = [row["moe_us"] / 1000 for row in first]
    right.bar(places, moe, color=COLOURS[0], label="MoE layers")
    right.bar(places, [row["rest_us"] / 1000 for row in first], bottom=moe, color=COLOURS[4], label="the rest")
    right.set_ylabel(f"ms a step ({strategies[0]})")
    right.legend(fontsize=7)
    left.set_xticks(sizes, [str(size) for size in sizes], fontsize=8)
    right.set_xticks(list(places), [str(row["sequences"]) for row in first], fontsize=8)
    for axis in (left, right):
        axis.set_title(name, fontsize=10)
        axis.set_xlabel("sequences")
        axis.grid(alpha=0.3)
    save(figure, path)
