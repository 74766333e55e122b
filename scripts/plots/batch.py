"""A picture of a batch: what each tile's DDR channel, MAC array and ring link did, and when."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from trajectile.scripts.files import whole
from trajectile.sw_model.config import Config
from trajectile.sw_model.timeline.activity import busy_spans
from trajectile.sw_model.timeline.model import Event

#: its name beside a run's other files
FILE = "timeline.png"
#: resource -> colour (distinct for the colour-blind)
COLOURS = {"DDR": "#0072B2", "MAC": "#D55E00", "D2D": "#009E73"}


def timeline_picture(config: Config, events: Sequence[Event], cycles: int, path: Path, title: str) -> None:
    """Write a PNG with one row for each tile and resource; the share of busy cycles stands at its end."""
    tiles = config.array.tiles
    figure, axes = plt.subplots(figsize=(12, 1.2 + 0.9 * tiles), layout="constrained")
    labels, places = [], []
    for tile in range(tiles):
        for row, (name, spans) in enumerate(busy_spans(config, events, tile).items()):
            place = tile * 3.6 + row
            axes.broken_barh(spans, (place - 0.4, 0.8), color=COLOURS[name], linewidth=0)
            share = sum(length for _, length in spans) / max(cycles, 1)
            axes.text(cycles * 1.005, place, f"{share:.0%}", va="center", fontsize=8)
            labels.append(f"tile {tile}  {name}")
            places.append(place)
    axes.set_yticks(places, labels, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, cycles * 1.05)
    axes.set_xlabel("cycle")
    axes.set_title(title, fontsize=10)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    with whole(path) as part:
        figure.savefig(part, dpi=120)
    plt.close(figure)
