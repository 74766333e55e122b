"""Shapes of whole models: sizes that are published, and their presets."""

import pytest

from trajectile.sw_model.config import load, presets
from trajectile.sw_model.whole.shapes import SHAPES, Attention, Latent

#: parameters of the whole model in 10^9, as its name or its card says
PUBLISHED = {"qwen3-30b-a3b": 30.5, "qwen3-235b-a22b": 235, "gpt-oss-20b": 20.9, "gpt-oss-120b": 116.8, "mixtral-8x7b": 46.7,
             "olmoe-1b-7b": 6.9, "phi-3.5-moe": 41.9, "deepseek-moe-16b": 16.4, "deepseek-v3": 671, "kimi-k2": 1026,
             "glm-4.5-air": 106}


@pytest.mark.parametrize("name", SHAPES)
def test_parameters(name):
    """Experts of the preset, the rest, and an embedding are what the model is said to have, to 4 %."""
    layer, shape = load(name).layer, SHAPES[name]
    experts = shape.moe_layers * layer.experts * 3 * layer.d_model * layer.d_ff
    total = experts + shape.rest_weights(layer.d_model, layer.experts) + shape.vocabulary * layer.d_model
    assert total / 1e9 == pytest.approx(PUBLISHED[name], rel=0.04)


def test_every_shape_has_a_preset():
    """By its name."""
    assert set(SHAPES) == set(PUBLISHED) and set(SHAPES) <= set(presets())


def test_caches():
    """A window bounds every second layer; a latent cache has one vector a token."""
    plain, near = (Attention(heads=8, kv_heads=2, head_dim=16, window=window) for window in (0, 100))
    assert plain.cache(4, 1000) == 2 * 2 * 16 * 4 * 1000
    assert near.cache(4, 1000) == 2 * 2 * 16 * (2 * 1000 + 2 * 100) and near.cache(4, 50) == plain.cache(4, 50)
    assert Latent(heads=128, q_rank=1536).cache(61, 1000) == 576 * 61 * 1000
