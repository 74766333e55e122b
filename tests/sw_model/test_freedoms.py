"""Freedoms that the array does not have: the same work, done elsewhere; refused where they would come with new channels."""

import numpy as np
import pytest

from tests.support.choices import draw
from trajectile.scripts.maintain import freedoms_page, pages
from trajectile.sw_model.config import load
from trajectile.sw_model.config.topology import ring, ring_distance
from trajectile.sw_model.freedoms import in_groups, loaded_anywhere
from trajectile.sw_model.schedule.scheduler import ScheduleError, schedule
from trajectile.sw_model.timeline.model import simulate


@pytest.fixture(name="plan")
def planned():
    """A batch of the demo."""
    config = load("demo")
    return schedule(config, draw(config, 10, 3), "balanced")


@pytest.mark.parametrize("lead", [0, 4, 1000])
def test_any_tile(plan, lead):
    """Each slice is loaded once, goes to all stops and no further, and the batch ends with the same passes."""
    config = plan.config
    free = loaded_anywhere(plan, lead)
    loads = [(tile, one) for tile, mine in enumerate(free.tiles) for one in mine.loads]
    assert sorted((one.expert, one.index) for _, one in loads) == sorted(
        (one.expert, one.index) for mine in plan.tiles for one in mine.loads)
    order, arrivals = ring(config.array), [0] * 4
    for tile, one in loads:
        stops = set(np.flatnonzero(plan.passes[:, one.expert]).tolist())
        ahead = [order[(order.index(tile) + 1 + step) % 4] for step in range(one.ahead.bit_length())]
        visited = {other for step, other in enumerate(ahead) if one.ahead >> step & 1} | ({tile} if one.here else set())
        assert visited == stops
        assert lead < 1000 or one.here  # the shortest way begins at a stop
        for other in ahead:
            arrivals[other] += 1
    assert arrivals == [mine.arrivals for mine in free.tiles]
    counts = [len(mine.loads) for mine in free.tiles]
    assert max(counts) - min(counts) <= max(lead, 0) + 1
    base, line = simulate(plan), simulate(free)
    assert sum(line.mac_busy) == sum(base.mac_busy) and sum(line.ddr_beats) == sum(base.ddr_beats)
    assert sum(line.flits) == sum(arrivals) * (1 + config.slice_flits)
    if lead == 1000:
        shortest = sum(config.tile.slices * min(
            max(ring_distance(config.array, first, stop) for stop in np.flatnonzero(plan.passes[:, expert]).tolist())
            for first in np.flatnonzero(plan.passes[:, expert]).tolist()) for expert in plan.expert_order)
        assert sum(arrivals) == shortest


def test_groups(plan):
    """Each choice is in one group, and the two do all of the work."""
    config = plan.config
    parts = in_groups(config, plan.topk_ids, 2, "balanced")
    ids = [np.where(part.topk_ids >= 0, part.topk_ids * 2 + number, -1) for number, part in enumerate(parts)]
    np.testing.assert_array_equal(np.maximum(*ids), plan.topk_ids)
    assert ((ids[0] >= 0) ^ (ids[1] >= 0)).all()
    lines = [simulate(part) for part in parts]
    assert sum(sum(line.ddr_beats) for line in lines) == sum(simulate(plan).ddr_beats)
    assert all(part.config.array.tiles == 2 == part.config.array.channels for part in parts)


@pytest.mark.parametrize("size", [1, 3, 4])
def test_no_such_groups(plan, size):
    """Named, with what is legal; four tiles are the array itself."""
    if size == 4:
        [whole] = in_groups(plan.config, plan.topk_ids, 4, "balanced")
        assert whole.expert_order == plan.expert_order or whole.config.array.cols == 4
        return
    with pytest.raises(ScheduleError, match=f"groups of {size} tiles are not legal; legal"):
        in_groups(plan.config, plan.topk_ids, size, "balanced")


def test_channels_are_not_made_up():
    """An array with fewer channels than tiles."""
    config = load("demo", ["array.ddr_tiles=[0,3]"])
    plan = schedule(config, draw(config, 4, 3), "balanced")
    with pytest.raises(ScheduleError, match="a channel at each tile"):
        loaded_anywhere(plan, 4)
    with pytest.raises(ScheduleError, match="a channel at each tile"):
        in_groups(config, plan.topk_ids, 2, "balanced")


def test_the_page():
    """A row for each case, a column for each freedom."""
    lines = pages.read_part(freedoms_page.PAGE, freedoms_page.PART).splitlines()
    assert len(lines) == 2 + sum(len(sizes) for *_, sizes in freedoms_page.CASES)
    assert all(name in lines[0] for name in freedoms_page.NAMES)
