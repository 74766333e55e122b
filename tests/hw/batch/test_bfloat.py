"""The converter against exact arithmetic."""

import random
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
    """Every power of two with what is near it, ties, extremes; every unit; random ones. One per cycle, one cycle later."""
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
    converter = BfloatConverter()

    async def bench(ctx):
        ctx.set(converter.take, 1)
        for value, unit in cases:
            ctx.set(converter.value, value)
            await ctx.tick().repeat(converter.latency_cycles)
            ctx.set(converter.one, BFLOAT_BIAS + unit)
            assert ctx.get(converter.bfloat) == nearest(value, unit), (value, unit)
        # holds
        ctx.set(converter.take, 0)
        ctx.set(converter.value, 12345)
        kept = ctx.get(converter.bfloat)
        await ctx.tick().repeat(3)
        assert ctx.get(converter.bfloat) == kept

    run_block(converter, bench)
