"""The integer layer against docs/numerics.md, written out in plain Python integers."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trajectile.sw_model.config import LayerConfig
from trajectile.sw_model.numerics import fidelity
from trajectile.sw_model.numerics import integer as numerics


def requant(a, mult, shift, limit):
    return max(-limit, min(limit, (a * mult + (1 << (shift - 1))) >> shift))


def silu(g):
    a = abs(g)
    table = math.floor(2048 * (a / 64) / (1 + math.exp(a / 64)) + 0.5)
    return 32 * a - table if g >= 0 else -table


def plain_layer(layer, batch):
    """docs/numerics.md, one number at a time."""
    tokens, d_model = batch.x.shape
    y = [[0] * d_model for _ in range(tokens)]
    for t in range(tokens):
        x = [int(v) for v in batch.x[t]]
        for rank, e in enumerate(batch.topk_ids[t]):
            for f in range(layer.w_gate.shape[1]):
                gate = sum(a * int(b) for a, b in zip(x, layer.w_gate[e, f], strict=True))
                up = sum(a * int(b) for a, b in zip(x, layer.w_up[e, f], strict=True))
                g = requant(gate, int(batch.gate_mult[e]), int(batch.gate_shift[e]), 511)
                u = requant(up, int(batch.up_mult[e]), int(batch.up_shift[e]), 2047)
                h = requant(silu(g) * u, int(batch.token_mult[t, rank]), batch.token_shift, 127)
                for d in range(d_model):
                    y[t][d] += h * int(layer.w_down[e, d, f])
    return np.array(y, dtype=np.int32).reshape(tokens, d_model)


def draw(seed, tokens=5, shape=None, spread=1.0):
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    shape = shape or LayerConfig(d_model=7, d_ff=5, experts=4, top_k=2)
    weights = numerics.random_layer(shape, rng)
    x = (rng.standard_normal((tokens, shape.d_model)) * spread).astype(np.float32)
    ids = np.array([rng.choice(shape.experts, shape.top_k, replace=False) for _ in range(tokens)])
    gate = rng.random((tokens, shape.top_k)).astype(np.float32)
    return weights, x, ids, gate


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("spread", [0.01, 1.0, 50.0])
def test_layer_equals_plain_python(seed, spread):
    """Bit for bit, from tiny activations to saturated ones."""
    weights, x, ids, gate = draw(seed, spread=spread)
    layer = numerics.quantise_layer(weights)
    batch = numerics.quantise_batch(layer, x, ids, gate)
    np.testing.assert_array_equal(numerics.integer_layer(layer, batch), plain_layer(layer, batch))


def test_layer_is_near_float():
    """On random weights the int8 layer keeps the direction of the float32 one."""
    weights, x, ids, gate = draw(3, tokens=40, shape=LayerConfig(d_model=64, d_ff=96, experts=8, top_k=2))
    layer = numerics.quantise_layer(weights)
    batch = numerics.quantise_batch(layer, x, ids, gate)
    real = numerics.dequantise(numerics.integer_layer(layer, batch), batch)
    reference = numerics.float_layer(weights, x, ids, gate)
    assert fidelity.cosine(real, reference) > 0.999
    assert fidelity.sqnr_db(real, reference) > 25
    rounded = numerics.float_layer(layer.real(), x, ids, gate)
    assert fidelity.cosine(rounded, reference) > 0.9995


@given(st.integers(-2**31, 2**31 - 1), st.integers(0, 2**16 - 1), st.integers(1, 47), st.sampled_from([127, 511, 2047]))
def test_requant(value, mult, shift, limit):
    """The formula, for every legal operand."""
    assert int(numerics.requant(np.array([value]), mult, shift, limit)[0]) == requant(value, mult, shift, limit)


def test_silu_table():
    """Every input; odd symmetry by silu(-x) = silu(x) - x; never further than half a step from the real function."""
    g = np.arange(-511, 512)
    fixed = numerics.silu_fixed(g)
    assert fixed.tolist() == [silu(int(v)) for v in g]
    real = g / 64 / (1 + np.exp(-g / 64))
    assert np.abs(fixed / 2048 - real).max() <= 0.5 / 2048 + 1e-12
    assert numerics.silu_table().max() < 2**10 and (fixed.min(), fixed.max()) == (-570, 16346)


@given(st.floats(0, 32767))
def test_multiplier(ratio):
    """Never more than half a unit of its last place away, and normalised wherever the shift allows."""
    mult, shift = (int(v[0]) for v in numerics.multiplier(np.array([ratio])))
    assert 0 <= mult < 2**16 and 1 <= shift <= 47
    assert abs(mult - ratio * 2**shift) <= 0.5
    assert mult >= 2**15 or shift == 47 or ratio == 0 or mult == 0


@pytest.mark.parametrize("ratio", [-1.0, math.nan, math.inf, 40000.0])
def test_a_ratio_without_multiplier_is_refused(ratio):
    """Negative, not finite, too large."""
    with pytest.raises(ValueError, match="legal values"):
        numerics.multiplier(np.array([ratio]))


def test_wrong_batches_are_refused():
    """Values that are not finite, and negative gate weights."""
    weights, x, ids, gate = draw(1)
    layer = numerics.quantise_layer(weights)
    for wrong_x, wrong_gate in ((x * np.nan, gate), (x, gate * np.inf), (x, -gate)):
        with pytest.raises(ValueError, match="finite"):
            numerics.quantise_batch(layer, wrong_x, ids, wrong_gate)


def test_all_zero_batch():
    """No scale can be found, and none is needed."""
    weights, x, ids, gate = draw(2)
    layer = numerics.quantise_layer(weights)
    batch = numerics.quantise_batch(layer, x * 0, ids, gate * 0)
    assert not numerics.integer_layer(layer, batch).any()
    assert fidelity.cosine(np.zeros(3), np.zeros(3)) == 1.0 and fidelity.cosine(np.zeros(3), np.ones(3)) == 0.0
    assert fidelity.sqnr_db(np.ones(3), np.ones(3)) == math.inf


def test_no_operand_is_minus_128():
    """Symmetric quantisation of any values."""
    weights, x, ids, gate = draw(4, spread=3.0)
    layer = numerics.quantise_layer(weights)
    batch = numerics.quantise_batch(layer, x, ids, gate)
    for values in (layer.w_gate, layer.w_up, layer.w_down, batch.x):
        assert values.dtype == np.int8 and values.min() >= -127 and np.abs(values.astype(int)).max() == 127
