"""What a simulation is asked to do, and what it says afterwards: files between the command line and cocotb."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from trajectile.hw.params import Params
from trajectile.sw_model.config import Config, from_dict
from trajectile.tb.clocks import TileClock
from trajectile.tb.faults import LinkFaults

#: environment variable with the job file
JOB = "TRAJECTILE_JOB"


def awaited(number: int) -> int:
    """Completion records that a host waits for before it queues a batch, so that two are with the tiles at the most."""
    return max(number - 1, 0)


@dataclass(frozen=True, kw_only=True)
class Descriptor:
    """What a host queues in one tile for one batch; addresses in bytes."""

    tokens: int
    #: place of the load order in ``ORDERS`` of ``sw_model/schedule/scheduler.py``
    order: int
    bf16: bool
    tag: int
    layer: int
    records: int
    results: int
    #: every tile holds the tokens of all
    shared: bool = False


@dataclass(frozen=True)
class Run:
    """The batches of a job once. With ``seed`` not zero, what is named hesitates at random; ``faults`` strike links."""

    seed: int = 0
    stall_host: bool = False
    stall_ddr: bool = False
    stall_io: bool = False
    stall_link: bool = False
    faults: tuple[LinkFaults, ...] = ()
    #: cycles by which the host of each tile is late with every doorbell
    late: tuple[int, ...] = ()
    #: clock of each tile, where each has one
    clocks: tuple[TileClock, ...] = ()

    @property
    def stalls(self) -> bool:
        """Whether something makes the cycles other than the model's."""
        return self.stall_ddr or self.stall_io or self.stall_link or bool(self.faults)

    @classmethod
    def load(cls, values: Mapping[str, Any]) -> "Run":
        """What ``asdict`` made of one, read from JSON."""
        def unlisted(fault: Mapping[str, Any]) -> dict[str, Any]:
            return {key: tuple(value) if isinstance(value, list) else value for key, value in fault.items()}
        return cls(**{**values, "faults": tuple(LinkFaults(**unlisted(fault)) for fault in values["faults"]),
                      "late": tuple(values["late"]), "clocks": tuple(TileClock(**clock) for clock in values["clocks"])})


@dataclass(frozen=True)
class Job:
    """Some batches, queued one after the other in every tile; to be run once or more on a fresh reset."""

    config: Config
    #: [batches][tiles]
    batches: Sequence[Sequence[Descriptor]]
    #: a run that takes longer has hung
    max_cycles: int
    runs: Sequence[Run] = field(default_factory=lambda: [Run()])
    timing_only: bool = False
    #: a batch that fails is an outcome like any other, and the next one follows
    may_fail: bool = False
    #: what is around the array is not this project's, and has a timing of its own
    foreign: bool = False

    @property
    def params(self) -> Params:
        """Layouts."""
        return Params(self.config, timing_only=self.timing_only)

    def save(self, path: Path) -> None:
        """Write the job."""
        path.write_text(json.dumps({
            "config": {"name": self.config.name, **self.config.as_dict},
            "batches": [[asdict(descriptor) for descriptor in batch] for batch in self.batches],
            "max_cycles": self.max_cycles, "runs": [asdict(run) for run in self.runs], "timing_only": self.timing_only,
            "may_fail": self.may_fail, "foreign": self.foreign,
        }), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "Job":
        """Read what :meth:`save` wrote."""
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        settings = values["config"]
        return cls(
            config=from_dict({k: v for k, v in settings.items() if k != "name"}, name=settings["name"]),
            batches=[[Descriptor(**descriptor) for descriptor in batch] for batch in values["batches"]],
            max_cycles=values["max_cycles"], runs=[Run.load(run) for run in values["runs"]],
            timing_only=values["timing_only"], may_fail=values["may_fail"], foreign=values["foreign"])
