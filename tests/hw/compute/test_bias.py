"""Biases of a group: held until its sums are there, then a pair a cycle."""

import random

import pytest

from tests.support.blocks import run_block
from tests.support.configurations import small
from trajectile.hw.compute.bias import GroupBias
from trajectile.hw.widths import Widths


@pytest.mark.parametrize("mac_n", [2, 6])
@pytest.mark.parametrize(("registers", "distance"), [(registers, distance) for registers in range(3)
                                                     for distance in range(1, 5 + registers)])
def test_as_close_as_may_be(registers, distance, mac_n):
    """A bias word every ``hold_cycles``, its sums at every legal distance from it."""
    rng, groups = random.Random(1), 20
    bias = GroupBias(Widths(small(tile__mac_n=mac_n, layer__bias="true", tile__register_products=registers > 0,
                                  tile__register_operands=registers > 1, layer__d_model=12 + 4 * registers)))
    pairs, period = mac_n // 2, bias.hold_cycles
    # the least groups that the configuration lets have a bias, and the most outputs that it lets them have
    assert bias.params.config.gate_up_group_words == period and pairs <= period
    words = [rng.getrandbits(bias.params.word_bits) for _ in range(groups)]
    found = {}

    async def bench(ctx):
        for cycle in range(groups * period + distance + bias.latency_cycles):
            found[cycle] = [ctx.get(bias.gate_bias) % 2**16, ctx.get(bias.up_bias) % 2**16]
            captures, loads = (at >= 0 and at % period == 0 and at // period < groups for at in (cycle, cycle - distance))
            ctx.set(bias.capture, captures)
            ctx.set(bias.word, words[cycle // period] if captures else rng.getrandbits(bias.params.word_bits))
            ctx.set(bias.load, loads)
            await ctx.tick()

    run_block(bias, bench)
    for group, word in enumerate(words[:-1]):
        for pair in range(pairs):
            cycle = group * period + distance + bias.latency_cycles + pair
            assert found[cycle] == [word >> 32 * pair & 0xFFFF, word >> 32 * pair + 16 & 0xFFFF], (group, pair)
