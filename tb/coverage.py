"""Functional coverage: watches in the generated Verilog for what must happen, and which of it has happened.

A build that is observed (:class:`trajectile.tb.instruments.Instruments`) has a watch in each module: an ``always`` block
before ``endmodule`` that prints a line when one of the module's points (:mod:`trajectile.tb.coverage_points`) is hit for the
first time in an instance. What a run hit is kept in a file of a folder, if the run did what it should.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from trajectile.tb.coverage_points import POINTS, Point

PREFIX = "trajectile_"
_WORD = re.compile(r"\b(?<!['.])[A-Za-z_]\w*")
_HIT = re.compile(r"^COVERED (\S+)\r?$", re.M)


def _watch(text: str, points: Sequence[Point]) -> str:
    """A module with a watch for those of its points whose signals it has: what a configuration leaves out cannot happen."""
    names = set(_WORD.findall(text))
    own = [point for point in points if set(_WORD.findall(point.when)) <= names]
    if not own:
        return text
    lines = [f"    if (!watched[{number}] && ({point.when})) begin\n"
             f"      watched[{number}] <= 1'b1;\n      $display(\"COVERED {point.name}\");\n    end"
             for number, point in enumerate(own)]
    watch = (f"  reg [{len(own) - 1}:0] watched = 0;\n  always @(posedge clk) if (!rst) begin\n" + "\n".join(lines)
             + "\n  end\n")
    return text.removesuffix("endmodule") + watch + "endmodule"


def instrumented(files: Mapping[str, str], points: Iterable[Point] = POINTS) -> dict[str, str]:
    """The files of a design with a watch in every module that has points."""
    by_module: dict[str, list[Point]] = {}
    for point in points:
        by_module.setdefault(PREFIX + point.module, []).append(point)

    def watched(match: re.Match[str]) -> str:
        return _watch(match.group(0), by_module.get(match.group(1), []))

    return {name: re.sub(r"^module (\w+)\b.*?^endmodule", watched, text, flags=re.M | re.S)
            for name, text in files.items()}


def hits(text: str) -> set[str]:
    """Names of the points that a run's log says were hit."""
    return set(_HIT.findall(text))


def keep(log: Path, where: Path) -> None:
    """Keep what a run hit, as its log says, in a folder."""
    found = sorted(hits(log.read_text(encoding="utf-8", errors="replace")))
    text = "".join(f"{name}\n" for name in found)
    where.mkdir(parents=True, exist_ok=True)
    # runs that hit the same points share a file
    (where / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.hits").write_text(text, encoding="utf-8")


def merged(where: Path) -> set[str]:
    """Names of all points that were hit in the runs of a folder."""
    return {name for path in where.glob("*.hits") for name in path.read_text(encoding="utf-8").split()}
