"""The MAC array: ``mac_n`` outputs x ``mac_t`` token lanes of processing elements."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from trajectile.hw.compute.mac_pe import MacPe
from trajectile.hw.formats import SCALE_BITS
from trajectile.hw.lib.block import Block, place
from trajectile.hw.widths import Widths


class MacArray(Block):
    """A weight word is broadcast to all lanes, and a lane's activations to all outputs of the lane. What the products of all
    outputs of a lane have in common is made where the lane registers its activations (:mod:`trajectile.hw.compute.products`).

    Latency: operands in cycle c, in ``totals`` from c+4 on (``latency_cycles`` = 4). Throughput: one weight word per cycle.
    Storage: one weight word and the scales of the one before, each lane's activations and the shifts of those before, the
    processing elements.
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
            "weights": In(params.word_bits),  #: codes and scales (docs/numerics.md)
            "activations": In(data.ArrayLayout(params.activations_layout, tile.mac_t)),  #: ``mac_k`` of each lane
            "totals": Out(data.ArrayLayout(params.totals_bits, tile.mac_t)),  #: ``sum_bits`` by lane, output 0 lowest
        })

    def elaborate(self, platform: object) -> Module:
        """Operand registers, control bits and scales that go along, processing elements."""
        m = Module()
        tile = self.params.config.tile
        elements = {(lane, output): MacPe(self.params) for lane in range(tile.mac_t) for output in range(tile.mac_n)}
        place(m, platform, {f"pe_{lane}_{output}": element for (lane, output), element in elements.items()})
        products = elements[0, 0].products
        code_bits = tile.code_bits * tile.mac_k * tile.mac_n

        codes = Signal(code_bits, reset_less=True)
        # of each scale byte only the bits that mean something
        scale_bytes = data.View(data.ArrayLayout(data.ArrayLayout(SCALE_BITS, tile.word_scales), tile.mac_n),
                                self.weights[code_bits:])
        layout = data.ArrayLayout(elements[0, 0].scales.shape(), tile.mac_n)
        scales = Signal(layout, reset_less=True)
        part_scales = Signal.like(scales, reset_less=True)
        # what is said of the operands, and then of the parts and of the scaled sum that they became
        multiply = Signal()
        add = Signal()
        first = Signal()
        first_part = Signal()
        first_sum = Signal()
        m.d.sync += [multiply.eq(self.enable), add.eq(multiply), part_scales.eq(scales),
                     first.eq(self.first & self.enable), first_part.eq(first), first_sum.eq(first_part)]
        with m.If(self.enable):
            m.d.sync += codes.eq(self.weights[:code_bits])
            for output in range(tile.mac_n):
                m.d.sync += [scales[output][block].eq(scale_bytes[output][block]) for block in range(tile.word_scales)]
        for lane in range(tile.mac_t):
            activations = Signal(products.lane_bits, name=f"activations_{lane}", reset_less=True)
            shifts = Signal(elements[lane, 0].shifts.shape(), name=f"shifts_{lane}", reset_less=True)
            part_shifts = Signal.like(shifts, name=f"part_shifts_{lane}", reset_less=True)
            m.d.sync += part_shifts.eq(shifts)
            with m.If(self.enable):
                blocks = [self.activations[lane][block] for block in range(tile.word_scales)]
                m.d.sync += [activations.eq(products.lane_word(Cat(block.values for block in blocks))),
                             *(shifts[number].eq(block.shift) for number, block in enumerate(blocks))]
            for output in range(tile.mac_n):
                element = elements[lane, output]
                m.d.comb += [
                    element.activations.eq(activations), element.shifts.eq(part_shifts),
                    element.add.eq(add), element.first.eq(first_sum),
                    self.totals[lane].word_select(output, self.params.sum_bits).eq(element.total),
                ]
        for output in range(tile.mac_n):
            word = codes.word_select(output, tile.code_bits * tile.mac_k)
            for lane in range(tile.mac_t):
                m.d.comb += [elements[lane, output].weights.eq(word), elements[lane, output].scales.eq(part_scales[output])]
        return m
