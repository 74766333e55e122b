"""From int32 results to bfloat16."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib.wiring import In, Out

from trajectile.hw.lib.block import Block

#: bits of a bfloat16: sign, exponent, fraction
BFLOAT_BITS, BFLOAT_EXPONENT_BITS, BFLOAT_FRACTION_BITS = 16, 8, 7
#: its exponent of the number 1
BFLOAT_BIAS = 127


class BfloatConverter(Block):
    """``value * 2^unit`` as bfloat16, rounded to the nearest, ties to even. What is too large becomes infinity; what is
    smaller than the smallest normal number becomes zero with its sign.

    Latency: the number comes one cycle after ``take`` (``latency_cycles`` = 1) and holds until the next. Throughput: one
    per cycle. Storage: sign and magnitude.
    """

    latency_cycles = 1

    take: Signal
    value: Signal
    one: Signal
    bfloat: Signal

    def __init__(self) -> None:
        super().__init__({
            "take": In(1),  #: convert ``value``
            "value": In(signed(32)),
            "one": In(signed(10)),  #: with ``bfloat``: exponent of value 1: ``BFLOAT_BIAS`` + unit
            "bfloat": Out(BFLOAT_BITS),  #: a cycle later
        })

    def elaborate(self, platform: object) -> Module:
        """Sign and magnitude; the leading one to the top; rounding carries into the exponent."""
        m = Module()
        negative = Signal(reset_less=True)
        magnitude = Signal(32, reset_less=True)
        with m.If(self.take):
            m.d.sync += [negative.eq(self.value < 0), magnitude.eq(Mux(self.value < 0, -self.value, self.value))]
        shifted, zeros = magnitude, []  # leading zeros, highest bit first
        for places in (16, 8, 4, 2, 1):
            low = Signal(name=f"low_{places}")
            moved = Signal(32, name=f"moved_{places}")
            m.d.comb += [low.eq(~shifted[32 - places:].any()), moved.eq(Mux(low, shifted << places, shifted))]
            shifted = moved
            zeros.append(low)
        position = ~Cat(reversed(zeros))  # of the leading one
        guard = 31 - BFLOAT_FRACTION_BITS - 1
        up = shifted[guard] & (shifted[:guard].any() | shifted[guard + 1])
        exponent = Signal(signed(11))
        joined = Signal(signed(11 + BFLOAT_FRACTION_BITS))
        m.d.comb += [
            exponent.eq(self.one + position),
            joined.eq(Cat(shifted[guard + 1:31], exponent).as_signed() + up),
        ]
        rounded = joined[BFLOAT_FRACTION_BITS:].as_signed()
        largest = 2**BFLOAT_EXPONENT_BITS - 1
        infinity = Const(largest << BFLOAT_FRACTION_BITS, BFLOAT_BITS - 1)
        m.d.comb += self.bfloat.eq(Cat(
            Mux(~shifted[31] | (rounded <= 0), 0, Mux(rounded >= largest, infinity, joined[:BFLOAT_BITS - 1])), negative))
        return m
