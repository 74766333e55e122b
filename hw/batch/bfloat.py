"""From int32 results to bfloat16."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib.wiring import In, Out

from trajectile.hw.lib.block import Block

#: bits of a bfloat16: sign, exponent, fraction
BFLOAT_BITS, BFLOAT_EXPONENT_BITS, BFLOAT_FRACTION_BITS = 16, 8, 7
#: its exponent of the number 1
BFLOAT_BIAS = 127
#: bits of a magnitude below its fraction, once the leading one is at the top; the highest of them is worth half a step
_BELOW = 31 - BFLOAT_FRACTION_BITS


class BfloatConverter(Block):
    """``value * 2^unit`` as bfloat16, rounded to the nearest, ties to even. What is too large becomes infinity; what is
    smaller than the smallest normal number becomes zero with its sign.

    Latency: ``value`` is in ``bfloat`` after four cycles with ``moves`` (``latency_cycles`` = 4); without it everything stays
    as it is. Throughput: one per cycle. Storage: four stages: sign and magnitude; the leading one within eight places of the
    top; at the top, with the exponent; the number.
    """

    latency_cycles = 4

    moves: Signal
    value: Signal
    one: Signal
    bfloat: Signal

    def __init__(self) -> None:
        super().__init__({
            "moves": In(1),  #: take ``value``, and let all before it go on
            "value": In(signed(32)),
            "one": In(signed(10)),  #: exponent of value 1: ``BFLOAT_BIAS`` + unit; stays while there are values
            "bfloat": Out(BFLOAT_BITS),
        })

    def elaborate(self, platform: object) -> Module:
        """Sign and magnitude; the leading one to the top; rounding carries into the exponent."""
        m = Module()

        def stage(name: str, value: Value) -> Signal:
            """A register that moves with all others."""
            register = Signal(value.shape(), name=name, reset_less=True)
            with m.If(self.moves):
                m.d.sync += register.eq(value)
            return register

        def raised(value: Value, steps: tuple[int, ...]) -> tuple[Value, list[Value]]:
            """A magnitude moved up over leading zeros, by steps of so many places, and for each step whether it was not."""
            kept: list[Value] = []
            for places in steps:
                high = Signal(name=f"high_{places}")
                moved = Signal(32, name=f"moved_{places}")
                m.d.comb += [high.eq(value[32 - places:].any()), moved.eq(Mux(high, value, value << places))]
                value = moved
                kept.append(high)
            return value, kept

        negative_1 = stage("negative_1", self.value < 0)
        magnitude_1 = stage("magnitude_1", Mux(self.value < 0, -self.value, self.value)[:32])
        coarse, high = raised(magnitude_1, (16, 8))
        negative_2, coarse_2, high_2 = stage("negative_2", negative_1), stage("coarse_2", coarse), stage("high_2", Cat(high))
        fine, low = raised(coarse_2, (4, 2, 1))
        position = Cat(reversed(low), reversed(list(high_2)))  # of the leading one
        # No step of these is longer than seven places: that far down nothing gets above the fraction's end.
        rest = coarse_2[:_BELOW - 8].any() | fine[_BELOW - 8:_BELOW - 1].any()
        negative_3, top_3 = stage("negative_3", negative_2), stage("top_3", fine[_BELOW - 1:])
        rest_3, exponent_3 = stage("rest_3", rest), stage("exponent_3", (self.one + position)[:11].as_signed())
        half, fraction = top_3[0], top_3[1:-1]
        joined = Signal(signed(11 + BFLOAT_FRACTION_BITS))
        m.d.comb += joined.eq(Cat(fraction, exponent_3).as_signed() + (half & (rest_3 | fraction[0])))
        rounded = joined[BFLOAT_FRACTION_BITS:].as_signed()
        largest = 2**BFLOAT_EXPONENT_BITS - 1
        infinity = Const(largest << BFLOAT_FRACTION_BITS, BFLOAT_BITS - 1)
        m.d.comb += self.bfloat.eq(stage("number_4", Cat(
            Mux(~top_3[-1] | (rounded <= 0), 0, Mux(rounded >= largest, infinity, joined[:BFLOAT_BITS - 1])), negative_3)))
        return m
