"""What a simulation has left in its folder, held against the golden model."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from trajectile.scripts.errors import ToolError
from trajectile.sw_model.batch.completion import Completion, RecordError
from trajectile.sw_model.batch.results import bf16, gathered, read_results, tile_region, unit_of
from trajectile.sw_model.config import Config
from trajectile.sw_model.numerics.integer import QuantisedLayer, Results
from trajectile.sw_model.schedule.scheduler import Schedule, TilePlan
from trajectile.sw_model.timeline.control import Batch, BatchTimes
from trajectile.sw_model.timeline.model import Event, Timeline, simulate
from trajectile.tb import faults, io_log
from trajectile.tb.faults import Injected
from trajectile.tb.io_log import Written
from trajectile.tb.job import Descriptor, Job, Run
from trajectile.tb.runner import SimulationError
from trajectile.tb.scoreboard import Verdict, check_events, check_order, check_results, doorbells, read_events

#: where in the completion record the cycles from the doorbell stand
CYCLES_BYTE = 8


@dataclass(frozen=True)
class Golden:
    """What a batch must give."""

    plan: Schedule
    #: None in the timing-only build
    results: Results | None = None
    layer: QuantisedLayer | None = None


@dataclass(frozen=True)
class Outcome:
    """All batches of a run as the RTL ran them, and the verdicts. Where faults strike and the array fails, the next is its
    second try.
    """

    results: Verdict
    events: Verdict
    #: what the model says with the doorbells of this run; None if the run is not comparable
    model: Timeline | None
    #: from the first doorbell to the last completion record
    cycles: int
    #: counter registers of each tile at the end
    counters: Sequence[Mapping[str, int]]
    log: Sequence[Event]
    #: which of the runs it belongs to
    run: Run
    #: completion records, [batches][tiles]
    records: Sequence[Sequence[Completion]] = ()
    #: fatal errors of each tile, by name; empty if none was asked
    errors: Sequence[Sequence[str]] = ()
    #: what the faulty PHY of each link did in that run, by name
    injected: Mapping[str, Injected] = field(default_factory=dict)
    #: outputs of the layer and clips of each batch; None where there are none
    values: Sequence[Results | None] = ()

    @property
    def failed(self) -> bool:
        """Whether a tile has an error."""
        return any(self.errors)


def read_outcomes(job: Job, golden: Sequence[Golden], folder: Path) -> list[Outcome]:
    """Results, completion records and events of every run, in order.

    Raises:
        SimulationError: if logs are missing or cut off.
    """
    outputs = json.loads((folder / "output.json").read_text(encoding="utf-8"))
    tiles = range(job.config.array.tiles)
    try:
        logs = read_events(folder / "events", len(tiles), independent=job.config.array.independent)
        written = list(zip(*(io_log.read(folder / "events", tile) for tile in tiles), strict=False))
    except ValueError as error:
        raise SimulationError(f"{error}; a log is cut off where no space is left") from error
    if not len(logs) == len(outputs) <= len(written):
        raise SimulationError(f"{len(outputs)} runs, but {len(logs)} event logs and {len(written)} logs of io in {folder}")
    struck = faults.injected(folder / faults.LOG) if any(run.faults for run in job.runs) else {}
    outcomes = []
    for position, (output, log, wrote) in enumerate(zip(outputs, logs, written, strict=False)):
        number = output.get("run", position)
        run = job.runs[number]
        if "failed" in output:
            verdict = Verdict(False, output["failed"])
            outcomes.append(Outcome(verdict, verdict, None, 0, (), log, run))
            continue
        errors = [tile.get("errors", []) for tile in output["tiles"]]
        ends = [event.cycle for event in log if event.kind == "complete"]
        found = Outcome(Verdict(True, ""), Verdict(True, ""), None, max(ends, default=0),
                        [part["counters"] for part in output["tiles"]], log, run, errors=errors,
                        injected={name: did for (which, name), did in struck.items() if which == number + 1})
        if any(errors):
            message = "failed: " + "; ".join(f"tile {t} {' '.join(e)}" for t, e in enumerate(errors) if e)
            outcomes.append(replace(found, results=Verdict(False, message), events=Verdict(True, "not compared: failed")))
        else:
            # a second try, after a failure, has no faults and no stalls but the host's
            outcomes.append(_compared(job, golden, found, wrote, exact=not job.foreign and (
                not run.stalls or bool(output.get("again")))))
    return outcomes


def _compared(job: Job, golden: Sequence[Golden], found: Outcome, written: Sequence[Written], *, exact: bool) -> Outcome:
    """A run that has ended well, with its verdicts."""
    model, events = None, Verdict(True, "not compared: random stalls, faults or foreign models")
    if job.config.array.independent:
        events = check_order(found.log, simulate([one.plan for one in golden]))
    elif exact:
        rung = doorbells(found.log, job.config.array.tiles)
        if len(rung) != len(job.batches):
            raise SimulationError(f"{len(rung)} of {len(job.batches)} batches were queued in every tile")
        model = simulate([_as_queued(one.plan, descriptors, cycles)
                          for one, descriptors, cycles in zip(golden, job.batches, rung, strict=True)])
        events = check_events(found.log, model)
    verdicts, records, values = [], [], []
    for number, (one, descriptors) in enumerate(zip(golden, job.batches, strict=True)):
        verdict, completions, results = written_batch(job.config, one, descriptors, written,
                                                      model.batches[number] if model else None)
        verdicts.append(verdict)
        records.append(completions)
        values.append(results)
    wrong = next((f"batch {number}: {verdict.message}" for number, verdict in enumerate(verdicts) if not verdict), "")
    total = Verdict(not wrong, wrong or "; ".join(sorted({verdict.message for verdict in verdicts})))
    return replace(found, results=total, events=events, model=model, records=records, values=values)


def _as_queued(plan: Schedule, descriptors: Sequence[Descriptor], cycles: Sequence[int]) -> Batch:
    """A batch as the hosts queued it."""
    return Batch(plan, cycles, [one.records for one in descriptors], [one.results for one in descriptors],
                 result_bytes=2 if descriptors[0].bf16 else 4)


def written_batch(config: Config, golden: Golden, descriptors: Sequence[Descriptor], written: Sequence[Written],
                  times: Sequence[BatchTimes] | None) -> tuple[Verdict, list[Completion], Results | None]:
    """What the tiles have written for a batch, held against what they must write.

    Args:
        config: the accelerator.
        golden: what the batch must give.
        descriptors: what was queued in each tile.
        written: by each tile.
        times: when the model does what in each tile; None: not compared.

    Returns:
        The verdict, the completion records, and the results where they are int32.

    Raises:
        ToolError: if a tile has not written all of it.
    """
    plan = golden.plan
    completions, parts, wrong = [], [], []
    for tile, (descriptor, wrote) in enumerate(zip(descriptors, written, strict=True)):
        size = config.result_bytes(2 if descriptor.bf16 else 4)
        record = wrote.region(descriptor.results, config.completion_bytes)
        region = wrote.region(descriptor.results + config.completion_bytes, descriptor.tokens * size)
        completion = Completion.from_bytes(record) if record else None
        if completion is None or region is None:
            raise ToolError(f"tile {tile} has not written all of the results and the completion record of a batch")
        completions.append(completion)
        unit = 0
        if golden.results and golden.layer:
            unit = unit_of(plan, tile, golden.layer)
            expected = tile_region(plan, tile, golden.results, unit, as_bf16=descriptor.bf16).tobytes()
            parts.append(read_results(config, np.frombuffer(region, dtype=np.uint8), descriptor.tokens,
                                      as_bf16=descriptor.bf16))
            if region != expected:
                wrong.append(f"tile {tile}: its results differ from byte "
                             f"{next(i for i, (a, b) in enumerate(zip(region, expected, strict=True)) if a != b)} on")
        wrong += [f"tile {tile}: {message}" for message in _wrong_record(
                config, completion, plan.tiles[tile], descriptor, unit, times[tile] if times else None)]
        if any(count > 1 for count in wrote.times.values()):
            wrong.append(f"tile {tile}: a beat was written twice")
    if not parts:
        return Verdict(not wrong, "; ".join(wrong) or "not compared: timing only"), completions, None
    y, clips = gathered(plan, parts)
    assert golden.results and golden.layer  # else there are no parts
    if descriptors[0].bf16:
        expected_y = bf16(golden.results.y, golden.layer.unit)
        near = check_results(Results(y.astype(np.int32), clips),
                             Results(expected_y.astype(np.int32), golden.results.clips))
        values = None
    else:
        values = Results(y.astype(np.int32), clips)
        near = check_results(values, golden.results)
    return near if not near else Verdict(not wrong, "; ".join(wrong) or near.message), completions, values


def _wrong_record(config: Config, seen: Completion, plan: TilePlan, descriptor: Descriptor, unit: int,
                  times: BatchTimes | None) -> list[str]:
    """What is not as it should be in a completion record."""
    causes = {"range": RecordError.EXPERT, "twice": RecordError.TWICE}
    errors = RecordError(0)
    for choice in plan.dropped:
        errors |= causes[choice.cause]
    expected = {"tag": descriptor.tag, "tokens": descriptor.tokens, "failed": False, "errors": int(errors), "unit": unit}
    if times and times.doorbell is not None and times.record is not None:
        first = times.first_load
        # words of the record are those of the cycle in which their beat is put together
        expected |= {"cycles": times.record + CYCLES_BYTE // config.io.bytes_per_cycle - times.doorbell,
                     "first_load": 0 if first is None else first - times.doorbell,
                     "streaming": 0 if times.last_release is None else times.last_release - (
                         times.doorbell if first is None else first)}
    return [f"completion record: {name} = {getattr(seen, name)}, model {value}" for name, value in expected.items()
            if getattr(seen, name) != value]


def shares(records: Sequence[Sequence[Completion]], tile: int) -> list[tuple[int, ...]]:
    """Counters of each batch of a tile: each record's less those of the record before."""
    counts = [(0,) * len(records[0][tile].counters), *(batch[tile].counters for batch in records)]
    return [tuple((after - before) % 2**32 for before, after in zip(*pair, strict=True)) for pair in pairwise(counts)]
