"""One processing element: a dot product of ``mac_k`` int8 pairs a cycle, and the accumulator of one output."""

from amaranth.hdl import Module, Mux, Signal, Value, signed
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from hw.lib.emit import Block
from hw.params import Params


def adder_tree(terms: list[Value]) -> Value:
    """The sum of ``terms`` in as few levels as there can be."""
    while len(terms) > 1:
        terms = [terms[i] + terms[i + 1] if i + 1 < len(terms) else terms[i] for i in range(0, len(terms), 2)]
    return terms[0]


class MacPe(Block):
    """Multiply, add up, accumulate.

    Latency: operands in cycle c (with ``multiply``), added in c+1 (with ``add``), in ``total`` from c+2 on.
    Throughput: one dot product a cycle. Storage: one dot product, one int32 accumulator.
    """

    latency_cycles = 2

    def __init__(self, params: Params):
        self.inputs = params.config.tile.mac_k
        super().__init__({
            "weights": In(8 * self.inputs),  #: int8, input 0 lowest
            "activations": In(8 * self.inputs),  #: int8, input 0 lowest
            "multiply": In(1),  #: operands are valid
            "add": In(1),  #: take the dot product of the cycle before
            "first": In(1),  #: with ``add``: it is the first of a sum
            "total": Out(signed(32)),  #: the sum so far
        })

    def elaborate(self, platform: object) -> Module:
        """Two register stages."""
        m = Module()
        products = [self.weights.word_select(i, 8).as_signed() * self.activations.word_select(i, 8).as_signed()
                    for i in range(self.inputs)]
        dot = Signal(signed(16 + ceil_log2(self.inputs)))
        with m.If(self.multiply):
            m.d.sync += dot.eq(adder_tree(products))
        with m.If(self.add):
            m.d.sync += self.total.eq(Mux(self.first, 0, self.total) + dot)
        return m
