"""Division by a constant, for every value."""

import pytest
from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator

from trajectile.hw.lib.divide import quotient


@pytest.mark.parametrize("bits", [1, 3, 7])
def test_every_quotient(bits):
    """Divisors from 1 to beyond the largest value."""
    value, m = Signal(bits), Module()
    quotients = {divisor: quotient(value, divisor) for divisor in range(1, 2**bits + 3)}
    shown = {divisor: Signal(len(result)) for divisor, result in quotients.items()}
    m.d.comb += [shown[divisor].eq(result) for divisor, result in quotients.items()]

    async def bench(ctx):
        for number in range(2**bits):
            ctx.set(value, number)
            assert {d: ctx.get(signal) for d, signal in shown.items()} == {d: number // d for d in shown}
    simulator = Simulator(m)
    simulator.add_testbench(bench)
    simulator.run()
    assert len(quotients[2**bits]) == 1
