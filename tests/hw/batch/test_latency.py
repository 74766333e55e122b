"""Latencies of the blocks that form a batch, each by itself."""

import numpy as np
import pytest

from tests.support.blocks import run_block
from tests.support.configurations import small
from tests.support.forming import count_table
from tests.support.watch import Watch, pulse
from trajectile.hw.batch.count_exchange import CountExchange
from trajectile.hw.batch.expert_order import ExpertOrder
from trajectile.hw.batch.former import BatchFormer
from trajectile.hw.batch.layouts import Order
from trajectile.hw.batch.load_maker import LOADS_WAITING, LoadMaker
from trajectile.hw.params import Params

#: six experts, so two words
SIX = {"layer__experts": 6, "array__rows": 1, "array__cols": 3, "array__ddr_tiles": (1,)}


def test_words_of_this_tile():
    """Header and words, when nothing comes; the reads of counts."""
    exchange = CountExchange(Params(small(**SIX)))
    watch = Watch(start=exchange.start, sent=exchange.sent, read=exchange.passes.read, out=exchange.word_out.valid)

    async def bench(ctx):
        await pulse(ctx, exchange.start, rest=40)

    run_block(exchange, bench, background=[watch.run])
    (start,), (header, first, second) = watch["start"], watch["sent"]
    assert watch["out"] == watch["sent"]
    assert header == start + exchange.latency_cycles
    assert first == watch["read"][0] + exchange.read_cycles and watch["read"][0] == start + 1
    assert second == first + exchange.refill_cycles
    assert watch["read"] == list(range(start + 1, start + 7))  # six experts, and none beyond


@pytest.mark.parametrize("wait", [1, 2, 3, 4, 5, 6, 9])
def test_words_of_others_go_first(wait):
    """While words come the header waits, and the first word comes ``refill_cycles`` after it, or when its counts are read."""
    exchange = CountExchange(Params(small(**SIX)))
    watch = Watch(start=exchange.start, sent=exchange.sent, comes=exchange.word_in.valid, out=exchange.word_out.valid)

    async def bench(ctx):
        ctx.set(exchange.start, 1)
        ctx.set(exchange.word_in.valid, 1)
        for _ in range(wait):
            await ctx.tick()
            ctx.set(exchange.start, 0)
        ctx.set(exchange.word_in.valid, 0)
        await ctx.tick().repeat(40)

    run_block(exchange, bench, background=[watch.run])
    header, first, second = watch["sent"]
    assert header == watch["comes"][-1] + exchange.held_cycles + 1
    assert first == max(header + exchange.refill_cycles, watch["start"][0] + 1 + exchange.read_cycles)
    assert second == first + exchange.refill_cycles
    assert watch["out"][:wait] == [cycle + exchange.held_cycles for cycle in watch["comes"]]


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("wrong", [0, 1 << 1, 1 << 9])
def test_formed_and_disagreement(late, wrong):
    """The last word of all, own or not; a header with another order or tag, whichever came first."""
    exchange = CountExchange(Params(small(array__rows=1, array__cols=2, array__ddr_tiles=(0,), layer__experts=4)))
    watch = Watch(sent=exchange.sent, comes=exchange.word_in.valid, formed=exchange.formed.formed,
                  disagree=exchange.disagree)
    order, tag = 1, 0x5A

    async def bench(ctx):
        async def other():
            ctx.set(exchange.word_in.payload.word, (tag << 2 | order) ^ wrong)
            await pulse(ctx, exchange.word_in.valid, rest=0)
            ctx.set(exchange.word_in.payload.word, 0x1234)
            await pulse(ctx, exchange.word_in.valid)

        if late:
            await other()
        ctx.set(exchange.order, order)
        ctx.set(exchange.tag, tag)
        await pulse(ctx, exchange.start, rest=20)
        if not late:
            await other()

    run_block(exchange, bench, background=[watch.run])
    kept = sorted(watch["sent"] + [cycle + exchange.held_cycles for cycle in watch["comes"]])
    assert watch["formed"] == [kept[-1] + 1]
    headers = sorted([watch["sent"][0], watch["comes"][0] + exchange.held_cycles])
    assert watch["disagree"] == ([headers[1] + exchange.report_cycles] if wrong else [])


@pytest.mark.parametrize("order", list(Order))
@pytest.mark.parametrize("experts", [1, 3, 4, 9])
def test_picks(order, experts):
    """From the counts to the first pick, and from pick to pick, taken at once or later."""
    config = small(layer__experts=experts, layer__top_k=1)
    block, words = ExpertOrder(Params(config)), config.count_words
    watch = Watch(formed=block.formed.formed, valid=block.pick.valid, taken=block.pick.valid & block.pick.ready,
                  nothing=block.nothing)

    async def bench(ctx):
        ctx.set(block.formed.order, order)
        await pulse(ctx, block.formed.formed, rest=0)
        for wait in (1, 5, 1):
            while not ctx.get(block.pick.valid) and watch.cycle < 100:
                await ctx.tick()
            if wait > 1:
                await ctx.tick().repeat(wait)
            ctx.set(block.pick.ready, 1)
            await ctx.tick()
            ctx.set(block.pick.ready, 0)

    passes = np.ones((config.array.tiles, experts), dtype=np.int64)
    run_block(block, bench, background=[watch.run, count_table(block.formed, passes)])
    begin = [watch["formed"][0] + words, *(taken + block.scan_cycles for taken in watch["taken"])]
    first_valid = [cycle for cycle in watch["valid"] if cycle - 1 not in watch["valid"] or cycle - 1 in watch["taken"]]
    assert len(first_valid) == min(experts, 3) and not watch["nothing"]
    assert first_valid == [cycle + experts + block.latency_cycles for cycle in begin[:len(first_valid)]]


@pytest.mark.parametrize("experts", [1, 4, 9])
def test_nothing_to_load(experts):
    """Reported after the survey, as often as it happens, and nothing is picked."""
    config = small(layer__experts=experts, layer__top_k=1)
    block = ExpertOrder(Params(config))
    watch = Watch(formed=block.formed.formed, valid=block.pick.valid, nothing=block.nothing)

    async def bench(ctx):
        await pulse(ctx, block.formed.formed, block.formed.formed, rest=config.count_words + block.nothing_cycles)
        await ctx.tick().repeat(40)

    run_block(block, bench, background=[watch.run])
    assert watch.between("formed", "nothing") == {config.count_words + block.nothing_cycles} and not watch["valid"]


@pytest.mark.parametrize("slices", [1, 2, 6])
def test_loads(slices):
    """All slices are this tile's: each is an entry; the FIFO holds up the one that does not fit."""
    config = small(array__rows=1, array__cols=2, array__ddr_tiles=(0,), layer__experts=4, layer__d_ff=6, tile__slices=slices)
    block = LoadMaker(Params(config))
    watch = Watch(taken=block.pick.valid & block.pick.ready, ready=block.pick.ready, made=block.made,
                  nothing=block.nothing, load=block.load.valid, waits=block.waits, used=block.load.valid & block.load.ready)

    async def bench(ctx):
        ctx.set(block.pick.payload.stops, 1)
        ctx.set(block.load.ready, 1)
        await pulse(ctx, block.pick.valid, block.nothing, rest=10)
        ctx.set(block.load.ready, 0)
        ctx.set(block.pick.payload.last, 1)
        await pulse(ctx, block.pick.valid, rest=20)
        ctx.set(block.load.ready, 1)
        await ctx.tick().repeat(20)

    run_block(block, bench, background=[watch.run])
    one, two = watch["taken"]
    looked = [one + block.latency_cycles + index for index in range(slices)]
    assert watch["used"][:slices] == [one + block.latency_cycles + block.entry_cycles + index * block.turn_cycles
                                      for index in range(slices)]
    assert [cycle for cycle in range(one + 1, two) if cycle not in watch["ready"]] == looked
    # the first does without the FIFO's room, then an entry moves up for each that is used
    released = two + 21
    if slices <= LOADS_WAITING:
        last = two + block.latency_cycles + slices - 1
    else:
        last = released + 1 + (slices - 1 - LOADS_WAITING) * block.turn_cycles
    assert watch["made"] == [*watch["nothing"], last]
    assert watch["used"][slices:] == [released + index * block.turn_cycles for index in range(slices)]
    assert set(watch["load"]) <= set(watch["waits"]) and not {cycle + 1 for cycle in watch["used"]} & set(watch["load"])


def test_former():
    """From the start to the first word, and from the last word to the first pick."""
    config = small(array__rows=1, array__cols=2, array__ddr_tiles=(0,), layer__experts=5)
    block = BatchFormer(Params(config))
    watch = Watch(start=block.form.start, sent=block.count_sent, comes=block.word_in.valid, picked=block.picked)

    async def bench(ctx):
        ctx.set(block.counts.passes, 1)
        await pulse(ctx, block.form.start, rest=20)
        await pulse(ctx, *[block.word_in.valid] * 3, rest=0)
        await ctx.tick().repeat(30)

    run_block(block, bench, background=[watch.run])
    assert watch["sent"][0] == watch["start"][0] + block.latency_cycles
    kept = watch["comes"][-1] + CountExchange.held_cycles
    assert watch["picked"][0] == kept + block.fixed_cycles + config.count_words + config.layer.experts
