"""The picks of all orders against the golden scheduler, on counts of every size."""

import random

import numpy as np
import pytest

from tests.support.blocks import run_block
from tests.support.configurations import small
from tests.support.forming import count_table, random_passes
from trajectile.hw.batch.expert_order import ExpertOrder
from trajectile.hw.params import Params
from trajectile.sw_model.schedule.scheduler import ORDERS, order_experts


def picks_of(config, batches, seed):
    """What is picked for batches of ``(passes, order)`` in a row, each as (expert, stops, batch, last)."""
    block, found = ExpertOrder(Params(config)), []
    rng = random.Random(seed)
    passes = np.zeros((config.array.tiles, config.layer.experts), dtype=np.int64)

    async def bench(ctx):
        for number, (contents, order) in enumerate(batches):
            passes[:] = contents
            picks = []
            ctx.set(block.formed.formed, 1)
            ctx.set(block.formed.order, ORDERS.index(order))
            ctx.set(block.formed.batch, number % 2)
            while True:
                ctx.set(block.pick.ready, rng.random() < 0.3)
                *_, taken, pick, nothing = await ctx.tick().sample(
                    block.pick.valid & block.pick.ready, block.pick.payload, block.nothing)
                ctx.set(block.formed.formed, 0)
                if taken:
                    picks.append((pick.expert, pick.stops, pick.batch, pick.last))
                if nothing or (taken and pick.last):
                    break
            found.append(picks)

    run_block(block, bench, background=[count_table(block.formed, passes)])
    return found


def expected(passes, order, batch):
    """The same from the golden scheduler; position 0 of the ring is this tile."""
    experts = order_experts(passes, order)
    return [(e, sum(int(row[e] > 0) << place for place, row in enumerate(passes)), batch, e == experts[-1]) for e in experts]


@pytest.mark.parametrize("changes", [
    {"array__cols": 2, "layer__experts": 1, "layer__top_k": 1},
    {"array__cols": 3, "layer__experts": 6, "layer__top_k": 3},
    {"array__cols": 4, "layer__experts": 17, "layer__top_k": 4},
], ids=["1", "6", "17"])
def test_random_counts(changes):
    seed = random.randrange(1 << 30)
    print("seed", seed)
    rng = np.random.default_rng(seed)
    config = small(array__rows=1, array__ddr_tiles=(0,), tile__mac_t=2, tile__tokens=int(rng.integers(1, 30)), **changes)
    batches = [(random_passes(config, rng), order) for order in 3 * ORDERS]
    assert picks_of(config, batches, seed) == [
        expected(passes, order, number % 2) for number, (passes, order) in enumerate(batches)]


@pytest.mark.parametrize("order", ORDERS)
def test_extremes(order):
    """Everybody on all experts; all work of the array for one expert, or on one tile; as much ahead and behind as can be."""
    config = small(array__rows=1, array__cols=4, array__ddr_tiles=(0,), layer__experts=9, layer__top_k=4, tile__mac_t=1,
                   tile__tokens=15)
    tiles, experts, tokens, total = 4, 9, 15, 60
    full = np.zeros((tiles, experts), dtype=np.int64)
    full[:, :4] = tokens
    one_tile = np.zeros_like(full)
    one_tile[2] = np.bincount(np.arange(total) % experts, minlength=experts)
    one_expert = np.zeros_like(full)
    one_expert[1, 8] = tokens
    # one tile meets its experts first, the others theirs last
    apart = np.zeros_like(full)
    apart[0, :4], apart[1:, 4:8], apart[:, 8] = tokens, tokens, 0
    # an expert each with all tokens of the tile, and many with one
    peaks = np.ones_like(full)
    for tile in range(tiles):
        peaks[tile, 2 * tile] = tokens
    batches = [(passes, order) for passes in (full, one_tile, one_expert, apart, peaks, full[:, ::-1], np.zeros_like(full))]
    assert picks_of(config, batches, 1) == [expected(passes, order, number % 2) for number, (passes, _) in enumerate(batches)]
