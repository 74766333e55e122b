"""The compute unit on slices and tokens drawn at random: results and clips bit for bit, timing to the cycle."""

import numpy as np
import pytest

from tests.support.blocks import run_block
from tests.support.compute_bench import ComputeBench, part
from tests.support.configurations import small
from tests.support.memory_bench import open_srams
from tests.support.watch import pulse
from tests.support.wild import wild
from trajectile.hw.batch import token_lists
from trajectile.hw.compute import clip_counter, lane_memory
from trajectile.sw_model.latencies import compute_drain_cycles, compute_early_cycles
from trajectile.sw_model.numerics import image
from trajectile.sw_model.numerics.image import slice_parameters
from trajectile.sw_model.numerics.integer import integer_layer
from trajectile.sw_model.timeline.compute import compute_cycles

#: one word a segment
TINY = {"layer__d_model": 2, "layer__d_ff": 3, "tile__mac_k": 2, "tile__mac_n": 2, "link__beat_bytes": 4, "tile__mac_t": 1}
#: changes of the smoke configuration; they cover odd and single groups, more values than inputs, parameters of several words
SHAPES = [
    {},
    {"tile__mac_t": 1, "tile__mac_n": 2, "tile__multiplier": "shared"},
    TINY,
    TINY | {"layer__experts": 2, "layer__top_k": 1, "tile__tokens": 12, "tile__weights": "int4", "tile__protect": "parity"},
    {"layer__d_model": 4, "layer__d_ff": 3, "tile__mac_n": 2, "tile__protect": "parity", "layer__activation": "gelu"},
    {"layer__d_model": 3, "layer__d_ff": 3, "tile__mac_k": 2, "tile__mac_n": 2, "ddr__bytes_per_cycle": 1,
     "link__beat_bytes": 4, "tile__weights": "mxfp4"},
    {"layer__d_model": 5, "tile__mac_k": 2, "tile__mac_n": 2, "link__beat_bytes": 6, "tile__protect": "secded",
     "tile__scale_mantissa": 3},  # odd groups
    {"layer__d_model": 20, "layer__d_ff": 21, "tile__slices": 1, "tile__mac_n": 6, "tile__mac_t": 3,
     "layer__activation": "quick_gelu"},
    {"layer__d_model": 1, "layer__d_ff": 1, "tile__slices": 1, "tile__mac_k": 2, "tile__mac_n": 2, "link__beat_bytes": 1},
    {"layer__d_model": 9, "layer__d_ff": 2, "tile__slices": 2, "tile__mac_k": 8, "tile__mac_n": 4, "tile__tokens": 12,
     "tile__weights": "int4", "ddr__bytes_per_cycle": 4},
    # groups of one word, few words a segment: the last two down segments would meet in a result bank
    {"layer__d_model": 9, "layer__d_ff": 9, "tile__slices": 9, "tile__mac_k": 4, "tile__mac_n": 6, "tile__mac_t": 1},
    {"layer__d_model": 6, "layer__d_ff": 9, "tile__slices": 1, "tile__mac_k": 4, "tile__mac_n": 2, "link__beat_bytes": 6},
    {"layer__bias": True, "layer__activation": "gelu_tanh"},
    {"layer__bias": True, "layer__d_model": 5, "tile__mac_k": 2, "tile__mac_n": 6, "tile__weights": "mxfp4",
     "tile__scale_mantissa": 3, "ddr__bytes_per_cycle": 4},
    # two blocks of inputs in a word, a slice of one and a half blocks
    {"layer__d_model": 40, "layer__d_ff": 48, "tile__slices": 1, "tile__mac_k": 64, "tile__mac_n": 2, "tile__tokens": 2,
     "tile__weights": "mxfp4", "ddr__bytes_per_cycle": 4, "layer__experts": 2},
    # sums a cycle later: with biases in groups as short as may be, with segments of one word, and with two that would meet
    {"layer__bias": True, "layer__d_model": 7, "tile__mac_k": 2, "tile__mac_n": 6, "link__beat_bytes": 6,
     "tile__register_products": True},
    TINY | {"tile__register_products": True},
    {"layer__d_model": 9, "layer__d_ff": 9, "tile__slices": 9, "tile__mac_k": 4, "tile__mac_n": 6, "tile__mac_t": 1,
     "tile__multiplier": "shared", "tile__register_products": True},
    # words a cycle later, and sums two
    {"layer__bias": True, "layer__d_model": 7, "tile__mac_k": 2, "tile__mac_n": 6, "link__beat_bytes": 6,
     "tile__register_slots": True},
    TINY | {"tile__register_slots": True, "tile__register_products": True},
    TINY | {"tile__register_starts": True, "tile__register_slots": True},
    # and sums three, with biases in groups as short as may be
    {"layer__bias": True, "layer__d_model": 9, "tile__mac_k": 2, "tile__mac_n": 6, "link__beat_bytes": 6,
     "tile__register_slots": True, "tile__register_operands": True, "tile__register_products": True},
]


def slot_words(config, layer, expert, index):
    """A slice as it lies in a slot, a number for each word; what follows the parameters can be anything."""
    size = config.tile.word_bytes
    head = slice_parameters(layer, expert).ljust(config.parameter_words * size, b"\xA5")
    found = head + image.slice_words(config, layer, expert, index).tobytes()
    return [int.from_bytes(found[low:low + size], "little") for low in range(0, len(found), size)]


class Run:
    """Batches one after the other: with two in flight one is formed, and one read, while another computes."""

    def __init__(self, config, seed, batches):
        print(f"seed {seed}")
        self.config, self.rng, self.seed = config, np.random.default_rng(seed), seed
        layer, rng = config.layer, self.rng
        sizes = rng.integers(1, config.tile.tokens + 1, batches)
        ids = np.stack([rng.choice(layer.experts, layer.top_k, replace=False) for _ in range(sizes.sum())])
        if seed == 2:
            ids[rng.random(ids.shape) < 0.2] = -1
        self.layer, everything = wild(config, ids, rng)
        ends = np.cumsum(sizes)
        self.batches = [part(everything, slice(end - size, end)) for size, end in zip(sizes, ends, strict=True)]
        self.bench = ComputeBench(config, seed)
        #: slices in the order in which they come: (batch, expert, index)
        self.visits = []
        for number, batch in enumerate(self.batches):
            visits = [(number, int(expert), index) for expert in np.flatnonzero(self.bench.passes(batch.topk_ids))
                      for index in range(config.tile.slices)]
            rng.shuffle(visits)
            self.visits += [tuple(visit) for visit in visits]
        self.words = {visit[1:]: slot_words(config, self.layer, *visit[1:]) for visit in self.visits}
        self.cycle = 0
        self.starts, self.ends = [], []
        self.formed, self.read = [], []
        #: by batch: when its part of the unit was not busy any more
        self.idle = {}

    async def memory(self, ctx):
        """The slots; and what goes on in every cycle."""
        unit, slots = self.bench.unit, self.config.tile.slots
        later = [0] * self.config.tile.register_slots  # words that come out of their slot a cycle later
        while True:
            sampled = await ctx.tick().sample(unit.weights.en, unit.weights.slot, unit.weights.addr, unit.compute.done,
                                              unit.compute.done_slot)
            enabled, slot, address, done, done_slot = sampled[2:]
            if done:
                assert done_slot == len(self.ends) % slots
                self.ends.append(self.cycle)
            self.cycle += 1
            number = next((n for n in reversed(range(len(self.starts))) if n % slots == slot), 0)
            word = self.words[self.visits[number][1:]][address] if enabled else int(self.rng.integers(2**8))
            later.append(word)
            ctx.set(unit.weights.data, later.pop(0))
            if self.config.tile.protect != "none":
                assert not ctx.get(unit.corrected) and not ctx.get(unit.error)

    async def until(self, ctx, holds):
        """Wait, not for ever."""
        begin = self.cycle
        while not holds():
            assert self.cycle < begin + 100_000, "hung"
            await ctx.tick()

    async def forming(self, ctx):
        """Batch after batch, as soon as there is room."""
        flight = self.config.tile.batches
        for number, batch in enumerate(self.batches):
            await self.until(ctx, lambda number=number: len(self.read) > number - flight)
            if number >= flight:
                await self.bench.sweep(ctx, number % flight)
            await self.bench.form(ctx, number % flight, batch)
            self.formed.append(number)

    async def computing(self, ctx):
        """Slice after slice, as soon as the unit is ready."""
        compute = self.bench.unit.compute
        for number, (batch, expert, _) in enumerate(self.visits):
            await self.until(ctx, lambda batch=batch: len(self.formed) > batch)
            await self.until(ctx, lambda: ctx.get(compute.ready) and (self.seed == 1 or self.rng.random() < 0.3))
            for signal, value in ((compute.start, 1), (compute.slot, number % self.config.tile.slots),
                                  (compute.expert, expert), (compute.batch, batch % self.config.tile.batches)):
                ctx.set(signal, value)
            self.starts.append(self.cycle)
            await ctx.tick()
            ctx.set(compute.start, 0)

    async def reading(self, ctx):
        """The results of each batch, as soon as it is not computed any more."""
        unit = self.bench.unit
        for number, batch in enumerate(self.batches):
            bank = number % self.config.tile.batches
            own = [n for n, visit in enumerate(self.visits) if visit[0] == number]
            await self.until(ctx, lambda number=number: len(self.formed) > number)
            await self.until(ctx, lambda own=own, bank=bank: len(self.starts) > max(own, default=-1)
                             and not ctx.get(unit.busy[bank]) and len(self.ends) > max(own, default=-1))
            self.idle[number] = self.cycle
            results, clips = await self.bench.read(ctx, bank, len(batch.x))
            expected = integer_layer(self.config, self.layer, batch)
            assert (results == expected.y).all() and (clips == expected.clips).all()
            assert ctx.get(unit.unit[bank]) == (self.layer.unit if own else 0)
            await self.use(ctx, bank, number)
            self.read.append(number)

    async def use(self, ctx, bank, number):
        """What else happens to results that have been read."""

    def check_cycles(self):
        """All is where docs/architecture.md, "Compute time", has it."""
        config = self.config
        passes = [self.bench.passes(batch.topk_ids) for batch in self.batches]
        lengths = [compute_cycles(config, int(passes[batch][expert])) for batch, expert, _ in self.visits]
        assert [end - start for start, end in zip(self.starts, self.ends, strict=True)] == lengths
        last = {visit[0]: end for visit, end in zip(self.visits, self.ends, strict=True)}
        for number, end in last.items():
            assert self.idle[number] == end + compute_drain_cycles(config)
        if self.seed == 1:
            follow = [(self.starts[n + 1], self.ends[n]) for n in range(len(self.ends) - 1)
                      if self.visits[n][0] == self.visits[n + 1][0]]
            assert all(start == end - compute_early_cycles(config) for start, end in follow)


@pytest.mark.parametrize("changes", SHAPES, ids=str)
@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.regress)])
def test_slices_meet_tokens(changes, seed, monkeypatch):
    """Two batches, the second of which must not add to what the first left."""
    open_srams(monkeypatch, lane_memory, clip_counter, token_lists)
    run = Run(small(**changes), seed, 2)
    run_block(run.bench.module, run.forming, run.computing, run.reading, background=[run.memory])
    run.check_cycles()


@pytest.mark.parametrize("changes", [{}, TINY | {"tile__protect": "parity"}, {"tile__protect": "secded"},
                                     {"layer__bias": True, "tile__mac_t": 1}, {"tile__register_products": True},
                                     {"tile__register_slots": True, "tile__register_operands": True},
                                     {"tile__register_starts": True}], ids=str)
@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.regress)])
def test_two_batches_in_flight(changes, seed, monkeypatch):
    """One is formed, and one read, while another computes; slices of two follow each other as those of one do."""
    open_srams(monkeypatch, lane_memory, clip_counter, token_lists)
    run = Run(small(**changes | {"tile__batches": 2}), seed, 5)
    run_block(run.bench.module, run.forming, run.computing, run.reading, background=[run.memory])
    run.check_cycles()
    joined = [n for n in range(len(run.ends) - 1) if run.visits[n][0] != run.visits[n + 1][0]
              and run.starts[n + 1] <= run.ends[n]]
    assert seed == 2 or joined, "no slice of a batch followed one of another at once"


class PutRun(Run):
    """Sums of some tokens are put in the place of results, as many words per cycle as there are banks for."""

    #: most words that were put in a cycle
    most = 0

    async def read_word(self, ctx, bank, token, group, written):
        """A group, or with None the clips; ``written``: it was put."""
        read = self.bench.unit.read
        lane, index = self.bench.place(token)
        for signal, value in ((read.read, 1), (read.early, 1), (read.batch, bank), (read.lane, lane), (read.token, index),
                              (read.group_index, group or 0), (read.of_clips, group is None), (read.written, written)):
            ctx.set(signal, value)
        await ctx.tick()
        for signal in (read.read, read.early, read.written):
            ctx.set(signal, 0)
        return ctx.get(read.clips if group is None else read.results)

    async def use(self, ctx, bank, number):
        put, config, rng = self.bench.unit.put, self.config, self.rng
        batch, groups = self.batches[number], [*range(config.down_groups), None]
        found = {token: [await self.read_word(ctx, bank, token, group, 0) for group in groups]
                 for token in range(config.tile.tokens)}
        met = {token for token in range(len(batch.x)) if (batch.topk_ids[token] >= 0).any()}
        assert all(not any(words) for token, words in found.items() if token not in met)
        tokens = [int(token) for token in rng.permutation(config.tile.tokens)[:rng.integers(1, config.tile.tokens + 1)]]
        words = [(token, group) for token in tokens for group in groups]
        ctx.set(put.batch, bank)
        while words:
            together = {}
            for token, group in words[:rng.integers(0, 4)]:
                of = 2 if group is None else group % 2
                if of in together:
                    break
                together[of] = token, group
            for of in range(3):
                token, group = together.get(of, (int(rng.integers(config.tile.tokens)), 0))
                value = int.from_bytes(rng.bytes(2 if of == 2 else self.bench.params.result_bits // 8), "little")
                lane, index = self.bench.place(token)
                ctx.set(put.places[of], {"lane": lane, "token": index})
                if of < 2:
                    ctx.set(put.row[of], (group or 0) // 2)
                ctx.set((put.words.even, put.words.odd, put.words.clips)[of], value)
                if of in together:
                    found[token][groups.index(group)] = value
            ctx.set(put.write, sum(1 << of for of in together))
            await ctx.tick()
            ctx.set(put.write, 0)
            self.most, words = max(self.most, len(together)), words[len(together):]
            for token, group in together.values():
                # known once its clips are there; with ``written`` at once
                known = token in met or (token, None) not in words
                value = found[token][groups.index(group)]
                assert await self.read_word(ctx, bank, token, group, 0) == (value if known else 0)
                assert await self.read_word(ctx, bank, token, group, 1) == value
        for token in rng.permutation(config.tile.tokens):
            assert [await self.read_word(ctx, bank, int(token), group, 0) for group in groups] == found[token]


@pytest.mark.parametrize("changes", [{"tile__batches": 1}, {"tile__batches": 2, "tile__mac_t": 3, "tile__tokens": 5},
                                     {"tile__batches": 2, "tile__protect": "secded", "layer__d_model": 11},
                                     {"tile__batches": 2, "tile__protect": "parity", "layer__d_model": 4, "tile__mac_k": 2}],
                         ids=str)
def test_sums_are_put(changes, monkeypatch):
    """In the place of results, of tokens that have met something or not, while another batch computes."""
    open_srams(monkeypatch, lane_memory, clip_counter, token_lists)
    run = PutRun(small(array__dataflows="both", **changes), 2, 3)
    run_block(run.bench.module, run.forming, run.computing, run.reading, background=[run.memory])
    run.check_cycles()
    assert run.most > 1


def test_unit_of_another_tile():
    """It is taken if there is none yet, of the same batch only, and forgotten when the next begins."""
    bench = ComputeBench(small(array__dataflows="both", tile__batches=2))
    unit, compute, put = bench.unit, bench.unit.compute, bench.unit.put

    async def adopt(ctx, batch, value):
        ctx.set(put.batch, batch)
        ctx.set(put.unit, value % 256)
        await pulse(ctx, put.adopt, rest=0)
        ctx.set(put.unit, 77)
        await ctx.tick()
        return [ctx.get(unit.unit[b]) for b in range(2)], ctx.get(put.known)

    async def run(ctx):
        assert ctx.get(put.known) == 0
        ctx.set(unit.weights.data, 0x85 << 24)
        await pulse(ctx, compute.start, rest=0)
        await ctx.tick().until(unit.busy == 0)
        assert ctx.get(put.known) == 1
        assert await adopt(ctx, 0, -9) == ([-123, 0], 1)
        assert await adopt(ctx, 1, 0) == ([-123, 0], 3)
        assert await adopt(ctx, 1, 5) == ([-123, 0], 3)
        await pulse(ctx, unit.clear[1], rest=0)
        assert ctx.get(put.known) == 1
        assert await adopt(ctx, 1, -128) == ([-123, -128], 3)
        await pulse(ctx, unit.clear[0], rest=0)
        assert await adopt(ctx, 1, 5) == ([0, -128], 2)

    run_block(bench.module, run)


def test_unit_of_results():
    """It is that of the batch's slices, and 0 from the beginning of a batch to its first slice."""
    bench = ComputeBench(small(tile__batches=2))
    unit, compute = bench.unit, bench.unit.compute

    async def run(ctx):
        ctx.set(unit.weights.data, 0x85 << 24)
        for batch, units in ((1, [0, -123]), (0, [-123, -123])):
            ctx.set(compute.batch, batch)
            await pulse(ctx, compute.start, rest=0)
            ctx.set(compute.batch, 1 - batch)
            await ctx.tick().until(unit.busy == 0)
            assert [ctx.get(unit.unit[b]) for b in range(2)] == units
        for batch in range(2):
            ctx.set(unit.clear[batch], 1)
            await ctx.tick()
            assert [ctx.get(unit.unit[b]) for b in range(2)] == [0, 0 if batch else -123]

    run_block(bench.module, run)
