"""Plays scenarios on the array, and checks the good batch after each against the golden model."""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from trajectile.hw.host.layouts import Table

from tests.support import observed
from tests.support.batches import synthetic
from trajectile.hw.d2d.layouts import Port
from trajectile.hw.design import design
from trajectile.hw.params import Params
from trajectile.scripts.flow import simulation
from trajectile.sw_model.config import Config
from trajectile.sw_model.numerics.integer import Results
from trajectile.sw_model.schedule.scheduler import Schedule, schedule
from trajectile.sw_model.timeline.model import Timeline
from trajectile.sw_model.timeline.model import simulate as model_timeline
from trajectile.tb import runner, scenario
from trajectile.tb.instruments import Instruments
from trajectile.tb.job import JOB, Job
from trajectile.tb.program import gathered, pack
from trajectile.tb.scenario import SCENARIOS, Scenario
from trajectile.tb.scoreboard import check_events, check_results, read_events
from trajectile.tb.top import bench_top

#: experts that the gate uses: of the others one has an empty rule entry, and that of the last is never written
USED_EXPERTS = 4


@dataclass(frozen=True)
class Playground:
    """A small array, a batch for it, and what the model says of that."""

    config: Config
    plan: Schedule
    model: Timeline
    job: Job
    #: results, or None for a build without arithmetic
    golden: Results | None
    #: its plusargs
    files: Sequence[str]
    folder: Path
    instruments: Instruments

    @classmethod
    def make(cls, config: Config, folder: Path, *, seed: int = 5, timing_only: bool = False,
             instruments: Instruments | None = None) -> "Playground":
        """A full batch of a synthetic gate, observed as this test run is or as ``instruments`` say."""
        folder.mkdir(parents=True, exist_ok=True)
        load = synthetic(config, config.token_capacity, seed, experts=USED_EXPERTS)
        plan = schedule(config, load.topk_ids, "balanced")
        values = None if timing_only else load.given
        job = simulation.make_job(plan, values, max_cycles=20_000)
        model = model_timeline(plan)
        for image in job.images:
            image.tables[Table.RULES, 0].pop()
        # a good batch takes that and not one more
        job = replace(job, images=[replace(image, settings={**image.settings, "WATCHDOG": cycles})
                                   for image, cycles in zip(job.images, model.tile_cycles, strict=True)])
        return cls(config, plan, model, job, values.results(config) if values else None,
                   simulation.write_files(config, values, folder), folder, instruments or observed.instruments())

    @property
    def limit(self) -> int:
        """A WATCHDOG that a good batch never meets."""
        return self.model.cycles + 200

    def run(self, scenarios: Sequence[Scenario], simulator: str) -> list[dict]:
        """What the bench writes down of each scenario; the results of every good batch must be exact."""
        timing_only = self.job.timing_only
        built = runner.build(design(self.config, timing_only=timing_only).files(),
                             bench_top(self.config, timing_only=timing_only), simulator, instruments=self.instruments)
        folder = self.folder / simulator
        folder.mkdir(exist_ok=True)
        self.job.save(folder / "job.json")
        scenario.save(scenarios, folder / "scenarios.json")
        # memories that were never written hold ones
        runner.run(built, "bench_errors", folder, plusargs=[*self.files, "+verilator+rand+reset+1"], environment={
            JOB: str((folder / "job.json").resolve()), SCENARIOS: str((folder / "scenarios.json").resolve())})
        assert "ERROR: ddr_model" not in (folder / "run.log").read_text(encoding="utf-8")
        outputs = json.loads((folder / "output.json").read_text(encoding="utf-8"))
        assert [output["name"] for output in outputs] == [scenario.name for scenario in scenarios]
        for output in outputs:
            if self.golden is None:
                break
            results = check_results(gathered(self.job.params, self.plan, output["tiles"]), self.golden)
            assert results, f"after {output['name']}: {results.message}"
        return outputs

    def play(self, scenarios: Sequence[Scenario], simulator: str) -> dict[str, dict]:
        """What the bench writes down, by the scenario's name; every good batch must be exact in events and results.

        Every tile must have begun two batches in each scenario.
        """
        outputs = self.run(scenarios, simulator)
        logs = read_events(self.folder / "events", self.config.array.tiles)
        assert len(logs) == 2 * len(outputs)
        for output, log in zip(outputs, logs[1::2], strict=True):
            events = check_events(log, self.model)
            assert events, f"after {output['name']}: {events.message}"
        return {output["name"]: output for output in outputs}

    def watched(self, **settings: int) -> dict[int, dict[str, int]]:
        """Settings of all tiles: a WATCHDOG; and of tile 0: these."""
        every = {tile: {"WATCHDOG": self.limit} for tile in range(self.config.array.tiles)}
        every[0] |= settings
        return every

    def load_entry(self, tile: int, index: int, **changes: int) -> tuple[int, int, int, int, int]:
        """An entry of a load list with some fields changed."""
        load = self.plan.tiles[tile].loads[index]
        fields = {"expert": load.expert, "index": load.index, "row": load.row, "here": int(load.here),
                  "next": int(load.next_here), "left": load.left}
        return tile, Table.LOADS.value, 0, index, pack(Params(self.config).load_layout, **fields | changes)

    def wrong_ring(self, seed: int) -> dict[int, dict[str, int]]:
        """Any legal values for ring and routes."""
        print(f"seed {seed}")
        rng, settings = random.Random(seed), self.watched()
        tiles = range(self.config.array.tiles)
        for changed in settings.values():
            for name in ("RING_NEXT", "RING_PREV"):
                if rng.random() < 0.5:
                    changed[name] = rng.choice(tiles)
            if rng.random() < 0.7:
                changed["ROUTE_0"] = sum(rng.choice(list(Port)).value << 4 * tile for tile in tiles)
        return settings
