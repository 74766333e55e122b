"""Slices of two batches in one rule engine: stops ahead, what a batch uses, what waits for its activations."""

import random

import pytest

from tests.support.blocks import run_block
from tests.support.configurations import small
from trajectile.hw.params import Params
from trajectile.hw.rules.engine import RuleEngine


def engine_of(batches: int, slots: int = 4) -> RuleEngine:
    """An engine in a ring of six tiles."""
    return RuleEngine(Params(small(array__rows=2, array__cols=3, tile__slots=slots,
                                   tile__batches=batches)))


@pytest.mark.parametrize("batches", [1, 2])
def test_a_request_says_where_it_goes(batches):
    """The first of the stops ahead is this tile, the others go on; the batch comes with it."""
    engine = engine_of(batches)
    request = engine.control.request

    async def bench(ctx):
        ctx.set(engine.running, 1)
        for ahead in range(16):
            batch = ahead % batches
            ctx.set(engine.control.request_in.payload.slice, {"expert": 3, "index": 1, "batch": batch, "ahead": ahead})
            ctx.set(engine.control.request_in.valid, 1)
            await ctx.tick()
            ctx.set(engine.control.request_in.valid, 0)
            assert ctx.get(engine.control.grant.valid) and ctx.get(engine.let_in) == 1 << batch
            slot = ctx.get(engine.control.grant.payload.slot)
            assert ctx.get(engine.events.grant_batch) == batch
            await ctx.tick()
            assert not ctx.get(engine.let_in) and ctx.get(engine.used_by) == 1 << batch
            ctx.set(engine.rows_in, 0b11)
            if ahead >> 1:
                assert ctx.get(request.valid) and ctx.get(request.payload.slice.ahead) == ahead >> 1
                assert ctx.get(request.payload.slice.batch) == batch
                await ctx.tick()
                assert not ctx.get(request.valid)
                ctx.set(engine.control.grant_in.valid, 1)
                await ctx.tick()
                ctx.set(engine.control.grant_in.valid, 0)
                ctx.set(engine.send.ready, 1)
                ctx.set(engine.receive.header, 1)
                ctx.set(engine.receive.header_slot, slot)
                assert ctx.get(engine.send.start) and ctx.get(engine.send.cut)
                assert ctx.get(engine.events.send_escape) == (not ahead >> 1 & 1)
                await ctx.tick()
                ctx.set(engine.send.ready, 0)
                ctx.set(engine.receive.header, 0)
                ctx.set(engine.send.done, 1)
                ctx.set(engine.send.done_slot, slot)
            assert not ctx.get(request.valid)
            ctx.set(engine.receive.done, 1)
            ctx.set(engine.receive.done_slot, slot)
            await ctx.tick()
            ctx.set(engine.receive.done, 0)
            ctx.set(engine.send.done, 0)
            ctx.set(engine.compute.ready, 1)
            assert ctx.get(engine.compute.start) == ahead & 1
            if ahead & 1:
                assert ctx.get(engine.compute.batch) == batch and ctx.get(engine.compute.expert) == 3
                await ctx.tick()
                ctx.set(engine.compute.done, 1)
                ctx.set(engine.compute.done_slot, slot)
                await ctx.tick()
                ctx.set(engine.compute.done, 0)
            ctx.set(engine.compute.ready, 0)
            assert ctx.get(engine.released) and ctx.get(engine.events.release) == 1 << slot
            await ctx.tick()
            assert not ctx.get(engine.used_by) and not ctx.get(engine.released)

    run_block(engine, bench)


@pytest.mark.parametrize("seed", range(4))
def test_each_waits_for_its_own_activations(seed):
    """Slices of both batches are loaded at random; those whose activations are here are computed, the oldest first."""
    print(f"seed {seed}")
    rng, engine = random.Random(seed), engine_of(2)

    async def bench(ctx):
        ctx.set(engine.running, 1)
        ctx.set(engine.load.entry.here, 1)
        waiting: list[tuple[int, int]] = []  # slot and batch, the oldest first
        for number in range(300):
            rows, batch = rng.randrange(4), rng.randrange(2)
            ctx.set(engine.rows_in, rows)
            ctx.set(engine.compute.ready, rng.random() < 0.5)
            ctx.set(engine.load.entry.batch, batch)
            ctx.set(engine.load.valid, len(waiting) < 3 and number < 250)
            assert ctx.get(engine.used_by) == sum({1 << of for _, of in waiting})
            may = [(slot, of) for slot, of in waiting if rows >> of & 1]
            assert ctx.get(engine.compute.start) == bool(may and ctx.get(engine.compute.ready))
            if ctx.get(engine.compute.start):
                assert (ctx.get(engine.compute.slot), ctx.get(engine.compute.batch)) == may[0]
                slot = may[0][0]
                ctx.set(engine.load.valid, 0)
                await ctx.tick()
                ctx.set(engine.compute.ready, 0)
                ctx.set(engine.compute.done, 1)
                ctx.set(engine.compute.done_slot, slot)
                await ctx.tick()
                ctx.set(engine.compute.done, 0)
                assert ctx.get(engine.events.release) == 1 << slot
                waiting.remove(may[0])
            elif ctx.get(engine.load.start):
                slot = ctx.get(engine.load.slot)
                assert ctx.get(engine.events.load_batch) == batch
                await ctx.tick()
                ctx.set(engine.load.valid, 0)
                ctx.set(engine.compute.ready, 0)
                ctx.set(engine.load.done, 1)
                ctx.set(engine.load.done_slot, slot)
                waiting.append((slot, batch))
            await ctx.tick()
            ctx.set(engine.load.done, 0)

    run_block(engine, bench)
