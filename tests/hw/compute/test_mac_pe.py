"""A processing element by itself: when its ports are looked at."""

import pytest

from tests.support.blocks import run_block
from tests.support.configurations import small
from tests.support.watch import Watch
from trajectile.hw.compute.mac_pe import MacPe
from trajectile.hw.widths import Widths


@pytest.mark.parametrize("registered", [0, 1])
@pytest.mark.parametrize("multiplier", ["plain", "shared"])
def test_latency(multiplier, registered):
    """A dot product is in the sum so many cycles after its operands; without ``add`` none is."""
    element = MacPe(Widths(small(tile__multiplier=multiplier, tile__register_products=bool(registered))))
    watch = Watch(operands=element.weights == 1, shown=element.total != 0)

    async def bench(ctx):
        ctx.set(element.activations, 1)
        for cycle in range(12):  # alike operands in two cycles, of which the first count
            ctx.set(element.weights, cycle in (1, 6))
            ctx.set(element.add, cycle == 2 + registered)
            ctx.set(element.first, cycle in (3 + registered, 5 + registered))
            await ctx.tick()

    run_block(element, bench, background=[watch.run])
    assert watch["operands"] == [1, 6]
    assert watch["shown"][0] == 1 + element.latency_cycles
    assert watch["shown"] == [4 + registered, 5 + registered]  # ``first`` forgets it


@pytest.mark.parametrize("registered", [0, 1])
def test_scales(registered):
    """A dot product takes scale and shift of the cycle in which it is there: ``1 * (8 + 5) << 3 + 2``."""
    element = MacPe(Widths(small(tile__scale_mantissa=3, tile__register_products=bool(registered))))

    async def bench(ctx):
        ctx.set(element.activations, 1)
        for cycle in range(5 + registered):
            there = cycle == 1 + registered
            ctx.set(element.weights, cycle == 0)
            ctx.set(element.add, there)
            ctx.set(element.scales, [{"shift": 3, "mantissa": 5} if there else {"shift": 7, "mantissa": 7}])
            ctx.set(element.shifts, [2 if there else 3])
            ctx.set(element.first, cycle == 2 + registered)
            await ctx.tick()
        assert ctx.get(element.total) == 13 << 5

    run_block(element, bench)
