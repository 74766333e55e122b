"""Products of every code with every activation, in each format, whichever way they are made, alone and beside another one."""

import random
from itertools import product

import pytest
from amaranth.hdl import Const, Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from tests.support.configurations import small
from tests.support.weight_words import CODES
from trajectile.hw.compute.mac_pe import adder_tree
from trajectile.hw.compute.products import products_of

#: dot products of two inputs: of both, and of each alone
PARTS = (range(2), range(1), range(1, 2))
BITS = 18


class Dots(wiring.Component):
    """Dot products without registers; the inputs are codes, and then activations."""

    def __init__(self, products):
        self.products = products
        super().__init__({"operands": In((products.format_bits + 8) * 2), "dots": Out(signed(BITS)).array(len(PARTS))})

    def elaborate(self, platform):
        m = Module()
        split = 2 * self.products.format_bits
        codes, lane = Signal(split), Signal(self.products.lane_bits)
        m.d.comb += [codes.eq(self.operands[:split]), lane.eq(self.products.lane_word(self.operands[split:]))]
        for dot, inputs in zip(self.dots, PARTS, strict=True):
            terms, constant = self.products.terms(codes, lane, inputs)
            m.d.comb += dot.eq(adder_tree(terms) + Const(constant % 2**BITS, BITS))
        return m


@pytest.mark.parametrize("multiplier", ["plain", "shared"])
@pytest.mark.parametrize("weights", CODES)
def test_products(weights, multiplier):
    """Each pair of code and activation at both inputs, beside a random other one; and corners beside corners."""
    pairs = list(product(CODES[weights], range(-127, 128)))
    products = products_of(small(tile__mac_k=2, tile__weights=weights, tile__multiplier=multiplier).tile)
    values, bits = CODES[weights], products.format_bits
    dots = Dots(products)
    corners = [(code, x) for code in (max(values, key=values.get), min(values, key=values.get)) for x in (-127, 127)]
    rows = [*zip(pairs, random.Random(weights).sample(pairs, len(pairs)), strict=True), *product(corners, repeat=2)]

    async def bench(ctx):
        for (c, x), (d, y) in rows:
            ctx.set(dots.operands, c | d << bits | x % 256 << 2 * bits | y % 256 << 2 * bits + 8)
            found = [ctx.get(dot) for dot in dots.dots]
            assert found == [values[c] * x + values[d] * y, values[c] * x, values[d] * y], (c, x, d, y)

    simulator = Simulator(dots)
    simulator.add_testbench(bench)
    simulator.run()
