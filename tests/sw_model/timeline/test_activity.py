"""Activity from events: against the sums that the timeline model keeps by itself."""

from itertools import pairwise

import pytest

from tests.support.choices import draw
from trajectile.sw_model.config import load
from trajectile.sw_model.schedule.scheduler import schedule
from trajectile.sw_model.timeline.activity import DdrCycles, busy_spans, ddr_cycles
from trajectile.sw_model.timeline.model import simulate


@pytest.mark.parametrize("preset", ["smoke", "demo"])
def test_spans_add_up(preset):
    """DDR beats and flits are those of the model; a resource is never used twice at once; MAC spans hold every word."""
    config = load(preset)
    line = simulate(schedule(config, draw(config, 12, 2)))
    for tile in range(config.array.tiles):
        spans = busy_spans(config, line.events, tile)
        assert sum(length for _, length in spans["DDR"]) == line.ddr_beats[tile]
        assert sum(length for _, length in spans["D2D"]) == line.flits[tile]
        assert line.mac_busy[tile] <= sum(length for _, length in spans["MAC"]) <= line.cycles
        for used in spans.values():
            used.sort()
            assert all(a + length <= b for (a, length), (b, _) in pairwise(used))


def test_ddr_cycles():
    """They add up to the batch, and start with the latency of the first access."""
    config = load("demo")
    line = simulate(schedule(config, draw(config, 20, 3)))
    parts = ddr_cycles(config, line.events, line.cycles)
    assert sum(vars(parts).values()) == line.cycles
    loads = [event.cycle for event in line.events if event.kind == "load"]
    assert parts.start >= min(loads) + 1 + config.ddr.latency_cycles and parts.busy in line.ddr_beats
    assert parts.start <= min(loads) + 2 * config.ddr.latency_cycles
    assert ddr_cycles(config, (), 7) == DdrCycles(7, 0, 0, 0)
