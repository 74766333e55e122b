"""Products of codes in two's complement by bit planes: two inputs and one bit of both codes make a row."""

from amaranth.hdl import Cat, Value

from trajectile.hw.compute.terms import Products, chosen
from trajectile.hw.formats import ACTIVATION_BITS

#: bits of the sum of two activations, and its sign
PAIR_BITS, SIGN = ACTIVATION_BITS + 1, 2**ACTIVATION_BITS


class PairProducts(Products):
    """For inputs 0 and 1, 2 and 3, ... and each bit of their codes one row: 0, either activation, or their sum.

    The sum is computed once per pair of activations, for all outputs. So there are half as many rows as bits of codes, as
    many as recoding in radix 4 gives, but they have no signs: only the row of the sign bits is inverted, and always.
    """

    def lane_word(self, activations: Value) -> Value:
        """The activations, and then the sum of each pair."""
        x = [activations.word_select(i, ACTIVATION_BITS).as_signed() for i in range(self.inputs)]
        return Cat(activations, *(x[i] + x[i + 1] for i in range(0, self.inputs, 2)))

    def terms(self, codes: Value, lane: Value, inputs: range) -> tuple[list[Value], int]:
        """Rows of a plane for each pair, and for an input whose neighbour is not among the inputs.

        A row's sign is inverted, which makes the row 2^8 larger than it is and spares extending it; the number makes up for
        that, and for the one that makes an inverted row the negative.
        """
        found: list[Value] = []
        number = 0
        sums = lane[ACTIVATION_BITS * self.inputs:]
        for pair in range(inputs.start // 2, (inputs.stop + 1) // 2):
            here = [i for i in (2 * pair, 2 * pair + 1) if i in inputs]
            x = [lane.word_select(i, ACTIVATION_BITS) for i in here]
            words = [codes.word_select(i, self.format_bits) for i in here]
            for plane, bits in enumerate(zip(*words, strict=True)):
                if len(here) == 2:
                    row = chosen((bits[0] & ~bits[1], x[0]), (bits[1] & ~bits[0], x[1]),
                                 (bits[0] & bits[1], sums.word_select(pair, PAIR_BITS)))
                else:
                    row = chosen((bits[0], Cat(x[0], x[0][-1])))
                is_sign = plane == self.format_bits - 1
                number += (is_sign - SIGN) << plane
                found.append((row.as_unsigned() ^ (SIGN - 1 if is_sign else SIGN)) << plane)
        return found, number
