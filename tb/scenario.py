"""Batches that go wrong, and good ones after them: what is spoilt and which reset helps, a file for
``trajectile.tb.bench_errors``.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from trajectile.tb.job import Descriptor

#: environment variable with the file of scenarios
SCENARIOS = "TRAJECTILE_SCENARIOS"

#: what a DDR channel can do wrong, as ``tb/rtl/ddr_model.v`` has it
DDR_FAULTS = {"exokay": 1, "slverr": 2, "decerr": 3, "no_data": 4, "no_address": 5}
#: what the memory behind an io port can do wrong, as ``tb/rtl/io_model.v`` has it; the last two with writes
IO_FAULTS = {**DDR_FAULTS, "bad_answer": 6, "no_answer": 7}


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """What is wrong with the first batches, and which reset comes before the good ones."""

    name: str
    #: ``rst`` or ``CONTROL.RESET``
    reset: str = "rst"
    #: most cycles from the first doorbell to the interrupt of the last tile
    patience: int
    #: what is queued, [batches][tiles]; None: this tile's doorbell does not ring
    batches: Sequence[Sequence[Descriptor | None]] = ()
    #: registers by tile and name, in place of what a good batch wants
    settings: Mapping[int, Mapping[str, int]] = field(default_factory=dict)
    #: channel, one of ``DDR_FAULTS``, and from which beat or burst on
    ddr_fault: tuple[int, str, int] | None = None
    #: tile, one of ``IO_FAULTS``, and from which beat or burst on
    io_fault: tuple[int, str, int] | None = None
    #: reset after so many cycles, whatever the state; else when every tile has raised its interrupt
    reset_after: int | None = None
    #: the batches need not fail: it is enough that every tile has completed them
    may_finish: bool = False
    #: accesses of each host in the good batches that need an idle tile
    meddle: int = 0
    #: try what an idle tile refuses, before the good batches; and what one refuses that is being reset
    probe: bool = False
    #: random stalls of DDR, io and links, if not 0
    seed: int = 0

    @property
    def silent(self) -> bool:
        """Whether a memory does not answer, so that no reset by register can end."""
        return any(fault and fault[1].startswith("no_") for fault in (self.ddr_fault, self.io_fault))

    @property
    def unanswered(self) -> bool:
        """Whether a write is not answered, so that completion records have to wait."""
        return self.io_fault is not None and self.io_fault[1] == "no_answer"


def save(scenarios: Sequence[Scenario], path: Path) -> None:
    """Write scenarios."""
    path.write_text(json.dumps([asdict(scenario) for scenario in scenarios]), encoding="utf-8")


def load(path: Path) -> list[Scenario]:
    """Read what :func:`save` wrote."""
    return [Scenario(**values | {
        "batches": [[None if one is None else Descriptor(**one) for one in batch] for batch in values["batches"]],
        "settings": {int(tile): changed for tile, changed in values["settings"].items()},
        "ddr_fault": values["ddr_fault"] and tuple(values["ddr_fault"]),
        "io_fault": values["io_fault"] and tuple(values["io_fault"]),
    }) for values in json.loads(path.read_text(encoding="utf-8"))]
