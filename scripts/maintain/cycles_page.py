"""The tables of cycles in docs/comparison.md, docs/scheduling.md and docs/results.md, by the commands that stand above them.

``python -m trajectile.scripts.maintain.cycles_page FOLDER``: the folder has the gate traces ``flame-moe-290m.npz`` and
``qwen1.5-moe-a2.7b.npz``.
A table whose RTL does not equal the model to the cycle is not written.
"""

import argparse
import contextlib
import io
import json
import shlex
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from trajectile.scripts import cli
from trajectile.scripts.command_line import terminal
from trajectile.scripts.maintain import ablation, pages
from trajectile.scripts.report.markdown import table_rows
from trajectile.sw_model.config import load
from trajectile.sw_model.schedule.scheduler import ORDERS

FOLDER = Path("build/cycles")
FLAME, QWEN = "flame-moe-290m.npz", "qwen1.5-moe-a2.7b.npz"
COMPARED = {
    "flame": f"compare deepseek-moe-16b --trace {FLAME} --layer 5",
    "qwen1.5": f"compare qwen1.5-moe-a2.7b --trace {QWEN} --layer 12",
    "synthetic": f"compare qwen3-30b-a3b olmoe-1b-7b phi-3.5-moe yuan2.0-m32 mixtral-8x7b --windows 2 --fit {FLAME}",
    "mxfp4": f"compare qwen3-30b-a3b --set tile.weights=mxfp4 --windows 2 --fit {FLAME}",
}
#: plots of docs/, and what they are copied from
PLOTS = {"compare_over_roofline.png": "qwen1.5/over_roofline.png", "compare_speedup.png": "synthetic/speedup_over_ep.png"}
#: layers with a fifth of an expert on a tile: title of the row, and what is said after it
FIFTHS = {
    "compare qwen3-30b-a3b --set tile.slots=5 --strategies fse,ep-whole-experts --orders balanced --windows 2": ("Qwen3", ""),
    f"compare deepseek-moe-16b --set tile.slots=9 --trace {FLAME} --layer 5 --orders balanced": ("DeepSeek (FLAME)", ""),
    f"compare qwen1.5-moe-a2.7b --set tile.slots=9 --trace {QWEN} --layer 12 --orders balanced": ("Qwen1.5 (trace)", ""),
    "compare qwen3-30b-a3b --set tile.slices=48 --set tile.slots=10 --set tile.mac_k=16 --set tile.mac_n=32 "
    "--set tile.mac_t=4 --strategies fse,ep-whole-experts --orders balanced --windows 2":
        ("Qwen3", ", MACs as 16 x 32 x 4"),
}
BUFFERED = [f"buffer deepseek-moe-16b --trace {FLAME} --layer 5 --tokens {tokens} --batches 16" for tokens in (16, 64)]
CONTROL = [
    *(f"simulate qwen3-30b-a3b --timing-only --tokens {tokens}" for tokens in (64, 256, 1024)),
    "simulate qwen3-30b-a3b --set tile.weights=mxfp4 --timing-only --tokens 256",
    "simulate paper --timing-only --tokens 256",
    f"simulate deepseek-moe-16b --timing-only --trace {FLAME} --layer 5 --offset 1024 --tokens 1024",
]
#: trace, layer: experts, top_k
WINDOWS = {(FLAME, 2): (64, 6), (QWEN, 0): (60, 4)}
WINDOW_TOKENS = (16, 64, 256)
WINDOW_COMMAND = (
    "simulate demo --set layer.d_model=16 --set layer.d_ff=32 --set tile.slices=4 --set layer.experts={experts} "
    "--set layer.top_k={top_k} --trace {trace} --layer {layer} --offset 1000 --tokens {tokens} --order {order}")
ABLATED = {"FLAME": f"deepseek-moe-16b --trace {FLAME} --layer 5", "Qwen1.5": f"qwen1.5-moe-a2.7b --trace {QWEN} --layer 12",
           "Qwen3, synthetic": "qwen3-30b-a3b"}


class Commands:
    """Runs commands as they stand on the pages, with the traces of a folder."""

    def __init__(self, traces: Path):
        self.traces = traces

    def words(self, command: str) -> list[str]:
        """The words of a command line; a trace is looked for in the folder."""
        return [str(self.traces / word) if word in (FLAME, QWEN) else word for word in shlex.split(command)]

    def answer(self, command: str, *more: str) -> Any:
        """The JSON that ``trajectile COMMAND`` answers.

        Raises:
            SystemExit: if it fails.
        """
        said, complaints = io.StringIO(), io.StringIO()
        with terminal.status(command), contextlib.redirect_stdout(said), contextlib.redirect_stderr(complaints):
            code = cli.main([*self.words(command), *more, "--json", "-"])
        if code:
            raise SystemExit(f"trajectile {command}: exit code {code}\n{complaints.getvalue()}")
        return json.loads(said.getvalue())

    def exact(self, command: str) -> Any:
        """The same of ``simulate``, whose results and events must be those of the model."""
        run = self.answer(command)
        if not (run["events_exact"] and run["results_exact"] in (True, None) and run["cycles_rtl"] == run["cycles_model"]):
            raise SystemExit(f"trajectile {command}: not exact")
        return run


def _of(entries: Sequence[dict[str, Any]], **wanted: Any) -> dict[str, Any]:
    [found] = [entry for entry in entries if all(entry[key] == value for key, value in wanted.items())]
    return found


def strategies(entries: Sequence[dict[str, Any]], config: str) -> Iterator[str]:
    """Every batch size of one configuration: cycles over the roofline of all orders and of the others; use in `balanced`."""
    def rows() -> Iterator[tuple[object, ...]]:
        for tokens in dict.fromkeys(entry["tokens"] for entry in entries if entry["config"] == config):
            mine = [entry for entry in entries if entry["config"] == config and entry["tokens"] == tokens]
            order = {name: _of(mine, strategy="fse", order=name) for name in ORDERS}
            ours = order["balanced"]
            shared = [f"{entry['over_roofline']:.3f}" for entry in mine if entry["strategy"] == "tokens-travel"]
            yield (f"{tokens:,}", f"{ours['cycles']:,.0f}", f"{order['index']['over_roofline']:.3f}",
                   f"{order['paired']['over_roofline']:.3f}", f"**{ours['over_roofline']:.3f}**",
                   f"{ours['worst_over_roofline']:.3f}", *(shared or [""]),
                   *(f"{_of(mine, strategy=other)['over_roofline']:.3f}" for other in ("ep", "hydra")),
                   *(f"{ours[f'speedup_over_{other}']:.2f}" for other in ("ep", "hydra")),
                   *(f"{ours[f'use_{part}']:.0%}" for part in ("ddr", "mac", "d2d")))
    yield from table_rows(("tokens", "cycles, `balanced`", "`index`", "`paired`", "`balanced`", "worst window",
                           "tokens travel", "EP", "Hydra", "vs EP", "vs Hydra", "DDR", "MAC", "D2D"), rows())


def others(entries: Sequence[dict[str, Any]], skip: str) -> Iterator[str]:
    """Configurations side by side, `balanced` only."""
    sizes = list(dict.fromkeys(entry["tokens"] for entry in entries))
    configs = [name for name in dict.fromkeys(entry["config"] for entry in entries) if name != skip]
    yield from table_rows(("`balanced`: over roofline, vs EP", *(f"{size:,}" for size in sizes)), (
        (name, *(f"{ours['over_roofline']:.3f}, {ours['speedup_over_ep']:.2f}" for size in sizes
                 for ours in [_of(entries, config=name, tokens=size, strategy="fse", order="balanced")]))
        for name in configs))


def formats(of_8_bits: Sequence[dict[str, Any]], of_4_bits: Sequence[dict[str, Any]], config: str) -> Iterator[str]:
    """One configuration with weights of 8 and of 4 bits, `balanced`."""
    def rows() -> Iterator[tuple[object, ...]]:
        for tokens in dict.fromkeys(entry["tokens"] for entry in of_4_bits):
            wide, ours = (_of(entries, config=config, tokens=tokens, strategy="fse", order="balanced")
                          for entries in (of_8_bits, of_4_bits))
            yield (f"{tokens:,}", f"{wide['cycles']:,.0f}", f"{ours['cycles']:,.0f}",
                   f"**{ours['cycles'] / wide['cycles']:.3f}**",
                   f"{ours['over_roofline']:.3f}", f"{ours['worst_over_roofline']:.3f}", f"{ours['speedup_over_ep']:.2f}",
                   *(f"{ours[f'use_{part}']:.0%}" for part in ("ddr", "mac", "d2d")))
    yield from table_rows(("tokens", "cycles, `mx8`", "cycles, `mxfp4`", "of `mx8`", "`mxfp4` over roofline", "worst window",
                           "vs EP", "DDR", "MAC", "D2D"), rows())


def _kilobytes(entry: dict[str, Any]) -> str:
    return f"{entry['weight_bytes'] / 1000:,.0f} kB, {entry['token_bytes'] / 1000:,.0f} kB"


def memory(compared: dict[str, list[dict[str, Any]]]) -> Iterator[str]:
    """Bytes on a tile at 64 tokens."""
    yield from table_rows(("layer, 64 tokens", "streaming: weights, tokens", "EP, same slots", "EP, two whole experts"), (
        (title, _kilobytes(_of(compared[key], config=config, tokens=64, strategy="fse", order="balanced")),
         *(_kilobytes(_of(compared[key], config=config, tokens=64, strategy=other)) for other in ("ep", "ep-whole-experts")))
        for title, key, config in (("DeepSeek-MoE-16B (FLAME)", "flame", "deepseek-moe-16b"),
                                   ("Qwen3-30B-A3B", "synthetic", "qwen3-30b-a3b"))))


def fifths(commands: Commands) -> Iterator[str]:
    """Layers whose tiles hold a fifth of an expert."""
    def rows() -> Iterator[tuple[object, ...]]:
        for number, (command, (name, more)) in enumerate(FIFTHS.items()):
            entries = commands.answer(command, "-o", str(FOLDER / f"fifth-{number}"))
            args = cli.parser("compare").parse_args(commands.words(command))
            preset, = args.config
            config = load(preset, args.overrides)
            ours = {entry["tokens"]: entry for entry in entries if entry["strategy"] == "fse"}
            whole = _of(entries, tokens=1, strategy="ep-whole-experts")["weight_bytes"]
            weights = ours[1]["weight_bytes"]
            yield (f"{name}, {config.tile.slices} slices, {config.tile.slots} slots{more}",
                   f"{config.tile.slots / config.tile.slices:.2f}", f"{weights / 1000:,.0f} kB", f"{1 - weights / whole:.0%}",
                   *(f"{ours[size]['over_roofline']:.3f}" for size in (1, 16, 64, 1024)))
    yield from table_rows(("", "of an expert", "weights", "less than EP's two experts", "1 token", "16", "64", "1,024"),
                          rows())


def buffering(commands: Commands) -> Iterator[str]:
    """Gain and waits of token buffering."""
    runs = [commands.answer(command, "-o", str(FOLDER / f"buffer-{number}")) for number, command in enumerate(BUFFERED)]
    yield from table_rows(("slack", *(f"{entries[0]['tokens'] // 16} tokens: {text}" for entries in runs
                                      for text in ("gain", "held", "mean wait (cycles)"))), (
        (f"{row[0]['slack']:.0%}", *(text for entry in row for text in (
            f"{entry['gain']:.3f}", f"{entry['held_tokens']} of {entry['tokens']:,}", f"{entry['mean_wait_cycles']:,.0f}")))
        for row in zip(*runs, strict=True) if row[0]["slack"]))


def control(commands: Commands) -> Iterator[str]:
    """The control RTL at full size."""
    def rows() -> Iterator[tuple[object, ...]]:
        for command in CONTROL:
            run = commands.exact(command)
            seconds = run["wall_seconds"]
            built = f"{seconds['build']:.0f}" if seconds["build"] >= 0.5 else "built before"
            yield (f"`trajectile {command}`", f"{run['cycles_rtl']:,}", f"{int(run['events'].split()[0]):,}", built,
                   f"{seconds['run']:.0f}")
    yield from table_rows(("command", "cycles, RTL = model", "events equal", "seconds to build", "to run"), rows())


def windows(commands: Commands) -> Iterator[str]:
    """Windows of real gates on a small layer, with payload."""
    def rows() -> Iterator[tuple[object, ...]]:
        for (trace, layer), (experts, top_k) in WINDOWS.items():
            for tokens in WINDOW_TOKENS:
                runs = [commands.exact(WINDOW_COMMAND.format(
                    experts=experts, top_k=top_k, trace=trace, layer=layer, tokens=tokens, order=order)) for order in ORDERS]
                bound = max(runs[0]["roofline"], key=runs[0]["roofline"].get)
                yield ("FLAME" if trace == FLAME else "Qwen", tokens, f"{runs[0]['roofline_cycles']:,} ({bound.upper()})",
                       *(f"{run['cycles_rtl']:,}" for run in runs))
    yield from table_rows(("trace", "tokens", "roofline", *(f"`{order}`" for order in ORDERS)), rows())


def ablated(commands: Commands) -> Iterator[str]:
    """What lanes, placement and turns are worth."""
    found = []
    for command in ABLATED.values():
        with terminal.status(f"ablation of {command}"):
            found.append(ablation.measured(ablation.parsed(commands.words(command))))
    best = [min(min(ratios) for ratios, _ in rows) for rows in found]
    yield from table_rows(("lanes", "placement", "turns", *(f"{name}: {', '.join(ORDERS)}" for name in ABLATED)), (
        (lanes, placement, "yes" if turns else "no",
         *(", ".join(f"**{ratio:.3f}**" if ratio == least else f"{ratio:.3f}" for ratio in rows[number][0])
           for rows, least in zip(found, best, strict=True)))
        for number, (lanes, placement, turns) in enumerate(ablation.VARIANTS)))


def parts(commands: Commands) -> Iterator[tuple[str, str, Callable[[], Iterator[str]]]]:
    """Page, name and lines of each table, in the order in which they are made."""
    compared = {key: commands.answer(command, "-o", str(FOLDER / key)) for key, command in COMPARED.items()}
    page = "comparison.md"
    yield page, "flame", lambda: strategies(compared["flame"], "deepseek-moe-16b")
    yield page, "qwen1.5", lambda: strategies(compared["qwen1.5"], "qwen1.5-moe-a2.7b")
    yield page, "qwen3", lambda: strategies(compared["synthetic"], "qwen3-30b-a3b")
    yield page, "others", lambda: others(compared["synthetic"], "qwen3-30b-a3b")
    yield page, "formats", lambda: formats(compared["synthetic"], compared["mxfp4"], "qwen3-30b-a3b")
    yield page, "memory", lambda: memory(compared)
    yield page, "fifths", lambda: fifths(commands)
    yield page, "buffering", lambda: buffering(commands)
    yield page, "control", lambda: control(commands)
    yield "scheduling.md", "ablation", lambda: ablated(commands)
    yield "results.md", "windows", lambda: windows(commands)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="cycles_page", description=__doc__)
    parser.add_argument("traces", metavar="FOLDER", type=Path, help="with the gate traces")
    args = parser.parse_args(arguments)
    for page, name, lines in parts(Commands(args.traces)):
        pages.write_part(page, f"cycles {name}", "\n".join(lines()))
        print(f"docs/{page}: {name}", flush=True)
    for name, source in PLOTS.items():
        shutil.copy(FOLDER / source, pages.DOCS / name)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
