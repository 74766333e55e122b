"""The MAC array: ``mac_n`` outputs x ``mac_t`` token lanes of processing elements."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from trajectile.hw.compute.booth import recoded_word
from trajectile.hw.compute.mac_pe import MacPe
from trajectile.hw.lib.block import Block, place
from trajectile.hw.widths import Widths


class MacArray(Block):
    """A weight word is broadcast to all lanes, and a lane's activations to all outputs of the lane. With ``tile.multiplier``
    "booth" activations are recoded where they are registered, once for all outputs.

    Latency: operands in cycle c, in ``totals`` from c+3 on (``latency_cycles`` = 3). Throughput: one weight word per cycle.
    Storage: one weight word, ``mac_k`` activations per lane, the processing elements.
    """

    latency_cycles = 1 + MacPe.latency_cycles

    enable: Signal
    first: Signal
    weights: Signal
    activations: data.View
    totals: data.View

    def __init__(self, params: Widths):
        self.params = params
        tile = params.config.tile
        super().__init__({
            "enable": In(1),  #: operands are valid
            "first": In(1),  #: they begin a new sum
            "weights": In(params.word_bits),  #: output 0 lowest, ``mac_k`` int8 each
            "activations": In(data.ArrayLayout(params.activation_bits, tile.mac_t)),  #: ``mac_k`` int8 per lane
            "totals": Out(data.ArrayLayout(params.result_bits, tile.mac_t)),  #: int32 by lane, output 0 lowest
        })

    def elaborate(self, platform: object) -> Module:
        """Operand registers, control bits that go along, processing elements."""
        m = Module()
        tile = self.params.config.tile
        weights = Signal.like(self.weights, reset_less=True)
        multiply = Signal()
        add = Signal()
        first = Signal()
        first_sum = Signal()
        m.d.sync += [multiply.eq(self.enable), add.eq(multiply), first.eq(self.first), first_sum.eq(first)]
        with m.If(self.enable):
            m.d.sync += weights.eq(self.weights)
        for lane in range(tile.mac_t):
            operands = self.activations[lane]
            if tile.multiplier == "booth":
                operands = recoded_word(operands)
            activations = Signal(len(operands), name=f"activations_{lane}", reset_less=True)
            with m.If(self.enable):
                m.d.sync += activations.eq(operands)
            for output in range(tile.mac_n):
                element = MacPe(self.params)
                place(m, platform, {f"pe_{lane}_{output}": element})
                m.d.comb += [
                    element.weights.eq(weights.word_select(output, 8 * tile.mac_k)),
                    element.activations.eq(activations),
                    element.add.eq(add), element.first.eq(first_sum),
                    self.totals[lane].word_select(output, 32).eq(element.total),
                ]
        return m
