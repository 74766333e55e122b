"""A small model of SmolLM2's kind, drawn at random, and a tokenizer for it without a package."""

from types import SimpleNamespace

import numpy as np

from trajectile.scripts.flow import smollm2
from trajectile.sw_model.numerics.layers import FloatLayer

D_MODEL, D_FF, VOCABULARY, BLOCKS = 64, 96, 80, 2
#: the demo's tiles with such an MLP
OVERRIDES = (f"layer.d_model={D_MODEL}", f"layer.d_ff={D_FF}", "layer.experts=1", "layer.top_k=1", "tile.slices=3")


def small_model(seed=5):
    """Channel 3 of the MLPs' inputs is a hundred times the others, as in trained models."""
    print("seed", seed)
    rng = np.random.default_rng(seed)

    def draw(*shape):
        return (rng.standard_normal(shape) * shape[-1]**-0.5).astype(np.float32)
    heads, kv_heads = smollm2.HEADS * smollm2.HEAD_DIM, smollm2.KV_HEADS * smollm2.HEAD_DIM
    outlier = np.where(np.arange(D_MODEL) == 3, 100, 1).astype(np.float32)
    flat = np.ones(D_MODEL, dtype=np.float32)
    blocks = tuple(smollm2.Block(
        flat, draw(heads, D_MODEL), draw(kv_heads, D_MODEL), draw(kv_heads, D_MODEL), draw(D_MODEL, heads), outlier,
        FloatLayer(draw(1, D_FF, D_MODEL) / outlier, draw(1, D_FF, D_MODEL) / outlier, draw(1, D_MODEL, D_FF)))
        for _ in range(BLOCKS))
    return smollm2.Model(draw(VOCABULARY, D_MODEL), blocks, flat, (), ())


class SmallTokenizer:
    """A letter is a token; the second token is no text."""

    @staticmethod
    def encode(text):
        return SimpleNamespace(ids=[ord(letter) % VOCABULARY for letter in text])

    @staticmethod
    def decode(ids, skip_special_tokens):
        assert not skip_special_tokens
        return "".join("\r" if number == 1 else chr(33 + number) for number in ids)
