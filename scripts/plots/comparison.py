"""Plots of comparisons and sweeps."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trajectile.scripts.files import whole

#: distinct for the colour-blind
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
#: of strategies with their orders, which are ten
LINES = (*COLOURS, "#882255", "#117733")


def _panels(configs: Sequence[str]) -> tuple[Figure, Sequence[Axes]]:
    columns = min(len(configs), 4)
    rows = -(-len(configs) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(4.2 * columns, 3.4 * rows), squeeze=False, sharey=True,
                                layout="constrained")
    for unused in axes.flat[len(configs):]:
        unused.set_visible(False)
    return figure, list(axes.flat)


def save(figure: Figure, path: Path) -> None:
    """Write a figure; folders are made."""
    with whole(path) as part:
        figure.savefig(part, dpi=110)
    plt.close(figure)


def _dress(axis: Axes, config: str, entries: Sequence[dict[str, Any]]) -> None:
    """Title, grid and the batch sizes on a logarithmic axis."""
    sizes = sorted({entry["tokens"] for entry in entries})
    axis.set_xscale("log", base=2)
    axis.set_xticks(sizes, [str(size) for size in sizes], fontsize=8)
    axis.set_title(config, fontsize=10)
    axis.set_xlabel("tokens in the batch")
    axis.grid(alpha=0.3)


def _kinds(entries: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    """Strategies with their orders, as they come: the number of one is that of its colour."""
    return list(dict.fromkeys((entry["strategy"], entry["order"]) for entry in entries))


def _lines(entries: Sequence[dict[str, Any]], kinds: Sequence[tuple[str, str]], key: str, label: str, path: Path, *,
           one: bool = False, scale: str = "linear") -> None:
    """A panel a configuration, a line for each of ``kinds`` that is in it; with ``one`` a line at 1."""
    configs = list(dict.fromkeys(entry["config"] for entry in entries))
    figure, axes = _panels(configs)
    for axis, config in zip(axes, configs, strict=False):
        for number, (strategy, order) in enumerate(kinds):
            points = [(e["tokens"], e[key]) for e in entries
                      if (e["config"], e["strategy"], e["order"]) == (config, strategy, order) and e[key] is not None]
            if points:
                axis.plot(*zip(*points, strict=True), marker="o", markersize=3, color=LINES[number % len(LINES)],
                          zorder=3 - number / len(kinds),  # the first are not hidden by the others
                          linestyle="-" if number < len(LINES) else "--",
                          label=strategy if order == "-" else f"{strategy} {order}")
        if one:
            axis.axhline(1, color="black", linewidth=0.6)
        axis.set_yscale(scale)
        _dress(axis, config, entries)
    axes[0].set_ylabel(label)
    axes[0].legend(fontsize=7)
    save(figure, path)


#: resources and their colours
RESOURCES = {"ddr": COLOURS[0], "mac": COLOURS[1], "d2d": COLOURS[2]}


def _utilisation(entries: Sequence[dict[str, Any]], path: Path) -> None:
    """Busy share of each resource: the last order of streaming, and EP dashed."""
    configs = list(dict.fromkeys(entry["config"] for entry in entries))
    figure, axes = _panels(configs)
    for axis, config in zip(axes, configs, strict=False):
        for strategy, style in (("fse", "-"), ("ep", "--")):
            mine = [e for e in entries if (e["config"], e["strategy"]) == (config, strategy)]
            mine = [e for e in mine if e["order"] == mine[-1]["order"]]
            for name, colour in RESOURCES.items():
                axis.plot([e["tokens"] for e in mine], [e[f"use_{name}"] for e in mine], style, color=colour, marker="o",
                          markersize=3, label=f"{name.upper()}, {strategy}" if mine else None)
        _dress(axis, config, entries)
    axes[0].set_ylabel("share of the cycles")
    axes[0].legend(fontsize=7, handlelength=3)
    save(figure, path)


def comparison(entries: Sequence[dict[str, Any]], folder: Path) -> list[str]:
    """Cycles over the roofline, speedups, utilisation, memory; returns the files' names."""
    written = ["over_roofline.png", "utilisation.png", "memory.png"]
    _lines(entries, _kinds(entries), "over_roofline", "cycles / roofline", folder / written[0], one=True)
    _utilisation(entries, folder / written[1])
    memory = [e | {"megabytes": (e["weight_bytes"] + e["token_bytes"]) / 1e6} for e in entries
              if e["order"] in ("-", entries[0]["order"]) and e["strategy"] != "fse-all-tiles"]
    _lines(memory, _kinds(entries), "megabytes", "MB on a tile, weights and tokens", folder / written[2], scale="log")
    for other in ("ep", "hydra"):
        faster = [e for e in entries if e["strategy"] != other]
        if any(e[f"speedup_over_{other}"] is not None for e in faster):
            written.append(f"speedup_over_{other}.png")
            _lines(faster, _kinds(entries), f"speedup_over_{other}",
                   f"speedup over {other.upper() if other == 'ep' else 'Hydra'}", folder / written[-1], one=True)
    return written


def goodput(rows: Sequence[dict[str, Any]], curve: Callable[[float], tuple[float, float]], path: Path, title: str) -> None:
    """Measured goodput over the bit error rate on the predicted band ``curve``; beside it the cycles of a batch, if any."""
    with_errors = [row for row in rows if row["ber"]]
    batch = "batch_cycles" in rows[0]
    figure, axes = plt.subplots(1, 1 + batch, figsize=(5.6 * (1 + batch), 4.0), squeeze=False, layout="constrained")
    bers = [row["ber"] for row in with_errors]
    dense = np.geomspace(min(bers), max(bers), 200)
    band = np.array([curve(float(ber)) for ber in dense])
    left = axes[0, 0]
    left.fill_between(dense, band[:, 0], band[:, 1], color=COLOURS[5], alpha=0.3, linewidth=0, label="predicted")
    left.plot(bers, [row["goodput"] for row in with_errors], "o", color=COLOURS[0], label="measured on RTL")
    left.set_ylim(0, 1.05)
    left.set_ylabel("goodput, share of the link rate")
    left.set_title(title, fontsize=10)
    if batch:
        right = axes[0, 1]
        right.plot(bers, [row["batch_cycles"] / rows[0]["batch_cycles"] for row in with_errors], "o-", color=COLOURS[1])
        right.set_ylim(bottom=0)
        right.set_ylabel(f"cycles of a batch, share of those at {rows[0]['ber']:g}")
        right.set_title("what it means for a batch", fontsize=10)
    for axis in axes.flat:
        axis.set_xscale("log")
        axis.set_xlabel("bit error rate")
        axis.grid(alpha=0.3)
    left.legend(fontsize=8)
    save(figure, path)


def curves(panels: Mapping[str, Mapping[str, Sequence[tuple[float, float]]]], path: Path, x: str, y: str, *,
           scale: str = "linear") -> None:
    """Panels by title, each with curves by name: points of two quantities, whose names are ``x`` and ``y``."""
    figure, axes = _panels(list(panels))
    for axis, (title, lines) in zip(axes, panels.items(), strict=False):
        for number, (name, points) in enumerate(lines.items()):
            axis.plot(*zip(*points, strict=True), marker="o", markersize=3, color=COLOURS[number], label=name)
        axis.set_title(title, fontsize=10)
        axis.set_xlabel(x)
        axis.set_xscale(scale)
        axis.set_yscale(scale)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel(y)
    axes[0].legend(fontsize=7)
    save(figure, path)


def sweep(entries: Sequence[dict[str, Any]], fields: Sequence[str], path: Path, title: str) -> None:
    """A curve of one field, or a heat map of two."""
    figure, axis = plt.subplots(figsize=(6.5, 4.2), layout="constrained")
    axis.set_title(title, fontsize=10)
    if len(fields) == 1:
        points = [(str(e[fields[0]]), e["cycles"]) for e in entries if e["cycles"] is not None]
        axis.plot(*zip(*points, strict=True), marker="o", color=COLOURS[0])
        axis.set_ylim(bottom=0)
        axis.set_xlabel(fields[0])
        axis.set_ylabel("cycles")
        axis.grid(alpha=0.3)
    else:
        ticks = [list(dict.fromkeys(str(e[field]) for e in entries)) for field in fields]
        grid = np.full((len(ticks[0]), len(ticks[1])), np.nan)
        for e in entries:
            if e["cycles"] is not None:
                grid[ticks[0].index(str(e[fields[0]])), ticks[1].index(str(e[fields[1]]))] = e["cycles"]
        shown = axis.imshow(grid, aspect="auto", cmap="viridis_r")
        for row, column in np.ndindex(grid.shape):
            if not np.isnan(grid[row, column]):
                axis.text(column, row, f"{grid[row, column]:,.0f}", ha="center", va="center", fontsize=8,
                          color="white" if grid[row, column] > np.nanmean(grid) else "black")
        axis.set_yticks(range(len(ticks[0])), ticks[0])
        axis.set_xticks(range(len(ticks[1])), ticks[1])
        axis.set_ylabel(fields[0])
        axis.set_xlabel(fields[1])
        figure.colorbar(shown, label="cycles")
    save(figure, path)
