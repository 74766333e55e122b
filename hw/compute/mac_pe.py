"""One processing element: a dot product of ``mac_k`` int8 pairs per cycle, and the accumulator of one output."""

from amaranth.hdl import Const, Module, Mux, Signal, Value, signed
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from trajectile.hw.compute.booth import RECODED_BITS, product_rows
from trajectile.hw.lib.block import Block
from trajectile.hw.widths import Widths
from trajectile.sw_model.config import ceil_div


def adder_tree(terms: list[Value]) -> Value:
    """The sum of ``terms`` in as few levels as there can be."""
    while len(terms) > 1:
        terms = [terms[i] + terms[i + 1] if i + 1 < len(terms) else terms[i] for i in range(0, len(terms), 2)]
    return terms[0]


class MacPe(Block):
    """Multiply, add up, accumulate. With ``tile.multiplier`` "booth" activations come recoded
    (:mod:`trajectile.hw.compute.booth`).

    The dot product is registered in parts of at most ``tile.mac_part`` products, about equal in size. With fewer products per
    part the first stage is faster, and the second stage, which adds up the parts, is slower. The parts have no enable:
    operands do not change while no new ones come.

    Latency: operands in cycle c, added in c+1 (with ``add``), in ``total`` from c+2 on (``latency_cycles`` = 2). Throughput:
    one dot product per cycle. Storage: one dot product in parts, one int32 accumulator.
    """

    latency_cycles = 2

    weights: Signal
    activations: Signal
    add: Signal
    first: Signal
    total: Signal

    def __init__(self, params: Widths):
        self.inputs = params.config.tile.mac_k
        self.part_inputs = ceil_div(self.inputs, ceil_div(self.inputs, params.config.tile.mac_part))
        self.booth = params.config.tile.multiplier == "booth"
        super().__init__({
            "weights": In(8 * self.inputs),  #: int8, input 0 lowest
            "activations": In((RECODED_BITS if self.booth else 8) * self.inputs),  #: int8 or recoded, input 0 lowest
            "add": In(1),  #: take the dot product of the operands of the cycle before
            "first": In(1),  #: with ``add``: it is the first of a sum
            "total": Out(signed(32)),  #: the sum so far
        })

    def elaborate(self, platform: object) -> Module:
        """Two register stages."""
        m = Module()
        size = self.part_inputs
        parts: list[Value] = []
        for number, low in enumerate(range(0, self.inputs, size)):
            part = Signal(signed(16 + ceil_log2(size)), name=f"part_{number}", reset_less=True)
            m.d.sync += part.eq(self._dot_product(range(low, min(low + size, self.inputs)), len(part)))
            parts.append(part)
        total = Signal.like(self.total, reset_less=True)
        with m.If(self.add):
            m.d.sync += total.eq(Mux(self.first, 0, total) + adder_tree(parts))
        m.d.comb += self.total.eq(total)
        return m

    def _dot_product(self, inputs: range, bits: int) -> Value:
        """Of some of the inputs; right in its low ``bits``."""
        if not self.booth:
            return adder_tree([self.weights.word_select(i, 8).as_signed() * self.activations.word_select(i, 8).as_signed()
                               for i in inputs])
        rows: list[Value] = []
        number = 0
        for i in inputs:
            more, constant = product_rows(self.activations.word_select(i, RECODED_BITS), self.weights.word_select(i, 8))
            rows += more
            number += constant
        return adder_tree(rows) + Const(number % 2**bits, bits)
