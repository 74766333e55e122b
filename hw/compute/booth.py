"""Multiplication in radix 4 (Booth): an int8 as four digits of -2 to 2, and the rows that a digit makes of another int8."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Const, Value

#: digits of an int8, and bits of one: its magnitude is 1, its magnitude is 2, it is negative
DIGITS, DIGIT_BITS = 4, 3
#: bits of a recoded int8
RECODED_BITS = DIGITS * DIGIT_BITS


def recoded(value: Value) -> Value:
    """The digits of an int8, lowest first: digit ``d`` is ``-2 b[2d+1] + b[2d] + b[2d-1]``, with ``b[-1] = 0``."""
    digits: list[Value] = []
    for digit in range(DIGITS):
        low = value[2 * digit - 1] if digit else Const(0)
        middle, high = value[2 * digit], value[2 * digit + 1]
        one = middle ^ low
        digits += [one, ~one & (high ^ middle), high & ~(middle & low)]
    return Cat(digits)


def product_rows(recoded_value: Value, other: Value) -> tuple[list[Value], int]:
    """Unsigned rows and a number that add up to the product of a recoded int8 and another int8, modulo any power of two.

    A negative digit inverts its row; the one that makes it the negative stands in a gap of the next row. A row's sign is
    inverted, which makes it 2^8 larger than it is and spares extending it; the number makes up for that.
    """
    rows: list[Value] = []
    extended = Cat(other, other[7])  # twice an int8 has nine bits
    before: Value = Const(0)
    for digit in range(DIGITS):
        one, two, negative = recoded_value.word_select(digit, DIGIT_BITS)
        row = (extended & one.replicate(9)) | ((extended << 1)[:9] & two.replicate(9))
        row ^= negative.replicate(9)
        gap = Cat(Const(0, 2 * digit - 2), before, Const(0, 1)) if digit else Const(0, 0)
        rows.append(Cat(gap, row[:8], ~row[8]))
        before = negative
    rows.append(Cat(Const(0, 2 * DIGITS - 2), before))
    return rows, -sum(2 ** (8 + 2 * digit) for digit in range(DIGITS))


def recoded_word(word: Value) -> Value:
    """Every int8 of a word recoded, in order."""
    values: Sequence[Value] = [recoded(word.word_select(i, 8)) for i in range(len(word) // 8)]
    return Cat(values)
