"""The integer layer, to the last bit: docs/numerics.md in NumPy.

Shapes: ``tokens`` rows of ``d_model``; gate and up weights ``[experts, d_ff, d_model]``, down weights
``[experts, d_model, d_ff]``.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trajectile.sw_model.config import INPUT_SHIFT_MAX, INT8_MAX, Config
from trajectile.sw_model.numerics.activation import VALUE_FRACTION, VALUE_MAX, activate_fixed
from trajectile.sw_model.numerics.layers import FloatLayer, GluFunction, choices
from trajectile.sw_model.numerics.weights import (
    NO_EXPONENT,
    Matrices,
    WeightFormat,
    block_of,
    joined,
    quantise,
    smallest_exponent,
)

Float32 = NDArray[np.float32]
Int8 = NDArray[np.int8]
Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]

#: limits of a rounding shift to the right
SHIFT_MIN, SHIFT_MAX = -8, 55
#: bits of a choice's weight's fraction, largest exponent field, and the exponent field of 1.0
FRACTION_BITS, EXPONENT_MAX, EXPONENT_ONE = 11, 31, 26
#: bits of ``|v|`` that meet the weight, and those of a hidden value's magnitude
PRODUCT_BITS, MAGNITUDE_BITS = 12, 8
#: ``result_shift`` is this, less the unit of down and the fraction bits of results
RESULT_SHIFT_ZERO = 52
#: limits of the unit of results, an int8
UNIT_MIN, UNIT_MAX = -128, 127
#: largest count of a token's clips
CLIPS_MAX = 2**16 - 1
#: binary digits of room above the largest term of the calibration batch
ROOM_BITS = 3
#: fraction bits of the results of a layer that was never calibrated
DEFAULT_FRACTION = 16


@dataclass(frozen=True)
class Function:
    """What experts do with gate and up values, as the parameters of their slices say it; values in steps of 2^-8."""

    activation: str = "silu"
    gate_max: int = VALUE_MAX
    up_max: int = VALUE_MAX
    up_offset: int = 0

    @classmethod
    def of(cls, real: GluFunction) -> "Function":
        """That of a float32 layer.

        Raises:
            ValueError: for a limit or an offset that is no whole step, or beyond the format.
        """
        def steps(name: str, value: float | None, least: int) -> int:
            if value is None:
                return VALUE_MAX
            step = value * 2**VALUE_FRACTION
            if step != int(step) or not least <= step <= VALUE_MAX:
                raise ValueError(f"{name} = {value} is not legal; legal values: multiples of 1/256 from {least / 256:g} to "
                                 f"{VALUE_MAX / 256:g}")
            return int(step)
        return cls(real.activation, steps("gate limit", real.gate_limit, 1), steps("up limit", real.up_limit, 1),
                   steps("up offset", real.up_offset, 0))


@dataclass(frozen=True)
class QuantisedLayer:
    """A layer in the hardware's numbers."""

    kind: WeightFormat
    gate: Matrices
    up: Matrices
    down: Matrices
    function: Function
    #: int64 [experts, d_ff], steps of 2^-8; None: no bias
    gate_bias: Int64 | None = None
    up_bias: Int64 | None = None
    #: fraction bits of the results: ``y_real = y * 2^-fraction``
    fraction: int = DEFAULT_FRACTION

    @property
    def experts(self) -> int:
        """Number of experts."""
        return len(self.gate.codes)

    @property
    def d_ff(self) -> int:
        """Hidden width of an expert."""
        return int(self.gate.codes.shape[1])

    @property
    def d_model(self) -> int:
        """Width of a token."""
        return int(self.gate.codes.shape[2])

    def result_shift(self, expert: int) -> int:
        """``R`` of docs/numerics.md.

        Raises:
            ValueError: if it does not fit its byte.
        """
        shift = RESULT_SHIFT_ZERO - int(self.down.units[expert]) - self.fraction
        if not 0 <= shift <= 255:
            raise ValueError(f"result_shift = {shift} of expert {expert} is not legal; legal values: 0 to 255 (down weights "
                             f"of unit 2^{self.down.units[expert]}, results of unit 2^-{self.fraction})")
        return shift

    @property
    def unit(self) -> int:
        """Binary exponent of a step of the results: ``y_real = y * 2^unit``.

        Raises:
            ValueError: if it does not fit its byte.
        """
        if not UNIT_MIN <= -self.fraction <= UNIT_MAX:
            raise ValueError(f"unit = {-self.fraction} of the results is not legal; legal values: {UNIT_MIN} to {UNIT_MAX}")
        return -self.fraction

    def sliced(self, columns: int) -> "QuantisedLayer":
        """The same layer with blocks of down that begin again with every slice of so many columns.

        Raises:
            ValueError: if slices of that width cut a block.
        """
        return replace(self, down=self.down.refined(columns))

    def real(self) -> FloatLayer:
        """The layer that the integers stand for."""
        def bias(steps: Int64 | None) -> Float32 | None:
            return None if steps is None else np.asarray(steps * 2.0**-VALUE_FRACTION, dtype=np.float32)

        def limit(steps: int) -> float | None:
            return None if steps == VALUE_MAX else steps / 2**VALUE_FRACTION
        function = self.function
        return FloatLayer(
            self.gate.real(), self.up.real(), self.down.real(), bias(self.gate_bias), bias(self.up_bias),
            function=GluFunction(function.activation, limit(function.gate_max), limit(function.up_max),
                                 function.up_offset / 2**VALUE_FRACTION))


@dataclass(frozen=True)
class QuantisedBatch:
    """Activations and choices of a batch as the hardware is given them. Nothing in it depends on the weights."""

    #: int8 [tokens, d_model]; real = x * 2^(exponent + shift)
    x: Int8
    #: of each block of 32 inputs, uint8 [tokens, blocks]
    shift: NDArray[np.uint8]
    #: int64 [tokens]
    exponent: Int64
    #: chosen experts, int64 [tokens, top_k]; -1: no choice
    topk_ids: Int64
    #: weights of the choices, int64 [tokens, top_k]: fraction in bits 0 to 10, exponent in bits 11 to 15
    weight: Int64

    def integers(self, tokens: Int64) -> NDArray[np.float64]:
        """``X`` of docs/numerics.md for some tokens, exactly, as float64 [tokens, d_model]."""
        inputs = self.x.shape[1]
        return np.asarray(np.ldexp(self.x[tokens].astype(np.float64), self.shift[tokens][:, block_of(inputs, inputs)]))


class Results(NamedTuple):
    """What the RTL gives, bit for bit."""

    #: int32 [tokens, d_model]
    y: Int32
    #: clips of each token, int64 [tokens]
    clips: Int64


def quantise_layer(layer: FloatLayer, kind: WeightFormat | None = None, *, period: int | None = None) -> QuantisedLayer:
    """A layer in a weight format. Its results have a default unit: :func:`calibrated` chooses it.

    Args:
        layer: in float32; a bias of down must have been made hidden units (:mod:`trajectile.sw_model.numerics.down_bias`).
        kind: weight format; None: mx8.
        period: columns after which the blocks of down begin again: a slice's, or None for blocks that any slices of whole
            blocks can take.

    Raises:
        ValueError: for weights or biases that are not finite or too large, or a limit that the hardware does not have.
    """
    kind = kind or WeightFormat("mx8")
    if layer.down_bias is not None:
        raise ValueError("down_bias is not legal here; it is made hidden units first")

    def bias(name: str, values: Float32 | None) -> Int64 | None:
        if values is None:
            return None
        largest = np.abs(values).max(initial=0)
        if not largest <= VALUE_MAX / 2**VALUE_FRACTION:
            raise ValueError(f"{name} of {largest:g} is not legal; legal values: up to {VALUE_MAX / 2**VALUE_FRACTION:g}")
        return np.asarray(np.rint(values.astype(np.float64) * 2**VALUE_FRACTION), dtype=np.int64)
    gate, up, down = (quantise(weights, kind, each) for weights, each in (
        (layer.w_gate, None), (layer.w_up, None), (layer.w_down, period)))
    return QuantisedLayer(kind, gate, up, down, Function.of(layer.function), bias("gate bias", layer.gate_bias),
                          bias("up bias", layer.up_bias))


def with_experts(parts: list[QuantisedLayer]) -> QuantisedLayer:
    """Layers of the same kind as one layer with the experts of all."""
    first = parts[0]

    def bias(name: str) -> Int64 | None:
        found = [getattr(part, name) for part in parts if getattr(part, name) is not None]
        return np.concatenate(found) if found else None
    return replace(first, gate=joined([part.gate for part in parts]), up=joined([part.up for part in parts]),
                   down=joined([part.down for part in parts]), gate_bias=bias("gate_bias"), up_bias=bias("up_bias"))


def choice_weight(weights: NDArray[Any]) -> Int64:
    """Weights of choices in their 16-bit format, rounded to nearest; below 2^-25 they are zero.

    Raises:
        ValueError: for weights that are negative, not finite, or 64 and more.
    """
    real = np.asarray(weights, dtype=np.float64)
    if not np.isfinite(real).all() or (real < 0).any() or (real >= 64).any():
        raise ValueError("gate weights must be finite, not negative, and below 64")
    _, exponent = np.frexp(np.where(real > 0, real, 1.0))
    mantissa = np.rint(np.ldexp(real, FRACTION_BITS + 1 - exponent)).astype(np.int64)
    over = mantissa >> FRACTION_BITS + 1  # rounded up to the next power of two
    field = exponent.astype(np.int64) - 1 + EXPONENT_ONE + over
    fraction = np.where(over, 0, mantissa & 2**FRACTION_BITS - 1)
    largest = field > EXPONENT_MAX
    value = np.where(largest, 2 ** (FRACTION_BITS + 5) - 1, fraction | field << FRACTION_BITS)
    return np.asarray(np.where((real > 0) & (field >= 1), value, 0), dtype=np.int64)


def quantise_batch(x: Float32, topk_ids: NDArray[Any], topk_weights: NDArray[Any]) -> QuantisedBatch:
    """Activations and choices of a batch in the hardware's numbers.

    Args:
        x: activations, float32 [tokens, d_model].
        topk_ids: chosen experts, [tokens, top_k].
        topk_weights: gate weights, [tokens, top_k].

    Raises:
        ValueError: if activations are not finite, or a gate weight is negative, not finite or 64 and more.
    """
    if not np.isfinite(x).all():
        raise ValueError("x must be finite")
    blocks = block_of(x.shape[1], x.shape[1])
    largest = np.maximum.reduceat(np.abs(x), np.flatnonzero(np.diff(blocks, prepend=-1)), axis=1)
    fits = smallest_exponent(largest, INT8_MAX)
    top = fits.max(axis=1)
    exponent = np.where(top > NO_EXPONENT, np.clip(top - INPUT_SHIFT_MAX, -128, 127), 0)
    shift = np.clip(fits - exponent[:, None], 0, INPUT_SHIFT_MAX)
    whole = np.rint(np.ldexp(x.astype(np.float64), -(exponent[:, None] + shift[:, blocks]).astype(np.int32)))
    return QuantisedBatch(np.clip(whole, -INT8_MAX, INT8_MAX).astype(np.int8), shift.astype(np.uint8), exponent,
                          np.asarray(topk_ids, dtype=np.int64), choice_weight(topk_weights))


def rounded(values: Int64, shift: Int64) -> Int64:
    """``round(a, n)`` of docs/numerics.md; arguments broadcast, ``n`` from -8 to 55."""
    half = np.where(shift > 0, np.int64(1) << np.maximum(shift - 1, 0), 0)
    return np.asarray(np.where(shift > 0, (values + half) >> np.maximum(shift, 0), values << np.maximum(-shift, 0)))


def bit_length(values: Int64) -> Int64:
    """Bits of magnitudes below 2^52."""
    return np.asarray(np.frexp(values.astype(np.float64))[1], dtype=np.int64)


class _Hidden(NamedTuple):
    """Hidden values of some tokens, and which gate-up pairs clipped; all [tokens, d_ff]."""

    magnitude: Int64
    exponent: Int64
    negative: NDArray[np.bool_]
    clipped: NDArray[np.bool_]


def _value(sums: Int64, unit: int, exponent: Int64, bias: Int64 | int, low: int,
           high: int) -> tuple[Int64, NDArray[np.bool_]]:
    """``g``, or ``u`` before its offset, of sums [tokens, d_ff], and where it clipped."""
    shift = -(unit + exponent[:, None] + VALUE_FRACTION)
    value = rounded(sums, np.clip(shift, SHIFT_MIN, SHIFT_MAX)) + bias
    # only the format's own end clips; a limit of the model is its function
    out = (value < low) & (low == -VALUE_MAX) | (value > high) & (high == VALUE_MAX)
    return np.asarray(np.clip(value, low, high)), np.asarray(out | (shift < SHIFT_MIN) & (sums != 0))


def _hidden(layer: QuantisedLayer, batch: QuantisedBatch, expert: int, tokens: Int64, weight: Int64) -> _Hidden:
    """Steps 1 to 5 of docs/numerics.md."""
    x, exponent, function = batch.integers(tokens), batch.exponent[tokens], layer.function
    gate = (x @ layer.gate.integers(expert).T).astype(np.int64)
    up = (x @ layer.up.integers(expert).T).astype(np.int64)
    g, gate_out = _value(gate, int(layer.gate.units[expert]), exponent, 0 if layer.gate_bias is None else
                         layer.gate_bias[expert], -VALUE_MAX, function.gate_max)
    u, up_out = _value(up, int(layer.up.units[expert]), exponent, 0 if layer.up_bias is None else layer.up_bias[expert],
                       -function.up_max, function.up_max)
    v = activate_fixed(function.activation, g) * (u + function.up_offset)
    size, field, fraction = np.abs(v), (weight >> FRACTION_BITS)[:, None], (weight & 2**FRACTION_BITS - 1)[:, None]
    bits = bit_length(size)
    c = np.where(bits >= PRODUCT_BITS, size >> np.maximum(bits - PRODUCT_BITS, 0), size << np.maximum(PRODUCT_BITS - bits, 0))
    p = c * (2**FRACTION_BITS + fraction)
    over = (p >> PRODUCT_BITS + FRACTION_BITS).astype(np.int64)
    there = (v != 0) & (field > 0)
    magnitude = p >> (PRODUCT_BITS + FRACTION_BITS - MAGNITUDE_BITS + over)
    return _Hidden(np.where(there, magnitude, 0), np.where(there, bits + field + over, 0), (v < 0) & there,
                   gate_out | up_out)


class _Part(NamedTuple):
    """One slice on some tokens: sums of down [tokens, d_model], exponents [tokens], pairs that clipped [tokens]."""

    sums: Int64
    top: Int64
    pairs_clipped: Int64


def _parts(layer: QuantisedLayer, batch: QuantisedBatch, expert: int, tokens: Int64, weight: Int64,
           columns: int) -> Iterator[_Part]:
    """Steps 1 to 7 of docs/numerics.md, slice by slice."""
    hidden = _hidden(layer, batch, expert, tokens, weight)
    down = layer.down.integers(expert)
    for start in range(0, layer.d_ff, columns):
        part = slice(start, start + columns)
        top = hidden.exponent[:, part].max(axis=1)
        distance = np.minimum(top[:, None] - hidden.exponent[:, part], MAGNITUDE_BITS + 1)
        size = np.minimum((hidden.magnitude[:, part] + (np.int64(1) << distance)) >> (distance + 1), INT8_MAX)
        values = np.where(hidden.negative[:, part], -size, size).astype(np.float64)
        yield _Part((values @ down[:, part].T).astype(np.int64), top, hidden.clipped[:, part].sum(axis=1))


def integer_layer(config: Config, layer: QuantisedLayer, batch: QuantisedBatch) -> Results:
    """Results and clips of a batch: what the RTL gives, bit for bit.

    Args:
        config: how experts are cut into slices, and how many outputs count together when they clip.
        layer: with blocks of down that its slices do not cut.
        batch: the tokens.

    Raises:
        ValueError: if slices cut a block, or a parameter does not fit.
    """
    layer = layer.sliced(config.slice_ff)
    y = np.zeros(batch.x.shape, dtype=np.int64)
    clips = np.zeros(len(batch.x), dtype=np.int64)
    limit = 2**config.term_bits - 1
    starts = np.arange(0, config.layer.d_model, config.tile.mac_n)
    for expert in np.unique(batch.topk_ids[batch.topk_ids >= 0]).tolist():
        tokens, ranks = choices(batch.topk_ids, expert)
        shift = layer.result_shift(expert)
        for part in _parts(layer, batch, expert, tokens, batch.weight[tokens, ranks], config.slice_ff):
            amount = (shift - part.top)[:, None]
            terms = rounded(part.sums, np.clip(amount, SHIFT_MIN, SHIFT_MAX))
            out = (np.abs(terms) > limit) | (amount < SHIFT_MIN) & (part.sums != 0)
            np.add.at(y, tokens, np.clip(terms, -limit, limit))
            np.add.at(clips, tokens, part.pairs_clipped + np.logical_or.reduceat(out, starts, axis=1).sum(axis=1))
    return Results(y.astype(np.int32), np.minimum(clips, CLIPS_MAX))


def calibrated(config: Config, layer: QuantisedLayer, batch: QuantisedBatch) -> QuantisedLayer:
    """The layer with the finest unit of results that leaves three bits of room above what a batch needs.

    That is room for the largest term, and for the last shift of each slice, which has an end too.

    Raises:
        ValueError: if slices cut a block, or there is no such unit.
    """
    sliced = layer.sliced(config.slice_ff)
    largest, finest = 0.0, 2**16
    for expert in np.unique(batch.topk_ids[batch.topk_ids >= 0]).tolist():
        tokens, ranks = choices(batch.topk_ids, expert)
        for part in _parts(sliced, batch, expert, tokens, batch.weight[tokens, ranks], config.slice_ff):
            terms = np.abs(part.sums).max(axis=1, initial=0).astype(np.float64)
            unit = int(sliced.down.units[expert]) + part.top - RESULT_SHIFT_ZERO
            largest = max(largest, float(np.ldexp(terms, unit.astype(np.int32)).max(initial=0.0)))
            finest = min(finest, int((-unit[terms > 0]).min(initial=finest)))
    if not largest:
        return layer
    _, exponent = np.frexp(largest)
    # a fraction beyond those that every expert's result_shift and the unit can say would gain nothing
    least = max(RESULT_SHIFT_ZERO - 255 - int(sliced.down.units.min()), -UNIT_MAX)
    most = min(RESULT_SHIFT_ZERO - int(sliced.down.units.max()), -UNIT_MIN)
    fraction = min(config.term_bits - int(exponent), finest - SHIFT_MIN) - ROOM_BITS
    return replace(layer, fraction=int(np.clip(fraction, least, most)))


def prepared(config: Config, layer: FloatLayer, batch: QuantisedBatch) -> QuantisedLayer:
    """A layer in the format and slices of a configuration, with the unit of results that a batch calls for.

    Raises:
        ValueError: as :func:`quantise_layer` and :func:`calibrated`.
    """
    return calibrated(config, quantise_layer(layer, WeightFormat.of(config.tile), period=config.slice_ff), batch)


def dequantise(y: Int32, layer: QuantisedLayer) -> Float32:
    """Real results, float32 [tokens, d_model]."""
    return np.asarray(np.ldexp(y.astype(np.float64), -layer.fraction), dtype=np.float32)

