"""Two places in a stream: everything once and in order, whatever waits; latency and throughput; no way through."""

import random

import pytest
from amaranth.lib import data

from tests.support.blocks import run_block
from tests.support.watch import Watch
from trajectile.hw.lib.two_places import TwoPlaces

LAYOUT = data.StructLayout({"mark": 1, "number": 9})


@pytest.mark.parametrize("stalls", [(0, 0), (0.5, 0), (0, 0.5), (0.3, 0.3)], ids=str)
def test_everything_in_order(stalls):
    """Both sides wait at random; the places fill up, and are left empty."""
    rng = random.Random(str(stalls))
    places = TwoPlaces(LAYOUT)
    sent, came = [rng.getrandbits(10) for _ in range(300)], []
    inside = [0]

    async def source(ctx):
        for value in sent:
            while rng.random() < stalls[0]:
                await ctx.tick()
            ctx.set(places.enters.payload.as_value(), value)
            ctx.set(places.enters.valid, 1)
            await ctx.tick().until(places.enters.ready)
            ctx.set(places.enters.valid, 0)
            ctx.set(places.enters.payload.as_value(), rng.getrandbits(10))

    async def sink(ctx):
        while len(came) < len(sent):
            ctx.set(places.leaves.ready, rng.random() >= stalls[1])
            _, _, takes, room, goes, value = await ctx.tick().sample(
                places.enters.valid & places.enters.ready, places.enters.ready, places.leaves.valid & places.leaves.ready,
                places.leaves.payload.as_value())
            assert room == (inside[-1] < places.places)
            inside.append(inside[-1] + takes - goes)
            if goes:
                came.append(value)

    run_block(places, source, sink)
    assert came == sent
    assert max(inside) == (places.places if stalls[1] else 1)


def test_latency():
    """Offered in the cycle after; then an item per cycle; a place that is left is free in the next cycle."""
    places = TwoPlaces(LAYOUT)
    enters, leaves = places.enters, places.leaves
    watch = Watch(take=enters.valid & enters.ready, offer=leaves.valid, leave=leaves.valid & leaves.ready)

    async def bench(ctx):
        ctx.set(enters.valid, 1)
        await ctx.tick().repeat(4)
        ctx.set(leaves.ready, 1)
        await ctx.tick().repeat(6)

    run_block(places, bench, background=[watch.run])
    assert watch["offer"][0] == watch["take"][0] + places.latency_cycles
    assert watch["take"] == [0, 1, *range(watch["leave"][0] + 1, 10)]
    assert watch["leave"] == list(range(4, 10))


def test_neither_side_sees_the_other_in_the_cycle():
    """``ready`` and ``valid`` stay as they are while the other side's change within a cycle."""
    places = TwoPlaces(LAYOUT)

    async def bench(ctx):
        for fill in range(3):
            for bits in range(4):
                ctx.set(places.enters.valid, bits & 1)
                ctx.set(places.leaves.ready, bits >> 1)
                assert ctx.get(places.enters.ready) == (fill < 2) and ctx.get(places.leaves.valid) == (fill > 0)
            ctx.set(places.leaves.ready, 0)
            ctx.set(places.enters.valid, 1)
            await ctx.tick()

    run_block(places, bench)
