"""The tables of clocks by wires, and of the shipped constraints, in docs/area.md.

``trajectile synthesize smoke --liberty LIBERTY --sta --json smoke.json`` makes a result, and ``python -m
trajectile.scripts.maintain.speed_page smoke.json ...`` writes the tables from some of them.
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from trajectile.scripts.maintain import pages
from trajectile.scripts.report.markdown import table_rows

PAGE, PART = "area.md", "area sta"


def _rows(results: Sequence[Mapping[str, Any]]) -> Iterator[tuple[object, ...]]:
    """Of the table of clocks."""
    for values in results:
        speed = values["speed"]
        for wire in speed["wires"].values():
            path = wire["longest"]
            yield (values["config"]["name"], values["technology"]["name"], wire["assumption"], f"{wire['mhz']:,.0f}",
                   f"{wire['mhz_before_sizing']:,.0f}", f"{wire['buffers_added']:,}", f"{wire['cells_resized']:,}",
                   f"`{path['from']}` to `{path['to']}`")


def _slacks(results: Sequence[Mapping[str, Any]]) -> Iterator[tuple[object, ...]]:
    """Of the table of constraints."""
    for values in results:
        sta = values["speed"]["sta"]
        yield (values["config"]["name"], values["technology"]["name"], f"{sta['period_ns']:.2f}", sta["wire"],
               *(f"{path['slack_ns']:.2f}" for path in sta["paths"].values()), f"{sta['mhz']:,.0f}",
               f"{sta['mhz_of_the_estimate']:,.0f}")


def markdown(results: Sequence[Mapping[str, Any]]) -> str:
    """Both tables."""
    head = ("tile", "technology", "wires", "MHz", "before sizing", "buffers added", "cells resized", "longest path")
    lines = [*table_rows(head, _rows(results))]
    kinds = list(results[0]["speed"]["sta"]["paths"])
    programs = sorted({values["speed"]["sta"]["program"] for values in results})
    lines += [f"{' and '.join(programs)} with the constraints that `trajectile generate` writes; slack in ns:", ""]
    words = ("tile", "technology", "clock ns", "wires", *kinds, "MHz from register to register", "the estimate's MHz")
    lines += table_rows(words, _slacks(results))
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="speed_page", description=__doc__)
    parser.add_argument("results", nargs="+", type=Path, help="of trajectile synthesize --sta --json")
    args = parser.parse_args(arguments)
    pages.write_part(PAGE, PART, markdown([json.loads(path.read_text(encoding="utf-8")) for path in args.results]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
