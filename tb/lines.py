"""Line coverage of the generated Verilog, as Verilator counts it.

A build that is observed (:class:`trajectile.tb.instruments.Instruments`) counts how often every block of statements is
executed, and the counts of every run are kept in a folder. Blocks are those of one design: runs of different
configurations do not go together. Left out is what no run can execute: the ``if`` of nothing that Yosys writes at the head of
every combinational block, so that simulators evaluate it once.
"""

import re
import shutil
import uuid
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

#: of a Verilator build that counts
BUILD_ARGUMENT = "--coverage-line"
#: how Yosys writes an ``if`` that is never true
_NEVER = re.compile(r"if \(_at_time_0 *\) begin end")
_RECORD = re.compile(r"^C '(.*)' (\d+)$", re.M)


class Block(NamedTuple):
    """Some statements that are executed together, or the choice of a branch."""

    module: str
    line: int
    column: int
    #: Verilator's word: block, if, else, case, elsif and so on
    kind: str


def keep(counts: Path, where: Path) -> None:
    """Move what a run counted to a folder."""
    where.mkdir(parents=True, exist_ok=True)
    shutil.move(counts, where / f"{uuid.uuid4().hex}.dat")


@cache
def _lines(path: str) -> list[str]:
    return Path(path).read_text(encoding="utf-8").splitlines()


def merged(paths: Iterable[Path]) -> Mapping[Block, int]:
    """How often each block was executed in all instances of its module and all runs.

    Raises ``OSError`` for a Verilog file that is no longer where it was built.
    """
    counts: dict[Block, int] = {}
    for path in paths:
        for record, count in _RECORD.findall(path.read_text(encoding="utf-8")):
            fields = dict(field.split("\x02", 1) for field in record.split("\x01") if "\x02" in field)
            if _NEVER.search(_lines(fields["f"])[int(fields["l"]) - 1]):
                continue
            block = Block(fields["page"].partition("/")[2], int(fields["l"]), int(fields["n"]), fields["o"])
            counts[block] = counts.get(block, 0) + int(count)
    return counts
