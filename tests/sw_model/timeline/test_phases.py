"""Phases of a batch: between the steps that the control of each tile knows, in both dataflows."""

import pytest

from trajectile.scripts.flow import workload
from trajectile.sw_model.config import load
from trajectile.sw_model.schedule.scheduler import schedule
from trajectile.sw_model.timeline.model import simulate
from trajectile.sw_model.timeline.phases import PHASES, phases


@pytest.mark.parametrize("dataflow", ["spread", "shared"])
@pytest.mark.parametrize("tokens", [2, 12])
def test_from_doorbell_to_completion(dataflow, tokens):
    """Their ends are the batch's times; a tile without tokens of its own still forms and completes the batch."""
    config = load("demo")
    line = simulate(schedule(config, workload.load(config, gate_only=True, tokens=tokens).topk_ids, "balanced",
                             dataflow=dataflow))
    found = phases(config.array.tiles, line.events)
    assert [(phase.tile, list(PHASES).index(phase.name)) for phase in found] == sorted(
        (phase.tile, list(PHASES).index(phase.name)) for phase in found)
    for tile, times in enumerate(line.batches[0]):
        mine = {phase.name: (phase.begin, phase.end) for phase in found if phase.tile == tile}
        assert mine["queue"] == (times.doorbell, times.begin) and mine["counts"] == (times.lists, times.formed)
        assert mine["slices"][1] == times.finished and mine["completion"][1] == times.complete
        assert mine.get("records", (times.begin, times.rows)) == (times.begin, times.rows)
        assert ("sums" in mine) == (dataflow == "shared") and mine.get("sums", (0, times.summed))[1] == times.summed
        # one phase or the other covers every cycle
        covered = 0
        for begin, end in sorted(mine.values()):
            assert begin <= covered + 60, (mine, covered)
            covered = max(covered, end)
        assert covered == times.complete
