"""nextpnr from its wheels: place and route, what it reports; and the tools that make bitstreams."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from trajectile.scripts.errors import ToolError
from trajectile.scripts.fpga.families.family import Family, Program

#: what a line of the log says is being done from now on
PHASES = (("Info: Packing", "packing"), ("Info: Running Static placer", "placing"),
          ("Info: Creating initial", "placing"), ("Info: Running main analytical", "placing"),
          ("Info: Running simulated", "placing"),
          ("Info: Running router2", "routing"), ("Info: Critical path report", "measuring"))
#: errors of nextpnr that say that this design does not get into this device, or not with this seed: an answer, no failure
_NO_PLACE = ("Unable to place cell", "Unable to find legal placement", "Unable to find a placement location",
             "failed to place cell", "failed to place chain", "Failed to route arc")


class NextpnrMissing(ToolError):
    """nextpnr is not installed. The message is one line that says how to get it."""


@dataclass(frozen=True)
class Step:
    """A stage of a path: through a cell, or along a net."""

    #: ``clk-to-q``, ``source``, ``logic``, ``routing`` or ``setup``
    kind: str
    ns: float
    #: the cell that the stage ends in
    cell: str
    #: of routing: the net's name
    net: str | None = None


@dataclass(frozen=True)
class Report:
    """What nextpnr says of a routed design."""

    #: used and available by kind of site, as ``TRELLIS_COMB``
    used: Mapping[str, tuple[int, int]]
    #: of the slowest clock, in MHz; None if no path goes from register to register
    fmax_mhz: float | None
    #: the slowest path from register to register
    path: tuple[Step, ...] = ()
    #: what each clock reaches and what it is to reach, in MHz, by the name of its net
    clocks: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def check(family: Family) -> None:
    """Whether nextpnr is installed for a family.

    Raises:
        NextpnrMissing: if it is not.
    """
    if find_spec(family.module) is None:
        raise NextpnrMissing(f"nextpnr, which places and routes, is not installed for {family.name} (pip install "
                             f"{family.wheel}, or pip install 'trajectile[fpga]')")


def read_report(text: str) -> Report:
    """Read the file that ``--report`` writes.

    Raises:
        ToolError: if it is not one.
    """
    try:
        values = json.loads(text)
        used = {kind: (int(part["used"]), int(part["available"])) for kind, part in values["utilization"].items()}
        clocks = {name: (float(part["achieved"]), float(part["constraint"])) for name, part in values["fmax"].items()}
        inside = [part for part in values["critical_paths"] if part["from"] == part["to"] != "<async>"]
        path = max((_steps(part["path"]) for part in inside), key=lambda steps: sum(step.ns for step in steps), default=())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ToolError(f"nextpnr's report cannot be read ({type(error).__name__}: {error})") from None
    return Report(used, min((reached for reached, _ in clocks.values()), default=None), path, clocks)


def _steps(path: Sequence[Mapping[str, Any]]) -> tuple[Step, ...]:
    return tuple(Step(str(part["type"]), float(part["delay"]), str(part["to"]["cell"]), part.get("net")) for part in path)


def read_used(log: str) -> dict[str, tuple[int, int]]:
    """Used and available sites by kind, from the log: what is known of a design that was not placed."""
    _, _, table = log.partition("Info: Device utilisation:")
    return {kind: (int(used), int(there))
            for kind, used, there in re.findall(r"^Info:\s+(\w+):\s*(\d+)/\s*(\d+)\s+\d+%$", table, re.M)}


def errors(log: str) -> list[str]:
    """What went wrong, as the log says."""
    return re.findall(r"^ERROR: (.*)$", log, re.M)


def does_not_fit(log: str) -> str | None:
    """Why the design does not get into the device, if that is what the log says."""
    full = [f"{kind} {used:,} of {there:,}" for kind, (used, there) in read_used(log).items() if used > there]
    if full:
        return "too large: " + ", ".join(full)
    return next((line for line in errors(log) if any(word in line for word in _NO_PLACE)), None)


def phase(line: str) -> str | None:
    """What nextpnr does from this line of its log on, if the line says so."""
    return next((name for begin, name in PHASES if line.startswith(begin)), None)


def run(program: Program, arguments: Sequence[str], folder: Path, log: str,
        told: Callable[[str], None] = lambda line: None) -> tuple[int, str]:
    """Run one of the tools in ``folder``, relative to which it names its files; returns exit code and log.

    Args:
        program: nextpnr of a family, or what makes its bitstreams.
        arguments: of the tool.
        folder: where it runs.
        log: name of the file there that gets what the tool says.
        told: is called with each line as it comes.
    """
    lines = []
    with (folder / log).open("w", encoding="utf-8", buffering=1) as out, subprocess.Popen(
            [sys.executable, *program, *arguments], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace") as process:
        try:
            for line in process.stdout or ():
                out.write(line)
                lines.append(line)
                told(line)
        except BaseException:
            process.kill()
            raise
    return process.returncode, "".join(lines)
