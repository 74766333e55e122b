"""Functional coverage of a regression, as a table, and what was never hit: ``python -m tests.coverage_report [FOLDER]``."""

import argparse
import os
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tb import coverage
from tb.coverage_points import POINTS

#: where ``make regress`` keeps the hits
DEFAULT = Path("build/coverage")


def main(arguments: list[str] | None = None) -> int:
    """Print; the exit code says whether every point was hit."""
    parser = argparse.ArgumentParser(prog="python -m tests.coverage_report", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path(os.environ.get(coverage.FOLDER, DEFAULT)),
                        help=f"where the runs kept their hits (default {DEFAULT})")
    found = coverage.merged(parser.parse_args(arguments).folder)
    table = Table("group", "points", "hit")
    for group in dict.fromkeys(point.group for point in POINTS):
        own = {point.name for point in POINTS if point.group == group}
        table.add_row(group, str(len(own)), str(len(own & found)))
    table.add_section()
    names = {point.name for point in POINTS}
    table.add_row("all", str(len(names)), str(len(names & found)))
    console = Console(highlight=False)
    console.print(table)
    for point in POINTS:
        if point.name not in found:
            console.print(f"never hit: {point.name}: {point.meaning}")
    return 0 if names <= found else 1


if __name__ == "__main__":
    raise SystemExit(main())
