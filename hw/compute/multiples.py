"""Products of E2M1 codes: a multiple of the activation is chosen, inverted and shifted."""

from amaranth.hdl import Cat, Value

from trajectile.hw.compute.terms import Products, chosen
from trajectile.hw.formats import ACTIVATION_BITS

#: bits of an E2M1 code
E2M1_BITS = 4
#: bits of three times an activation, and the sign of that shifted by 2
TRIPLE_BITS, SIGN = ACTIVATION_BITS + 2, 2**(ACTIVATION_BITS + 3)
#: bits of an activation with its triple, whose lowest bit is the same
LANE_BITS = ACTIVATION_BITS + TRIPLE_BITS - 1


class MultipleProducts(Products):
    """One row for each product: 0, 1, 2 or 3 times the activation, inverted if the code is negative, shifted by 0, 1 or 2.

    The triple is computed once per activation, for all outputs. The one that makes an inverted row the negative is a term of
    its own.
    """

    def __init__(self, inputs: int):
        super().__init__(inputs, E2M1_BITS)

    def lane_word(self, activations: Value) -> Value:
        """Each activation, and its triple without the lowest bit."""
        words: list[Value] = []
        for i in range(self.inputs):
            x = activations.word_select(i, ACTIVATION_BITS).as_signed()
            words += [x, (x + (x << 1))[1:TRIPLE_BITS]]
        return Cat(words)

    def terms(self, codes: Value, lane: Value, inputs: range) -> tuple[list[Value], int]:
        """A row and a one for each product. A row's sign is inverted, which makes the row 2^11 larger than it is and spares
        extending it; the number makes up for that.
        """
        found: list[Value] = []
        for i in inputs:
            mantissa, low, high, negative = codes.word_select(i, E2M1_BITS)
            normal = low | high
            word = lane.word_select(i, LANE_BITS)
            x = word[:ACTIVATION_BITS].as_signed()
            three = Cat(x[0], word[ACTIVATION_BITS:]).as_signed()
            row = chosen((mantissa & ~normal, x), (normal & ~mantissa, x << 1), (normal & mantissa, three))
            row ^= negative.replicate(TRIPLE_BITS).as_signed()
            # what an inverted row is filled up with is inverted too
            shifted = chosen((~high, row), (high & ~low, Cat(negative, row)),
                             (high & low, Cat(negative.replicate(2), row)))
            found += [shifted.as_unsigned() ^ SIGN, negative]
        return found, -SIGN * len(inputs)
