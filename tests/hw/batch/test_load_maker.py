"""Load entries and arrivals of every expert on every tile, against the placement of slices in DDR."""

import random

import numpy as np
import pytest

from tests.support.blocks import run_block
from tests.support.configurations import small
from tests.support.forming import loads_of
from trajectile.hw.batch.load_maker import LOADS_WAITING, LoadMaker
from trajectile.hw.params import Params
from trajectile.sw_model.config.topology import ring

ENTRY = ("expert", "index", "row", "here", "ahead", "batch")


@pytest.mark.parametrize("changes", [
    {"array__cols": 2, "array__ddr_tiles": (1,), "tile__slices": 1},
    {"array__cols": 3, "array__ddr_tiles": (0, 1, 2), "tile__slices": 2},
    {"array__rows": 2, "array__cols": 3, "array__ddr_tiles": (0, 2, 3, 4, 5), "tile__slices": 6},
    {"array__rows": 3, "array__cols": 3, "array__ddr_tiles": tuple(range(9)), "tile__slices": 3},
    {"array__rows": 2, "array__cols": 2, "array__ddr_tiles": (0, 1, 3), "tile__slices": 6, "array__dataflows": "both"},
], ids=["2 tiles", "3 tiles", "5 channels", "9 channels", "both dataflows"])
def test_random_stops(changes):
    """Any stops, on every tile, at any pace of rule 1; batches in a row, of which some are shared."""
    seed = random.randrange(1 << 30)
    print("seed", seed)
    rng = random.Random(seed)
    config = small(**{"array__rows": 1} | changes, layer__experts=7, layer__d_ff=6, tile__batches=2)
    order = ring(config.array)
    for position, tile in enumerate(order):
        block = LoadMaker(Params(config))
        along = order[position:] + order[:position]
        batches = [rng.sample(range(7), rng.randrange(8)) for _ in range(3)]
        pace = rng.choice((0.1, 0.5, 1))
        found, arrivals, wanted = [], [], []

        async def bench(ctx, block=block, batches=batches, pace=pace, found=found, arrivals=arrivals, wanted=wanted,
                        position=position, along=along, tile=tile):
            async def tick():
                ctx.set(block.load.ready, rng.random() < pace)
                *_, taken, entry, made, waits = await ctx.tick().sample(
                    block.load.valid & block.load.ready, block.load.payload, block.made, block.waits)
                waiting = [batch for _, batch in wanted[len(found):]]
                assert all((waits >> batch) & 1 <= (batch in waiting) for batch in range(2))
                if taken:
                    assert (waits >> entry.batch) & 1
                    found.append(tuple(entry[name] for name in ENTRY))
                return made

            ctx.set(block.position, position)
            for number, experts in enumerate(batches):
                ctx.set(block.formed, 1)
                await tick()
                ctx.set(block.formed, 0)
                arrivals.append(0)
                made, shared = False, config.array.shares and rng.random() < 0.5
                for expert in experts:
                    stops = np.zeros(config.array.tiles, dtype=np.int64)
                    while not stops.any():
                        stops[:] = [shared or rng.random() < 0.4 for _ in along]
                    entries, come = loads_of(config, expert, stops, tile, shared=shared)
                    wanted.extend(((*entry, number % 2), number % 2) for entry in entries)
                    arrivals[-1] += come
                    pick = {"expert": expert, "stops": sum(int(stops[other]) << place for place, other in enumerate(along)),
                            "batch": number % 2, "last": expert == experts[-1],
                            **({"shared": shared} if config.array.shares else {})}
                    assert not made
                    ctx.set(block.pick.payload, pick)
                    ctx.set(block.pick.valid, 1)
                    while not ctx.get(block.pick.ready):
                        assert not await tick()
                    assert not await tick()
                    ctx.set(block.pick.valid, 0)
                    made = await tick()
                    while not made and not ctx.get(block.pick.ready):
                        made = await tick()
                ctx.set(block.nothing, not experts)
                assert (made or await tick()) and ctx.get(block.arrivals) == arrivals[-1]
                ctx.set(block.nothing, 0)
                assert len(wanted) - len(found) <= LOADS_WAITING
            while len(found) < len(wanted):
                await tick()
            assert not ctx.get(block.load.valid) and not ctx.get(block.waits)

        run_block(block, bench)
        assert found == [entry for entry, _ in wanted]
