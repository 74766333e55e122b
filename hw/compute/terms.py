"""How a dot product becomes terms that one adder tree adds up: what all ways to do that have in common, and the plain one."""

from abc import ABC, abstractmethod

from amaranth.hdl import Cat, Const, Mux, Value

from trajectile.hw.formats import ACTIVATION_BITS


class Products(ABC):
    """Terms of the products of codes and activations. An activation is never the lowest number of its bits.

    What is the same for all outputs of a lane is made of the activations before the lane registers them (:meth:`lane_word`).
    Codes are decoded in each processing element: that takes less area than to decode them once for all lanes.

    Args:
        inputs: products of a dot product, an even number.
        format_bits: bits of a code.
    """

    def __init__(self, inputs: int, format_bits: int):
        self.inputs = inputs
        self.format_bits = format_bits
        #: bits of what a lane registers
        self.lane_bits = len(self.lane_word(Const(0, ACTIVATION_BITS * inputs)))

    def lane_word(self, activations: Value) -> Value:
        """What a lane registers of its ``inputs`` int8 activations, input 0 lowest."""
        return activations

    @abstractmethod
    def terms(self, codes: Value, lane: Value, inputs: range) -> tuple[list[Value], int]:
        """Terms and a number that add up to the dot product of some inputs, modulo any power of two.

        Args:
            codes: of all inputs, input 0 lowest.
            lane: of :meth:`lane_word`.
            inputs: which ones.
        """


class PlainProducts(Products):
    """``*`` for each product, of int8 and the code as a signed number: what it is made of is left to the tool.

    Args:
        inputs: products of a dot product.
        format_bits: bits of a code.
        e2m1: codes are E2M1 numbers, of which twice the value counts; otherwise they are in two's complement.
    """

    def __init__(self, inputs: int, format_bits: int, *, e2m1: bool):
        self.e2m1 = e2m1
        super().__init__(inputs, format_bits)

    def terms(self, codes: Value, lane: Value, inputs: range) -> tuple[list[Value], int]:
        """One product each."""
        decode = _twice_e2m1 if self.e2m1 else Value.as_signed
        return [decode(codes.word_select(i, self.format_bits)) * lane.word_select(i, ACTIVATION_BITS).as_signed()
                for i in inputs], 0


def chosen(*choices: tuple[Value, Value]) -> Value:
    """The signed value whose condition is true; zero if none is. No two are true."""
    row, *more = [Mux(condition, value.as_signed(), 0) for condition, value in choices]
    for value in more:
        row |= value
    return row


def _twice_e2m1(code: Value) -> Value:
    """Twice the value of an E2M1 number: -12 to 12."""
    mantissa, low, high, negative = code
    base = Cat(mantissa, low | high)  # 0 or 1; with a hidden one 2 or 3, shifted by the exponent less one
    magnitude = Mux(high, Mux(low, base << 2, base << 1), base)
    return Mux(negative, -magnitude, magnitude)
