"""Qwen3-30B-A3B with real DDR controllers, for docs/ddr.md: control RTL with LiteDRAM, the timeline, EP and Hydra.

``python -m trajectile.scripts.maintain.ddr_page FOLDER`` writes the tables. Each simulation's ``--json`` is kept in the
folder, so a run that was stopped goes on where it was. ``--tokens`` says how many tokens, ``--weights`` which formats.
With ``--kept`` only the table of these is written, a row for each that lies in the folder; nothing is run.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trajectile.scripts import cli
from trajectile.scripts.command_line.gate import integers
from trajectile.scripts.errors import ToolError
from trajectile.scripts.flow.comparison import means, tasks_of
from trajectile.scripts.flow.experiments import Gate, run_all
from trajectile.scripts.maintain import pages
from trajectile.scripts.report.markdown import table_rows
from trajectile.sw_model.config import load
from trajectile.sw_model.config.memories import with_memory

PAGE, PART, STRATEGIES_PART = "ddr.md", "measured", "strategies"
PRESET = "qwen3-30b-a3b"
TOKENS = (1, 16, 64)


@dataclass(frozen=True)
class Channel:
    """A memory, as wide as the port, and the ports to it."""

    #: as people name it, as ``--ddr`` names it
    title: str
    ddr: str
    bytes_per_cycle: int
    ports: int

    def sets(self, weights: str) -> list[str]:
        """Overrides of the configuration."""
        return [f"ddr.bytes_per_cycle={self.bytes_per_cycle}", f"ddr.ports={self.ports}", f"tile.weights={weights}"]

    def command(self, weights: str, tokens: int) -> list[str]:
        """The command line."""
        words = ["simulate", PRESET, "--timing-only", "--ddr", self.ddr, "--tokens", str(tokens)]
        return words + [word for change in self.sets(weights) for word in ("--set", change)]


CHANNELS = (Channel("DDR4-2400 x64", "litedram-ddr4", 64, 4), Channel("DDR3-800 x16", "litedram-ddr3", 16, 2),
            Channel("LPDDR-400 x16", "litedram-lpddr", 8, 2))


def answer(channel: Channel, weights: str, tokens: int, folder: Path) -> Path:
    """The file with what ``simulate --json`` says of a run."""
    return folder / f"{channel.ddr}-{channel.bytes_per_cycle}-{channel.ports}-{weights}-{tokens}.json"


def simulated(channel: Channel, weights: str, tokens: int, folder: Path) -> dict[str, Any]:
    """What ``simulate --json`` says, now or when it was run before.

    Raises:
        ToolError: if it fails.
    """
    path = answer(channel, weights, tokens, folder)
    if not path.is_file():
        words = [*channel.command(weights, tokens), "-o", str(path.with_suffix("")), "--json", str(path)]
        if code := cli.main(words):
            raise ToolError(f"trajectile {' '.join(words)} ended with code {code}")
    values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    wanted = load(PRESET, channel.sets(weights))
    if values["tokens"] != tokens or values["ddr"] != channel.ddr or any(
            values["config"]["ddr"][name] != getattr(wanted.ddr, name) for name in ("bytes_per_cycle", "ports")):
        raise ToolError(f"{path} is of another run; legal: a folder of this command's own")
    return values


def measured(folder: Path, sizes: tuple[int, ...], formats: tuple[str, ...], *, kept: bool = False) -> str:
    """The table of the control RTL and the timeline."""
    def rows() -> Iterator[tuple[object, ...]]:
        for channel in CHANNELS:
            for weights in formats:
                for tokens in sizes:
                    if kept and not answer(channel, weights, tokens, folder).is_file():
                        continue
                    run = simulated(channel, weights, tokens, folder)
                    rtl, line = run["cycles_rtl"], run["cycles_model"]
                    yield (channel.title, channel.ports, weights, f"{tokens:,}", f"{rtl:,}", f"{line:,}",
                           f"{line / rtl - 1:+.2%}", f"{run['ddr_share_of_peak']:.3f}", f"{rtl / run['roofline_cycles']:.3f}",
                           f"{rtl / run['roofline_refresh_cycles']:.3f}")
    return "\n".join(table_rows(("memory", "ports", "weights", "tokens", "cycles, control RTL", "timeline", "error",
                                 "share of the pins' peak", "over the roofline", "over it with refresh"), rows()))


def strategies(folder: Path, sizes: tuple[int, ...]) -> str:
    """The table of streaming, EP and Hydra on the same channels, by the timeline."""
    channel = CHANNELS[0]
    config = with_memory(load(PRESET, channel.sets("mxfp4")), "ddr4-2400")
    tasks = tasks_of([config], Gate(None, None, 0.2, 1), tokens=sizes, strategies=("fse", "ep", "hydra"),
                     orders=("balanced",), windows=1)
    entries = means(run_all(tasks, folder / "strategies"))
    return "\n".join(table_rows(("tokens", "strategy", "cycles", "over the roofline", "over it with refresh"), (
        (f"{e['tokens']:,}", e["strategy"], f"{e['cycles']:,.0f}", f"{e['over_roofline']:.3f}",
         f"{e['over_refresh_roofline']:.3f}") for e in entries)))


def main() -> None:
    """Run what is not there yet, and write both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", metavar="FOLDER", type=Path)
    parser.add_argument("--tokens", type=integers, default=list(TOKENS), metavar="N,N,...")
    parser.add_argument("--weights", default="mxfp4", metavar="FORMAT,...", help="of tile.weights (default mxfp4)")
    parser.add_argument("--kept", action="store_true",
                        help="run nothing; a row for each simulation that lies in the folder, and the other table stays")
    args = parser.parse_args()
    sizes = tuple(args.tokens)
    args.folder.mkdir(parents=True, exist_ok=True)
    if not args.kept:
        pages.write_part(PAGE, STRATEGIES_PART, strategies(args.folder, sizes))
    pages.write_part(PAGE, PART, measured(args.folder, sizes, tuple(args.weights.split(",")), kept=args.kept))


if __name__ == "__main__":
    main()
