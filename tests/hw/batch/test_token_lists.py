"""Token lists: what is put in comes out again, and nothing else, while the other batch does the opposite."""

import random

import pytest

from tests.support.blocks import run_block
from tests.support.configurations import random_config, small
from tests.support.memory_bench import open_srams
from tests.support.watch import Watch, pulse
from trajectile.hw.batch import token_lists
from trajectile.hw.batch.token_lists import TokenLists
from trajectile.hw.formats import CHOICE_WEIGHT, EXPONENT_BITS
from trajectile.hw.params import Params

CONFIGS = {
    "smoke": (small(), False),
    "two batches": (small(tile__batches=2), False),
    "timing only": (small(tile__batches=2, tile__mac_t=3, tile__tokens=13), True),
    "one lane, two experts": (small(tile__mac_t=1, layer__experts=2, tile__batches=2), False),
    "one choice of one expert": (small(layer__experts=1, layer__top_k=1, tile__mac_t=3, tile__tokens=9), False),
    **{f"random {seed}": (random_config(seed), False) for seed in range(4)},
}
ROUNDS = 6


class Bench:
    """Batches that are put into lists, and what must be in them: by (expert, lane), tokens in the order of the list."""

    def __init__(self, config, timing_only, seed):
        print(f"seed {seed}")
        self.config, self.timing_only = config, timing_only
        self.block, self.rng = TokenLists(Params(config, timing_only=timing_only)), random.Random(seed)
        self.batches = config.tile.batches
        self.lists = [{} for _ in range(self.batches)]
        self.seen = {"twice": 0, "longest": 0}

    async def rest(self, ctx):
        """Some cycles or none."""
        for _ in range(self.rng.choice([0, 0, 0, 1, 5])):
            await ctx.tick()

    async def sweep(self, ctx, batch):
        """Lists are empty from then on."""
        self.lists[batch] = {}
        ctx.set(self.block.listed[batch], 0)
        ctx.set(self.block.sweep[batch], 1)
        await ctx.tick()
        ctx.set(self.block.sweep[batch], 0)
        for _ in range(self.config.layer.experts):
            assert not ctx.get(self.block.swept[batch])
            await ctx.tick()
        assert ctx.get(self.block.swept[batch])

    async def insert(self, ctx, batch):
        """Tokens as records have them: token i in lane i % mac_t, most with all their choices, some with one twice."""
        port, rng, layer, width = self.block.insert, self.rng, self.config.layer, self.config.tile.mac_t
        used = rng.sample(range(layer.experts), rng.randint(1, layer.experts))
        for number in range(rng.randint(0, self.config.tile.tokens)):
            token, lane, exponent = number // width, number % width, rng.getrandbits(EXPONENT_BITS)
            had = set()
            for rank in range(layer.top_k):
                if rng.random() < 0.1:
                    continue
                expert, weight = rng.choice(used), rng.getrandbits(CHOICE_WEIGHT.size)
                ctx.set(port.look, 1)
                for signal, value in ((port.insert, 1), (port.batch, batch), (port.lane, lane), (port.token, token),
                                      (port.rank, rank), (port.expert, expert), (port.weight.as_value(), weight),
                                      (port.exponent, exponent)):
                    ctx.set(signal, value)
                await ctx.tick()
                ctx.set(port.look, 0)
                ctx.set(port.insert, 0)
                assert ctx.get(port.twice) == (expert in had)
                await ctx.tick()
                if expert in had:
                    self.seen["twice"] += 1
                else:
                    entry = (token,) if self.timing_only else (token, weight, exponent)
                    self.lists[batch].setdefault((expert, lane), []).insert(0, entry)
                had.add(expert)
                if rng.random() < 0.3:  # nobody says anything while nothing is put in
                    ctx.set(port.expert, rng.randrange(layer.experts))
                    await self.rest(ctx)
                    assert not ctx.get(port.twice)

    def passes(self, batch, expert):
        """Length of the longest list."""
        return max(len(self.lists[batch].get((expert, lane), ())) for lane in range(self.config.tile.mac_t))

    async def count(self, ctx, batch):
        """All experts, an expert per cycle."""
        port, before = self.block.counts, None
        for expert in [*range(self.config.layer.experts), None]:
            ctx.set(port.read, expert is not None)
            ctx.set(port.batch, batch)
            ctx.set(port.expert, expert or 0)
            if before is not None:
                assert ctx.get(port.passes) == self.passes(batch, before)
                self.seen["longest"] = max(self.seen["longest"], self.passes(batch, before))
            await ctx.tick()
            before = expert

    def shown(self, ctx):
        """The tokens that are shown, None where there is none; an entry without a token is zero."""
        found = []
        for entry in (self.block.look_up.entry[lane] for lane in range(self.config.tile.mac_t)):
            bits = [ctx.get(field) for field in ([entry.token] if self.timing_only else
                                                 [entry.token, entry.weight.as_value(), entry.exponent])]
            assert ctx.get(entry.valid) or not any(bits)
            if len(bits) > 1:
                bits[2] %= 2**EXPONENT_BITS
            found.append(tuple(bits) if ctx.get(entry.valid) else None)
        return found

    async def walk(self, ctx, batch):
        """The lists of all experts, those without tokens too, from their beginning to their end."""
        port, lanes = self.block.look_up, range(self.config.tile.mac_t)
        for expert in self.rng.sample(range(self.config.layer.experts), self.config.layer.experts):
            ctx.set(port.find, 1)
            ctx.set(port.batch, batch)
            ctx.set(port.expert, expert)
            await ctx.tick()
            ctx.set(port.find, 0)
            ctx.set(port.expert, self.rng.randrange(self.config.layer.experts))
            ctx.set(port.batch, self.rng.randrange(self.batches))
            await ctx.tick().repeat(self.block.latency_cycles - 1)
            passes = self.passes(batch, expert)
            for number in range(max(passes, 1)):
                expected = [dict(enumerate(self.lists[batch].get((expert, lane), ()))).get(number) for lane in lanes]
                assert self.shown(ctx) == expected
                assert ctx.get(port.more) == (number < passes - 1)
                await self.rest(ctx)
                assert self.shown(ctx) == expected  # it holds
                ctx.set(port.advance, 1)
                await ctx.tick()
                ctx.set(port.advance, 0)
            assert self.shown(ctx) == [None for _ in lanes] and not ctx.get(port.more)


@pytest.mark.parametrize("name", CONFIGS)
def test_lists(name, monkeypatch):
    """Batch after batch; with two of them one is put in and counted while the other is walked."""
    open_srams(monkeypatch, token_lists)
    bench, formed, walked = Bench(*CONFIGS[name], seed=len(name)), [], []

    async def until(ctx, log, number):
        while len(log) < number:
            await ctx.tick()

    async def forming(ctx):
        while ctx.get(bench.block.swept) != 2**bench.batches - 1:  # the reset empties all lists
            await ctx.tick()
        for number in range(ROUNDS):
            await until(ctx, walked, number + 1 - bench.batches)
            if number >= bench.batches:
                await bench.sweep(ctx, number % bench.batches)
            await bench.insert(ctx, number % bench.batches)
            ctx.set(bench.block.listed[number % bench.batches], 1)
            await bench.count(ctx, number % bench.batches)
            formed.append(number)

    async def walking(ctx):
        for number in range(ROUNDS):
            await until(ctx, formed, number + 1)
            await bench.walk(ctx, number % bench.batches)
            walked.append(number)

    run_block(bench.block, forming, walking)
    if not name.startswith("random"):  # some of those have hardly any tokens
        assert bench.seen["longest"] > 1 and (bench.seen["twice"] or bench.config.layer.top_k == 1)


def test_latency(monkeypatch):
    """From a choice to its place, from an expert to its count, from an expert to its tokens; how long a sweep takes."""
    srams = open_srams(monkeypatch, token_lists)
    config = small(tile__mac_t=1)
    block = TokenLists(Params(config))
    port = block.look_up
    watch = Watch(insert=block.insert.insert, read=block.counts.read, passes=block.counts.passes == 2, find=port.find,
                  advance=port.advance, first=port.entry[0].valid & (port.entry[0].token == 1),
                  second=port.entry[0].valid & (port.entry[0].token == 0), sweep=block.sweep, swept=block.swept)

    async def watching(ctx):
        watch.signals |= {"head": block_word(srams, ctx)}
        await watch.run(ctx)

    def block_word(srams, ctx):
        head = next(sram for sram in srams if sram.depth == config.layer.experts)
        return head.word(3) == block.params.list_head_layout.const({"count": 2, "node": config.layer.top_k}).as_value().value

    async def bench(ctx):
        await ctx.tick().repeat(config.layer.experts)
        async def put():
            ctx.set(block.insert.look, 1)
            await pulse(ctx, block.insert.insert, rest=0)
            ctx.set(block.insert.look, 0)
            await ctx.tick().repeat(8)

        ctx.set(block.insert.expert, 3)
        ctx.set(block.counts.expert, 3)
        ctx.set(port.expert, 3)
        await put()
        ctx.set(block.insert.token, 1)
        await put()
        ctx.set(block.listed, 1)
        await pulse(ctx, block.counts.read, port.find, port.advance, block.sweep)

    run_block(block, bench, background=[watching])
    assert watch["swept"][0] == config.layer.experts  # after the reset
    assert watch["head"][0] == watch["insert"][1] + block.insert_cycles
    assert watch["passes"][0] == watch["read"][0] + block.count_cycles
    assert watch["first"][0] == watch["find"][0] + block.latency_cycles
    assert watch["second"][0] == watch["advance"][0] + block.advance_cycles
    assert set(range(watch["sweep"][0], watch["swept"][-1])) - set(watch["swept"]) == set(
        range(watch["sweep"][0] + 1, watch["sweep"][0] + 1 + config.layer.experts))
