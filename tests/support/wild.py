"""Layers and batches that use every corner of the arithmetic: units far apart, limits, offsets, tiny weights, many clips."""

from dataclasses import replace

import numpy as np

from tests.support.choices import draw
from trajectile.scripts.flow import workload
from trajectile.sw_model.config import Config
from trajectile.sw_model.numerics.activation import VALUE_MAX
from trajectile.sw_model.numerics.integer import (
    Function,
    QuantisedBatch,
    QuantisedLayer,
    calibrated,
    quantise_batch,
    quantise_layer,
)
from trajectile.sw_model.numerics.layers import random_layer
from trajectile.sw_model.numerics.weights import Matrices, WeightFormat


def wild(config: Config, topk_ids: np.ndarray, rng: np.random.Generator) -> tuple[QuantisedLayer, QuantisedBatch]:
    """A layer whose slices fit the configuration, and a batch of the given choices; some values clip and most do not."""
    layer = quantise_layer(random_layer(config.layer, rng), WeightFormat.of(config.tile), period=config.slice_ff)
    experts, (tokens, _) = config.layer.experts, topk_ids.shape

    def moved(matrices: Matrices, low: int, high: int) -> Matrices:
        return replace(matrices, units=matrices.units + rng.integers(low, high, experts))
    limits = [VALUE_MAX, VALUE_MAX, 1792]
    gate_max, up_max = rng.choice(limits, 2).tolist()
    function = Function(config.layer.activation, gate_max, up_max, int(rng.choice([0, 256, -32768, 32767])))
    layer = replace(layer, gate=moved(layer.gate, -4, 7), up=moved(layer.up, -4, 7), down=moved(layer.down, -3, 4),
                    function=function)
    x = rng.standard_normal((tokens, config.layer.d_model)) * np.exp2(rng.integers(-6, 7, (tokens, 1)))
    x[rng.random(tokens) < 0.1] = 0
    weights = rng.random(topk_ids.shape) * 8.0 ** rng.integers(-9, 2, topk_ids.shape)
    batch = quantise_batch(x.astype(np.float32), topk_ids, weights)
    if rng.random() < 0.5:  # small layers have one block, of which the shift is 3
        batch = replace(batch, shift=rng.integers(0, 4, batch.shift.shape, dtype=np.uint8))
    if rng.random() < 0.2:  # shifts beyond their limits
        batch = replace(batch, exponent=np.asarray(rng.integers(-128, 128, tokens)))
    fitting = calibrated(config, layer, batch).fraction + int(rng.integers(-2, 7))
    units = layer.down.units
    return replace(layer, fraction=int(np.clip(fitting, 52 - 255 - units.min(), 52 - units.max()))), batch


def wild_batch(config: Config, tokens: int, seed: int) -> workload.Workload:
    """A batch for the array of :func:`wild` values; what they are in float32 is not said."""
    ids = draw(config, tokens, seed)
    reference = np.ones((tokens, config.layer.d_model), np.float32)
    values = workload.Values(*wild(config, ids, np.random.default_rng(seed)), reference)
    return workload.Workload(f"wild, seed {seed}", ids, values)
