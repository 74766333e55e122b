"""The integer layer, to the last bit: docs/numerics.md in NumPy, and the float32 layer it is measured against.

Shapes: ``tokens`` rows of ``d_model``; gate and up weights ``[experts, d_ff, d_model]``, down weights
``[experts, d_model, d_ff]``.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trajectile.sw_model.config import INT8_MAX, LayerConfig

Float32 = NDArray[np.float32]
Int8 = NDArray[np.int8]
Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]

#: fraction bits of the SiLU input and of the up value, of the SiLU output, and of their product
GATE_BITS, SILU_BITS = 6, 11
PRODUCT_BITS = GATE_BITS + SILU_BITS
#: largest magnitudes of the SiLU input and of the up value
GATE_LIMIT, UP_LIMIT = 511, 2047
MULT_MAX = 2**16 - 1
SHIFT_MIN, SHIFT_MAX = 1, 47
#: part of the largest hidden value that int8 holds; the rest saturates. Less than all gains nothing on the toy model
#: (docs/toy_model.md).
DEFAULT_CLIP = 1.0


@lru_cache
def silu_table() -> Int64:
    """``R[a]`` of docs/numerics.md for a = 0..511, int64 [512]: what |x| loses in SiLU, in steps of 2^-11."""
    a = np.arange(GATE_LIMIT + 1) / 2**GATE_BITS
    return np.asarray(np.floor(2**SILU_BITS * a / (1 + np.exp(a)) + 0.5), dtype=np.int64)


def silu_fixed(g: Int64) -> Int64:
    """SiLU of ``g`` (steps of 2^-6, within +-511) in steps of 2^-11."""
    magnitude = np.abs(g)
    return np.asarray(np.where(g >= 0, magnitude << (SILU_BITS - GATE_BITS), 0) - silu_table()[magnitude])


def requant(values: NDArray[Any], mult: NDArray[Any] | int, shift: NDArray[Any] | int, limit: int) -> Int64:
    """``clip((values * mult + 2^(shift-1)) >> shift, -limit, limit)`` in int64; arguments broadcast."""
    shift = np.asarray(shift, dtype=np.int64)
    product = np.asarray(values, dtype=np.int64) * np.asarray(mult, dtype=np.int64)
    rounded = (product + (np.int64(1) << (shift - 1))) >> shift
    return np.asarray(np.clip(rounded, -limit, limit))


@dataclass(frozen=True)
class FloatLayer:
    """Weights of a layer in float32."""

    w_gate: Float32
    w_up: Float32
    w_down: Float32


@dataclass(frozen=True)
class QuantisedLayer:
    """Weights of a layer in int8, and the scale of each matrix, float32 [experts]: real = weight * scale."""

    w_gate: Int8
    w_up: Int8
    w_down: Int8
    gate_scale: Float32
    up_scale: Float32
    down_scale: Float32

    @property
    def experts(self) -> int:
        """Number of experts."""
        return len(self.w_gate)

    def real(self) -> FloatLayer:
        """The weights that the integers stand for."""
        def scaled(weights: Int8, scale: Float32) -> Float32:
            return np.asarray(weights.astype(np.float32) * scale[:, None, None], dtype=np.float32)
        return FloatLayer(scaled(self.w_gate, self.gate_scale), scaled(self.w_up, self.up_scale),
                          scaled(self.w_down, self.down_scale))


@dataclass(frozen=True)
class QuantisedBatch:
    """Activations of a batch in int8 and every multiplier the hardware is given."""

    #: int8 [tokens, d_model]; real = x * x_scale
    x: Int8
    x_scale: float
    #: real result = y * h_scale
    h_scale: float
    #: chosen experts, int64 [tokens, top_k]
    topk_ids: Int64
    #: multiplier of each choice, int64 [tokens, top_k], and the shift that all share
    token_mult: Int64
    token_shift: int
    #: multipliers and shifts of each expert, int64 [experts]
    gate_mult: Int64
    gate_shift: Int64
    up_mult: Int64
    up_shift: Int64


def _symmetric(values: Float32, axis: tuple[int, ...]) -> tuple[Int8, Float32]:
    """Int8 of float32 with the largest magnitude over ``axis`` at 127, and the scale."""
    exact = np.abs(values).max(axis=axis, initial=0.0) / INT8_MAX
    scale = np.where(exact > 0, exact, 1.0).astype(np.float32)
    whole = np.rint(values / np.expand_dims(scale, axis))
    return np.clip(whole, -INT8_MAX, INT8_MAX).astype(np.int8), scale


def quantise_layer(layer: FloatLayer) -> QuantisedLayer:
    """Int8 weights, one scale a matrix and expert."""
    (gate, gate_scale), (up, up_scale), (down, down_scale) = (
        _symmetric(weights, (1, 2)) for weights in (layer.w_gate, layer.w_up, layer.w_down))
    return QuantisedLayer(gate, up, down, gate_scale, up_scale, down_scale)


def multiplier(ratio: NDArray[np.float64]) -> tuple[Int64, Int64]:
    """Multipliers of 2^15..2^16-1 and shifts that stand for ``ratio`` = mult / 2^shift, with the largest shift that fits.

    Raises:
        ValueError: if a ratio is too large for the smallest shift, negative or not finite.
    """
    ratio = np.asarray(ratio, dtype=np.float64)
    if not np.isfinite(ratio).all() or (ratio < 0).any() or (ratio * 2**SHIFT_MIN > MULT_MAX).any():
        raise ValueError(f"requantisation ratio {ratio.max()} is not legal; legal values: 0 to {MULT_MAX / 2**SHIFT_MIN}")
    _, exponent = np.frexp(np.where(ratio > 0, ratio, 2.0**-31))
    shift = np.clip(16 - exponent, SHIFT_MIN, SHIFT_MAX)
    mult = np.rint(np.ldexp(ratio, shift))
    over = mult > MULT_MAX  # rounded up to 2^16
    shift = np.where(over, shift - 1, shift)
    return np.rint(np.ldexp(ratio, shift)).astype(np.int64), shift.astype(np.int64)


def _pairs(topk_ids: NDArray[Any], expert: int) -> tuple[Int64, Int64]:
    """Tokens that chose an expert, and which of their choices it is."""
    tokens, ranks = np.nonzero(topk_ids == expert)
    return tokens, ranks


def _sums(layer: QuantisedLayer, batch: QuantisedBatch, expert: int, tokens: Int64) -> tuple[Int64, Int64]:
    """``G`` and ``U`` of docs/numerics.md for some tokens of an expert, int64 [tokens, d_ff]."""
    # float64 products of int8 are exact: every sum stays far below 2^53
    x = batch.x[tokens].astype(np.float64)
    return ((x @ layer.w_gate[expert].T.astype(np.float64)).astype(np.int64),
            (x @ layer.w_up[expert].T.astype(np.float64)).astype(np.int64))


def _hidden(layer: QuantisedLayer, batch: QuantisedBatch, expert: int, tokens: Int64) -> Int64:
    """``v`` of docs/numerics.md for some tokens of an expert, int64 [tokens, d_ff]."""
    gate, up = _sums(layer, batch, expert, tokens)
    g = requant(gate, batch.gate_mult[expert], batch.gate_shift[expert], GATE_LIMIT)
    u = requant(up, batch.up_mult[expert], batch.up_shift[expert], UP_LIMIT)
    return silu_fixed(g) * u


def quantise_batch(layer: QuantisedLayer, x: Float32, topk_ids: NDArray[Any], topk_weights: NDArray[Any], *,
                   clip: float = DEFAULT_CLIP) -> QuantisedBatch:
    """Int8 activations and all multipliers of a batch.

    Args:
        layer: int8 weights.
        x: activations, float32 [tokens, d_model].
        topk_ids: chosen experts, [tokens, top_k].
        topk_weights: gate weights, not negative, [tokens, top_k].
        clip: part of the batch's largest hidden value that int8 holds.

    Raises:
        ValueError: if values are not finite, a gate weight is negative, or a scale has no multiplier.
    """
    ids, weights = np.asarray(topk_ids, dtype=np.int64), np.asarray(topk_weights, dtype=np.float64)
    if not (np.isfinite(x).all() and np.isfinite(weights).all() and (weights >= 0).all()):
        raise ValueError("x and topk_weights must be finite, topk_weights not negative")
    x_int, scale = _symmetric(x, (0, 1))
    x_scale = float(scale)
    gate_mult, gate_shift = multiplier(x_scale * layer.gate_scale.astype(np.float64) * 2**GATE_BITS)
    up_mult, up_shift = multiplier(x_scale * layer.up_scale.astype(np.float64) * 2**GATE_BITS)
    draft = QuantisedBatch(x_int, x_scale, 1.0, ids, np.zeros_like(ids), 1, gate_mult, gate_shift, up_mult, up_shift)
    # the largest |h_real| of the batch, with gate weight and down scale folded in
    factor = weights * layer.down_scale.astype(np.float64)[ids] / 2**PRODUCT_BITS
    largest = 0.0
    for expert in np.unique(ids):
        tokens, ranks = _pairs(ids, int(expert))
        peak = np.abs(_hidden(layer, draft, int(expert), tokens)).max(axis=1, initial=0)
        largest = max(largest, float((peak * factor[tokens, ranks]).max(initial=0.0)))
    h_scale = largest * clip / INT8_MAX if largest > 0 else 1.0
    # one shift for all: the largest multiplier fills its 16 bits
    ratio = factor / h_scale
    _, shift = multiplier(np.array([ratio.max(initial=0.0)]))
    token_mult = np.rint(np.ldexp(ratio, int(shift[0]))).astype(np.int64)
    return QuantisedBatch(x_int, x_scale, h_scale, ids, token_mult, int(shift[0]), gate_mult, gate_shift, up_mult, up_shift)


def clipped(layer: QuantisedLayer, batch: QuantisedBatch) -> NDArray[np.bool_]:
    """Tokens of which a gate or up value of an expert they chose does not fit its format, bool [tokens]."""
    found = np.zeros(len(batch.x), dtype=bool)
    for expert in np.unique(batch.topk_ids):
        tokens, _ = _pairs(batch.topk_ids, int(expert))
        gate, up = _sums(layer, batch, int(expert), tokens)
        for sums, mult, shift, limit in ((gate, batch.gate_mult, batch.gate_shift, GATE_LIMIT),
                                         (up, batch.up_mult, batch.up_shift, UP_LIMIT)):
            wide = requant(sums, mult[expert], shift[expert], 2**31)
            np.logical_or.at(found, tokens, (np.abs(wide) > limit).any(axis=1))
    return found


def integer_layer(layer: QuantisedLayer, batch: QuantisedBatch) -> Int32:
    """Results of a batch, int32 [tokens, d_model]: what the RTL gives, bit for bit."""
    y = np.zeros(batch.x.shape, dtype=np.int64)
    for expert in np.unique(batch.topk_ids):
        tokens, ranks = _pairs(batch.topk_ids, int(expert))
        v = _hidden(layer, batch, int(expert), tokens)
        h = requant(v, batch.token_mult[tokens, ranks][:, None], batch.token_shift, INT8_MAX)
        np.add.at(y, tokens, (h.astype(np.float64) @ layer.w_down[expert].T.astype(np.float64)).astype(np.int64))
    return y.astype(np.int32)


def dequantise(y: Int32, batch: QuantisedBatch) -> Float32:
    """Real results, float32 [tokens, d_model]."""
    return np.asarray(y * batch.h_scale, dtype=np.float32)


def float_layer(layer: FloatLayer, x: Float32, topk_ids: NDArray[Any], topk_weights: NDArray[Any]) -> Float32:
    """The layer in float32, [tokens, d_model]."""
    y = np.zeros_like(x, dtype=np.float32)
    weights = np.asarray(topk_weights, dtype=np.float32)
    # exp may overflow where SiLU is zero; a layer that overflows itself gives infinity or NaN, and its caller looks
    with np.errstate(over="ignore", invalid="ignore"):
        for expert in np.unique(topk_ids):
            tokens, ranks = _pairs(np.asarray(topk_ids), int(expert))
            gate, up = x[tokens] @ layer.w_gate[expert].T, x[tokens] @ layer.w_up[expert].T
            hidden = gate / (1 + np.exp(-gate)) * up * weights[tokens, ranks][:, None]
            np.add.at(y, tokens, hidden @ layer.w_down[expert].T)
    return y


def random_layer(layer: LayerConfig, rng: np.random.Generator) -> FloatLayer:
    """Random weights with which activations of unit variance keep a sensible size through the layer."""
    def draw(*shape: int) -> Float32:
        return np.asarray(rng.standard_normal(shape) * shape[-1]**-0.5, dtype=np.float32)
    gate_up = (layer.experts, layer.d_ff, layer.d_model)
    return FloatLayer(draw(*gate_up), draw(*gate_up), draw(layer.experts, layer.d_model, layer.d_ff))
