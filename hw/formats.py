"""Widths, limits, layouts and tables of the arithmetic: docs/numerics.md, written down for the hardware.

The golden model has them for itself; a test compares the two, so that a wrong one is found on either side.
"""

from collections.abc import Callable
from math import erf, exp, floor, pi, sqrt, tanh

from amaranth.hdl import signed, unsigned
from amaranth.lib import data

#: bits of an activation, of its exponent, and of a weight matrix' unit
ACTIVATION_BITS, EXPONENT_BITS = 8, 8
#: largest magnitude of an activation, and of a hidden value as the down product takes it
ACTIVATION_MAX = 127
#: bits of the shift of a block of activations
INPUT_SHIFT_BITS = 2
#: bits of a scale's shift and of its mantissa, within its byte
SCALE_SHIFT_BITS, SCALE_MANTISSA_BITS, SCALE_BITS = 3, 3, 8
#: bits of gate and up values, their largest magnitude, and their fraction bits
VALUE_BITS, VALUE_MAX, VALUE_FRACTION = 16, 2**15 - 1, 8
#: entries of the activation table, fraction bits of what it is entered with, and of what it gives
TABLE_DEPTH, TABLE_FRACTION, ACTIVATED_FRACTION = 512, 6, 11
#: bits of an entry of the activation table
TABLE_ENTRY_BITS = 10
#: bits of a choice's weight: a fraction of a hidden one, and an exponent
WEIGHT_FRACTION_BITS, WEIGHT_EXPONENT_BITS = 11, 5
#: bits of a hidden value's magnitude and exponent
HIDDEN_BITS, HIDDEN_EXPONENT_BITS = 8, 7
#: a sum is rounded by a shift of -``SHIFT_LEFT`` to ``SHIFT_RIGHT`` places
SHIFT_LEFT, SHIFT_RIGHT = 8, 55
#: bits of a token's count of clips
CLIP_BITS = 16

#: what a slice begins with
PARAMETERS = data.StructLayout({
    "gate_unit": signed(EXPONENT_BITS), "up_unit": signed(EXPONENT_BITS), "result_shift": unsigned(8),
    "unit": signed(EXPONENT_BITS), "gate_max": signed(VALUE_BITS), "up_max": signed(VALUE_BITS),
    "up_offset": signed(VALUE_BITS),
})
#: the weight of a choice
CHOICE_WEIGHT = data.StructLayout({
    "fraction": unsigned(WEIGHT_FRACTION_BITS), "exponent": unsigned(WEIGHT_EXPONENT_BITS)})
#: a hidden value before its token and slice have one exponent
HIDDEN = data.StructLayout({
    "magnitude": unsigned(HIDDEN_BITS), "exponent": unsigned(HIDDEN_EXPONENT_BITS), "negative": unsigned(1)})

_FUNCTIONS: dict[str, Callable[[float], float]] = {
    "silu": lambda z: z / (1 + exp(-z)),
    "gelu": lambda z: z * (1 + erf(z / sqrt(2))) / 2,
    "gelu_tanh": lambda z: z * (1 + tanh(sqrt(2 / pi) * (z + 0.044715 * z**3))) / 2,
    "quick_gelu": lambda z: z / (1 + exp(-1.702 * z)),
}


def activation_table(name: str) -> list[int]:
    """What ``z`` loses in the activation function, in steps of 2^-11, for ``z`` = 0 to 511 in steps of 2^-6."""
    function = _FUNCTIONS[name]
    steps = (number / 2**TABLE_FRACTION for number in range(TABLE_DEPTH))
    return [floor(2**ACTIVATED_FRACTION * (z - function(z)) + 0.5) for z in steps]
