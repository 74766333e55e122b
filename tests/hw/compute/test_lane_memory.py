"""The token buffer of a lane: terms of results, clips, what nothing was added to, flipped bits, one or two batches."""

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

    def __init__(self, protect, monkeypatch, seed=1, batches=1):
        print(f"seed {seed}")
        self.made = open_srams(monkeypatch, lane_memory, clip_counter)
        self.params = Params(small(tile__protect=protect, tile__tokens=8, tile__batches=batches))
        self.batches = batches
        self.groups, self.tokens = self.params.config.down_groups, self.params.config.tile.lane_tokens
        assert (self.groups, self.tokens) == (3, 4)
        self.lane, self.rng = LaneMemory(self.params), random.Random(seed)
        self.sums = [{} for _ in range(batches)]  #: by batch and token: a list of ``mac_n`` numbers per group
        self.clips = [{} for _ in range(batches)]  #: by batch and token
        self.ends = [0, 0]  #: terms at the lowest and the largest that there are
        self.half = 0
        self.flags = [0, 0]  #: cycles with ``corrected``, with ``error``
        self.protect = protect

    async def tick(self, ctx):
        await ctx.tick()
        if self.protect != "none":
            self.flags[0] += ctx.get(self.lane.corrected)
            self.flags[1] += ctx.get(self.lane.error)

    def srams(self, kind, batch=0):
        """Those of ``activations`` (one), of ``results`` (two banks), or of ``clips`` (one) of a batch."""
        # in the order in which they are made: clips, activations, results
        first, number = {"clips": (0, 1), "activations": (self.batches, 1), "results": (2 * self.batches, 2)}[kind]
        return self.made[first + number * batch:first + number * (batch + 1)]

    async def clear(self, ctx, batch=0):
        self.sums[batch], self.clips[batch] = {}, {}
        ctx.set(self.lane.clear, 1 << batch)
        await self.tick(ctx)
        ctx.set(self.lane.clear, 0)

    def term(self, total, shift):
        """What a sum adds to a result, and whether it was clipped."""
        limit, amount = 2**self.params.config.term_bits - 1, min(max(shift, -8), 55)
        rounded = total << -amount if amount <= 0 else (total + (1 << amount - 1)) >> amount
        term = min(max(rounded, -limit), limit)
        return term, term != rounded or (shift < -8 and total != 0)

    async def meet(self, ctx, token, batch=0):
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
        before = self.sums[batch].get(token, [[0] * outputs] * self.groups)
        self.sums[batch][token] = [[old + term for old, (term, _) in zip(*pair, strict=True)]
                            for pair in zip(before, found, strict=True)]
        self.clips[batch][token] = (self.clips[batch].get(token, 0) + pairs
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
            ctx.set(lane.batch, batch if adds else rng.randrange(self.batches))
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

    async def read(self, ctx, batch=0):
        """Every group of every token, a read per cycle, in a random order."""
        lane, found, stride = self.lane, {}, self.params.result_stride
        groups = [(token, group) for token in range(self.tokens) for group in range(self.groups)]
        for token, group in self.rng.sample(groups, len(groups)):
            ctx.set(lane.read_batch, batch)
            ctx.set(lane.read_token, token)
            ctx.set(lane.read_row, token * (stride // 2) + group // 2)
            ctx.set(lane.read_bank, group % 2)
            ctx.set(lane.read_results, 1)
            ctx.set(lane.read_early, 1)
            await self.tick(ctx)
            found[token, group] = ctx.get(lane.results)
            ctx.set(lane.read_results, 0)
            if self.rng.random() < 0.3:  # the word is addressed again, and there
                await self.tick(ctx)
                assert ctx.get(lane.results) == found[token, group]
            ctx.set(lane.read_early, 0)
            if self.rng.random() < 0.3:  # it holds, whatever is asked for
                ctx.set(lane.read_token, self.rng.randrange(self.tokens))
                ctx.set(lane.read_batch, self.rng.randrange(self.batches))
                ctx.set(lane.read_bank, self.rng.randrange(2))
                await self.tick(ctx)
                assert ctx.get(lane.results) == found[token, group]
        for _ in range(2):
            await self.tick(ctx)
        return found

    async def read_clips(self, ctx, batch=0):
        """Every count of clips, a read per cycle."""
        lane, found = self.lane, []
        ctx.set(lane.read_batch, batch)
        ctx.set(lane.read_clips, 1)
        for token in range(self.tokens):
            ctx.set(lane.read_token, token)
            await self.tick(ctx)
            found.append(ctx.get(lane.clips))
        ctx.set(lane.read_clips, 0)
        for _ in range(2):
            await self.tick(ctx)
        return found

    def expected(self, batch=0):
        """Every group: zero for tokens that nothing was added to."""
        return {(token, group): sum(value % 2**32 << 32 * i for i, value in enumerate(
                    self.sums[batch][token][group] if token in self.sums[batch] else ()))
                for token in range(self.tokens) for group in range(self.groups)}

    def counts(self, batch=0):
        """Every count of clips."""
        return [self.clips[batch].get(token, 0) for token in range(self.tokens)]


@pytest.mark.parametrize("protect", PROTECTIONS)
def test_results(protect, monkeypatch):
    """Terms are exact, so are counts of clips, and what was never added to reads as zero, before the first batch and after
    each; memory that holds anything at first, or is left from the batch before, is no error.
    """
    bench, clipped = Bench(protect, monkeypatch), set()

    async def run(ctx):
        assert not any((await bench.read(ctx)).values())
        for met in 3 * ([2], [0, 1, 3, 1], [], [3, 3, 3], [1, 2, 0, 3, 2]):
            await bench.clear(ctx)
            for token in met:
                await bench.meet(ctx, token)
            assert await bench.read(ctx) == bench.expected(), met
            assert await bench.read_clips(ctx) == bench.counts()
            clipped.update(bench.counts())
        assert len(clipped) > 2 and min(bench.ends) > 2, bench.ends
        assert bench.flags == [0, 0]

    run_block(bench.lane, run)
    widths = {"activations": bench.params.activation_bits, "results": bench.params.result_bits, "clips": CLIP_BITS}
    for kind, width in widths.items():
        assert {sram.width for sram in bench.srams(kind)} == {stored_bits(protect, width)}


@pytest.mark.parametrize("protect", PROTECTIONS)
def test_two_batches(protect, monkeypatch):
    """Of one results and clips are read, and activations written, in the same cycles in which the other meets experts."""
    bench, begun, read = Bench(protect, monkeypatch, batches=2), [], []
    lane, rng, params = bench.lane, bench.rng, bench.params
    words = {}  #: of the batch that is not computed, by index

    async def others(ctx):
        """What goes on beside."""
        for number in range(6):
            while len(begun) <= number:
                await ctx.tick()
            batch = (number + 1) % 2
            expected = bench.expected(batch), bench.counts(batch)
            words.clear()
            ctx.set(lane.filled[batch], 0)
            for index in range(params.activation_depth):
                words[index] = rng.getrandbits(params.activation_bits)
                for signal, value in ((lane.fill, 1), (lane.fill_batch, batch), (lane.fill_index, index),
                                      (lane.fill_word, words[index])):
                    ctx.set(signal, value)
                await ctx.tick()
            ctx.set(lane.fill, 0)
            ctx.set(lane.filled[batch], 1)
            assert (await bench.read(ctx, batch), await bench.read_clips(ctx, batch)) == expected
            read.append(number)

    async def run(ctx):
        for number in range(6):
            if number:
                await bench.clear(ctx, number % 2)
            begun.append(number)
            while len(read) <= number:
                await bench.meet(ctx, rng.randrange(bench.tokens), number % 2)
            # what was written beside is there
            for index, word in words.items():
                for signal, value in ((lane.token, index // params.config.gate_up_chunks), (lane.read, 1),
                                      (lane.chunk, index % params.config.gate_up_chunks), (lane.batch, (number + 1) % 2)):
                    ctx.set(signal, value)
                await bench.tick(ctx)
                assert ctx.get(lane.activations) == word
            ctx.set(lane.read, 0)
        assert bench.flags == [0, 0]

    run_block(lane, run, others)


@pytest.mark.parametrize(("protect", "number"), [("parity", 1), ("secded", 1), ("secded", 2)])
@pytest.mark.parametrize("reader", ["adder", "writer"])
def test_flipped_results(protect, number, reader, monkeypatch):
    """A word is looked at when it is added to and when it is read out; not when a token's first sum replaces it."""
    bench = Bench(protect, monkeypatch, number)
    corrects = (protect, number) == ("secded", 1)

    async def run(ctx):
        await bench.clear(ctx)
        await bench.meet(ctx, 2)
        for sram in bench.srams("results"):
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
@pytest.mark.parametrize("reader", ["adder", "writer"])
def test_flipped_clips(protect, number, reader, monkeypatch):
    """A count is looked at when it is added to and when it is read out; not when a token's first pass replaces it."""
    bench = Bench(protect, monkeypatch, number)
    corrects = (protect, number) == ("secded", 1)

    async def run(ctx):
        await bench.clear(ctx)
        await bench.meet(ctx, 2)
        for address in range(bench.tokens):
            word = bench.srams("clips")[0].word(address)
            ctx.set(word, ctx.get(word) ^ flip(protect, CLIP_BITS, number, bench.rng))
        await bench.meet(ctx, 1)
        assert bench.flags == [0, 0]
        if reader == "adder":
            await bench.meet(ctx, 2)
        found = await bench.read_clips(ctx)
        assert not corrects or found == bench.counts()
        # a wrong sum is stored with sound check bits
        assert bench.flags == ([1, 0] if corrects else [0, 1])

    run_block(bench.lane, run)


@pytest.mark.parametrize(("protect", "number"), [("none", 0), ("parity", 1), ("secded", 0), ("secded", 1), ("secded", 2)])
def test_activations(protect, number, monkeypatch):
    """Written and read a word per cycle; each read of a flipped word is one strobe."""
    bench = Bench(protect, monkeypatch, number)
    lane, params, rng = bench.lane, bench.params, bench.rng
    corrects = (protect, number) == ("secded", 1)
    words = [rng.getrandbits(params.activation_bits) for _ in range(params.activation_depth)]
    chunks = params.config.gate_up_chunks

    async def run(ctx):
        ctx.set(lane.fill, 1)
        for index, word in enumerate(words):
            ctx.set(lane.fill_index, index)
            ctx.set(lane.fill_word, word)
            await bench.tick(ctx)
        ctx.set(lane.fill, 0)
        ctx.set(lane.filled, 1)
        bad = set(rng.sample(range(params.activation_depth), 4)) if number else set()
        for address in bad:
            word = bench.srams("activations")[0].word(address)
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
