"""Slices that travel against tokens that travel, for docs/dataflows.md: cycles, bytes between tiles, memory.

``python -m trajectile.scripts.maintain.dataflows_page FOLDER`` runs the commands of the page and writes its tables and plot.
The folder has the gate traces ``flame-moe-290m.npz`` and ``qwen1.5-moe-a2.7b.npz``. It takes about half an hour.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from trajectile.scripts import cli
from trajectile.scripts.flow.comparison import window_offsets
from trajectile.scripts.flow.experiments import Gate
from trajectile.scripts.flow.workload import DEFAULT_SKEW
from trajectile.scripts.maintain import pages
from trajectile.scripts.maintain.cycles_page import FLAME, QWEN, Commands
from trajectile.scripts.plots import comparison as plots
from trajectile.scripts.report.markdown import table_rows
from trajectile.sw_model.config import Config, load
from trajectile.sw_model.schedule.dataflow import choose_dataflow

PAGE, LAYERS, ARRAYS, BYTES, MEMORY, PLOT = ("dataflows.md", "dataflows layers", "dataflows arrays", "dataflows bytes",
                                             "dataflows memory", "dataflows.png")
FOLDER = Path("build/dataflows")
PLAYED = "--orders balanced"
#: layers of the first table, with the windows of their traces
TRACES = {"DeepSeek-MoE-16B (FLAME)": f"deepseek-moe-16b --trace {FLAME} --layer 5",
          "Qwen1.5-MoE-A2.7B": f"qwen1.5-moe-a2.7b --trace {QWEN} --layer 12",
          "Qwen3-30B-A3B, synthetic": "qwen3-30b-a3b --windows 2"}
SIZES = "1,2,4,8,16,64,256"
#: grids, and tiles with a DDR channel
GRIDS = {"2x2": (2, 2, "0,1,2,3"), "3x3": (3, 3, "0,1,2,3,4,5,6,7,8"), "3x3, corners": (3, 3, "0,2,6,8"),
         "4x4": (4, 4, ",".join(map(str, range(16)))), "4x4, corners": (4, 4, "0,3,12,15")}
GRID = ("compare qwen3-30b-a3b --set tile.tokens=1024 --set array.rows={rows} "
        "--set array.cols={cols} --set array.ddr_tiles={channels} --set tile.slots={slots} --tokens {tokens} "
        "--strategies fse,tokens-travel --orders balanced --windows 1")
SLOTS, GRID_SIZES = (3, 6, 12), (1, 4, 16, 64, 256, 1024)
#: slots that are tried for the memory of a tile
FEW, FEW_SIZES = (2, 3, 4), (1, 16)


def layer_command(layer: str, wish: str = "") -> str:
    """One layer at all batch sizes: both dataflows and EP, or streaming in the dataflow that is wished for."""
    played = f"--strategies fse --dataflow {wish}" if wish else "--strategies fse,tokens-travel,ep"
    return f"compare {TRACES[layer]} --tokens {SIZES} {played} {PLAYED}"


def memory_command(layer: str, slots: int) -> str:
    """One layer with few slots, and EP with two whole experts."""
    return (f"compare {TRACES[layer]} --set tile.slots={slots} --tokens {','.join(map(str, FEW_SIZES))} "
            f"--strategies fse,tokens-travel,ep-whole-experts {PLAYED}")


def grid_command(grid: str, slots: int, sizes: Sequence[int] = GRID_SIZES) -> str:
    """One array."""
    rows, cols, channels = GRIDS[grid]
    return GRID.format(rows=rows, cols=cols, channels=channels, slots=slots, tokens=",".join(map(str, sizes)))


def by_size(entries: Sequence[Mapping[str, Any]], strategy: str) -> dict[int, Mapping[str, Any]]:
    """The entries of a strategy."""
    return {entry["tokens"]: entry for entry in entries if entry["strategy"] == strategy}


def layers(found: Mapping[str, tuple[Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]]]]) -> Iterator[str]:
    """Both dataflows of each layer at each batch size, and what the rule takes.

    Args:
        found: of each layer the answers to its two commands.
    """
    def rows() -> Iterator[tuple[object, ...]]:
        for layer, (entries, auto) in found.items():
            ours, other, ep = (by_size(entries, name) for name in ("fse", "tokens-travel", "ep"))
            for tokens, chosen in by_size(auto, "fse").items():
                spread, shared = ours[tokens], other[tokens]
                yield (layer, tokens, f"{spread['cycles']:,.0f}", f"{shared['cycles']:,.0f}",
                       f"{shared['cycles'] / spread['cycles']:.3f}", f"{spread['over_roofline']:.3f}",
                       f"{shared['over_roofline']:.3f}", f"{spread['d2d_bytes'] / 1e6:,.1f}",
                       f"{shared['d2d_bytes'] / 1e6:,.2f}", f"{ep[tokens]['d2d_bytes'] / 1e6:,.2f}",
                       f"**{spread['d2d_bytes'] / shared['d2d_bytes']:,.0f}**",
                       f"{spread['d2d_uj'] / tokens:,.1f}", f"{shared['d2d_uj'] / tokens:,.2f}", f"`{chosen['dataflow']}`")
    yield from table_rows(("layer", "tokens", "spread: cycles", "shared: cycles", "shared / spread", "spread / roofline",
                           "shared / roofline", "spread: D2D MB", "shared: D2D MB", "EP: D2D MB", "times fewer bytes",
                           "spread: D2D uJ per token", "shared: D2D uJ per token", "`auto`"), rows())


def _chosen(config: Config, sizes: Sequence[int]) -> dict[int, str]:
    """What the rule takes for the batch of each size that ``compare`` plays in its first window."""
    gate = Gate(None, None, DEFAULT_SKEW, 1)
    trace = gate.read(config)
    return {tokens: choose_dataflow(config, gate.batch(config, window_offsets(trace, tokens, 1)[0], tokens).topk_ids)
            for tokens in sizes}


def arrays(found: Mapping[tuple[str, int], Sequence[Mapping[str, Any]]], sizes: Sequence[int] = GRID_SIZES) -> Iterator[str]:
    """Cycles of shared batches over those of spread ones, on every array; bold where the rule shares."""
    def rows() -> Iterator[tuple[object, ...]]:
        for (grid, slots), entries in found.items():
            ours, other = (by_size(entries, name) for name in ("fse", "tokens-travel"))
            args = cli.parser("compare").parse_args(grid_command(grid, slots, sizes).split())
            chosen = _chosen(load(args.config[0], args.overrides), sizes)
            ratios = {tokens: f"{other[tokens]['cycles'] / ours[tokens]['cycles']:.3f}" for tokens in sizes}
            yield (grid, slots, *(f"**{ratio}**" if chosen[tokens] == "shared" else ratio
                                  for tokens, ratio in ratios.items()))
    yield from table_rows(("array", "slots", *(f"{tokens:,} token{'s' * (tokens > 1)}" for tokens in sizes)), rows())


def between(found: Mapping[tuple[str, int], Sequence[Mapping[str, Any]]], sizes: Sequence[int] = GRID_SIZES) -> Iterator[str]:
    """Bytes between tiles with the most slots: of spread batches over those of shared ones."""
    most = max(slots for _, slots in found)

    def rows() -> Iterator[tuple[object, ...]]:
        for (grid, slots), entries in found.items():
            if slots == most:
                ours, other = (by_size(entries, name) for name in ("fse", "tokens-travel"))
                yield (grid, *(f"{ours[tokens]['d2d_bytes'] / other[tokens]['d2d_bytes']:,.0f}" for tokens in sizes))
    yield from table_rows(("array", *(f"{tokens:,} token{'s' * (tokens > 1)}" for tokens in sizes)), rows())


def memory(found: Mapping[tuple[str, int], Sequence[Mapping[str, Any]]]) -> Iterator[str]:
    """Weights and tokens on a tile with few slots, less than EP with two whole experts; cycles over the roofline."""
    def rows() -> Iterator[tuple[object, ...]]:
        for (layer, slots), entries in found.items():
            whole = by_size(entries, "ep-whole-experts")
            row: list[object] = [layer, slots]
            for name in ("fse", "tokens-travel"):
                for tokens, entry in by_size(entries, name).items():
                    ours, theirs = (one["weight_bytes"] + one["token_bytes"] for one in (entry, whole[tokens]))
                    row.append(f"{ours / 1000:,.0f} kB, -{1 - ours / theirs:.1%}, {entry['worst_over_roofline']:.3f}")
            yield tuple(row)
    yield from table_rows(("layer", "slots", *(f"{name}, {tokens} token{'s' * (tokens > 1)}" for name in ("spread", "shared")
                                               for tokens in FEW_SIZES)), rows())


def draw(found: Mapping[str, tuple[Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]]]], path: Path) -> None:
    """Bytes between tiles over the batch size."""
    names = {"spread": "fse", "shared": "tokens-travel", "EP": "ep"}
    panels = {layer: {name: [(tokens, one["d2d_bytes"] / tokens / 1e6) for tokens, one in by_size(entries, of).items()]
                      for name, of in names.items()} for layer, (entries, _) in found.items()}
    plots.curves(panels, path, "tokens in the batch", "MB between tiles per token", scale="log")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="dataflows_page", description=__doc__)
    parser.add_argument("traces", metavar="FOLDER", type=Path, help="with the gate traces")
    commands = Commands(parser.parse_args(arguments).traces)

    def answer(command: str) -> Any:
        return commands.answer(command, "-o", str(FOLDER))
    played = {layer: (answer(layer_command(layer)), answer(layer_command(layer, "auto"))) for layer in TRACES}
    pages.write_part(PAGE, LAYERS, "\n".join(layers(played)))
    draw(played, pages.DOCS / PLOT)
    pages.write_part(PAGE, MEMORY, "\n".join(memory(
        {(layer, slots): answer(memory_command(layer, slots)) for layer in TRACES for slots in FEW})))
    grids = {(grid, slots): answer(grid_command(grid, slots)) for grid in GRIDS for slots in SLOTS}
    pages.write_part(PAGE, ARRAYS, "\n".join(arrays(grids)))
    pages.write_part(PAGE, BYTES, "\n".join(between(grids)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
