"""Functional coverage of a regression, as a table, and what was never hit: ``python -m tests.reports.functional_coverage
[FOLDER]``.

``--write`` puts the table on docs/verification.md.
"""

import argparse
from pathlib import Path

from trajectile.scripts.maintain import pages
from trajectile.scripts.report.markdown import table_rows
from trajectile.tb import coverage
from trajectile.tb.coverage_points import POINTS

#: where ``make regress`` keeps the hits
DEFAULT = Path("build/coverage")


def markdown(found: set[str]) -> str:
    """Each group with its points; of those that were not hit the meaning."""
    rows = []
    for group in dict.fromkeys(point.group for point in POINTS):
        own = [point for point in POINTS if point.group == group]
        names = ", ".join(f"`{point.name.partition('.')[2]}`" for point in own)
        rows.append((group, len(own), sum(point.name in found for point in own), names))
    rows.append(("all", len(POINTS), sum(point.name in found for point in POINTS), ""))
    never = [f"never hit: {point.name}: {point.meaning}" for point in POINTS if point.name not in found]
    return "\n".join([*table_rows(("group", "points", "hit", "what"), rows), *never])


def main(arguments: list[str] | None = None) -> int:
    """Print; the exit code says whether every point was hit."""
    parser = argparse.ArgumentParser(prog="python -m tests.reports.functional_coverage", description="Functional coverage.")
    parser.add_argument("folder", nargs="?", type=Path, default=DEFAULT,
                        help=f"where the runs kept their hits (default {DEFAULT})")
    parser.add_argument("--write", action="store_true", help="put the table on docs/verification.md")
    args = parser.parse_args(arguments)
    found = coverage.merged(args.folder)
    print(markdown(found))
    if args.write:
        pages.write_part("verification.md", "functional coverage", markdown(found))
    return 0 if {point.name for point in POINTS} <= found else 1


if __name__ == "__main__":
    raise SystemExit(main())
