"""Widths, limits and the SiLU table of the arithmetic: docs/numerics.md, written down for the hardware.

The golden model has them for itself; a test compares the two, so that a wrong one is found on either side.
"""

from math import exp, floor

#: fraction bits of the SiLU input and of the up value, and of the SiLU output
GATE_BITS, SILU_BITS = 6, 11
#: largest magnitudes of the SiLU input, of the up value and of the hidden value
GATE_LIMIT, UP_LIMIT, HIDDEN_LIMIT = 511, 2047, 127
#: bits of a multiplier and of a shift of a requantisation, and the legal shifts
MULT_BITS, SHIFT_BITS = 16, 6
SHIFT_MIN, SHIFT_MAX = 1, 47
#: bits of an entry of the SiLU table
SILU_ENTRY_BITS = 10


def silu_table() -> list[int]:
    """What ``|x|`` loses in SiLU, in steps of 2^-11, for ``|x|`` = 0 to 511 in steps of 2^-6."""
    steps = (number / 2**GATE_BITS for number in range(GATE_LIMIT + 1))
    return [floor(2**SILU_BITS * step / (1 + exp(step)) + 0.5) for step in steps]
