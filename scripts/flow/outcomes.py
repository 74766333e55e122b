"""What a simulation has left in its folder, held against the golden model."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from trajectile.sw_model.numerics.integer import Results
from trajectile.sw_model.schedule.scheduler import Schedule
from trajectile.sw_model.timeline.model import Event, Timeline
from trajectile.tb import faults
from trajectile.tb.faults import Injected
from trajectile.tb.job import Job, Run
from trajectile.tb.program import gathered
from trajectile.tb.runner import SimulationError
from trajectile.tb.scoreboard import Verdict, check_events, check_results, read_events


@dataclass(frozen=True)
class Outcome:
    """One batch as the RTL ran it, and the verdicts. Where faults strike and the array fails, the next is its second try."""

    results: Verdict
    events: Verdict
    cycles: int
    #: CYCLES and counter registers of each tile
    counters: Sequence[dict[str, int]]
    log: Sequence[Event]
    #: which of the runs it belongs to
    run: Run
    #: fatal errors of each tile, by name; empty if none was asked
    errors: Sequence[Sequence[str]] = ()
    #: what the faulty PHY of each link did in that run, by name
    injected: Mapping[str, Injected] = field(default_factory=dict)
    #: outputs of the layer and clips; None where there are none
    values: Results | None = None

    @property
    def failed(self) -> bool:
        """Whether a tile has an error."""
        return any(self.errors)


def read_outcomes(job: Job, plan: Schedule, model: Timeline, golden: Results | None, folder: Path) -> list[Outcome]:
    """Results, clips and events of every batch, in order; ``golden`` is None in the timing-only build.

    Raises:
        SimulationError: if event logs are missing or cut off.
    """
    outputs = json.loads((folder / "output.json").read_text(encoding="utf-8"))
    try:
        logs = read_events(folder / "events", job.config.array.tiles)
    except ValueError as error:
        raise SimulationError(f"{error}; a log is cut off where no space is left") from error
    if len(logs) != len(outputs):
        raise SimulationError(f"{len(outputs)} batches but {len(logs)} event logs in {folder}")
    struck = faults.injected(folder / faults.LOG) if any(run.faults for run in job.runs) else {}
    outcomes = []
    for position, (output, log) in enumerate(zip(outputs, logs, strict=True)):
        number = output.get("run", position)
        run = job.runs[number]
        if "failed" in output:
            verdict = Verdict(False, output["failed"])
            outcomes.append(Outcome(verdict, verdict, 0, (), log, run))
            continue
        tiles = output["tiles"]
        errors = [tile.get("errors", []) for tile in tiles]
        values = None
        if any(errors):
            results = Verdict(False, "failed: " + "; ".join(f"tile {t} {' '.join(e)}" for t, e in enumerate(errors) if e))
        elif golden is None:
            results = Verdict(True, "not compared: timing only")
        else:
            values = gathered(job.params, plan, tiles)
            results = check_results(values, golden)
        # a second try, after a failure, has no faults and no stalls but the host's
        events = (check_events(log, model) if run == Run() or output.get("again")
                  else Verdict(True, "not compared: random stalls or faults"))
        counters = [part["counters"] for part in tiles]
        outcomes.append(Outcome(results, events, max(c["CYCLES"] for c in counters), counters, log, run, errors,
                                {name: did for (which, name), did in struck.items() if which == number + 1},
                                values))
    return outcomes
