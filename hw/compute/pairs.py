"""Products of codes in two's complement by bit planes: two inputs and one bit of both codes make a row."""

from amaranth.hdl import Cat, Value

from trajectile.hw.compute.terms import Products, chosen
from trajectile.hw.formats import ACTIVATION_BITS

#: bits of the sum of two activations, and its sign
PAIR_BITS, SIGN = ACTIVATION_BITS + 1, 2**ACTIVATION_BITS
#: bits of a plane of two codes: only the first has a one, only the second, both
CHOICE_BITS = 3


class PairProducts(Products):
    """For inputs 0 and 1, 2 and 3, ... and each bit of their codes one row: 0, either activation, or their sum.

    The sum is computed once per pair of activations, for all outputs. So there are half as many rows as bits of codes, as
    many as recoding in radix 4 gives, but they have no signs: only the row of the sign bits is inverted, and always.
    """

    def lane_word(self, activations: Value) -> Value:
        """The activations, and then the sum of each pair."""
        x = [activations.word_select(i, ACTIVATION_BITS).as_signed() for i in range(self.inputs)]
        return Cat(activations, *(x[i] + x[i + 1] for i in range(0, self.inputs, 2)))

    def code_word(self, codes: Value) -> Value:
        """Of each pair of codes, lowest bits first, what to choose."""
        words: list[Value] = []
        for pair in range(self.inputs // 2):
            first, second = (codes.word_select(2 * pair + i, self.format_bits) for i in range(2))
            for a, b in zip(first, second, strict=True):
                words += [a & ~b, b & ~a, a & b]
        return Cat(words)

    def terms(self, codes: Value, lane: Value, inputs: range) -> tuple[list[Value], int]:
        """Rows of a plane for each pair, and for an input whose neighbour is not among the inputs.

        A row's sign is inverted, which makes the row 2^8 larger than it is and spares extending it; the number makes up for
        that, and for the one that makes an inverted row the negative.
        """
        found: list[Value] = []
        number = 0
        sums = lane[ACTIVATION_BITS * self.inputs:]
        for pair in range(inputs.start // 2, (inputs.stop + 1) // 2):
            here = [i for i in (0, 1) if 2 * pair + i in inputs]
            x = {i: lane.word_select(2 * pair + i, ACTIVATION_BITS) for i in here}
            for plane in range(self.format_bits):
                *alone, both = codes.word_select(pair * self.format_bits + plane, CHOICE_BITS)
                if len(here) == 2:
                    row = chosen((alone[0], x[0]), (alone[1], x[1]), (both, sums.word_select(pair, PAIR_BITS)))
                else:
                    row = chosen(*((alone[i] | both, Cat(x[i], x[i][-1])) for i in here))
                is_sign = plane == self.format_bits - 1
                number += (is_sign - SIGN) << plane
                found.append((row.as_unsigned() ^ (SIGN - 1 if is_sign else SIGN)) << plane)
        return found, number
