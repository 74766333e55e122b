"""Words of the count exchange from a router to the next, with and without a link layer: order, latency, replays."""

import random

import pytest
from amaranth.hdl import Module
from amaranth.lib.wiring import In, connect

from tests.support.blocks import run_block
from tests.support.configurations import small
from tests.support.watch import Watch
from trajectile.hw.d2d.layouts import Port
from trajectile.hw.d2d.link import D2DLink
from trajectile.hw.d2d.link_layer import LinkLayer
from trajectile.hw.d2d.router import Router
from trajectile.hw.lib.block import Block, place
from trajectile.hw.params import Params


def words_of_two_batches(config):
    """From every tile but the ring-next one, a header and the counts."""
    return 2 * (config.array.tiles - 1) * (1 + config.count_words)


class Way(Block):
    """Routers in a row, links between them, each with its layers if there are any; words go from the first to the last."""

    def __init__(self, config):
        self.params = params = Params(config)
        self.tiles = config.array.cols
        self.routers = [Router(params) for _ in range(self.tiles)]
        super().__init__({"hold": In(self.tiles)})

    def elaborate(self, platform):
        m = Module()
        place(m, platform, {f"router_{i}": router for i, router in enumerate(self.routers)})
        for i, router in enumerate(self.routers):
            m.d.comb += [router.previous.eq(Port.WEST if i + 1 == self.tiles else Port.LOCAL),
                         router.next.eq(Port.EAST if i == 0 else Port.LOCAL)]
            if 0 < i < self.tiles - 1:
                m.d.comb += [router.passes.eq(1), router.pass_from.eq(Port.WEST), router.pass_to.eq(Port.EAST)]
            if i + 1 == self.tiles:
                continue
            near, far = router.east, self.routers[i + 1].west
            east, west = D2DLink(self.params), D2DLink(self.params)
            place(m, platform, {f"east_{i}": east, f"west_{i}": west})
            m.d.comb += east.hold.eq(self.hold[i])
            if self.params.config.link.crc_bits:
                ends = LinkLayer(self.params), LinkLayer(self.params)
                place(m, platform, {f"layer_{i}_{end}": layer for end, layer in enumerate(ends)})
                connect(m, near, ends[0].lanes)
                connect(m, far, ends[1].lanes)
                near, far = (layer.pins for layer in ends)
            connect(m, near.tx, east.near)
            connect(m, east.far, far.rx)
            connect(m, far.tx, west.near)
            connect(m, west.far, near.rx)
        return m


def words_of(way, count, seed, pace=1.0, hold=0.0):
    """Send so many words, each with chance ``pace`` per cycle; ``hold`` is the chance that a link layer's frame is lost.
    Returns the words, what came, and when they went and came.
    """
    rng, first, last = random.Random(seed), way.routers[0], way.routers[-1]
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
    way = Way(config)
    words, come, watch = words_of(way, 20, seed=1)
    assert come == words
    cycles = way.routers[0].control_cycles + config.link_flight_cycles + (cols - 2) * (config.link_flight_cycles + 1)
    assert [after - before for before, after in zip(watch["goes"], watch["comes"], strict=True)] == 20 * [cycles]


@pytest.mark.parametrize("seed", range(4))
def test_lost_frames_delay_and_lose_nothing(seed):
    """As many words as an exchange has at the most, as fast as they can come, while frames are lost."""
    print(f"seed {seed}")
    config = small(array__cols=2 + seed % 3, layer__experts=44, link__crc_bits=16, link__retries=1000,
                   link__latency_cycles=1 + seed // 2)
    way = Way(config)
    words, come, _ = words_of(way, words_of_two_batches(config), seed, pace=1 if seed % 2 else 0.7, hold=0.2)
    assert come == words


def test_a_dead_link_keeps_the_words_of_two_exchanges():
    """All of them wait, and come when the link is there again."""
    config = small(array__cols=3, layer__experts=44, link__crc_bits=16, link__retries=1000)
    assert words_of_two_batches(config) > 2 * config.link_window + 8  # they do not fit into the replay buffer
    way = Way(config)
    depth = words_of_two_batches(config)
    first, last, rng = way.routers[0], way.routers[-1], random.Random(5)
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
