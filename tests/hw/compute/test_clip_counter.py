"""Counts of clips: passes that end one after the other, and the end of what a count can say."""

import random
from itertools import product

import pytest

from tests.support.blocks import run_block
from tests.support.configurations import small
from tests.support.memory_bench import open_srams
from trajectile.hw.compute import clip_counter
from trajectile.hw.compute.clip_counter import ClipCounter
from trajectile.hw.formats import CLIP_BITS
from trajectile.hw.params import Params


class Bench:
    """A counter, and what each token's count must be; tokens are (batch, token)."""

    def __init__(self, monkeypatch, batches=1):
        self.srams = open_srams(monkeypatch, clip_counter)
        self.params = Params(small(tile__batches=batches))
        self.block = ClipCounter(self.params)
        self.counts = {}

    async def run(self, ctx, passes):
        """Let passes end: (cycle, half, token, clips); their last group is one of the clips, if there are any."""
        block, strobes = self.block, {}
        for end, half, (batch, token), clips in passes:
            fresh = (batch, token) not in self.counts
            self.counts[batch, token] = min(self.counts.get((batch, token), 0) + clips, 2**CLIP_BITS - 1)
            strobes.setdefault(end - 8, []).extend([(block.note, 1), (block.note_half, half), (block.token, token),
                                                    (block.batch, batch), (block.fresh, fresh)])
            for cycle in range(end - clips, end):
                strobes.setdefault(cycle, []).extend([(block.pair, 1), (block.pair_half, half)])
            if clips:
                del strobes[end - clips]
                strobes.setdefault(end, []).append((block.group_clipped, 1))
            strobes.setdefault(end, []).extend([(block.finish, 1), (block.group_half, half)])
        for cycle in range(min(strobes), max(strobes) + block.stored_cycles + 1):
            for signal, value in strobes.get(cycle, []):
                ctx.set(signal, value)
            await ctx.tick()
            for signal, _ in strobes.get(cycle, []):
                ctx.set(signal, 0)

    async def check(self, ctx):
        """The counts in the SRAM."""
        for (batch, token), count in self.counts.items():
            assert ctx.get(self.srams[batch].word(token)) == count, (batch, token)


@pytest.mark.parametrize("distance", range(1, 9))
@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("batches", [1, 2])
def test_two_passes(distance, first, batches, monkeypatch):
    """However close they end, each token gets its own, of two batches too; nothing waits longer than is stated."""
    bench, rng = Bench(monkeypatch, batches), random.Random(distance)

    async def run(ctx):
        for _ in range(8):
            tokens = rng.sample([*product(range(batches), range(bench.params.config.tile.lane_tokens))], 2)
            # clips of the second come after those of the first, and both before the end of the first: no strobe twice
            await bench.run(ctx, [(20, first, tokens[0], 0), (20 + distance, 1 - first, tokens[1], rng.randrange(distance))])
            await bench.check(ctx)
            await bench.run(ctx, [(20, first, tokens[1], rng.randrange(5))])
            await bench.check(ctx)
        assert max(bench.counts.values()) > 1

    run_block(bench.block, run)


def test_a_count_stops_at_its_end(monkeypatch):
    """It does not begin again."""
    bench = Bench(monkeypatch)

    async def run(ctx):
        for start, clips in ((2**CLIP_BITS - 4, 3), (2**CLIP_BITS - 4, 4), (2**CLIP_BITS - 1, 1)):
            ctx.set(bench.srams[0].word(1), start)
            bench.counts[0, 1] = start
            await bench.run(ctx, [(20, 0, (0, 1), clips)])
            await bench.check(ctx)

    run_block(bench.block, run)
