"""The converter against exact arithmetic."""

import random
from collections import defaultdict
from fractions import Fraction

from tests.support.blocks import run_block
from trajectile.hw.batch.bfloat import BFLOAT_BIAS, BfloatConverter


def nearest(value, unit):
    """By the definition: the nearest of all numbers of 8 significant bits, of two the even one; then infinity or zero."""
    exact = Fraction(abs(value)) * Fraction(2) ** unit
    sign = (value < 0) << 15
    if not value:
        return 0
    exponent = exact.numerator.bit_length() - exact.denominator.bit_length()
    exponent -= Fraction(2) ** exponent > exact
    scaled = exact / Fraction(2) ** (exponent - 7)  # 128 to less than 256
    low = int(scaled)
    rest = scaled - low
    low += rest > Fraction(1, 2) or (rest == Fraction(1, 2) and low % 2 == 1)
    if low == 256:
        low, exponent = 128, exponent + 1
    field = exponent + 127
    return sign | (0 if field < 1 else 0x7F80 if field > 254 else field << 7 | low - 128)


def test_values():
    """Every power of two with what is near it, ties, extremes; every unit; random ones. One per cycle, in order."""
    rng = random.Random(1)
    cases = [(0, 0), (-2**31, 0), (2**31 - 1, 0), (-2**31, 127), (1, -128), (-1, -128), (3, -128), (-255, -128), (511, -128)]
    for bit in range(31):
        for near in (-1, 0, 1, 1 << max(bit - 8, 0), 3 << max(bit - 8, 0), (1 << max(bit - 8, 0)) - 1):
            for sign in (1, -1):
                value = sign * ((1 << bit) + near)
                if abs(value) < 2**31:
                    cases.append((value, rng.randrange(-128, 128)))
    cases += [(sign << bit, unit) for unit in range(-128, 128) for bit in (0, 1, 30) for sign in (1, -1)]
    cases += [(rng.getrandbits(rng.randrange(1, 32)) * rng.choice([1, -1]), rng.randrange(-128, 128)) for _ in range(2000)]
    by_unit = defaultdict(list)
    for value, unit in cases:
        by_unit[unit].append(value)
    converter = BfloatConverter()

    async def bench(ctx):
        ctx.set(converter.moves, 1)
        for unit, values in by_unit.items():
            ctx.set(converter.one, BFLOAT_BIAS + unit)
            for number in range(len(values) + converter.latency_cycles):
                if number >= converter.latency_cycles:
                    value = values[number - converter.latency_cycles]
                    assert ctx.get(converter.bfloat) == nearest(value, unit), (value, unit)
                ctx.set(converter.value, values[min(number, len(values) - 1)])
                await ctx.tick()
                if rng.random() < 0.2:  # all stays as it is
                    ctx.set(converter.moves, 0)
                    ctx.set(converter.value, rng.getrandbits(31))
                    await ctx.tick()
                    ctx.set(converter.moves, 1)
        # holds
        ctx.set(converter.moves, 0)
        ctx.set(converter.value, 12345)
        kept = ctx.get(converter.bfloat)
        await ctx.tick().repeat(3)
        assert ctx.get(converter.bfloat) == kept

    run_block(converter, bench)
