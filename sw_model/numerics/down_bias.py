"""Biases of down as hidden units whose value is a constant: docs/numerics.md, "Biases"."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trajectile.sw_model.config import BLOCK_INPUTS, ceil_div
from trajectile.sw_model.numerics.activation import ACTIVATED_FRACTION, VALUE_FRACTION, activate_fixed
from trajectile.sw_model.numerics.integer import Function
from trajectile.sw_model.numerics.layers import Float32, FloatLayer
from trajectile.sw_model.numerics.weights import WeightFormat

#: units beyond those of the model: a block, so that no scale is shared with other columns
UNITS = BLOCK_INPUTS
#: units of the larger constant that the largest bias takes, where the function allows it; and those of the smaller one
COARSE, FINE = 8, 2
#: the larger constant over the smaller one
RATIO = 8
#: largest gate value of a unit: every activation function is the identity there
GATE_STEPS = 16 << VALUE_FRACTION
#: octaves below a matrix' largest scale that bias columns use; one less than there are, as that scale is not yet chosen
OCTAVES = 6


class _Constants(NamedTuple):
    """Hidden values that a unit can have: ``step * (up + offset)`` for whole ``up + offset`` in a range."""

    #: gate value, steps of 2^-8
    gate: int
    #: hidden value per step of up, exactly as the hardware has it
    step: float
    low: int
    high: int


def units_ff(d_ff: int) -> int:
    """Hidden units of an expert of ``d_ff``, with those of its bias of down."""
    return ceil_div(d_ff, BLOCK_INPUTS) * BLOCK_INPUTS + UNITS


def _constants(function: Function) -> _Constants:
    highest = min(function.gate_max, GATE_STEPS)
    power = 1 << highest.bit_length() - 1

    def activated(gate: int) -> int:
        return int(activate_fixed(function.activation, np.array([gate], dtype=np.int64))[0])
    # a power of two, as all bits of the weight that meets it are kept, if the function is the identity there
    gate = power if activated(power) == power << ACTIVATED_FRACTION - VALUE_FRACTION else highest
    low, high = max(1, function.up_offset - function.up_max), function.up_offset + function.up_max
    step = activated(gate) * 2.0**-(ACTIVATED_FRACTION + VALUE_FRACTION)
    return _Constants(gate, step, low, high)


def _largest_scale(weights: Float32, kind: WeightFormat) -> float:
    """A power of two that is no larger than the largest scale that a matrix' blocks will have; 0 for a matrix of zeros."""
    largest = float(np.abs(weights).max(initial=0.0)) / kind.largest
    if not largest:
        return 0.0
    scale = 2.0 ** np.ceil(np.log2(largest))
    # the least error may be at half the scale that holds the largest weight
    return float(scale if kind.name == "mx8" and not kind.mantissa else scale / 2)


def _columns(bias: NDArray[np.float64], weights: Float32, kind: WeightFormat,
             constants: _Constants) -> tuple[NDArray[np.int64], Float32]:
    """``up + offset`` of the units of an expert (0: not used), int64 [32], and their columns, float32 [d_model, 32]."""
    ups, columns = np.zeros(UNITS, dtype=np.int64), np.zeros((len(bias), UNITS), dtype=np.float32)
    largest = float(np.abs(bias).max(initial=0.0))
    if not largest:
        return ups, columns
    top = _largest_scale(weights, kind)
    if not top:  # no other column says what a scale should be
        top = 2.0 ** np.ceil(np.log2(largest / (COARSE * kind.largest * constants.step * min(constants.high, 256))))
    needed = largest / (top * kind.largest * constants.step)
    up = 2 ** max(0, int(np.ceil(np.log2(needed / COARSE))))
    up = int(np.clip(up, min(constants.low * RATIO, constants.high), constants.high))
    coarse = int(np.clip(np.ceil(needed / up), 1, UNITS - FINE))
    fine = int(np.clip(up // RATIO, constants.low, constants.high))
    # each output's smallest scale that holds its bias
    reach = coarse * kind.largest * up * constants.step
    scale = np.exp2(np.ceil(np.log2(np.maximum(np.abs(bias), largest * 2.0**-100) / reach)))
    scale = np.maximum(scale, top * 2.0**-OCTAVES)
    left = bias.copy()
    for unit, steps in enumerate([up] * coarse + [fine] * FINE):
        worth = steps * constants.step * scale
        codes = kind.nearest((left / worth).astype(np.float32)).astype(np.float64)
        ups[unit], columns[:, unit] = steps, codes * scale
        left -= codes * worth
    return ups, columns


def with_bias_units(layer: FloatLayer, kind: WeightFormat) -> FloatLayer:
    """The same layer without a bias of down: units that are constant have it in their columns of ``w_down``.

    ``d_ff`` grows to :func:`units_ff`: zeros up to a whole block, then a block of units. Their gate and up weights are zero,
    and their biases make their value a constant that the hardware has exactly. The first units, of one constant, hold the
    bias in codes of the format; two more, of an eighth of it, hold what the rounding left. The constant is so large that the
    columns' scales stay within those of the matrix, and no larger: a slice's largest hidden value sets the step of all.

    Args:
        layer: any number of experts; one without a bias of down only grows, so that parts of a layer stay alike.
        kind: format that the weights will have.

    Raises:
        ValueError: for a limit that the hardware does not have.
    """
    experts, d_ff, d_model = layer.w_gate.shape
    function = Function.of(layer.function)
    constants = _constants(function)
    whole = units_ff(d_ff) - UNITS
    wide = ((0, 0), (0, units_ff(d_ff) - d_ff))
    gate_bias, up_bias = (np.pad(np.zeros((experts, d_ff), dtype=np.float32) if bias is None else bias, wide)
                          for bias in (layer.gate_bias, layer.up_bias))
    w_gate, w_up = (np.pad(weights, (*wide, (0, 0))) for weights in (layer.w_gate, layer.w_up))
    w_down = np.pad(layer.w_down, ((0, 0), *wide))
    biases = np.zeros((experts, d_model)) if layer.down_bias is None else layer.down_bias.astype(np.float64)
    for expert, bias in enumerate(biases):
        ups, columns = _columns(bias, layer.w_down[expert], kind, constants)
        used = ups > 0
        w_down[expert, :, whole:] = columns
        gate_bias[expert, whole:] = np.where(used, constants.gate, 0) * 2.0**-VALUE_FRACTION
        up_bias[expert, whole:] = np.where(used, ups - function.up_offset, 0) * 2.0**-VALUE_FRACTION
    return replace(layer, w_gate=w_gate, w_up=w_up, w_down=w_down, gate_bias=gate_bias, up_bias=up_bias, down_bias=None)
