"""Line coverage of the generated Verilog: ``python -m tests.reports.line_coverage``.

It runs batches and errors, prints a table by module and, with ``--write``, puts it on docs/verification.md.

One design with everything in it (link layers, SECDED, two batches in flight), so that all runs count the same blocks: batches
at full speed and with random stalls, every error of ``tests/support/wrongs.py``, those that are fatal with both resets, links
that lose frames, buffers that forget.
"""

import argparse
import re
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from tests.support.batches import exact, simulated, synthetic
from tests.support.errors_bench import Playground
from tests.support.memory_bench import forgetful
from tests.support.wrongs import RESETS, noted, patience, wrongs
from trajectile.scripts.maintain import pages
from trajectile.scripts.report.markdown import table_rows
from trajectile.sw_model.config import load
from trajectile.tb import lines
from trajectile.tb.instruments import Instruments
from trajectile.tb.job import Run
from trajectile.tb.scenario import Scenario

CONFIG = load("smoke", ["link.crc_bits=16", "link.retries=50", "tile.protect=secded", "tile.batches=2"])
PREFIX = "trajectile_"


def play(folder: Path, instruments: Instruments) -> None:
    """All runs, with their files in a folder."""
    batch = synthetic(CONFIG, CONFIG.token_capacity, 7)
    stalls = [Run(seed, stall_host=True, stall_ddr=True, stall_io=True, stall_link=seed > 2) for seed in (1, 2, 3)]
    exact(CONFIG, [batch] * 3, folder / "batches", runs=[Run(), Run(), *stalls], instruments=instruments)
    ground = Playground.make(CONFIG, folder / "errors", instruments=instruments)
    ground.play([*(Scenario(name=f"{name} {reset}", reset=reset, patience=patience(ground), **wrong)
                   for reset in RESETS for name, wrong in wrongs(ground).items()),
                 *(Scenario(name=name, patience=patience(ground), may_finish=True, **wrong)
                   for name, wrong in noted(ground).items())], "verilator")
    simulated(
        CONFIG, batch, folder / "memory", runs=[Run()] * 4, files=forgetful, may_fail=True,
        instruments=instruments, plusargs=["+sram_one_in=50", "+sram_bits=1", "+sram_seed=1"])


def markdown(counts: Mapping[lines.Block, int]) -> str:
    """Blocks by module, and how many of them were executed. The memories are one row."""
    total: Counter[str] = Counter()
    hit: Counter[str] = Counter()
    for block, count in counts.items():
        name = re.sub(r"^sram_.*", "sram_*", block.module.removeprefix(PREFIX))
        total[name] += 1
        hit[name] += bool(count)
    rows = [(f"`{name}`", total[name], hit[name], f"{100 * hit[name] / total[name]:.1f}") for name in sorted(total)]
    rows.append(("all", total.total(), hit.total(), f"{100 * hit.total() / total.total():.1f}"))
    return "\n".join(table_rows(("module", "blocks", "executed", "%"), rows))


def main(arguments: list[str] | None = None) -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.reports.line_coverage",
                                     description="Line coverage of the Verilog.")
    parser.add_argument("--missed", action="store_true", help="list every block that was never executed")
    parser.add_argument("--write", action="store_true", help="put the table on docs/verification.md")
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        play(folder, Instruments(lines=folder / "lines"))
        counts = {block: count for block, count in lines.merged((folder / "lines").glob("*.dat")).items()
                  if block.module.startswith(PREFIX)}
    print(markdown(counts))
    if args.write:
        pages.write_part("verification.md", "line coverage", markdown(counts))
    if args.missed:
        for block, count in sorted(counts.items()):
            if not count:
                print(f"{block.module} line {block.line}: {block.kind}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
