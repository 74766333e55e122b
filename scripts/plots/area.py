"""Plots of area: what a tile is made of, and area against cycles."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.patches import Rectangle

from trajectile.scripts.area.blocks import ORDER, OVERHEAD
from trajectile.scripts.plots.comparison import COLOURS, save

#: one colour a part of the tile; hatched where they repeat
_LOOKS = {name: (COLOURS[number % len(COLOURS)], "" if number < len(COLOURS) else "///") for number, name in enumerate(ORDER)}


def bars(reports: Sequence[Mapping[str, Any]], path: Path) -> None:
    """A bar for the cells and one for the SRAM of each report, as shares, with the area on top; and the overhead's share."""
    figure, (axis, small) = plt.subplots(1, 2, figsize=(3.5 + 1.6 * len(reports), 4.6), layout="constrained",
                                         width_ratios=(3, 1.4))
    labels: list[str] = []
    place = 0
    for values in reports:
        for key, what in (("cell_area", "cells"), ("sram_area", "SRAM")):
            total = values["totals"][key]
            if not total:
                continue
            bottom = 0.0
            for name, group in values["groups"].items():
                colour, hatch = _LOOKS[name]
                share = (group[key] or 0.0) / total
                axis.bar(place, share, bottom=bottom, color=colour, hatch=hatch, edgecolor="white", linewidth=0.4,
                         label=name if not labels else None)
                bottom += share
            unit = values["technology"]["unit"]
            shown = f"{total / 1e6:.3g}\nmm2" if unit == "um2" else f"{total:,.0f}\n{unit}"
            axis.text(place, 1.01, shown, ha="center", fontsize=7)
            labels.append(f"{values['config']['name']}\n{values['technology']['name']}\n{what}")
            place += 1
    axis.set_xticks(range(len(labels)), labels, fontsize=7)
    axis.set_ylabel("share of the tile's area")
    axis.set_ylim(0, 1.1)
    handles = [Rectangle((0, 0), 1, 1, facecolor=colour, hatch=hatch, edgecolor="white")
               for colour, hatch in _LOOKS.values()]
    axis.legend(handles, _LOOKS, fontsize=6, loc="center left", bbox_to_anchor=(1.0, 0.5))
    names = [f"{values['config']['name']}\n{values['technology']['name']}" for values in reports]
    for number, values in enumerate(reports):
        bottom = 0.0
        for name in (*OVERHEAD, "link layer"):
            if name in values["groups"]:
                share = values["groups"][name]["cell_area"] / values["totals"]["cell_area"]
                small.bar(number, 100 * share, bottom=bottom, color=_LOOKS[name][0], hatch=_LOOKS[name][1], edgecolor="white")
                bottom += 100 * share
        small.text(number, bottom, f"{bottom:.1f} %", ha="center", va="bottom", fontsize=7)
    small.set_xticks(range(len(names)), names, fontsize=7)
    small.set_ylabel("moving and steering slices: % of the cells")
    save(figure, path)


def pareto(entries: Sequence[Mapping[str, Any]], fields: Sequence[str], unit: str, path: Path, title: str) -> None:
    """Every variant of a sweep in area and cycles, and a line along the front."""
    figure, axis = plt.subplots(figsize=(6.5, 4.4), layout="constrained")
    known = [entry for entry in entries if entry["area"] is not None and entry["cycles"] is not None]
    scale = 1e6 if unit == "um2" else 1.0
    for entry in known:
        axis.plot(entry["area"] / scale, entry["cycles"], "o", markersize=5, color=COLOURS[0 if entry["pareto"] else 7])
        axis.annotate(", ".join(f"{entry[field]}" for field in fields), (entry["area"] / scale, entry["cycles"]), fontsize=7,
                      xytext=(4, 4), textcoords="offset points")
    line = sorted((entry["area"] / scale, entry["cycles"]) for entry in known if entry["pareto"])
    axis.step(*zip(*line, strict=True), where="post", color=COLOURS[0], linewidth=1)
    axis.set_title(f"{title}: {', '.join(fields)}", fontsize=10)
    axis.set_xlabel(f"area of a tile, {'mm2' if unit == 'um2' else unit} (cells and SRAM)")
    axis.set_ylabel("cycles")
    axis.grid(alpha=0.3)
    save(figure, path)
