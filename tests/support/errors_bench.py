"""Plays scenarios on the array, and checks completion records of the bad batches, and all of the good batches after them."""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tests.support import observed
from tests.support.batches import synthetic
from trajectile.hw.d2d.layouts import Port
from trajectile.hw.design import design
from trajectile.hw.host.codes import ERRORS
from trajectile.scripts.flow import simulation
from trajectile.scripts.flow.outcomes import Golden, read_outcomes
from trajectile.scripts.flow.workload import Workload
from trajectile.sw_model.batch.completion import Completion, RecordError
from trajectile.sw_model.batch.records import blank_batch
from trajectile.sw_model.batch.results import tile_region, unit_of
from trajectile.sw_model.config import Config
from trajectile.sw_model.schedule.scheduler import Schedule, schedule
from trajectile.sw_model.timeline.model import Timeline
from trajectile.sw_model.timeline.model import simulate as model_timeline
from trajectile.tb import io_log, runner, scenario
from trajectile.tb.instruments import Instruments
from trajectile.tb.io_log import Written
from trajectile.tb.job import JOB, Descriptor, Job, Run
from trajectile.tb.program import descriptors, write_records
from trajectile.tb.scenario import SCENARIOS, Scenario
from trajectile.tb.top import bench_top, records_pitch

#: batches that lie in memory, the last of which has choices that are wrong
BATCHES = 4
#: the first of them make the job that must be good
GOOD_BATCHES = 2
#: names of fatal errors by their bit
NAMES = tuple(name for name, _ in ERRORS)


@dataclass(frozen=True)
class Playground:
    """A small array, batches for it, and what the model says of those that must be good."""

    config: Config
    #: of the batches in memory
    golden: Sequence[Golden]
    model: Timeline
    #: the good batches
    job: Job
    #: its plusargs
    files: Sequence[str]
    folder: Path
    instruments: Instruments

    @classmethod
    def make(cls, config: Config, folder: Path, *, seed: int = 5, timing_only: bool = False,
             dataflows: Sequence[str] = ("spread",) * BATCHES, instruments: Instruments | None = None) -> "Playground":
        """Batches of a synthetic gate, observed as this test run is or as ``instruments`` say."""
        folder.mkdir(parents=True, exist_ok=True)
        most = [config.tile.tokens if dataflow == "shared" else config.token_capacity for dataflow in dataflows]
        loads = [synthetic(config, full // 2 if number == 1 else full, seed + number) for number, full in enumerate(most)]
        # all meet the same weights
        loads = [replace(load, values=replace(load.given, layer=loads[0].given.layer)) for load in loads]
        loads[-1] = _wrong_choices(loads[-1], config)
        golden = []
        for load, dataflow in zip(loads, dataflows, strict=True):
            plan = schedule(config, load.topk_ids, "balanced", dataflow=dataflow, strict=False)
            right = replace(load.given, batch=replace(load.given.batch, topk_ids=plan.topk_ids))
            golden.append(Golden(plan) if timing_only else Golden(plan, right.results(config), right.layer))
        plans = [one.plan for one in golden]
        model = model_timeline(plans[:GOOD_BATCHES])
        job = Job(config, [descriptors(plan, number) for number, plan in enumerate(plans[:GOOD_BATCHES])],
                  max_cycles=model.cycles + 1000, timing_only=timing_only)
        batches = [blank_batch(config, load.topk_ids) if timing_only else load.given.batch for load in loads]
        files = [*simulation.write_files(config, None if timing_only else loads[0].given, folder),
                 *write_records(plans, batches, folder)]
        return cls(config, golden, model, job, files, folder, instruments or observed.instruments())

    @property
    def tiles(self) -> range:
        """Numbers of the tiles."""
        return range(self.config.array.tiles)

    @property
    def plan(self) -> Schedule:
        """Of the first batch."""
        return self.golden[0].plan

    @property
    def limit(self) -> int:
        """A WATCHDOG that a good batch never meets."""
        return self.model.cycles + 200

    def queued(self, count: int = 1, first: int = 0) -> list[list[Descriptor]]:
        """Some of the batches in memory, as a host queues them."""
        return [[replace(descriptor, records=number % BATCHES * records_pitch(self.config))
                 for descriptor in descriptors(self.golden[number % BATCHES].plan, number)]
                for number in range(first, first + count)]

    def run(self, scenarios: Sequence[Scenario], simulator: str) -> list[dict]:
        """What the bench writes down of each scenario; all good batches are exact, and no descriptor lacks a record."""
        built = runner.build(design(self.config, timing_only=self.job.timing_only).files(),
                             bench_top(self.config, timing_only=self.job.timing_only), simulator,
                             instruments=self.instruments)
        folder = self.folder / simulator
        folder.mkdir(exist_ok=True)
        job = replace(self.job, runs=[Run() for _ in scenarios])
        job.save(folder / "job.json")
        scenario.save(scenarios, folder / "scenarios.json")
        # memories that were never written hold ones
        runner.run(built, "bench_errors", folder, environment={
            JOB: str((folder / "job.json").resolve()), SCENARIOS: str((folder / "scenarios.json").resolve()),
        }, plusargs=[*(file.replace(f"{self.folder.resolve()}/events", f"{folder.resolve()}/events") for file in self.files),
                     "+verilator+rand+reset+1"])
        assert "ERROR: " not in (folder / "run.log").read_text(encoding="utf-8")
        outputs = json.loads((folder / "output.json").read_text(encoding="utf-8"))
        assert [output["failed"] for output in outputs[::2]] == [one.name for one in scenarios]
        for one, outcome in zip(scenarios, read_outcomes(job, self.golden[:GOOD_BATCHES], folder)[1::2], strict=True):
            assert outcome.results, f"after {one.name}: {outcome.results.message}"
            assert outcome.events, f"after {one.name}: {outcome.events.message}"
        logs = [io_log.read(folder / "events", tile)[::2] for tile in self.tiles]
        for number, (one, output) in enumerate(zip(scenarios, outputs[::2], strict=True)):
            output["records"] = [self._records(one, output, tile, logs[tile][number]) for tile in self.tiles]
        return outputs[::2]

    def play(self, scenarios: Sequence[Scenario], simulator: str) -> dict[str, dict]:
        """What the bench writes down, by the scenario's name."""
        return {output["failed"]: output for output in self.run(scenarios, simulator)}

    def _records(self, one: Scenario, output: Mapping, tile: int, written: Written) -> list[Completion]:
        """The completion records of a tile for all descriptors that it has accepted, each of which was written once. Before
        ``rst`` only those that are there.
        """
        records: list[Completion] = []
        for number in output["rung"][tile]:
            descriptor = one.batches[number][tile]
            assert descriptor
            region = written.region(descriptor.results, self.config.completion_bytes)
            record = Completion.from_bytes(region) if region else None
            where = f"{one.name}: tile {tile}, batch {number}"
            # what rst cuts off has no record
            if record is None and one.reset == "rst" and (one.reset_after is not None or one.unanswered):
                break
            assert region and record, f"{where}: no completion record"
            for address in range(descriptor.results, descriptor.results + len(region), self.config.io.bytes_per_cycle):
                assert written.times[address] == 1, f"{where}: a completion record is written again"
            assert (record.tag, record.tokens) == (descriptor.tag, descriptor.tokens), f"{where}: {record}"
            assert record.failed or not (records and records[-1].failed), f"{where}: good after one that failed"
            if not record.failed and all(changed.keys() <= {"WATCHDOG"} for changed in one.settings.values()):
                self._good(where, record, descriptor, tile, written)
            records.append(record)
        return records

    def _good(self, where: str, record: Completion, descriptor: Descriptor, tile: int, written: Written) -> None:
        """A batch that has not failed has exact results, unless the record says that its records did not all come."""
        golden = self.golden[descriptor.records // records_pitch(self.config)]
        if golden.results is None or golden.layer is None or record.errors & RecordError.RESPONSE:
            return
        region = written.region(descriptor.results + self.config.completion_bytes,
                                descriptor.tokens * self.config.result_bytes(4))
        right = tile_region(golden.plan, tile, golden.results, unit_of(golden.plan, tile, golden.layer), as_bf16=False)
        assert region == right.tobytes(), f"{where}: wrong results in a batch that has not failed"

    def watched(self, **settings: int) -> dict[int, dict[str, int]]:
        """Settings of all tiles: a WATCHDOG; and of tile 0: these."""
        every = {tile: {"WATCHDOG": self.limit} for tile in self.tiles}
        every[0] |= settings
        return every

    def wrong_ring(self, seed: int) -> dict[int, dict[str, int]]:
        """Any legal values for ring and routes."""
        print(f"seed {seed}")
        rng, settings = random.Random(seed), self.watched()
        for changed in settings.values():
            for name in ("RING_NEXT", "RING_PREV"):
                if rng.random() < 0.5:
                    changed[name] = rng.choice(self.tiles)
            if rng.random() < 0.7:
                changed["ROUTE_0"] = sum(rng.choice(list(Port)).value << 4 * tile for tile in self.tiles)
        return settings


def _wrong_choices(load: Workload, config: Config) -> Workload:
    """A token names an expert that there is not, another one an expert twice."""
    ids = np.array(load.topk_ids)
    ids[0, 0] = config.layer.experts
    if config.layer.top_k > 1:
        ids[1, 1] = ids[1, 0]
    return replace(load, topk_ids=ids, values=replace(load.given, batch=replace(load.given.batch, topk_ids=ids)))
