"""The token buffer of a lane: sums, results that nothing was added to, and flipped bits."""

import random

import pytest

from tests.support.blocks import run_block
from tests.support.configurations import small
from tests.support.memory_bench import flip, open_srams
from trajectile.hw.compute import lane_memory
from trajectile.hw.compute.lane_memory import LaneMemory
from trajectile.hw.memory.code import stored_bits
from trajectile.hw.params import Params

PROTECTIONS = ["none", "parity", "secded"]


class Bench:
    """A lane of odd sizes (3 groups, 4 tokens) whose SRAM holds random bits at first."""

    def __init__(self, protect, monkeypatch, seed=1):
        print(f"seed {seed}")
        self.srams = open_srams(monkeypatch, lane_memory)
        self.params = Params(small(tile__protect=protect, tile__tokens=8))
        self.groups, self.tokens = self.params.config.down_groups, self.params.config.tile.lane_tokens
        assert (self.groups, self.tokens) == (3, 4)
        self.lane, self.rng = LaneMemory(self.params), random.Random(seed)
        self.sums = {}  #: by token: a list of ``mac_n`` numbers per group
        self.flags = [0, 0]  #: cycles with ``corrected``, with ``error``
        self.protect = protect

    async def tick(self, ctx):
        await ctx.tick()
        if self.protect != "none":
            self.flags[0] += ctx.get(self.lane.corrected)
            self.flags[1] += ctx.get(self.lane.error)

    async def clear(self, ctx):
        self.sums = {}
        ctx.set(self.lane.clear, 1)
        await self.tick(ctx)
        ctx.set(self.lane.clear, 0)

    async def meet(self, ctx, token):
        """A down segment: a sum for each group, a group a cycle."""
        lane, outputs = self.lane, self.params.config.tile.mac_n
        added = [[self.rng.getrandbits(32) for _ in range(outputs)] for _ in range(self.groups)]
        before = self.sums.get(token, [[0] * outputs] * self.groups)
        self.sums[token] = [[(a + b) % 2**32 for a, b in zip(*pair, strict=True)] for pair in zip(before, added, strict=True)]
        ctx.set(lane.token, token)
        for cycle in range(self.groups + 6):
            ctx.set(lane.add, cycle < self.groups)
            ctx.set(lane.group_index, min(cycle, self.groups - 1))
            ctx.set(lane.finish, cycle == self.groups - 1)
            total = added[cycle - 4] if 4 <= cycle < self.groups + 4 else [self.rng.getrandbits(32) for _ in range(outputs)]
            ctx.set(lane.totals, sum(value << 32 * i for i, value in enumerate(total)))
            await self.tick(ctx)

    async def read(self, ctx):
        """Every entry as the host reads it, in a random order."""
        lane, stride = self.lane, self.params.result_stride
        found = {}
        for index in self.rng.sample(range(self.params.result_depth), self.params.result_depth):
            ctx.set(lane.host_index, index)
            ctx.set(lane.host_token, index // stride)
            ctx.set(lane.host_pad, index % stride >= self.groups)
            ctx.set(lane.host_read, 1)
            await self.tick(ctx)
            ctx.set(lane.host_read, 0)
            found[index] = ctx.get(lane.results)
            await self.tick(ctx)
            assert ctx.get(lane.results) == found[index]  # it holds
        await self.tick(ctx)
        return [found[index] for index in range(self.params.result_depth)]

    def expected(self):
        """Every entry: zero for tokens that nothing was added to and for the pad of an odd number of groups."""
        stride = self.params.result_stride
        entries = [0] * self.params.result_depth
        for token, groups in self.sums.items():
            for group, values in enumerate(groups):
                entries[token * stride + group] = sum(value << 32 * i for i, value in enumerate(values))
        return entries


@pytest.mark.parametrize("protect", PROTECTIONS)
def test_results(protect, monkeypatch):
    """Sums are exact and what was never added to reads as zero, before the first batch and after each; memory that holds
    anything at first, or is left from the batch before, is no error.
    """
    bench = Bench(protect, monkeypatch)

    async def run(ctx):
        assert await bench.read(ctx) == [0] * bench.params.result_depth
        for met in ([2], [0, 1, 3, 1], [], [3, 3, 3], [1, 2, 0, 3, 2]):
            await bench.clear(ctx)
            for token in met:
                await bench.meet(ctx, token)
            assert await bench.read(ctx) == bench.expected(), met
        assert bench.flags == [0, 0]

    run_block(bench.lane, run)
    widths = [bench.params.activation_bits, bench.params.result_bits, bench.params.result_bits]
    assert [sram.width for sram in bench.srams] == [stored_bits(protect, width) for width in widths]


@pytest.mark.parametrize(("protect", "number"), [("parity", 1), ("secded", 1), ("secded", 2)])
@pytest.mark.parametrize("reader", ["adder", "host"])
def test_flipped_results(protect, number, reader, monkeypatch):
    """A word is looked at when it is added to and when the host reads it; not when a token's first sum replaces it."""
    bench = Bench(protect, monkeypatch, number)
    corrects = (protect, number) == ("secded", 1)

    async def run(ctx):
        await bench.clear(ctx)
        await bench.meet(ctx, 2)
        for sram in bench.srams[1:]:
            for address in range(sram.depth):
                word = sram.word(address)
                ctx.set(word, ctx.get(word) ^ flip(protect, bench.params.result_bits, number, bench.rng))
        await bench.meet(ctx, 1)
        assert bench.flags == [0, 0]
        if reader == "adder":
            await bench.meet(ctx, 2)
        else:
            found = await bench.read(ctx)
            assert not corrects or found == bench.expected()
        assert bench.flags == ([bench.groups, 0] if corrects else [0, bench.groups])
        if reader == "adder" and corrects:  # the sum was written back with sound check bits
            assert await bench.read(ctx) == bench.expected()
            assert bench.flags == [bench.groups, 0]

    run_block(bench.lane, run)


@pytest.mark.parametrize(("protect", "number"), [("none", 0), ("parity", 1), ("secded", 0), ("secded", 1), ("secded", 2)])
def test_activations(protect, number, monkeypatch):
    """Written by the host, read a word per cycle; each read of a flipped word is one strobe."""
    bench = Bench(protect, monkeypatch, number)
    lane, params, rng = bench.lane, bench.params, bench.rng
    corrects = (protect, number) == ("secded", 1)
    words = [rng.getrandbits(params.activation_bits) for _ in range(params.activation_depth)]
    chunks = params.config.gate_up_chunks

    async def run(ctx):
        ctx.set(lane.host_write, 1)
        for index, word in enumerate(words):
            ctx.set(lane.host_index, index)
            ctx.set(lane.host_data, word)
            await bench.tick(ctx)
        ctx.set(lane.host_write, 0)
        bad = set(rng.sample(range(params.activation_depth), 4)) if number else set()
        for address in bad:
            word = bench.srams[0].word(address)
            ctx.set(word, ctx.get(word) ^ flip(protect, params.activation_bits, number, rng))
        wrong = 0
        for _ in range(100):
            index, enabled = rng.randrange(params.activation_depth), rng.random() < 0.7
            ctx.set(lane.token, index // chunks)
            ctx.set(lane.chunk, index % chunks)
            ctx.set(lane.read, enabled)
            await bench.tick(ctx)
            wrong += enabled and index in bad
            if enabled and (corrects or index not in bad):
                assert ctx.get(lane.activations) == words[index]
        ctx.set(lane.read, 0)
        for _ in range(2):
            await bench.tick(ctx)
        assert bench.flags == ([wrong, 0] if corrects else [0, wrong]) and (wrong > 5) == (number > 0)

    run_block(lane, run)
