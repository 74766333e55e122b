"""Sums of all tiles: to the cycle, and exact; one tile among others that are as fast as can be, and whole rings."""

import random

import pytest
from amaranth.hdl import Module

from tests.support.blocks import run_block
from tests.support.configurations import small
from tests.support.naive_reduction import CLOSING
from tests.support.reduction_bench import RingBench, TileBench, partial_sums, shares
from tests.support.watch import Watch, pulse
from trajectile.hw.batch.reduction import RingReduction
from trajectile.hw.params import Params
from trajectile.sw_model import latencies

#: groups of a token, flits of a group, lanes, tokens of a tile, batches in flight
SHAPES = {
    "one group, one flit": (1, 1, 1, 4, 1),
    "one group, two flits": (1, 2, 3, 7, 2),
    "two groups, one flit": (2, 1, 2, 8, 2),
    "three groups, one flit": (3, 1, 4, 8, 1),
    "three groups, two flits": (3, 2, 1, 5, 2),
    "two groups, three flits": (2, 3, 3, 9, 1),
    "five groups, four flits": (5, 4, 2, 6, 2),
    "four groups, three flits": (4, 3, 4, 16, 1),
}
#: mac_n, bytes of a flit
SIZES = {1: (2, 8), 2: (2, 4), 3: (4, 6), 4: (4, 4)}


def config_of(name, **changes):
    """One of the shapes; its last flit of a group is not full if there are three."""
    groups, flits, lanes, tokens, batches = SHAPES[name]
    mac_n, beat = SIZES[flits]
    config = small(array__dataflows="both", tile__mac_n=mac_n, io__bytes_per_cycle=8 if flits == 1 else 4, tile__mac_k=4,
                   link__beat_bytes=beat, tile__mac_t=lanes, tile__tokens=tokens, tile__batches=batches,
                   layer__d_model=groups * mac_n - 1, **changes)
    assert (config.down_groups, config.sum_flits) == (groups, flits)
    return config


def tokens_of(rng, capacity, tiles):
    """How many tokens each tile gives to a batch: few or as many as there may be, on all tiles or on some."""
    total = rng.choice([0, 1, rng.randrange(capacity + 1), capacity, capacity])
    some = rng.sample(range(tiles), rng.randrange(1, tiles + 1))
    owners = [rng.choice(some) for _ in range(total)]
    return [owners.count(tile) for tile in range(tiles)]


def run_one(config, seed, *, pace, busy, permit, timing_only=False, batches=3):
    """One tile of a ring: words come at any pace from the permit on, the link is busy at times."""
    print(f"seed {seed}")
    rng = random.Random(seed)
    tile = TileBench(config, rng, timing_only=timing_only)
    module = Module()
    module.submodules.tile = tile.dut

    async def bench(ctx):
        cycle = 0
        for number in range(batches):
            tiles = rng.randrange(2, 6)
            tokens, where = tokens_of(rng, config.tile.tokens, tiles), rng.randrange(tiles)
            whole = sum(tokens)
            of_tile = shares(tokens, where)
            # before the start, with it, or later, if there is anything to be sent
            permitted = cycle + rng.randrange(permit + 1) if whole > tokens[where] else -1
            start, flits, summed = cycle + rng.randrange(5), [], False
            while not summed:
                assert cycle < 10_000, "hung"
                if cycle == start:
                    tile.start(ctx, cycle, number % config.tile.batches, partial_sums(config, rng, whole), of_tile)
                    for _, word in tile.naive.to_come:
                        value = ((rng.choice([0, 3, 2**16 - 1]), rng.choice([None, -7])) if word == CLOSING else
                                 [rng.getrandbits(32) for _ in range(config.tile.mac_n)])
                        flits += [(word, piece, value) for piece in range(1 if word == CLOSING else config.sum_flits)]
                else:
                    tile.no_start(ctx)
                flit = flits.pop(0) if flits and cycle > start and rng.random() < pace else None
                inputs = {"ready": rng.random() >= busy, "permitted": cycle == permitted}
                tile.drive(ctx, flit=flit, **inputs)
                summed = tile.check(ctx, cycle, **inputs).summed
                cycle += 1
                await ctx.tick()

    run_block(module, bench)
    return tile


@pytest.mark.parametrize("timing_only", [False, True])
@pytest.mark.parametrize("pace", [1, 0.6])
@pytest.mark.parametrize("name", SHAPES)
def test_one_tile(name, pace, timing_only):
    """Every output of every cycle, with sums that come without a gap or with gaps."""
    config, seen = config_of(name), set()
    for seed in range(6):
        busy, permit = ((0, 4), (0.3, 40), (0.8, 4))[seed % 3]
        seen |= run_one(config, seed, pace=pace, busy=busy, permit=permit, timing_only=timing_only).seen
    # the next but one word is of the same bank, and comes two cycles later
    meet = pace == 1 and config.sum_flits == 1 and config.down_groups != 2
    assert seen == ({"two writes", "a cycle later"} if meet else set()) or (pace < 1 and config.sum_flits == 1)


def run_ring(config, seed, tiles, *, latency, stalls, busy, late):
    """Some batches on a ring; each token's words went over every link but the one behind the tile that they end at."""
    bench = RingBench(config, seed, tiles=tiles, latency=latency, stalls=stalls, busy=busy)
    rng, capacity = random.Random(seed), config.tile.tokens
    batches = [tokens_of(rng, capacity, tiles), [capacity if number == seed % tiles else 0 for number in range(tiles)],
               tokens_of(rng, capacity, tiles), [0] * tiles]
    bench.run(batches, late=late)
    words = config.down_groups * config.sum_flits + 1
    assert bench.flits == sum(map(sum, batches)) * (tiles - 1) * words


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize(("tiles", "latency", "stalls", "busy", "late"), [(2, 1, 0, 0, 0), (3, 4, 0.02, 0.2, 30),
                                                                          (5, 9, 0.05, 0.4, 40)])
def test_ring(name, tiles, latency, stalls, busy, late):
    """Exact sums at the tile that gave the tokens, each word once, every cycle as it ought to be."""
    run_ring(config_of(name), tiles, tiles, latency=latency, stalls=stalls, busy=busy, late=late)


@pytest.mark.regress
@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("seed", range(10, 16))
def test_rings(name, seed):
    """The same with links and tiles at random."""
    rng = random.Random(seed)
    run_ring(config_of(name), seed, rng.randrange(2, 6), latency=rng.randrange(1, 20), stalls=rng.choice([0, 0.05, 0.2]),
             busy=rng.choice([0, 0.3, 0.7]), late=rng.choice([0, 10, 200]))


@pytest.mark.parametrize("name", ["three groups, one flit", "five groups, four flits"])
def test_ring_without_payload(name):
    """The same cycles."""
    config = config_of(name)
    RingBench(config, 7, tiles=3, stalls=0.05, timing_only=True).run([[2, 1, 0], [0, 3, 3]], late=9)


def reduction(name="two groups, one flit"):
    """A reduction, its configuration, what a watch looks at."""
    config = config_of(name)
    dut = RingReduction(Params(config))
    return dut, config, Watch(start=dut.reduce.start, summed=dut.reduce.summed, permits=dut.permit_sums,
                              permitted=dut.permitted, read=dut.read.read, offers=dut.flits.valid, ready=dut.flits.ready,
                              comes=dut.arrival.valid, writes=dut.put.write.any())


def start(ctx, dut, *, total, tokens, before):
    """What holds at the start."""
    ctx.set(dut.reduce.tokens, tokens)
    ctx.set(dut.reduce.share, {"total": total, "before": before, "last": {"lane": 0, "token": 1}, "own": {"lane": 1},
                               "previous": {}})


def test_latency_of_the_start():
    """To the permit; with nothing to be done, to the end."""
    dut, _, watch = reduction()

    async def bench(ctx):
        await pulse(ctx, dut.reduce.start)
        start(ctx, dut, total=2, tokens=2, before=0)
        await pulse(ctx, dut.reduce.start)

    run_block(dut, bench, background=[watch.run])
    nothing, second = watch["start"]
    assert watch["summed"] == [nothing + dut.summed_cycles]
    assert watch["permits"] == [second + dut.latency_cycles]
    assert dut.latency_cycles == latencies.PERMIT_CYCLES


def test_latency_of_a_word_that_goes():
    """From the permit, or from the flit before, to the read, to the flit; from the last flit to the end; groups of more
    flits follow each other without a gap.
    """
    dut, _, watch = reduction("two groups, one flit")

    async def bench(ctx):
        start(ctx, dut, total=1, tokens=0, before=1)
        await pulse(ctx, dut.reduce.start, dut.permitted)
        ctx.set(dut.flits.ready, 1)
        await ctx.tick().repeat(12)

    run_block(dut, bench, background=[watch.run])
    permitted, first, ready = watch["permitted"][0], watch["offers"][0], watch["ready"][0]
    assert ready > first + 2
    assert watch["read"] == [permitted + 1, ready + 1, ready + 3]
    assert watch["offers"] == [*range(first, ready + 1), ready + 2, ready + 4]
    assert first == permitted + 1 + dut.send_cycles and watch["summed"] == [watch["offers"][-1] + dut.summed_cycles]
    assert (dut.send_cycles, dut.summed_cycles) == (latencies.SUM_OUT_CYCLES, latencies.SUMMED_CYCLES)

    dut, config, watch = reduction("five groups, four flits")

    async def full_rate(ctx):
        start(ctx, dut, total=1, tokens=0, before=1)
        ctx.set(dut.flits.ready, 1)
        await pulse(ctx, dut.reduce.start, dut.permitted)
        await ctx.tick().repeat(40)

    run_block(dut, full_rate, background=[watch.run])
    first, flits = watch["offers"][0], 5 * config.sum_flits + 1
    assert watch["offers"] == list(range(first, first + flits))


def test_latency_of_a_word_that_comes():
    """From its last flit to the read, to the sum; from the last sum to the end."""
    dut, config, watch = reduction("five groups, four flits")

    async def bench(ctx):
        start(ctx, dut, total=1, tokens=1, before=0)
        await pulse(ctx, dut.reduce.start)
        for word in range(config.down_groups + 1):
            closes = word == config.down_groups
            for _ in range(1 if closes else config.sum_flits):
                ctx.set(dut.arrival.next_head, closes)
                await pulse(ctx, dut.arrival.next_valid, rest=0)
                ctx.set(dut.arrival.payload, {"kind": 2, "head": closes})
                await pulse(ctx, dut.arrival.valid, rest=3)

    run_block(dut, bench, background=[watch.run])
    last = [cycle for number, cycle in enumerate(watch["comes"]) if number % 4 == 3 or number == 4 * config.down_groups]
    assert watch["read"] == last
    assert watch["writes"] == [cycle + dut.sum_cycles for cycle in last]
    assert watch["summed"] == [watch["writes"][-1] + dut.summed_cycles]
    assert dut.sum_cycles == latencies.SUM_CYCLES
