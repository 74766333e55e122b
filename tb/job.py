"""What a simulation is asked to do, and what it says afterwards: files between the command line and cocotb."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from trajectile.hw.host.layouts import Table
from trajectile.hw.params import Params
from trajectile.sw_model.config import Config, from_dict
from trajectile.tb.faults import LinkFaults
from trajectile.tb.program import TileImage

#: environment variable with the job file
JOB = "TRAJECTILE_JOB"


@dataclass(frozen=True)
class Run:
    """One batch of a simulation. With ``seed`` not zero, what is named hesitates at random; ``faults`` strike links."""

    seed: int = 0
    stall_host: bool = False
    stall_ddr: bool = False
    stall_link: bool = False
    faults: tuple[LinkFaults, ...] = ()

    @classmethod
    def load(cls, values: Mapping[str, Any]) -> "Run":
        """What ``asdict`` made of one, read from JSON."""
        def unlisted(fault: Mapping[str, Any]) -> dict[str, Any]:
            return {key: tuple(value) if isinstance(value, list) else value for key, value in fault.items()}
        return cls(**{**values, "faults": tuple(LinkFaults(**unlisted(fault)) for fault in values["faults"])})


@dataclass(frozen=True)
class Job:
    """A batch, to be run once or more on a fresh reset."""

    config: Config
    images: Sequence[TileImage]
    #: tokens whose RESULTS to read by (tile, lane)
    read: Mapping[tuple[int, int], int]
    #: a run that takes longer has hung
    max_cycles: int
    runs: Sequence[Run] = field(default_factory=lambda: [Run()])
    timing_only: bool = False
    #: a batch that fails is an outcome like any other, and the next one follows
    may_fail: bool = False

    @property
    def params(self) -> Params:
        """Layouts."""
        return Params(self.config, timing_only=self.timing_only)

    def save(self, path: Path) -> None:
        """Write the job."""
        path.write_text(json.dumps({
            "config": {"name": self.config.name, **self.config.as_dict},
            "images": [{"settings": dict(image.settings), "route": list(image.route),
                        "tables": [[table.value, lane, entries] for (table, lane), entries in image.tables.items()]}
                       for image in self.images],
            "read": [[*place, tokens] for place, tokens in self.read.items()],
            "max_cycles": self.max_cycles, "runs": [asdict(run) for run in self.runs], "timing_only": self.timing_only,
            "may_fail": self.may_fail,
        }), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "Job":
        """Read what :meth:`save` wrote."""
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        settings = values["config"]
        return cls(
            config=from_dict({k: v for k, v in settings.items() if k != "name"}, name=settings["name"]),
            images=[TileImage(image["settings"], {(Table(table), lane): entries
                                                  for table, lane, entries in image["tables"]}, tuple(image["route"]))
                    for image in values["images"]],
            read={(tile, lane): tokens for tile, lane, tokens in values["read"]},
            max_cycles=values["max_cycles"], runs=[Run.load(run) for run in values["runs"]],
            timing_only=values["timing_only"], may_fail=values["may_fail"])
