"""Division by a constant."""

from itertools import count

from amaranth.hdl import Value

from trajectile.sw_model.config import ceil_div


def quotient(value: Value, divisor: int) -> Value:
    """``value // divisor`` of an unsigned value: a multiplication by a constant and a shift; a shift alone by a power of two.

    With ``factor = ceil(2^shift / divisor)`` the product is ``value * (factor * divisor - 2^shift) / divisor`` more than
    ``2^shift`` times the true quotient. While that is less than ``2^shift / divisor`` none is rounded up.
    """
    largest = 2 ** len(value) - 1
    for shift in count():
        factor = ceil_div(2**shift, divisor)
        if largest * (factor * divisor - 2**shift) < 2**shift:
            return ((value * factor) >> shift)[:max(len(value) - divisor.bit_length() + 1, 1)]
    raise AssertionError("some shift is long enough")
