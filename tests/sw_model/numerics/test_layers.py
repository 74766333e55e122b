"""The layer in float32: every part of its function, one number at a time."""

import math

import numpy as np
import pytest

from tests.support.configurations import small
from tests.support.pair_arithmetic import FUNCTIONS
from trajectile.sw_model.numerics.layers import FloatLayer, GluFunction, float_layer, random_layer

GIVEN = [GluFunction(), GluFunction("quick_gelu", 0.5, 0.75, 1.0), GluFunction("gelu", None, 0.25),
         GluFunction("gelu_tanh", 1)]


@pytest.mark.parametrize("function", GIVEN)
@pytest.mark.parametrize("biased", [False, True])
def test_against_loops(function, biased):
    """Limits, offset, biases of all three matrices, choices that are none."""
    rng = np.random.default_rng(1)
    shapes = ((3, 5, 4), (3, 5, 4), (3, 4, 5), (3, 5), (3, 5), (3, 4))
    values = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]
    layer = FloatLayer(*(values if biased else values[:3]), function=function)
    x, weights = rng.standard_normal((6, 4)).astype(np.float32), rng.random((6, 2))
    ids = np.array([[0, 1], [2, 1], [1, -1], [-1, -1], [2, 0], [0, 2]])
    expected = np.zeros((6, 4))
    for t, rank in np.ndindex(6, 2):
        e = ids[t, rank]
        if e < 0:
            continue
        for d in range(4):
            total = values[5][e, d] if biased else 0.0
            for f in range(5):
                gate = float(x[t] @ layer.w_gate[e, f]) + (values[3][e, f] if biased else 0)
                up = float(x[t] @ layer.w_up[e, f]) + (values[4][e, f] if biased else 0)
                gate = min(gate, function.gate_limit or math.inf)
                limit = function.up_limit or math.inf
                hidden = FUNCTIONS[function.activation](gate) * (min(max(up, -limit), limit) + function.up_offset)
                total += layer.w_down[e, d, f] * hidden
            expected[t, d] += weights[t, rank] * total
    np.testing.assert_allclose(float_layer(layer, x, ids, weights), expected, rtol=2e-5, atol=2e-6)


def test_random_layers():
    """Unit variance goes in and a sensible size comes out; biases if the layer has any; its activation."""
    shape = small(layer__activation="gelu", layer__bias=True).layer
    layer = random_layer(shape, np.random.default_rng(1))
    assert layer.w_gate.shape == (6, 18, 12) and layer.w_down.shape == (6, 12, 18) and layer.gate_bias.shape == (6, 18)
    assert layer.function == GluFunction("gelu") and layer.down_bias is None
    assert random_layer(small().layer, np.random.default_rng(1)).up_bias is None
    assert 0.2 < layer.w_gate.std() * 12**0.5 < 2
