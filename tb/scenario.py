"""A batch that goes wrong, and a good one after it: what is spoilt and which reset helps, a file for
``trajectile.tb.bench_errors``.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

#: environment variable with the file of scenarios
SCENARIOS = "TRAJECTILE_SCENARIOS"

#: what a DDR channel can do wrong, as ``tb/rtl/ddr_model.v`` has it
DDR_FAULTS = {"exokay": 1, "slverr": 2, "decerr": 3, "no_data": 4, "no_address": 5}


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """What is wrong with the first batch, and which reset comes before the second."""

    name: str
    #: ``rst`` or ``CONTROL.RESET``
    reset: str = "rst"
    #: most cycles from START to the interrupt of the last tile
    patience: int
    #: registers by tile and name, in place of what the job says
    settings: Mapping[int, Mapping[str, int]] = field(default_factory=dict)
    #: table entries (tile, table, lane, index, entry), in place of what the job says
    entries: Sequence[tuple[int, int, int, int, int]] = ()
    #: channel, one of ``DDR_FAULTS``, and from which beat or burst on
    ddr_fault: tuple[int, str, int] | None = None
    #: reset after so many cycles, whatever the state; else when every tile has raised its interrupt
    reset_after: int | None = None
    #: the interrupt of a tile that is done counts too: the batch need not fail
    may_finish: bool = False
    #: accesses of each host in the good batch that need an idle tile
    meddle: int = 0
    #: try what an idle tile refuses, before the good batch; and what one refuses that is being reset
    probe: bool = False
    #: START again in the first tile that is done
    again: bool = False
    #: random stalls of DDR and links, if not 0
    seed: int = 0


def save(scenarios: Sequence[Scenario], path: Path) -> None:
    """Write scenarios."""
    path.write_text(json.dumps([asdict(scenario) for scenario in scenarios]), encoding="utf-8")


def load(path: Path) -> list[Scenario]:
    """Read what :func:`save` wrote."""
    return [Scenario(**values | {
        "settings": {int(tile): changed for tile, changed in values["settings"].items()},
        "entries": [tuple(entry) for entry in values["entries"]],
        "ddr_fault": values["ddr_fault"] and tuple(values["ddr_fault"]),
    }) for values in json.loads(path.read_text(encoding="utf-8"))]
