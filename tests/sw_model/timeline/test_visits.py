"""Visits from events: every slice's way is whole, and says the same as the schedule."""

from itertools import pairwise

import pytest

from tests.support.choices import draw
from tests.support.configurations import small
from trajectile.sw_model.config import load
from trajectile.sw_model.config.topology import ring_next
from trajectile.sw_model.schedule.scheduler import schedule
from trajectile.sw_model.timeline.model import Event, simulate
from trajectile.sw_model.timeline.visits import journeys, visits


@pytest.fixture(scope="module", params=["smoke", "demo"])
def batch(request):
    """A plan, its timeline and its visits."""
    config = load(request.param)
    plan = schedule(config, draw(config, 12, 4))
    line = simulate(plan)
    return plan, line, visits(line.events)


def test_every_slice_goes_its_way(batch):
    """One journey a slice that is loaded: begun in DDR, tile by tile along the ring, computed at each stop and only there."""
    plan, _, stays = batch
    ways = journeys(stays)
    assert sorted(ways) == sorted((0, load.expert, load.index) for tile in plan.tiles for load in tile.loads)
    for (_, expert, _), way in ways.items():
        assert [visit.from_link for visit in way] == [False] + [True] * (len(way) - 1)
        assert all(ring_next(plan.config.array, a.tile) == b.tile for a, b in pairwise(way))
        assert {visit.tile for visit in way if visit.compute is not None} == {
            tile for tile in range(plan.config.array.tiles) if plan.passes[tile, expert]}
        assert [visit.send is not None for visit in way] == [True] * (len(way) - 1) + [False]


def test_cycles_are_in_order(batch):
    """A stay begins, is filled, is used and ends within the batch; spans and waits lie in it."""
    _, line, stays = batch
    for visit in stays:
        assert visit.filled is not None and visit.release is not None
        assert visit.begin < visit.filled < visit.release < line.cycles
        for _, first, end in [*visit.spans, *visit.waits(line.cycles)]:
            assert visit.begin <= first < end <= visit.release
    assert sum(visit.escape for visit in stays) == sum(e.kind == "send" and e.flags & 1 for e in line.events)


def test_slots_are_used_one_at_a_time(batch):
    """The stays of a slot do not overlap."""
    slots = {}
    for visit in batch[2]:
        slots.setdefault((visit.tile, visit.slot), []).append(visit)
    for stays in slots.values():
        assert all(a.release < b.begin for a, b in pairwise(stays))


@pytest.mark.parametrize(("slow", "what"), [
    ({"ddr__bytes_per_cycle": 4, "tile__mac_k": 2}, "mac"), ({"link__beat_bytes": 1}, "link")])
def test_waits_are_seen(slow, what):
    """With fast DDR slices wait for the MAC array, with narrow links for the link."""
    config = small(**slow)
    line = simulate(schedule(config, draw(config, 12, 4)))
    assert what in {reason for visit in visits(line.events) for reason, _, _ in visit.waits(line.cycles)}


def test_batches_are_told_apart():
    """Three batches, two of them in flight: each slice of each has a way of its own, though bits and experts are the same."""
    config = small(tile__batches=2, array__cols=3, tile__slots=4, layer__experts=2, layer__top_k=1)
    plans = [schedule(config, draw(config, tokens, 4)) for tokens in (12, 6, 12)]
    ways = journeys(visits(simulate(plans).events))
    assert sorted(ways) == sorted((number, load.expert, load.index) for number, plan in enumerate(plans)
                                  for tile in plan.tiles for load in tile.loads)
    for (number, expert, _), way in ways.items():
        assert {visit.tile for visit in way if visit.compute is not None} == set(plans[number].stops[:, expert].nonzero()[0])


def test_events_of_empty_slots_are_refused():
    """A log that is none."""
    with pytest.raises(ValueError, match="empty slot"):
        visits([Event(3, 0, "compute", 1, 0, 0, 0)])
