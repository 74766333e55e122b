"""The token buffer of a lane: terms of results, clips, what nothing was added to, and flipped bits."""

import random

import pytest

from tests.support.blocks import run_block
from tests.support.configurations import small
from tests.support.memory_bench import flip, open_srams
from trajectile.hw.compute import clip_counter, lane_memory
from trajectile.hw.compute.lane_memory import LaneMemory
from trajectile.hw.formats import CLIP_BITS
from trajectile.hw.memory.code import stored_bits
from trajectile.hw.params import Params

PROTECTIONS = ["none", "parity", "secded"]


class Bench:
    """A lane of odd sizes (3 groups, 4 tokens) whose SRAM holds random bits at first."""

    def __init__(self, protect, monkeypatch, seed=1):
        print(f"seed {seed}")
        self.made = open_srams(monkeypatch, lane_memory, clip_counter)
        self.params = Params(small(tile__protect=protect, tile__tokens=8))
        self.groups, self.tokens = self.params.config.down_groups, self.params.config.tile.lane_tokens
        assert (self.groups, self.tokens) == (3, 4)
        self.lane, self.rng = LaneMemory(self.params), random.Random(seed)
        self.sums = {}  #: by token: a list of ``mac_n`` numbers per group
        self.clips = {}  #: by token
        self.ends = [0, 0]  #: terms at the lowest and the largest that there are
        self.half = 0
        self.flags = [0, 0]  #: cycles with ``corrected``, with ``error``
        self.protect = protect

    async def tick(self, ctx):
        await ctx.tick()
        if self.protect != "none":
            self.flags[0] += ctx.get(self.lane.corrected)
            self.flags[1] += ctx.get(self.lane.error)

    @property
    def srams(self):
        """Activations, two banks of results, clips."""
        return [*self.made[1:], self.made[0]]

    async def clear(self, ctx):
        self.sums, self.clips = {}, {}
        ctx.set(self.lane.clear, 1)
        await self.tick(ctx)
        ctx.set(self.lane.clear, 0)

    def term(self, total, shift):
        """What a sum adds to a result, and whether it was clipped."""
        limit, amount = 2**self.params.config.term_bits - 1, min(max(shift, -8), 55)
        rounded = total << -amount if amount <= 0 else (total + (1 << amount - 1)) >> amount
        term = min(max(rounded, -limit), limit)
        return term, term != rounded or (shift < -8 and total != 0)

    async def meet(self, ctx, token):
        """A pass: some gate-up pairs that clip, then the sums of each group, a group a cycle."""
        lane, rng, outputs, width = self.lane, self.rng, self.params.config.tile.mac_n, self.params.sum_bits
        top = rng.randrange(20, 70)
        result_shift = top + rng.choice([rng.randint(-20, -9), rng.randint(-8, -1), rng.randint(0, 70)])
        # from those that clip to those of which nothing is left
        fits = self.params.config.term_bits + result_shift - top
        sizes = [min(max(fits + more, 1), width - 1) for more in rng.choices([3, 1, 0, -5, -27, -31], k=self.groups)]
        sums = [[rng.choice([0, 1, -1]) * rng.getrandbits(size) * used for _ in range(outputs)]
                for size, used in zip(sizes, rng.choices([0, 1], [1, 4], k=self.groups), strict=True)]
        pairs = rng.choice([0, 0, 1, 3])
        found = [[self.term(total, result_shift - top) for total in group] for group in sums]
        limit = 2**self.params.config.term_bits - 1
        for number, end in enumerate((-limit, limit)):
            self.ends[number] += sum((end, True) in group for group in found)
        before = self.sums.get(token, [[0] * outputs] * self.groups)
        self.sums[token] = [[old + term for old, (term, _) in zip(*pair, strict=True)]
                            for pair in zip(before, found, strict=True)]
        self.clips[token] = (self.clips.get(token, 0) + pairs
                             + sum(any(clipped for _, clipped in group) for group in found))
        ctx.set(lane.pair_half, self.half)
        for _ in range(pairs):
            ctx.set(lane.pair_clipped, 1)
            await self.tick(ctx)
        ctx.set(lane.pair_clipped, 0)
        for cycle in range(self.groups + lane.drain_cycles):
            adds = cycle < self.groups
            ctx.set(lane.add, adds)
            ctx.set(lane.token, token if adds else rng.randrange(self.tokens))
            ctx.set(lane.half, self.half if adds else rng.randrange(2))
            ctx.set(lane.group_index, min(cycle, self.groups - 1))
            ctx.set(lane.finish, cycle == self.groups - 1)
            late = 1 <= cycle <= self.groups
            ctx.set(lane.result_shift, result_shift if late else rng.getrandbits(8))
            ctx.set(lane.pass_exponent, top if late else rng.getrandbits(7))
            comes = cycle - lane.totals_cycles
            total = sums[comes] if 0 <= comes < self.groups else [rng.getrandbits(width) for _ in range(outputs)]
            ctx.set(lane.totals, sum(value % 2**width << width * i for i, value in enumerate(total)))
            await self.tick(ctx)
        self.half ^= 1

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

    async def read_clips(self, ctx):
        """Every count of clips as the host reads it."""
        lane, found = self.lane, []
        for token in range(self.tokens):
            ctx.set(lane.host_token, token)
            ctx.set(lane.host_clips, 1)
            await self.tick(ctx)
            ctx.set(lane.host_clips, 0)
            found.append(ctx.get(lane.clips))
            await self.tick(ctx)
        return found

    def expected(self):
        """Every entry: zero for tokens that nothing was added to and for the pad of an odd number of groups."""
        stride = self.params.result_stride
        entries = [0] * self.params.result_depth
        for token, groups in self.sums.items():
            for group, values in enumerate(groups):
                entries[token * stride + group] = sum(value % 2**32 << 32 * i for i, value in enumerate(values))
        return entries


@pytest.mark.parametrize("protect", PROTECTIONS)
def test_results(protect, monkeypatch):
    """Terms are exact, so are counts of clips, and what was never added to reads as zero, before the first batch and after
    each; memory that holds anything at first, or is left from the batch before, is no error.
    """
    bench, clipped = Bench(protect, monkeypatch), set()

    async def run(ctx):
        assert await bench.read(ctx) == [0] * bench.params.result_depth
        for met in ([2], [0, 1, 3, 1], [], [3, 3, 3], [1, 2, 0, 3, 2]):
            await bench.clear(ctx)
            for token in met:
                await bench.meet(ctx, token)
            assert await bench.read(ctx) == bench.expected(), met
            assert await bench.read_clips(ctx) == [bench.clips.get(token, 0) for token in range(bench.tokens)]
            clipped.update(bench.clips.values())
        assert len(clipped) > 2 and min(bench.ends) > 2, bench.ends
        assert bench.flags == [0, 0]

    run_block(bench.lane, run)
    widths = [bench.params.activation_bits, bench.params.result_bits, bench.params.result_bits, CLIP_BITS]
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
        for sram in bench.srams[1:3]:
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


@pytest.mark.parametrize(("protect", "number"), [("parity", 1), ("secded", 1), ("secded", 2)])
@pytest.mark.parametrize("reader", ["adder", "host"])
def test_flipped_clips(protect, number, reader, monkeypatch):
    """A count is looked at when it is added to and when the host reads it; not when a token's first pass replaces it."""
    bench = Bench(protect, monkeypatch, number)
    corrects = (protect, number) == ("secded", 1)

    async def run(ctx):
        await bench.clear(ctx)
        await bench.meet(ctx, 2)
        for address in range(bench.tokens):
            word = bench.srams[3].word(address)
            ctx.set(word, ctx.get(word) ^ flip(protect, CLIP_BITS, number, bench.rng))
        await bench.meet(ctx, 1)
        assert bench.flags == [0, 0]
        if reader == "adder":
            await bench.meet(ctx, 2)
        found = await bench.read_clips(ctx)
        assert not corrects or found == [bench.clips.get(token, 0) for token in range(bench.tokens)]
        # a wrong sum is stored with sound check bits
        assert bench.flags == ([1, 0] if corrects else [0, 1])

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
