"""The order of a slice's words, and all that goes along with each."""

import random
from dataclasses import replace

import pytest

from tests.support.blocks import run_block
from tests.support.configurations import random_config, small
from trajectile.hw.compute.sequencer import MacSequencer
from trajectile.hw.params import Params
from trajectile.sw_model.timeline.compute import compute_cycles

CONFIGS = {
    "smoke": small(),
    "bias": small(layer__bias=True),
    "registered starts": small(tile__register_starts=True),
    "parameters of three words": small(layer__d_model=2, layer__d_ff=3, tile__mac_k=2, tile__mac_n=2, tile__weights="int4",
                                       link__beat_bytes=4),
    **{f"random {seed}": random_config(seed) for seed in range(6)},
}


def words_of(config, passes):
    """Every word of a slice as (word, kind, pass, group, chunk, first, last, finish), in order."""
    found = [(word, "param", 0, 0, 0, 0, 0, 0) for word in range(config.parameter_words)]
    gate_up, down = config.gate_up_group_words, config.down_chunks

    def segment(kind, number, begin, groups, size):
        for group in range(groups):
            for chunk in range(size):
                last = chunk == size - 1
                bias = config.layer.bias and kind == "gate up" and last
                found.append((begin + group * size + chunk, "bias" if bias else kind, number, group, chunk, chunk == 0, last,
                              last and group == groups - 1))
    for number in range(passes + 1):
        if number < passes:
            segment("gate up", number, config.parameter_words, config.gate_up_groups, gate_up)
        if number:
            segment("down", number - 1, config.parameter_words + config.gate_up_words, config.down_groups, down)
    return found


class Lists:
    """Token lists that are made up: those of slice n have up to ``passes[n]`` tokens, and one of them has so many.

    An entry is shown when it has to be, and anything at other times.
    """

    def __init__(self, sequencer, passes):
        self.port, self.passes, self.rng = sequencer.look_up, passes, random.Random(len(passes))
        self.lanes = sequencer.params.config.tile.mac_t
        #: lengths of each lane's list, by slice; the longest has as many as there are passes
        self.lengths = [[number, *(self.rng.randint(0, number) for _ in range(self.lanes - 1))] for number in passes]
        for lengths in self.lengths:
            self.rng.shuffle(lengths)
        self.tokens = {}  #: by slice, pass, lane
        self.asked = []  #: batch and expert of each look-up

    async def run(self, ctx):
        """A look-up takes two cycles, another entry one."""
        port, since, place = self.port, None, 0
        ctx.set(port.more, 1)
        while True:
            _, _, find, batch, expert, advance = await ctx.tick().sample(port.find, port.batch, port.expert, port.advance)
            if find:
                self.asked.append((batch, expert))
                since, place = 0, 0
            elif since is not None:
                since += 1
                place += advance
            number = len(self.asked) - 1
            for lane in range(self.lanes):
                valid = since is not None and place < self.lengths[number][lane] if since != 0 else self.rng.randrange(2)
                token = self.rng.randrange(2**len(port.entry[lane].token))
                token = self.tokens.setdefault((number, place, lane), token) if since else token
                ctx.set(port.entry[lane].valid, valid)
                ctx.set(port.entry[lane].token, token)
            ctx.set(port.more, place + 1 < self.passes[number] if since else self.rng.randrange(2))


@pytest.mark.parametrize("batches", [1, 2])
@pytest.mark.parametrize("name", CONFIGS)
def test_words(name, batches):
    """Slices of 0, 1, 2, ... passes, each started as soon as it can be: every word once, in order, with its flags and tokens.

    An expert without passes has tokens nowhere here, so nobody asks for it; the slice ends all the same.
    """
    config = replace(CONFIGS[name], tile=replace(CONFIGS[name].tile, batches=batches))
    sequencer, seen, ends, busy = MacSequencer(Params(config)), [], [], []
    slices = [1, 0, *range(1, 5), 0, 2]
    lists = Lists(sequencer, slices)
    batch_of = [number // 3 % batches for number in range(len(slices))]
    lengths = [compute_cycles(config, max(passes, 1)) for passes in slices]

    async def watching(ctx):
        cycle = 0
        while True:
            _, _, issue, word, param, bias, down, group, chunk, first, last, finish, half, batch, passes, done, now = (
                await ctx.tick().sample(
                    sequencer.issue, sequencer.word, sequencer.param, sequencer.bias, sequencer.down, sequencer.group_index,
                    sequencer.chunk, sequencer.first, sequencer.last, sequencer.finish, sequencer.half, sequencer.batch,
                    sequencer.passes, sequencer.compute.done, sequencer.busy))
            if issue:
                kind = "param" if param else "bias" if bias else "down" if down else "gate up"
                tokens = [passes[half][lane] for lane in range(config.tile.mac_t)]
                seen.append((word, kind, half, group, chunk, first, last, finish, batch,
                             None if param else tuple(entry.token if entry.valid else None for entry in tokens)))
            if done:
                ends.append(cycle)
            busy.append(now)
            cycle += 1
            assert cycle < 100 + sum(lengths), "hung"

    async def bench(ctx):
        for number in range(len(slices)):
            while not ctx.get(sequencer.compute.ready):
                await ctx.tick()
            ctx.set(sequencer.compute.expert, number % config.layer.experts)
            ctx.set(sequencer.compute.batch, batch_of[number])
            ctx.set(sequencer.compute.start, 1)
            await ctx.tick()
            ctx.set(sequencer.compute.start, 0)
        await ctx.tick().until(sequencer.busy == 0)
        await ctx.tick()

    run_block(sequencer, bench, background=[lists.run, watching])
    expected, before = [], 0
    for number, passes in enumerate(slices):
        for word, kind, turn, *rest in words_of(config, max(passes, 1)):
            tokens = tuple(lists.tokens[number, turn, lane] if turn < lists.lengths[number][lane] else None
                           for lane in range(config.tile.mac_t))
            expected.append((word, kind, (before + turn) % 2, *rest, batch_of[number], None if kind == "param" else tokens))
        before += max(passes, 1)
    assert seen == expected
    assert lists.asked == [(batch, number % config.layer.experts) for number, batch in enumerate(batch_of)]
    starts = [end - length for end, length in zip(ends, lengths, strict=True)]
    assert starts[1:] == [end - sequencer.early_cycles for end in ends[:-1]]
    for batch in range(batches):
        own = [(start, end) for start, end, of in zip(starts, ends, batch_of, strict=True) if of == batch]
        expected = {cycle for start, end in own for cycle in range(start + 1, end + sequencer.drain_cycles)}
        assert {cycle for cycle, now in enumerate(busy) if now >> batch & 1} == expected
