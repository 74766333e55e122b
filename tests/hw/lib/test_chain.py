"""Registers in a row."""

from amaranth.hdl import Module, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from tests.support.blocks import run_block
from trajectile.hw.lib.chain import chain

PAIR = data.StructLayout({"low": 3, "high": signed(2)})


class Chained(wiring.Component):
    """A view that passes three registers."""

    def __init__(self):
        super().__init__({"now": In(PAIR), "late": Out(PAIR)})

    def elaborate(self, platform):
        m = Module()
        self.found = chain(m, "pair", self.now, range(2, 5))
        m.d.comb += self.late.eq(self.found[-1])
        return m


def test_chain():
    """Each register shows the value a cycle after the one before; names say the stage, fields keep their signs."""
    block = Chained()
    values = [{"low": number, "high": number % 4 - 2} for number in range(8)]

    async def bench(ctx):
        shown = []
        for value in values:
            ctx.set(block.now, value)
            shown.append(ctx.get(block.late))
            await ctx.tick()
        assert [(pair.low, pair.high) for pair in shown[3:]] == [(value["low"], value["high"]) for value in values[:5]]
        assert [register.as_value().name for register in block.found[1:]] == ["pair_2", "pair_3", "pair_4"]

    run_block(block, bench)

