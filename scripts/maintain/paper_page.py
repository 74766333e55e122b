"""The experiments of the paper on the physical model, as far as they are known: docs/paper.md.

``python -m trajectile.scripts.maintain.paper_page FOLDER``: the folder has the gate traces as for ``cycles_page``. Timeline
model and baselines only; minutes.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from trajectile.scripts.maintain import pages
from trajectile.scripts.maintain.cycles_page import FLAME, Commands
from trajectile.scripts.report.markdown import table_rows

PAGE = "paper.md"
FOLDER = Path("build/paper")
#: the paper's batch sizes
TOKENS = (16, 64, 256, 1024)
#: grids, with a DDR channel at each corner
GRIDS = {"2x2": (2, 2, "[0,1,2,3]"), "2x3": (2, 3, "[0,2,3,5]"), "3x3": (3, 3, "[0,2,6,8]"), "4x4": (4, 4, "[0,3,12,15]")}
GATE = f"--trace {FLAME} --layer 5"
#: the paper's models; the last two with a synthetic gate
MODELS = {"deepseek-moe-16b": GATE, "qwen3-30b-a3b": "", "phi-3.5-moe-paper": "", "yuan2.0-m32": ""}
#: heat maps: title, tokens, rows, columns
MAPS = {
    "buffer by compute": (1024, "tile.slots=3,6,12", "tile.mac_t=1,2,4"),
    "buffer by DDR": (64, "tile.slots=3,6,12", "ddr.bytes_per_cycle=16,32,64"),
    "D2D by DDR": (64, "link.beat_bytes=90,180,360", "ddr.bytes_per_cycle=16,32,64"),
}
#: from EP to everything on: strategy and order of `compare`, and what it is
STEPS = {("ep-whole-experts", "-"): "EP, two whole experts a tile",
         ("ep", "-"): "EP that prefetches slices into the same slots",
         ("hydra", "-"): "Hydra: experts placed by their popularity",
         ("fse-all-tiles", "paired"): "slices go round the whole ring, paired load",
         ("fse", "index"): "slices skip tiles without tokens, experts as numbered",
         ("fse", "paired"): "the same, paired load", ("fse", "balanced"): "the same, balanced load"}


def grid_command(name: str, sizes: Sequence[int] = TOKENS) -> str:
    """The comparison of one grid."""
    rows, cols, corners = GRIDS[name]
    return (f"compare deepseek-moe-16b --set array.rows={rows} --set array.cols={cols} --set array.ddr_tiles={corners} "
            f"{GATE} --tokens {','.join(map(str, sizes))} --windows 2")


def _of(entries: Sequence[dict[str, Any]], tokens: int, strategy: str, order: str) -> dict[str, Any]:
    [found] = [e for e in entries if (e["tokens"], e["strategy"], e["order"]) == (tokens, strategy, order)]
    return found


def grids(found: dict[str, list[dict[str, Any]]]) -> Iterator[str]:
    """Cycles over the roofline of each grid: ours, EP, Hydra, and the speedups."""
    def rows() -> Iterator[tuple[object, ...]]:
        for name, entries in found.items():
            for tokens in TOKENS:
                ours = _of(entries, tokens, "fse", "balanced")
                yield (name, f"{tokens:,}", f"{ours['over_roofline']:.3f}",
                       *(f"{_of(entries, tokens, 'fse', 'paired')['over_roofline']:.3f}",
                         *(f"{_of(entries, tokens, other, '-')['over_roofline']:.3f}" for other in ("ep", "hydra"))),
                       *(f"{ours[f'speedup_over_{other}']:.2f}" for other in ("ep", "hydra")),
                       *(f"{ours[f'use_{part}']:.0%}" for part in ("ddr", "mac", "d2d")))
    yield from table_rows(("grid", "tokens", "`balanced`", "`paired`", "EP", "Hydra", "vs EP", "vs Hydra", "DDR", "MAC",
                           "D2D"), rows())


def ablation(entries: Sequence[dict[str, Any]]) -> Iterator[str]:
    """From EP to everything on."""
    yield from table_rows(("", *(f"{tokens:,} tokens" for tokens in TOKENS)), (
        (text, *(f"{_of(entries, tokens, *key)['over_roofline']:.3f}" for tokens in TOKENS)) for key, text in STEPS.items()))


def utilisation(found: dict[str, list[dict[str, Any]]]) -> Iterator[str]:
    """Use of DDR, MACs and links by model."""
    yield from table_rows(("model: DDR, MAC, D2D", *(f"{tokens:,} tokens" for tokens in TOKENS)), (
        (name, *(", ".join(f"{_of(entries, tokens, 'fse', 'balanced')[f'use_{part}']:.0%}" for part in ("ddr", "mac", "d2d"))
                 for tokens in TOKENS)) for name, entries in found.items()))


def heat_map(commands: Commands, title: str, strategy: str) -> tuple[list[str], dict[tuple[Any, Any], float]]:
    """The fields of both axes, and cycles at each pair of values."""
    tokens, *axes = MAPS[title]
    entries = commands.answer(f"sweep deepseek-moe-16b {' '.join(f'--vary {axis}' for axis in axes)} {GATE} "
                              f"--tokens {tokens} --windows 2 --strategy {strategy}",
                              "-o", str(FOLDER / f"{title.replace(' ', '-')}-{strategy}"))
    fields = [axis.split("=")[0] for axis in axes]
    return fields, {(entry[fields[0]], entry[fields[1]]): entry["cycles"] for entry in entries}


def maps(commands: Commands) -> Iterator[str]:
    """Each map: how many times faster than EP with the same hardware."""
    for title in MAPS:
        fields, ours = heat_map(commands, title, "fse")
        _, theirs = heat_map(commands, title, "ep")
        rows, columns = (list(dict.fromkeys(key[axis] for key in ours)) for axis in range(2))
        yield f"**{title[0].upper() + title[1:]}**, {MAPS[title][0]:,} tokens: cycles, and EP's over them"
        yield ""
        yield from table_rows((f"`{fields[0]}`", *(f"`{fields[1]}` = {column}" for column in columns)), (
            (row, *(f"{ours[row, column]:,.0f}, {theirs[row, column] / ours[row, column]:.2f}" for column in columns))
            for row in rows))
        yield ""


def buffering(commands: Commands) -> Iterator[str]:
    """What token buffering gains at each slack."""
    found = {tokens: commands.answer(f"buffer deepseek-moe-16b {GATE} --tokens {tokens} --batches 8 --slack 0,0.1,0.2,0.3",
                                     "-o", str(FOLDER / f"buffer-{tokens}")) for tokens in (16, 64, 256)}
    slacks = [row["slack"] for row in found[16] if row["slack"]]
    yield from table_rows(("tokens", *(f"slack {slack:.0%}" for slack in slacks)), (
        (tokens, *(f"{row['gain']:.3f}" for row in entries if row["slack"])) for tokens, entries in found.items()))


def main(arguments: Sequence[str] | None = None) -> int:
    """Write all tables."""
    parser = argparse.ArgumentParser(prog="python -m trajectile.scripts.maintain.paper_page", description=__doc__)
    parser.add_argument("traces", metavar="FOLDER", type=Path, help="with the gate traces")
    commands = Commands(parser.parse_args(arguments).traces)
    found = {name: commands.answer(grid_command(name), "-o", str(FOLDER / name)) for name in GRIDS}
    lines = [*(f"    trajectile {grid_command(name)}" for name in GRIDS), "", *grids(found)]
    pages.write_part(PAGE, "grids", "\n".join(lines))
    pages.write_part(PAGE, "from EP to everything", "\n".join(ablation(found["2x2"])))
    use = {name: commands.answer(f"compare {name} {gate} --tokens {','.join(map(str, TOKENS))} --windows 2 --strategies fse "
                                 "--orders balanced", "-o", str(FOLDER / name)) for name, gate in MODELS.items()}
    pages.write_part(PAGE, "utilisation", "\n".join(utilisation(use)))
    pages.write_part(PAGE, "heat maps", "\n".join(maps(commands)))
    pages.write_part(PAGE, "slack", "\n".join(buffering(commands)))
    best = {name: fmean(_of(entries, tokens, "fse", "balanced")["speedup_over_ep"] for tokens in TOKENS)
            for name, entries in found.items()}
    print("mean speedup over EP:", ", ".join(f"{name} {value:.2f}" for name, value in best.items()))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
