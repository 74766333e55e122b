"""The order of a slice's words, and all that goes along with each."""

from itertools import pairwise

import pytest

from tests.support.blocks import run_block
from tests.support.configurations import random_config, small
from trajectile.hw.compute.sequencer import MacSequencer
from trajectile.hw.host.layouts import Table
from trajectile.hw.params import Params
from trajectile.sw_model.timeline.compute import compute_cycles
from trajectile.tb.program import pack

CONFIGS = {
    "smoke": small(),
    "bias": small(layer__bias=True),
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


@pytest.mark.parametrize("name", CONFIGS)
def test_words(name):
    """Slices of 1, 2, ... passes, each started as soon as it can be: every word once, in order, with its flags."""
    config = CONFIGS[name]
    params = Params(config)
    sequencer, seen, ends = MacSequencer(params), [], []
    slices = list(range(1, min(1 << params.pass_bits, params.list_depth + 1, config.layer.experts + 1, 5)))

    async def watching(ctx):
        cycle = 0
        while True:
            _, _, issue, word, param, bias, down, group, chunk, first, last, finish, half, done = await ctx.tick().sample(
                sequencer.issue, sequencer.word, sequencer.param, sequencer.bias, sequencer.down, sequencer.group_index,
                sequencer.chunk, sequencer.first, sequencer.last, sequencer.finish, sequencer.half, sequencer.compute.done)
            if issue:
                kind = "param" if param else "bias" if bias else "down" if down else "gate up"
                seen.append((word, kind, half, group, chunk, first, last, finish))
            if done:
                ends.append(cycle)
            cycle += 1

    async def bench(ctx):
        for expert, passes in enumerate(slices):
            ctx.set(sequencer.table.table, Table.RULES)
            ctx.set(sequencer.table.index, expert)
            ctx.set(sequencer.table.write_data, pack(params.rule_layout, here=1, passes=passes))
            ctx.set(sequencer.table.write, 1)
            await ctx.tick()
        ctx.set(sequencer.table.write, 0)
        ctx.set(sequencer.clear, 1)
        await ctx.tick()
        ctx.set(sequencer.clear, 0)
        for expert in range(len(slices)):
            while not ctx.get(sequencer.compute.ready):
                await ctx.tick()
            ctx.set(sequencer.compute.expert, expert)
            ctx.set(sequencer.compute.start, 1)
            await ctx.tick()
            ctx.set(sequencer.compute.start, 0)
        await ctx.tick().until(~sequencer.busy)

    run_block(sequencer, bench, background=[watching])
    expected, before = [], 0
    for passes in slices:
        for word, kind, number, *rest in words_of(config, passes):
            expected.append((word, kind, (before + number) % 2, *rest))
        before += passes
    assert seen == expected
    lengths = [compute_cycles(config, passes) for passes in slices]
    assert [end - start for start, end in pairwise(ends)] == [length - sequencer.early_cycles for length in lengths[1:]]
