"""The slot table against a list kept by hand: allocator, age, and what a strobe changes."""

import random

from tests.support.blocks import run_block
from tests.support.configurations import small
from trajectile.hw.params import Params
from trajectile.hw.rules.slots import SlotTable


def test_random_traffic_keeps_order_and_owners():
    """Allocate and release at random: never a slot twice, the oldest is the one allocated first."""
    config = small(tile__slots=5)
    table = SlotTable(Params(config))
    rng = random.Random(7)

    async def bench(ctx):
        order: list[int] = []
        for _ in range(600):
            used = ctx.get(table.used)
            assert used == sum(1 << slot for slot in order)
            free = [slot for slot in range(5) if slot not in order]
            assert ctx.get(table.one_free) == (len(free) >= 1)
            assert ctx.get(table.two_free) == (len(free) >= 2)
            if free:
                assert ctx.get(table.free_slot) == free[0]
            candidates = [slot for slot in order if rng.random() < 0.6]
            for pick in ("request", "compute"):
                ctx.set(getattr(table, f"oldest_{pick}_of"), sum(1 << slot for slot in candidates))
            if candidates:
                await ctx.delay(0)
                assert ctx.get(table.oldest_request) == candidates[0]
                assert ctx.get(table.oldest_compute) == candidates[0]
            allocate = bool(free) and rng.random() < 0.6
            gone = [slot for slot in order if rng.random() < 0.2]
            ctx.set(table.allocate, allocate)
            ctx.set(table.freed, sum(1 << slot for slot in gone))
            order = [slot for slot in order if slot not in gone] + ([free[0]] if allocate else [])
            await ctx.tick()

    run_block(table, bench)


def test_strobes():
    """Each strobe changes its own bits of its own slot, one cycle later."""
    table = SlotTable(Params(small(tile__slots=3)))

    async def bench(ctx):
        async def strobe(**values):
            for name, value in values.items():
                ctx.set(getattr(table, name), value)
            await ctx.tick()
            for name in values:
                ctx.set(getattr(table, name), {} if isinstance(values[name], dict) else 0)

        def state():
            return {name: ctx.get(getattr(table, name))
                    for name in ("used", "filled", "from_link", "own", "todo", "resting", "forward", "stays", "sending")}

        await strobe(allocate=1, allocate_here=1, allocate_slice={"expert": 4, "index": 2, "batch": 1, "ahead": 1})
        assert state() == dict(used=1, filled=0, from_link=0, own=1, todo=1, resting=0, forward=1, stays=0, sending=0)
        assert ctx.get(table.slices[0].expert) == 4 and ctx.get(table.slices[0].batch) == ctx.get(table.slices[0].ahead) == 1
        await strobe(allocate=1, allocate_from_link=1, allocate_slice={"expert": 5, "index": 0, "ahead": 0}, loaded=1)
        assert state() == dict(used=3, filled=1, from_link=2, own=1, todo=1, resting=1, forward=1, stays=2, sending=0)
        await strobe(arrived=1, arrived_slot=1, compute=1, compute_slot=0, send=1, send_slot=0)
        assert state() == dict(used=3, filled=3, from_link=2, own=1, todo=0, resting=2, forward=0, stays=3, sending=1)
        await strobe(computed=1, sent=1, freed=2)
        assert state() == dict(used=1, filled=3, from_link=0, own=1, todo=0, resting=3, forward=0, stays=1, sending=0)

    run_block(table, bench)
