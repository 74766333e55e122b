"""Activation functions of the gate: in float, and as the table of docs/numerics.md."""

from functools import lru_cache
from math import erf

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Int64 = NDArray[np.int64]

#: fraction bits of gate and up values, of what the table is entered with, and of what it gives
VALUE_FRACTION, TABLE_FRACTION, ACTIVATED_FRACTION = 8, 6, 11
TABLE_DEPTH = 512
#: largest magnitude of a gate or up value
VALUE_MAX = 2**15 - 1
#: what gpt-oss' gate value is multiplied by in its sigmoid
QUICK_GELU_ALPHA = 1.702

_erf = np.vectorize(erf, otypes=[np.float64])


def activate(name: str, z: Float) -> Float:
    """``f(z)``: ``silu``, ``gelu`` (with erf), ``gelu_tanh`` or ``quick_gelu``, by their usual definitions."""
    if name in ("silu", "quick_gelu"):
        slope = QUICK_GELU_ALPHA if name == "quick_gelu" else 1.0
        with np.errstate(over="ignore"):  # exp overflows where the function is zero
            return np.asarray(z / (1 + np.exp(-slope * z)))
    if name == "gelu":
        return np.asarray(z * (1 + _erf(z / np.sqrt(2))) / 2)
    if name == "gelu_tanh":
        return np.asarray(z * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))) / 2)
    raise ValueError(f"activation = {name!r} is not legal; legal values: silu, gelu, gelu_tanh, quick_gelu")


@lru_cache
def table(name: str) -> Int64:
    """``L`` of docs/numerics.md, int64 [512]: what ``z`` loses in the function, in steps of 2^-11."""
    z = np.arange(TABLE_DEPTH) / 2**TABLE_FRACTION
    return np.asarray(np.floor(2**ACTIVATED_FRACTION * (z - activate(name, z)) + 0.5), dtype=np.int64)


def activate_fixed(name: str, g: Int64) -> Int64:
    """``f`` of gate values in steps of 2^-8, in steps of 2^-11."""
    bits = VALUE_FRACTION - TABLE_FRACTION
    entry = (np.abs(g) + (1 << bits - 1)) >> bits
    loss = np.where(entry < TABLE_DEPTH, table(name)[np.minimum(entry, TABLE_DEPTH - 1)], 0)
    return np.asarray((np.maximum(g, 0) << (ACTIVATED_FRACTION - VALUE_FRACTION)) - loss)
