"""The tables of docs/models.md: whole models, and our layers beside a GPU's, each as a share of its own memory roofline.

``python -m trajectile.scripts.maintain.models_page CSV FOLDER``: measured times of a GPU (columns ``layer``, ``tokens``,
``roofline_us``, ``fused_triton_us``, ``torch_grouped_mm_us``), and the gate traces as for ``cycles_page``.
"""

import argparse
import csv
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from trajectile.scripts.command_line.errors import Exit
from trajectile.scripts.maintain import pages
from trajectile.scripts.maintain.cycles_page import FLAME, QWEN, Commands
from trajectile.scripts.report.markdown import table_rows

PAGE = "models.md"
#: whole models by the command that stands above their table
WHOLE = ("model qwen3-30b-a3b --set tile.weights=mxfp4 --context 1024",
         "model gpt-oss-120b --set tile.weights=mxfp4 --context 1024",
         "model deepseek-v3 --set tile.weights=mxfp4 --context 1024 --ddr-gib 128")
#: the command above the table of energies
ENERGY = "model qwen3-30b-a3b --set tile.weights=mxfp4 --context 1024 --sequences 1,8,64 --windows 2"
#: layers of the GPU's file: our preset and its gate
LAYERS = {"qwen3-30b-a3b": "qwen3-30b-a3b --skew 0", "deepseek-moe-16b": f"deepseek-moe-16b --trace {FLAME} --layer 5",
          "qwen1.5-moe-a2.7b": f"qwen1.5-moe-a2.7b --trace {QWEN} --layer 12"}


def compared(layer: str, tokens: Sequence[int]) -> str:
    """The command of one layer."""
    preset, *gate = LAYERS[layer].split(maxsplit=1)
    return (f"compare {preset} --set tile.weights=mxfp4 {' '.join(gate)} --strategies fse --orders balanced --windows 4 "
            f"--tokens {','.join(map(str, tokens))}")


def whole(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """A row for each number of sequences: tokens a second of each strategy, and where our time goes."""
    strategies = list(dict.fromkeys(row["strategy"] for row in rows))

    def lines() -> Iterator[tuple[object, ...]]:
        for number in dict.fromkeys(row["sequences"] for row in rows):
            mine = {row["strategy"]: row for row in rows if row["sequences"] == number}
            ours = mine[strategies[0]]
            yield (number, *(f"{mine[name]['tokens_per_second']:,.1f}" for name in strategies),
                   f"{ours['step_us'] / 1000:,.1f}", f"{ours['moe_share']:.0%}",
                   f"{ours['layer_cycles'] / ours['layer_roofline']:.3f}",
                   f"{ours['ddr_bytes_per_token'] / 1e6:,.0f}")
    yield from table_rows(("sequences", *(f"tokens/s, {name}" for name in strategies), "ms a step", "of it MoE",
                           "MoE over the roofline", "DDR MB a token"), lines())


def energies(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """A row for each number of sequences and strategy: a token's energy and its parts, in mJ."""
    counted = any(row["tiles_uj_per_token"] for row in rows)
    yield from table_rows(
        ("sequences", "strategy", "mJ a token", "DRAM", "links", "tiles", "W"),
        ((row["sequences"], row["strategy"], f"{row['uj_per_token'] / 1e3:,.1f}", f"{row['ddr_uj_per_token'] / 1e3:,.1f}",
          f"{row['d2d_uj_per_token'] / 1e3:,.2f}", f"{row['tiles_uj_per_token'] / 1e3:,.1f}" if counted else "",
          f"{row['watts']:,.2f}") for row in rows))


def beside(measured: Sequence[dict[str, str]], ours: dict[tuple[str, int], float]) -> Iterator[str]:
    """Shares of the roofline: the fused kernel, PyTorch's, ours."""
    def lines() -> Iterator[tuple[object, ...]]:
        for row in measured:
            key = row["layer"], int(row["tokens"])
            best = float(row["roofline_us"])
            shares = [best / float(row[name]) for name in ("fused_triton_us", "torch_grouped_mm_us")] + [1 / ours[key]]
            yield (row["layer"], f"{key[1]:,}", f"{best:,.1f}", *(f"{share:.1%}" for share in shares))
    yield from table_rows(("layer", "tokens", "H200's roofline, us", "H200, fused kernel", "H200, grouped_mm", "this array"),
                          lines())


def main(arguments: list[str] | None = None) -> int:
    """Write the tables."""
    parser = argparse.ArgumentParser(prog="python -m trajectile.scripts.maintain.models_page", description=__doc__)
    parser.add_argument("csv", type=Path, metavar="CSV", help="what the GPU reached")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="gate traces")
    parser.add_argument("--energy", metavar="FILE",
                        help="of a tile of the model in the table of energies, from synthesize --power --json")
    args = parser.parse_args(arguments)
    commands = Commands(args.folder)
    found = commands.answer(ENERGY, *(["--energy", args.energy] if args.energy else []))["rows"]
    pages.write_part(PAGE, "energies", "\n".join(energies(found)))
    parts: list[str] = []
    for command in WHOLE:
        found = commands.answer(command)
        fits = found["placement"]
        held = fits["channel_bytes"] / 2**30
        parts += [*([""] if parts else []), f"    trajectile {command}", "", *whole(found["rows"]), "",
                  f"{found['moe_layers']} MoE layers; a DDR channel holds {held:.1f} GiB of weights."]
    pages.write_part(PAGE, "whole models", "\n".join(parts))
    with args.csv.open(encoding="utf-8", newline="") as file:
        measured = [row for row in csv.DictReader(file) if row["layer"] in LAYERS]
    ours: dict[tuple[str, int], float] = {}
    text = []
    for layer in LAYERS:
        tokens = [int(row["tokens"]) for row in measured if row["layer"] == layer]
        text.append(f"    trajectile {compared(layer, tokens)}")
        for entry in commands.answer(compared(layer, tokens)):
            ours[layer, entry["tokens"]] = entry["over_roofline"]
    text += ["", *beside(measured, ours)]
    pages.write_part(PAGE, "beside a GPU", "\n".join(text))
    return int(Exit.DONE)


if __name__ == "__main__":
    sys.exit(main())
