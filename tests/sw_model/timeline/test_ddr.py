"""The timeline's DDR channel: plain, and with the pauses of a controller, against one that goes cycle by cycle."""

import random

import pytest

from tests.support.configurations import small
from trajectile.sw_model.config import ConfigError, load
from trajectile.sw_model.config.memories import MEMORIES, with_memory
from trajectile.sw_model.timeline.ddr import DdrChannel


def walked(config, asks):
    """Last beats of slices, found by walking: the last cycles of an interval carry nothing, nor do changes of rows."""
    ddr, now, found = config.ddr, 0, []
    for asked, row in asks:
        now = max(now, asked + ddr.latency_cycles)
        left = config.slice_beats
        begin = row * config.slice_pitch_bytes // ddr.bytes_per_cycle
        rows = {(begin + beat) // ddr.row_beats for beat in range(config.slice_beats)} if ddr.row_beats else set()
        left += ddr.row_cycles * len(rows)
        while left:
            interval = ddr.refresh_interval_cycles
            left -= not interval or now % interval < interval - ddr.refresh_cycles
            now += 1
        found.append(now - 1)
    return found


@pytest.mark.parametrize("fields", [
    {}, {"refresh_interval_cycles": 97, "refresh_cycles": 13}, {"row_beats": 16, "row_cycles": 5},
    {"refresh_interval_cycles": 50, "refresh_cycles": 25, "row_beats": 8, "row_cycles": 3}], ids=str)
def test_last_beats(fields):
    """Slices one after the other, and after pauses of their own."""
    config = small(**{f"ddr__{name}": value for name, value in fields.items()})
    rng, asks, asked = random.Random(len(fields)), [], 0
    for _ in range(200):
        asked += rng.choice((1, 5, config.slice_beats, 3 * config.slice_beats))
        asks.append((asked, rng.randrange(40)))
    channel = DdrChannel(config)
    assert [channel.last_beat(*ask) for ask in asks] == walked(config, asks)


@pytest.mark.parametrize("name", MEMORIES)
@pytest.mark.parametrize("ports", [1, 2, 4])
def test_memories(name, ports):
    """Every memory is legal with every number of ports; more ports cost no more at a row."""
    config = with_memory(load("demo", [f"ddr.ports={ports}"]), name)
    assert config.ddr.pauses and config.ddr.ports == ports
    memory = MEMORIES[name]
    assert memory.row_cycles[1] >= memory.row_cycles[2] >= memory.row_cycles[4]


@pytest.mark.parametrize(("changes", "field"), [
    (["ddr.ports=3"], "ddr.ports"), (["ddr.refresh_cycles=1"], "ddr.refresh_cycles"),
    (["ddr.refresh_interval_cycles=100", "ddr.refresh_cycles=51"], "ddr.refresh_cycles"),
    (["ddr.row_cycles=1"], "ddr.row_cycles")])
def test_refused(changes, field):
    """What a channel cannot be."""
    with pytest.raises(ConfigError, match=field):
        load("smoke", changes)
