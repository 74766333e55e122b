"""The rounding shifter: every shift, of values near every place where something happens."""

import random

import pytest
from amaranth.hdl import Module, Signal, signed
from amaranth.sim import Simulator

from tests.support.pair_arithmetic import rounding
from trajectile.hw.compute.rounding import AMOUNT_BITS, coarse_shift, fine_shift, limited_amount, rounded


@pytest.mark.parametrize(("width", "bits"), [(8, 16), (33, 16), (33, 17), (42, 33)])
def test_every_shift(width, bits):
    """``round(a, n)`` where that fits; beyond the format's end the nearest value that is still beyond what fits."""
    rng, m = random.Random(1), Module()
    value, places = Signal(signed(width)), Signal(signed(10))
    amount, below = limited_amount(places)
    got = rounded(fine_shift(m, "a", coarse_shift(m, "a", value, amount, bits), amount, bits))
    low, result = Signal(), Signal(signed(bits + 2))
    m.d.comb += [low.eq(below), result.eq(got)]
    ends = [0, -2**(width - 1), 2**(width - 1) - 1]

    def near(n):
        """A value that is rounded to near an end, or to near nothing."""
        target = rng.choice((2**(bits - 1), -2**(bits - 1), 0, 2**rng.randrange(bits))) + rng.randint(-2, 2)
        half = 1 << n - 1 if n > 0 else 0
        total = (target << n if n > 0 else target >> -n) + rng.choice((0, half, -half, half - 1, -half - 1))
        return min(max(total, ends[1]), ends[2])

    async def bench(ctx):
        for n in (*range(-10, 58), -200, 255, 300):
            limited = min(max(n, -8), 55)
            for a in (*ends, *(near(limited) for _ in range(20)), *(rng.randint(*ends[1:]) for _ in range(5))):
                ctx.set(places, n + 8)
                ctx.set(value, a)
                exact = rounding(a, limited)
                assert ctx.get(low) == (n < -8)
                assert ctx.get(result) == min(max(exact, -2**(bits - 1)), 2**(bits - 1)), (a, n)

    assert 2**AMOUNT_BITS == 64
    simulator = Simulator(m)
    simulator.add_testbench(bench)
    simulator.run()
