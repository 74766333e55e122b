"""Words of the count exchange from a router to the next, with and without a link layer: order, latency, replays."""

import random

import pytest

from tests.support.blocks import run_block
from tests.support.configurations import small
from tests.support.router_row import RouterRow
from tests.support.watch import Watch


def words_of_two_batches(config):
    """From every tile but the ring-next one, a header and the counts."""
    return 2 * (config.array.tiles - 1) * (1 + config.count_words)


def words_of(way, count, seed, pace=1.0, hold=0.0):
    """Send so many words, each with chance ``pace`` per cycle; ``hold`` is the chance that a link layer's frame is lost.
    Returns the words, what came, and when they went and came.
    """
    rng, first, last = random.Random(seed), way.first, way.last
    words = [rng.getrandbits(way.params.count_layout.size) for _ in range(count)]
    watch = Watch(goes=first.count.valid, comes=last.count_in.valid)
    come = []

    async def bench(ctx):
        left, cycle = list(words), 0
        while len(come) < count:
            valid = bool(left) and rng.random() < pace
            ctx.set(first.count.valid, valid)
            if valid:
                ctx.set(first.count.payload.as_value(), left.pop(0))
            ctx.set(way.hold, sum((rng.random() < hold) << i for i in range(way.tiles)))
            if ctx.get(last.count_in.valid):
                come.append(ctx.get(last.count_in.payload.as_value()))
            await ctx.tick()
            cycle += 1
            assert cycle < 400 * count, "hung"
        for _ in range(30):
            assert not ctx.get(last.count_in.valid), "a word too many"
            await ctx.tick()

    run_block(way, bench, background=[watch.run])
    return words, come, watch


@pytest.mark.parametrize("crc_bits", [0, 16])
@pytest.mark.parametrize(("cols", "latency"), [(2, 1), (2, 4), (3, 2), (4, 1)])
def test_every_word_takes_the_same_time(cols, latency, crc_bits):
    """One word per cycle; as long as a request takes. Its register at the other end adds a cycle."""
    config = small(array__cols=cols, link__latency_cycles=latency, link__crc_bits=crc_bits)
    way = RouterRow(config)
    words, come, watch = words_of(way, 20, seed=1)
    assert come == words
    assert [after - before for before, after in zip(watch["goes"], watch["comes"], strict=True)] == 20 * [way.way_cycles]


@pytest.mark.parametrize("seed", range(4))
def test_lost_frames_delay_and_lose_nothing(seed):
    """As many words as an exchange has at the most, as fast as they can come, while frames are lost."""
    print(f"seed {seed}")
    config = small(array__cols=2 + seed % 3, layer__experts=44, link__crc_bits=16, link__retries=1000,
                   link__latency_cycles=1 + seed // 2)
    way = RouterRow(config)
    words, come, _ = words_of(way, words_of_two_batches(config), seed, pace=1 if seed % 2 else 0.7, hold=0.2)
    assert come == words


def test_a_dead_link_keeps_the_words_of_two_exchanges():
    """All of them wait, and come when the link is there again."""
    config = small(array__cols=3, layer__experts=44, link__crc_bits=16, link__retries=1000)
    assert words_of_two_batches(config) > 2 * config.link_window + 8  # they do not fit into the replay buffer
    way = RouterRow(config)
    depth = words_of_two_batches(config)
    first, last, rng = way.first, way.last, random.Random(5)
    words = [rng.getrandbits(way.params.count_layout.size) for _ in range(depth)]
    come = []

    async def bench(ctx):
        ctx.set(way.hold, 1)
        for word in words:
            ctx.set(first.count.valid, 1)
            ctx.set(first.count.payload.as_value(), word)
            await ctx.tick()
        ctx.set(first.count.valid, 0)
        for cycle in range(3000):
            ctx.set(way.hold, cycle < 300)
            if ctx.get(last.count_in.valid):
                come.append(ctx.get(last.count_in.payload.as_value()))
                assert cycle >= 300
            await ctx.tick()

    run_block(way, bench)
    assert come == words
