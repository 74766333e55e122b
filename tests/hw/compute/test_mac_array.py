"""The MAC array in every format and of every size: exact sums, however it multiplies and however many parts a sum has."""

import random

import pytest

from tests.support.blocks import run_block
from tests.support.configurations import small
from tests.support.watch import Watch
from tests.support.weight_words import CODES, weight_word
from trajectile.hw.compute.mac_array import MacArray
from trajectile.hw.widths import Widths
from trajectile.sw_model.config import Config

WORDS = 12


def weights_of(config: Config, codes: list[int], scales: list[int]) -> list[int]:
    """The weights of one output, as docs/numerics.md has them."""
    tile = config.tile
    return [CODES[tile.weights][code] * (8 + (scale >> 3 & 7) if tile.scale_mantissa else 1) << (scale & 7)
            for code, scale in zip(codes, (scale for scale in scales for _ in range(tile.word_inputs)), strict=True)]


@pytest.mark.parametrize(("multiplier", "operands", "products"), [
    *((multiplier, products, products) for multiplier in ("plain", "shared") for products in (False, True)),
    ("plain", True, False), ("plain", False, True)])
@pytest.mark.parametrize(("weights", "inputs", "part", "mantissa"), [
    ("mx8", 2, 8, 0), ("mx8", 8, 3, 3), ("mx8", 32, 8, 0), ("mxfp4", 2, 1, 3), ("mxfp4", 8, 5, 0), ("mxfp4", 32, 32, 0),
    ("mxfp4", 64, 12, 3), ("int4", 2, 1, 0), ("int4", 8, 3, 3), ("int4", 32, 32, 3), ("int4", 64, 7, 0),
])
def test_sums(weights, inputs, part, mantissa, multiplier, operands, products):
    """A word per cycle with gaps between; a sum stands ``latency_cycles`` after its last word until the next begins.

    Bits of a scale byte that mean nothing are ignored.
    """
    rng = random.Random(f"{weights} {inputs}")
    config = small(tile__mac_k=inputs, tile__mac_n=2, tile__mac_t=2, tile__weights=weights, tile__scale_mantissa=mantissa,
                   tile__multiplier=multiplier, tile__mac_part=part, tile__register_operands=operands,
                   tile__register_products=products, layer__d_model=inputs * WORDS, link__beat_bytes=1)
    tile = config.tile
    array = MacArray(Widths(config))
    legal = list(CODES[weights])

    def activations():
        return [rng.choice((-127, 127, 0, rng.randrange(-127, 128))) for _ in range(inputs)]

    async def bench(ctx):
        expected, due = [[0] * tile.mac_n for _ in range(tile.mac_t)], []
        for word in range(WORDS):
            enable, first = word == 0 or rng.random() < 0.8, word == 0 or rng.random() < 0.3
            codes = [rng.choices(legal, k=inputs) for _ in range(tile.mac_n)]
            scales = [[rng.randrange(256) for _ in range(tile.word_scales)] for _ in range(tile.mac_n)]
            lanes = [activations() for _ in range(tile.mac_t)]
            shifts = [[rng.randrange(4) for _ in range(tile.word_scales)] for _ in range(tile.mac_t)]
            ctx.set(array.enable, enable)
            ctx.set(array.first, first)
            ctx.set(array.weights, weight_word(tile, codes, scales))
            ctx.set(array.activations, [entry(tile, *lane) for lane in zip(lanes, shifts, strict=True)])
            if enable:
                lanes = [[x << block[i // tile.word_inputs] for i, x in enumerate(lane)]
                            for lane, block in zip(lanes, shifts, strict=True)]
                rows = [weights_of(config, *row) for row in zip(codes, scales, strict=True)]
                expected = [[(0 if first else before) + dot(lane, row) for before, row in zip(sums, rows, strict=True)]
                            for sums, lane in zip(expected, lanes, strict=True)]
            due.append(expected)
            await ctx.tick()
            if word >= array.latency_cycles - 1:
                assert totals(ctx, array) == due[word - array.latency_cycles + 1], word

    run_block(array, bench)


@pytest.mark.parametrize("multiplier", ["plain", "shared"])
@pytest.mark.parametrize(("weights", "inputs"), [("mx8", 32), ("mxfp4", 64), ("int4", 8)])
@pytest.mark.parametrize("mantissa", [pytest.param(0, marks=pytest.mark.regress), 3])
def test_largest_sums(weights, inputs, mantissa, multiplier):
    """The longest sum of the largest products of either sign, at the largest scale, fits, and hardly."""
    config = small(tile__mac_k=inputs, tile__mac_n=2, tile__mac_t=2, tile__weights=weights, tile__scale_mantissa=mantissa,
                   tile__multiplier=multiplier, layer__d_model=inputs * WORDS, link__beat_bytes=1)
    tile = config.tile
    array = MacArray(Widths(config))
    by_value = {value: code for code, value in CODES[weights].items()}
    least, largest = min(by_value), max(by_value)  # of int4 the least is further from 0
    one = WORDS * inputs * 127 * (15 if mantissa else 1) << 7 + 3

    async def bench(ctx):
        ctx.set(array.enable, 1)
        ctx.set(array.weights, weight_word(tile, [[by_value[largest]] * inputs, [by_value[least]] * inputs],
                                           [[0x3F] * tile.word_scales] * 2))
        ctx.set(array.activations, [entry(tile, [x] * inputs, [3] * tile.word_scales) for x in (127, -127)])
        for word in range(WORDS):
            ctx.set(array.first, word == 0)
            await ctx.tick()
        ctx.set(array.enable, 0)
        await ctx.tick().repeat(array.latency_cycles - 1)
        assert totals(ctx, array) == [[one * largest, one * least], [-one * largest, -one * least]]
        assert (-one * least).bit_length() + 1 == config.sum_bits

    run_block(array, bench)


@pytest.mark.parametrize("operands", [False, True])
@pytest.mark.parametrize("products", [False, True])
def test_latency(operands, products):
    """A word is in the totals so many cycles after it came."""
    array = MacArray(Widths(small(tile__register_operands=operands, tile__register_products=products)))
    watch = Watch(operands=array.enable, shown=array.totals[0].word_select(0, array.params.sum_bits) == 1)

    async def bench(ctx):
        ctx.set(array.weights, 1)
        ctx.set(array.activations, [[{"values": 1, "shift": 0}], [{}]])
        ctx.set(array.enable, 1)
        await ctx.tick()
        ctx.set(array.enable, 0)
        await ctx.tick().repeat(8)

    run_block(array, bench, background=[watch.run])
    assert watch["shown"][0] - watch["operands"][0] == array.latency_cycles


def entry(tile, values, shifts):
    """A lane's int8 activations, the first lowest, and the shift of each block."""
    return [{"values": int.from_bytes(bytes(value % 256 for value in values[block * tile.word_inputs:][:tile.word_inputs]),
                                      "little"), "shift": shift} for block, shift in enumerate(shifts)]


def dot(x, w):
    """Their dot product."""
    return sum(a * b for a, b in zip(x, w, strict=True))


def totals(ctx, array):
    """The totals of each lane."""
    tile, bits = array.params.config.tile, array.params.sum_bits
    return [[ctx.get(array.totals[lane].word_select(output, bits).as_signed()) for output in range(tile.mac_n)]
            for lane in range(tile.mac_t)]
