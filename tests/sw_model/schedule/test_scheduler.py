"""Placement, token lists, rule tables, load orders and the roofline."""

import numpy as np
import pytest

from tests.support.batches import draw
from tests.support.configurations import small
from trajectile.sw_model.config import load
from trajectile.sw_model.config.topology import ring_distance, ring_next
from trajectile.sw_model.schedule.scheduler import ORDERS, ScheduleError, order_experts, roofline, schedule


@pytest.mark.parametrize("tokens", [0, 1, 3, 7, 12])
@pytest.mark.parametrize("order", ORDERS)
def test_every_choice_is_computed_once(tokens, order):
    """Each (token, chosen expert) stands exactly once in its tile's list, in its lane, within the expert's entries."""
    config = small()
    ids = draw(config, tokens, tokens)
    plan = schedule(config, ids, order)
    seen = []
    for number, tile in enumerate(plan.tiles):
        for expert in range(config.layer.experts):
            first = tile.first[expert]
            for entry in range(first, first + tile.passes[expert]):
                assert (tile.list_tokens[entry] >= 0).any()
                for lane, token in enumerate(tile.list_tokens[entry]):
                    if token >= 0:
                        assert ids[token, tile.list_ranks[entry, lane]] == expert
                        assert tuple(plan.placement[token][:2]) == (number, lane)
                        assert tile.lanes[lane][plan.placement[token, 2]] == token
                        seen.append((int(token), expert))
    assert sorted(seen) == sorted((t, int(e)) for t in range(tokens) for e in ids[t])


@pytest.mark.parametrize("order", ORDERS)
def test_tokens_with_fewer_choices(order):
    """-1 is no choice: the others keep their rank, by which their weights are found; a token without any has a place."""
    ids = np.array([[0, 1], [-1, 2], [3, -1], [-1, -1], [2, 0]])
    plan = schedule(small(), ids, order)
    seen = sorted((int(token), int(rank)) for tile in plan.tiles
                  for token, rank in zip(tile.list_tokens.ravel(), tile.list_ranks.ravel(), strict=True) if token >= 0)
    assert seen == sorted((token, rank) for token, rank in np.argwhere(ids >= 0).tolist())
    assert sorted(plan.expert_order) == [0, 1, 2, 3] and len(plan.placement) == 5
    most = max((ids[plan.placement[:, 0] == tile] >= 0).sum() for tile in range(2))
    assert roofline(plan).mac == most * 3 * 12 * 18 / 32


def test_loads_and_arrivals():
    """Every slice of every active expert is loaded once, at its home; arrivals count the ring edges it crosses."""
    config = load("demo", ["tile.slices=4"])
    ids = draw(config, 9, 3)
    plan = schedule(config, ids, "paired")
    here = plan.passes > 0
    loaded = [(load.expert, load.index) for tile in plan.tiles for load in tile.loads]
    assert sorted(loaded) == [(e, m) for e in np.unique(ids) for m in range(4)]
    arrivals = np.zeros(4, dtype=int)
    for number, tile in enumerate(plan.tiles):
        for entry in tile.loads:
            assert config.home(entry.expert, entry.index) == (number, entry.row)
            stops = [other for other in range(4) if here[other, entry.expert]]
            assert entry.left == sum(other != number for other in stops)
            assert entry.here == (number in stops)
            assert entry.next_here == (ring_next(config.array, number) in stops)
            reach = max(ring_distance(config.array, number, other) for other in stops)
            for other in range(4):
                arrivals[other] += 0 < ring_distance(config.array, number, other) <= reach
    assert [tile.arrivals for tile in plan.tiles] == arrivals.tolist()


def test_orders():
    """The three orders on a batch small enough to see."""
    passes = np.array([[4, 1, 0, 3], [0, 1, 2, 1]])
    tokens = np.array([4, 2, 2, 4])
    assert order_experts(passes, tokens, "index") == (0, 1, 2, 3)
    assert order_experts(passes, tokens, "paired") == (0, 2, 3, 1)
    # pace is (2, 1) an expert: 1 misses it by (1, 0), 3 by (1, 0), 0 by (2, 1), 2 by (2, 1)
    assert order_experts(passes, tokens, "balanced") == (1, 3, 0, 2)


@pytest.mark.parametrize("order", ORDERS)
def test_orders_are_permutations_of_the_active_experts(order):
    """No expert is lost and none without tokens is loaded."""
    config = small()
    plan = schedule(config, draw(config, 2, 5), order)
    assert sorted(plan.expert_order) == sorted(np.unique(plan.topk_ids))


@pytest.mark.parametrize(("ids", "order", "named"), [
    (np.zeros((3, 3)), "index", "topk_ids"),
    (np.zeros((13, 2)), "index", "tokens = 13"),
    (np.full((1, 2), 6), "index", "topk_ids"),
    (np.full((1, 2), -2), "index", "topk_ids holds -2 to -2; legal: 0 to 5, or -1 for no choice"),
    (np.array([[0, 1]]), "hottest", "order = 'hottest'"),
])
def test_what_does_not_fit_is_refused(ids, order, named):
    """The message names what is wrong and what is legal."""
    with pytest.raises(ScheduleError, match="legal") as error:
        schedule(small(), ids, order)
    assert named in str(error.value)


def test_roofline():
    """By hand: smoke, one token with two experts of 3 * 12 * 18 codes, over two channels of 2 bytes. Each output of each
    slice has one scale: 2 * 6 of gate and up, 12 of down.
    """
    plan = schedule(small(), np.array([[0, 1]]), "index")
    bound = roofline(plan)
    assert bound.ddr == 2 * 3 * (12 * 18 + 12 + 12) / 4
    assert bound.mac == 2 * 3 * 12 * 18 / 32
    # the slices whose home is tile 1 cross the edge to tile 0: 3 of 6, of 216 + 24 bytes, over 8 bytes per cycle
    assert bound.d2d == 3 * 240 / 8
    assert bound.cycles == 360
