"""What one gate-up pair and one pass become: docs/numerics.md, "One slice on one token", in Python's integers.

Written from the page, for tests of single blocks; neither the golden model nor the hardware knows of it.
"""

from dataclasses import dataclass
from math import erf, exp, floor, pi, sqrt, tanh

VALUE_MAX = 32767

FUNCTIONS = {
    "silu": lambda z: z / (1 + exp(-z)),
    "gelu": lambda z: z * 0.5 * (1 + erf(z / sqrt(2))),
    "gelu_tanh": lambda z: 0.5 * z * (1 + tanh(sqrt(2 / pi) * (z + 0.044715 * z**3))),
    "quick_gelu": lambda z: z / (1 + exp(-1.702 * z)),
}


def rounding(a: int, n: int) -> int:
    """``round(a, n)``."""
    return (a + (1 << n - 1)) >> n if n > 0 else a << -n


def activated(name: str, g: int) -> int:
    """``a = act(g)``."""
    b = (abs(g) + 2) >> 2
    z = b / 64
    loss = floor(2048 * (z - FUNCTIONS[name](z)) + 0.5) if b < 512 else 0
    return 8 * max(g, 0) - loss


@dataclass(frozen=True)
class Slice:
    """What a slice begins with."""

    gate_unit: int = 0
    up_unit: int = 0
    gate_max: int = VALUE_MAX
    up_max: int = VALUE_MAX
    up_offset: int = 0


@dataclass(frozen=True)
class Pair:
    """What becomes of the sums of a pair, and on the way to it."""

    g: int
    u: int
    v: int
    #: the format's end was passed, or a step is too small to be reached
    clipped: bool
    #: the hidden value is ``+-magnitude * 2^(exponent - 53)``
    magnitude: int
    exponent: int
    negative: bool


def pair(name: str, given: Slice, sums: tuple[int, int], biases: tuple[int, int], xe: int, weight: tuple[int, int]) -> Pair:
    """Steps 2 to 5 for the sums of gate and up, a token's exponent and the choice's (E, F)."""
    clipped, found = False, []
    for total, bias, unit, low, high in zip(sums, biases, (given.gate_unit, given.up_unit), (-VALUE_MAX, -given.up_max),
                                            (given.gate_max, given.up_max), strict=True):
        n = -(unit + xe + 8)
        clipped |= n < -8 and total != 0
        value = rounding(total, min(max(n, -8), 55)) + bias
        clipped |= (value < low and low == -VALUE_MAX) or (value > high and high == VALUE_MAX)
        found.append(min(max(value, low), high))
    g, u = found[0], found[1] + given.up_offset
    v, (exponent, fraction) = activated(name, g) * u, weight
    if v == 0 or exponent == 0:
        return Pair(g, u, v, clipped, 0, 0, False)
    k = abs(v).bit_length()
    c = abs(v) >> (k - 12) if k > 12 else abs(v) << (12 - k)
    p = c * (2048 + fraction)
    o = p >= 2**23
    return Pair(g, u, v, clipped, p >> (15 + o), k + exponent + o, v < 0)


def aligned(magnitude: int, exponent: int, negative: bool, top: int) -> int:
    """Step 6: ``H`` of a hidden value in a pass whose largest exponent is ``top``."""
    d = top - exponent
    size = min((magnitude + (1 << d)) >> (d + 1), 127) if d <= 8 else 0
    return -size if negative else size
