"""``round(a, n)`` of docs/numerics.md for ``n`` = -8 to 55, half up, in three stages that a pipeline may register between.

A shift is passed on as ``amount`` = ``n`` + 8 (:func:`limited_amount`). The value is widened by eight bits for the shift to
the left, and by one for the bit that rounds. :func:`coarse_shift` drops multiples of eight places and :func:`fine_shift` up
to seven; :func:`rounded` adds the last bit that was dropped. What does not fit ``bits`` is kept at the end of what fits, so
stages are narrow, and a limit below that end is still seen to be passed. ``name`` begins the names of wires.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed

from trajectile.hw.formats import SHIFT_LEFT, SHIFT_RIGHT

#: bits of an amount, and those of them that :func:`fine_shift` takes
AMOUNT_BITS, FINE_BITS = (SHIFT_LEFT + SHIFT_RIGHT).bit_length(), 3


def limited_amount(places: Value) -> tuple[Value, Value]:
    """The amount for a signed ``places`` = ``n`` + 8 of any size, and whether it was limited from below.

    The limits of ``n`` are the ends of the amount.
    """
    below, above = places < 0, places >= 2**AMOUNT_BITS
    return Mux(below, 0, Mux(above, 2**AMOUNT_BITS - 1, places[:AMOUNT_BITS])), below


def saturated(value: Value, bits: int) -> Value:
    """A signed value as ``bits`` bits: the nearest of those that they hold."""
    if len(value) <= bits:
        return value
    sign, above = value[-1], value[bits - 1:]
    end = Mux(sign, 0, 2**(bits - 1) - 1)
    return Cat(Mux(above.all() | ~above.any(), value[:bits - 1], end), sign).as_signed()


def coarse_shift(m: Module, name: str, value: Value, amount: Value, bits: int) -> Value:
    """First stage: a signed value shifted by the multiple of eight places in ``amount``, for a result of ``bits`` bits."""
    wide = Cat(Const(0, SHIFT_LEFT + 1), value).as_signed()
    shifted = Signal(signed(len(wide)), name=f"{name}_coarse_whole")
    m.d.comb += shifted.eq(wide >> Cat(Const(0, FINE_BITS), amount[FINE_BITS:]))
    return saturated(shifted, bits + 2**FINE_BITS)


def fine_shift(m: Module, name: str, coarse: Value, amount: Value, bits: int) -> Value:
    """Second stage: shifted by the rest of ``amount``. The lowest of the ``bits + 1`` bits is the one that rounds."""
    shifted = Signal(signed(len(coarse)), name=f"{name}_fine_whole")
    m.d.comb += shifted.eq(coarse >> amount[:FINE_BITS])
    return saturated(shifted, bits + 1)


def rounded(fine: Value) -> Value:
    """Third stage: the rounded value. What did not fit signed ``bits`` bits is -2^(bits - 1) or 2^(bits - 1)."""
    return (fine >> 1) + fine[0]
