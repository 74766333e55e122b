"""Biases of down as hidden units: what is left of their error in every format, and units that do not disturb the others."""

from dataclasses import replace

import numpy as np
import pytest

from trajectile.sw_model.config import load
from trajectile.sw_model.numerics.down_bias import UNITS, units_ff, with_bias_units
from trajectile.sw_model.numerics.fidelity import sqnr_db
from trajectile.sw_model.numerics.integer import (
    calibrated,
    dequantise,
    integer_layer,
    quantise_batch,
    quantise_layer,
)
from trajectile.sw_model.numerics.layers import FloatLayer, GluFunction, float_layer
from trajectile.sw_model.numerics.weights import WeightFormat

FORMATS = [WeightFormat(name, mantissa) for name in ("mx8", "mxfp4", "int4") for mantissa in (False, True)]
FUNCTIONS = {
    "silu": GluFunction(), "gpt-oss": GluFunction("quick_gelu", 7.0, 7.0, 1.0), "gelu": GluFunction("gelu"),
    "DeepSeek-V4": GluFunction("silu", 10.0, 10.0), "tight": GluFunction("gelu_tanh", 0.75, 0.5, 1.0)}
D_MODEL, D_FF, EXPERTS = 32, 96, 4
SEED = 5


def layer(function, size=1.0, d_ff=D_FF):
    """Experts with biases everywhere; those of down ``size`` times as large as the results."""
    print(f"seed {SEED}")
    rng = np.random.default_rng(SEED)

    def draw(*shape, by=1.0):
        return (by * rng.standard_normal(shape)).astype(np.float32)
    return FloatLayer(draw(EXPERTS, d_ff, D_MODEL, by=D_MODEL**-0.5), draw(EXPERTS, d_ff, D_MODEL, by=D_MODEL**-0.5),
                      draw(EXPERTS, D_MODEL, d_ff, by=d_ff**-0.5), draw(EXPERTS, d_ff, by=.25), draw(EXPERTS, d_ff, by=.25),
                      draw(EXPERTS, D_MODEL, by=0.4 * size), function)


def batch(tokens=24):
    rng = np.random.default_rng(SEED + 1)
    ids = np.argsort(rng.random((tokens, EXPERTS)), axis=1)[:, :2]
    weights = rng.dirichlet([1, 1], tokens).astype(np.float32)
    return rng.standard_normal((tokens, D_MODEL)).astype(np.float32), ids, weights


def integers(real, kind):
    """Results of the integer layer, real."""
    x, ids, weights = batch()
    quantised = quantise_layer(real, kind)
    _, d_ff, d_model = real.w_gate.shape
    config = load("demo", [f"layer.d_model={d_model}", f"layer.d_ff={d_ff}", f"layer.experts={EXPERTS}", "layer.top_k=2",
                           f"tile.slices={d_ff // 32}"])
    chosen = quantise_batch(x, ids, weights)
    quantised = calibrated(config, quantised, chosen)
    return dequantise(integer_layer(config, quantised, chosen).y, quantised)


@pytest.mark.parametrize("kind", FORMATS, ids=str)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_columns_are_the_bias(function, kind):
    """Exactly quantised, they give it to within 1 % of each expert's largest; float32 computes the same layer as before."""
    real = layer(FUNCTIONS[function])
    units = with_bias_units(real, kind)
    quantised = quantise_layer(units, kind)
    np.testing.assert_array_equal(quantised.down.real()[:, :, D_FF:], units.w_down[:, :, D_FF:])
    gate, up = (np.rint(bias[:, D_FF:] * 256) / 256 for bias in (units.gate_bias, units.up_bias))
    bias = np.einsum("edf,ef->ed", units.w_down[:, :, D_FF:].astype(np.float64), FUNCTIONS[function](gate, up))
    assert np.abs(bias - real.down_bias).max() <= 0.01 * np.abs(real.down_bias).max()
    x, ids, weights = batch()
    assert sqnr_db(float_layer(units, x, ids, weights), float_layer(real, x, ids, weights)) > 40


@pytest.mark.parametrize("kind", FORMATS, ids=str)
@pytest.mark.parametrize("size", [0.05, 1.0, 8.0])
@pytest.mark.parametrize("function", ["silu", "gpt-oss"])
def test_the_error_of_the_bias_is_small_against_the_layers_own(function, size, kind):
    """The noise of the integer layer is not much more than without the bias, and never above 1 % of the results'."""
    real = layer(FUNCTIONS[function], size)
    x, ids, weights = batch()
    own = integers(replace(real, down_bias=None), kind) - float_layer(replace(real, down_bias=None), x, ids, weights)
    reference = float_layer(real, x, ids, weights)
    noise = integers(with_bias_units(real, kind), kind) - reference
    ratio = np.square(noise).mean() / np.square(own).mean()
    print(f"noise {ratio:.2f} of that without the bias, {sqnr_db(reference + noise, reference):.1f} dB")
    assert ratio < 1.5 or np.square(noise).mean() < 1e-4 * np.square(reference).mean()


@pytest.mark.parametrize("d_ff", [1, 32, 33, 90])
def test_units_have_a_block_of_their_own(d_ff):
    """After zeros up to a whole block, whether or not there is a bias."""
    real = layer(GluFunction(), d_ff=d_ff)
    for one in (real, replace(real, down_bias=None), replace(real, gate_bias=None, up_bias=None)):
        units = with_bias_units(one, WeightFormat("mx8"))
        assert units.w_gate.shape[1] == units.w_down.shape[2] == units_ff(d_ff) == -(-d_ff // 32) * 32 + UNITS
        np.testing.assert_array_equal(units.w_down[:, :, :d_ff], one.w_down)
        assert not units.w_gate[:, d_ff:].any() and not units.w_down[:, :, d_ff:-UNITS].any()
        assert units.down_bias is None and units.w_down[:, :, -UNITS:].any() == (one.down_bias is not None)


def test_matrices_of_zeros():
    """An expert of zeros with a bias has it as its result; without one, nothing is constant."""
    real = layer(GluFunction())
    empty = replace(real, w_down=np.zeros_like(real.w_down))
    units = with_bias_units(empty, WeightFormat("int4"))
    x, ids, weights = batch()
    assert sqnr_db(float_layer(units, x, ids, weights), float_layer(empty, x, ids, weights)) > 40
    still = with_bias_units(replace(real, down_bias=np.zeros_like(real.down_bias)), WeightFormat("int4"))
    assert not still.w_down[:, :, D_FF:].any() and not still.gate_bias[:, D_FF:].any() and not still.up_bias[:, D_FF:].any()

