"""One processing element: a scaled dot product of ``mac_k`` codes and activations per cycle, and one output's accumulator."""

from amaranth.hdl import Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from trajectile.hw.compute.products import products_of
from trajectile.hw.formats import ACTIVATION_MAX, INPUT_SHIFT_BITS, SCALE_SHIFT_BITS
from trajectile.hw.lib.block import Block
from trajectile.hw.lib.chain import chain
from trajectile.hw.widths import Widths
from trajectile.sw_model.config import TileConfig, ceil_div


def adder_tree(terms: list[Value]) -> Value:
    """The sum of ``terms`` in as few levels as there can be."""
    while len(terms) > 1:
        terms = [terms[i] + terms[i + 1] if i + 1 < len(terms) else terms[i] for i in range(0, len(terms), 2)]
    return terms[0]


def part_cycles(tile: TileConfig) -> int:
    """From operands to their dot product in parts."""
    return 1 + tile.register_products


class MacPe(Block):
    """Multiply, add up, scale, accumulate.

    Inputs that share a scale are a block: ``word_inputs`` of them. A block's dot product is registered in parts of at most
    ``tile.mac_part`` products, about equal in size. The next stage adds up the parts and scales the sum, the last one adds
    that to the accumulator. With fewer products per part the first stage is faster, and the second one slower. No stage has
    an enable: what does not count is scaled to zero.

    With ``tile.register_products`` the terms of the products are registered before they are added up. A multiplier of an
    FPGA takes most of a cycle.

    Latency: ``part_cycles`` (one, or two with registered products) from operands in cycle c to a dot product in parts; its
    scales, shifts and ``add`` then, ``first`` in the next cycle, in ``total`` from the next but one on: in c+3, or c+4
    (``latency_cycles``). Throughput: one dot product per cycle. Storage: one dot product in parts, one scaled sum per block,
    one accumulator of ``sum_bits``, and, if they are registered, the products.
    """

    weights: Signal
    scales: data.View
    activations: Signal
    shifts: data.View
    add: Signal
    first: Signal
    total: Signal

    def __init__(self, params: Widths):
        self.params = params
        tile = params.config.tile
        self.products = products_of(tile)
        self.part_cycles = part_cycles(tile)
        self.latency_cycles = self.part_cycles + 2
        self.part_inputs = ceil_div(tile.word_inputs, ceil_div(tile.word_inputs, tile.mac_part))
        scale = data.StructLayout({"shift": SCALE_SHIFT_BITS, "mantissa": tile.scale_mantissa})
        super().__init__({
            "weights": In(tile.code_bits * tile.mac_k),  #: codes, input 0 lowest
            "scales": In(data.ArrayLayout(scale, tile.word_scales)),  #: of the codes ``part_cycles`` before, by block
            "activations": In(self.products.lane_bits),  #: int8, input 0 lowest, as the products take them
            "shifts": In(data.ArrayLayout(INPUT_SHIFT_BITS, tile.word_scales)),  #: of those ``part_cycles`` before, by block
            "add": In(1),  #: the operands ``part_cycles`` before count
            "first": In(1),  #: those of a cycle more before, which count, are the first of a sum
            "total": Out(signed(params.sum_bits)),  #: the sum so far
        })

    def elaborate(self, platform: object) -> Module:
        """Three register stages, or four."""
        m = Module()
        tile = self.params.config.tile
        scaled: list[Value] = []
        for block, scale in enumerate(self.scales):
            largest = tile.word_inputs * tile.code_max
            dot = adder_tree(self._parts(m, block))[:_bits(largest)].as_signed()
            if tile.scale_mantissa:
                rows = [Mux(bit, dot << place, 0) for place, bit in enumerate(scale.mantissa)]
                dot = adder_tree([dot << tile.scale_mantissa, *rows])
                largest *= 2 ** (tile.scale_mantissa + 1) - 1  # of 8 + m
                dot = dot[:_bits(largest)].as_signed()
            bits = min(_bits(largest << 2**SCALE_SHIFT_BITS - 1 + 2**INPUT_SHIFT_BITS - 1), self.params.sum_bits)
            value = Signal(signed(bits), name=f"scaled_{block}", reset_less=True)
            m.d.sync += value.eq(Mux(self.add, dot << (scale.shift + self.shifts[block]), 0))
            scaled.append(value)
        total = Signal.like(self.total, reset_less=True)
        m.d.sync += total.eq(Mux(self.first, 0, total) + adder_tree(scaled))
        m.d.comb += self.total.eq(total)
        return m

    def _parts(self, m: Module, block: int) -> list[Value]:
        """Registers of which the sum is a block's dot product."""
        tile = self.params.config.tile
        low, end = block * tile.word_inputs, (block + 1) * tile.word_inputs
        parts: list[Value] = []
        for number, start in enumerate(range(low, end, self.part_inputs)):
            inputs = range(start, min(start + self.part_inputs, end))
            part = Signal(signed(_bits(len(inputs) * tile.code_max)), name=f"part_{block}_{number}", reset_less=True)
            terms, constant = self.products.terms(self.weights, self.activations, inputs)
            if tile.register_products:
                terms = [chain(m, f"term_{block}_{number}_{i}", term, range(1, 2))[-1] for i, term in enumerate(terms)]
            m.d.sync += part.eq(adder_tree(terms) + Const(constant % 2**len(part), len(part)))
            parts.append(part)
        return parts


def _bits(weight: int) -> int:
    """Bits of a signed product of an activation and a weight of at most this magnitude."""
    return (ACTIVATION_MAX * weight).bit_length() + 1
