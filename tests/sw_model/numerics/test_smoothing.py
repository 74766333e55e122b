"""Smoothing: the same layer in float32, exactly; much less error with outlier channels, and none without."""

import numpy as np
import pytest

from trajectile.sw_model.config import load
from trajectile.sw_model.numerics.fidelity import sqnr_db
from trajectile.sw_model.numerics.integer import calibrated, dequantise, integer_layer, quantise_batch, quantise_layer
from trajectile.sw_model.numerics.layers import FloatLayer, float_layer
from trajectile.sw_model.numerics.smoothing import smoothed, smoothing_factors
from trajectile.sw_model.numerics.weights import WeightFormat

D_MODEL, D_FF, EXPERTS = 64, 64, 2
SEED = 7


def layer_and_x(outliers=100.0, tokens=32):
    """A layer, and activations of which six channels are so many times as large as the others."""
    print(f"seed {SEED}")
    rng = np.random.default_rng(SEED)
    layer = FloatLayer(*((rng.standard_normal(shape) * shape[-1]**-0.5).astype(np.float32) for shape in (
        (EXPERTS, D_FF, D_MODEL), (EXPERTS, D_FF, D_MODEL), (EXPERTS, D_MODEL, D_FF))))
    x = rng.standard_normal((tokens, D_MODEL)).astype(np.float32)
    x[:, rng.permutation(D_MODEL)[:6]] *= outliers
    layer.w_gate[..., np.abs(x).max(axis=0) > 20] /= outliers  # a model has learnt to live with them
    layer.w_up[..., np.abs(x).max(axis=0) > 20] /= outliers
    return layer, x


def error_db(layer, x, alpha, kind):
    """Signal-to-noise ratio of the integer layer's results, dB."""
    ids, weights = np.tile([0, 1], (len(x), 1)), np.full((len(x), 2), .5, np.float32)
    factors = smoothing_factors(x, alpha)
    quantised = quantise_layer(smoothed(layer, factors), kind)
    config = load("demo", [f"layer.d_model={D_MODEL}", f"layer.d_ff={D_FF}", f"layer.experts={EXPERTS}", "layer.top_k=2",
                           "tile.slices=2"])
    batch = quantise_batch(x / factors, ids, weights)
    quantised = calibrated(config, quantised, batch)
    return sqnr_db(dequantise(integer_layer(config, quantised, batch).y, quantised), float_layer(layer, x, ids, weights))


def test_the_layer_stays_the_same():
    """In float64 to the last bit: factors are powers of two."""
    layer, x = layer_and_x()
    factors = smoothing_factors(x, 0.5)
    other = smoothed(layer, factors)
    assert set(np.log2(factors) % 1) == {0} and factors.max() > 1 and (factors >= 1).all()
    product = np.einsum("td,efd->tef", x.astype(np.float64), layer.w_gate.astype(np.float64))
    np.testing.assert_allclose(np.einsum("td,efd->tef", (x / factors).astype(np.float64), other.w_gate.astype(np.float64)),
                               product, rtol=1e-12, atol=1e-12)
    assert other.w_down is layer.w_down


@pytest.mark.parametrize("kind", ["mx8", "mxfp4", "int4"])
def test_outliers_cost_less(kind):
    """Six channels at 100 times the others: what smoothing wins, and that it costs nothing where there are none."""
    layer, x = layer_and_x()
    found = {alpha: error_db(layer, x, alpha, WeightFormat(kind)) for alpha in (0.0, 0.5, 1.0)}
    print(f"{kind}: " + ", ".join(f"alpha {alpha}: {db:.1f} dB" for alpha, db in found.items()))
    assert found[0.5] > found[0.0] + (8 if kind == "mx8" else 2)
    layer, x = layer_and_x(1.0)
    assert abs(error_db(layer, x, 0.5, WeightFormat(kind)) - error_db(layer, x, 0.0, WeightFormat(kind))) < 1.5


def test_channels_that_are_not_large_keep_one():
    assert smoothing_factors(np.zeros((3, 4), np.float32), 1.0).tolist() == [1] * 4
    assert smoothing_factors(np.array([[1, 1, 1, 64, 0]], np.float32), 0.5).tolist() == [1, 1, 1, 8, 1]
    assert smoothing_factors(np.array([[1, 1, 1, 1e9]], np.float32), 1.0).max() == 128


@pytest.mark.parametrize("alpha", [-0.1, 1.1, float("nan")])
def test_wrong_alphas(alpha):
    with pytest.raises(ValueError, match=r"alpha = .* legal values: 0 to 1"):
        smoothing_factors(np.ones((1, 2), np.float32), alpha)
