"""The MAC array on int8 operands of every size: exact sums, whichever way it multiplies and however many parts a sum has."""

import random

import pytest

from tests.support.blocks import run_block
from tests.support.configurations import small
from tests.support.watch import Watch
from trajectile.hw.compute.mac_array import MacArray
from trajectile.hw.compute.mac_pe import MacPe
from trajectile.hw.params import Params

WORDS = 30
#: operands that reach every digit of a recoded number and the ends of every partial sum
CORNERS = (-128, -127, -1, 0, 1, 2, 85, -86, 126, 127)


def packed(values):
    """int8 numbers in a word, the first lowest."""
    return int.from_bytes(bytes(value % 256 for value in values), "little")


@pytest.mark.parametrize("multiplier", ["plain", "booth"])
@pytest.mark.parametrize(("inputs", "part"), [(1, 8), (8, 8), (17, 8), (5, 1), (3, 64)])  # one part, or unequal ones
def test_sums(inputs, part, multiplier):
    """A word per cycle with gaps between sums; a sum stands ``latency_cycles`` after its last word until the next begins."""
    seed = inputs
    print(f"seed {seed}")
    rng = random.Random(seed)
    config = small(tile__mac_k=inputs, tile__mac_n=2, tile__mac_t=2, tile__multiplier=multiplier, tile__mac_part=part,
                   ddr__bytes_per_cycle=1, link__beat_bytes=1)
    array = MacArray(Params(config))
    outputs, lanes = config.tile.mac_n, config.tile.mac_t

    def operands():
        return [rng.choice(CORNERS) if rng.random() < 0.5 else rng.randrange(-128, 128) for _ in range(inputs)]

    async def bench(ctx):
        expected, due = [[0] * outputs for _ in range(lanes)], []
        for word in range(WORDS):
            enable, first = word == 0 or rng.random() < 0.8, word == 0 or rng.random() < 0.3
            weights, activations = [operands() for _ in range(outputs)], [operands() for _ in range(lanes)]
            if word < 4:  # the largest sums there are, of either sign
                weights, activations = [[-128] * inputs] * outputs, [[-128 if word % 2 else 127] * inputs] * lanes
            ctx.set(array.enable, enable)
            ctx.set(array.first, first)
            ctx.set(array.weights, packed([value for row in weights for value in row]))
            ctx.set(array.activations, [packed(row) for row in activations])
            if enable:
                expected = [[(0 if first else expected[lane][output]) + sum(
                    a * b for a, b in zip(weights[output], activations[lane], strict=True))
                    for output in range(outputs)] for lane in range(lanes)]
            due.append(expected)
            await ctx.tick()
            if word >= array.latency_cycles - 1:
                for lane, sums in enumerate(due[word - array.latency_cycles + 1]):
                    found = [ctx.get(array.totals[lane].word_select(output, 32).as_signed()) for output in range(outputs)]
                    assert found == sums, (word, lane)

    run_block(array, bench)


@pytest.mark.parametrize("multiplier", ["plain", "booth"])
def test_latency_of_an_element(multiplier):
    """A dot product is in the sum so many cycles after its operands."""
    element = MacPe(Params(small(tile__multiplier=multiplier)))
    watch = Watch(operands=element.weights == 1, shown=element.total == 1)

    async def bench(ctx):
        ctx.set(element.first, 1)
        ctx.set(element.activations, 1)  # recoded: the lowest digit is 1
        ctx.set(element.add, 1)
        ctx.set(element.weights, 1)
        await ctx.tick()
        ctx.set(element.weights, 0)
        await ctx.tick().repeat(4)

    run_block(element, bench, background=[watch.run])
    assert watch.between("operands", "shown") == {element.latency_cycles}
