"""The MAC array: ``mac_n`` outputs x ``mac_t`` token lanes of processing elements."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from trajectile.hw.compute.mac_pe import MacPe, part_cycles
from trajectile.hw.formats import SCALE_BITS
from trajectile.hw.lib.block import Block, place
from trajectile.hw.lib.chain import chain
from trajectile.hw.widths import Widths
from trajectile.sw_model.config import TileConfig


def array_cycles(tile: TileConfig) -> int:
    """From operands to the sums that they are in."""
    return 1 + tile.register_operands + part_cycles(tile) + 2


class MacArray(Block):
    """A weight word is broadcast to all lanes, and a lane's activations to all outputs of the lane. What the products of all
    outputs of a lane have in common is made where the lane registers its activations (:mod:`trajectile.hw.compute.products`).

    With ``tile.register_operands`` codes and activations have a second register. In an FPGA each multiplier has one of its
    own for them (``scripts/fpga/multipliers.py``), so that the wires to it have a cycle for themselves.

    Latency: operands in cycle c, in ``totals`` from c+4 on, and a cycle later each if operands, or products, are registered
    (``latency_cycles``). Throughput: one weight word per cycle. Storage: one weight word and the scales of the one before,
    each lane's activations and the shifts of those before, the processing elements; with registered operands a word more.
    """

    enable: Signal
    first: Signal
    weights: Signal
    activations: data.View
    totals: data.View

    def __init__(self, params: Widths):
        self.params = params
        tile = params.config.tile
        self.latency_cycles = array_cycles(tile)
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
        operands = range(1, 1 + tile.register_operands)  # registers after the first ones
        cycles = len(operands) + elements[0, 0].part_cycles
        code_bits = tile.code_bits * tile.mac_k * tile.mac_n

        codes = Signal(code_bits, reset_less=True)
        # of each scale byte only the bits that mean something
        scale_bytes = data.View(data.ArrayLayout(data.ArrayLayout(SCALE_BITS, tile.word_scales), tile.mac_n),
                                self.weights[code_bits:])
        layout = data.ArrayLayout(elements[0, 0].scales.shape(), tile.mac_n)
        scales = Signal(layout, reset_less=True)
        part_scales = chain(m, "part_scales", scales, range(cycles))[-1]
        # what is said of the operands, and then of the parts and of the scaled sum that they became
        multiply = Signal()
        first = Signal()
        m.d.sync += [multiply.eq(self.enable), first.eq(self.first & self.enable)]
        add = chain(m, "add", multiply, range(cycles), reset_less=False)[-1]
        first_sum = chain(m, "first_sum", first, range(1 + cycles), reset_less=False)[-1]
        with m.If(self.enable):
            m.d.sync += codes.eq(self.weights[:code_bits])
            for output in range(tile.mac_n):
                m.d.sync += [scales[output][block].eq(scale_bytes[output][block]) for block in range(tile.word_scales)]
        codes = chain(m, "operand_codes", codes, operands)[-1]
        for lane in range(tile.mac_t):
            activations = Signal(products.lane_bits, name=f"activations_{lane}", reset_less=True)
            shifts = Signal(elements[lane, 0].shifts.shape(), name=f"shifts_{lane}", reset_less=True)
            part_shifts = chain(m, f"part_shifts_{lane}", shifts, range(cycles))[-1]
            with m.If(self.enable):
                blocks = [self.activations[lane][block] for block in range(tile.word_scales)]
                m.d.sync += [activations.eq(products.lane_word(Cat(block.values for block in blocks))),
                             *(shifts[number].eq(block.shift) for number, block in enumerate(blocks))]
            activations = chain(m, f"operand_activations_{lane}", activations, operands)[-1]
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
