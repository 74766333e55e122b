"""The toy language model (docs/toy_model.md): its file, and its forward pass in NumPy with any MoE layer.

Bytes in, logits of the next byte out: an embedding, blocks of causal attention and a MoE layer, each after an RMSNorm and
added to the stream, a last norm and the output matrix. What computes the MoE layers is given by the caller: float32, or
integers as the hardware.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trajectile.sw_model.gates.router import Router, Rule
from trajectile.sw_model.gates.workloads import GateBatch, Trace, TraceError, trace_of
from trajectile.sw_model.numerics.layers import Float32, FloatLayer, float_layer

TOY_FILE = Path(__file__).parent / "data" / "toy_moe.npz"
#: bytes that the model sees at once
CONTEXT = 128
HEADS = 4
ROPE_BASE, NORM_EPSILON = 10000.0, 1e-5
#: softmax over all experts, the best six, weights that sum to one
GATE = Rule(top_k=6)

Bytes = NDArray[np.uint8]
#: a MoE layer: number of the block, its inputs [tokens, d_model], the tokens' experts; its results [tokens, d_model]
MoeLayer = Callable[[int, Float32, GateBatch], Float32]


@dataclass(frozen=True)
class Block:
    """Weights of a block; matrices are [outputs, inputs]."""

    #: [d_model]
    attention_norm: Float32
    #: queries, keys and values, one below the other, [3 * d_model, d_model]
    qkv: Float32
    #: [d_model, d_model]
    out: Float32
    #: [d_model]
    moe_norm: Float32
    router: Router
    experts: FloatLayer


@dataclass
class Cache:
    """Keys and values of the bytes that a model has seen, so that the next ones are computed alone.

    It keeps those of the last ``CONTEXT - 1`` bytes: with the byte that comes, the model sees ``CONTEXT``.
    """

    #: bytes seen, also those that are forgotten
    position: int = 0
    #: of each block, float32 [texts, heads, bytes kept, channels of a head]; keys are turned by their position
    keys: dict[int, Float32] = field(default_factory=dict)
    values: dict[int, Float32] = field(default_factory=dict)


@dataclass(frozen=True)
class ToyModel:
    """The model in float32 (its file holds float16 values)."""

    #: [256, d_model]
    embedding: Float32
    blocks: tuple[Block, ...]
    #: [d_model]
    norm: Float32
    #: output matrix, [256, d_model]
    head: Float32

    def logits(self, text: Bytes, moe: MoeLayer | None = None, cache: Cache | None = None) -> Float32:
        """Logits of the byte after each byte, float32 [texts, length, 256].

        Args:
            text: texts of equal length, uint8 [texts, length]; without a cache at most ``CONTEXT`` bytes each.
            moe: computes the MoE layers; None: :meth:`exact`.
            cache: what was seen of these texts before; the new bytes are added to it.

        Raises:
            ValueError: if the texts are longer than ``CONTEXT``.
        """
        if not 1 <= text.shape[1] <= CONTEXT:
            raise ValueError(f"text has {text.shape[1]} bytes; legal: 1 to {CONTEXT}")
        moe, cache = moe or self.exact, cache or Cache()
        x = self.embedding[text]
        for number, block in enumerate(self.blocks):
            x = x + _attention(block, number, _normalised(x, block.attention_norm), cache)
            inputs = _normalised(x, block.moe_norm).reshape(-1, x.shape[2])
            x = x + moe(number, inputs, block.router.choose(inputs)).reshape(x.shape)
        cache.position += text.shape[1]
        return np.asarray(_normalised(x, self.norm) @ self.head.T, dtype=np.float32)

    def exact(self, number: int, x: Float32, gate: GateBatch) -> Float32:
        """A block's MoE layer in float32, [tokens, d_model]."""
        return float_layer(self.blocks[number].experts, x, gate.topk_ids, gate.topk_weights)

    def moe_inputs(self, text: Bytes) -> list[tuple[Float32, GateBatch]]:
        """What each block's MoE layer receives when all are float32: inputs [tokens, d_model], and the tokens' experts.

        Args:
            text: uint8 [texts, length], at most ``CONTEXT`` bytes each; tokens are those of the first text, the second, ...
        """
        found = []

        def watched(number: int, x: Float32, gate: GateBatch) -> Float32:
            found.append((x, gate))
            return self.exact(number, x, gate)
        self.logits(text, watched)
        return found

    def bits(self, text: Bytes, moe: MoeLayer | None = None) -> NDArray[np.float64]:
        """What each byte after the first costs, given those before it, float64 [texts, length - 1].

        Args:
            text: uint8 [texts, length], at most ``CONTEXT + 1`` bytes each.
            moe: computes the MoE layers; None: :meth:`exact`.
        """
        logits = self.logits(text[:, :-1], moe).astype(np.float64)
        logits -= logits.max(axis=2, keepdims=True)
        wanted = np.take_along_axis(logits, text[:, 1:, None].astype(np.int64), axis=2)[..., 0]
        return np.asarray((np.log(np.exp(logits).sum(axis=2)) - wanted) / np.log(2))


def _normalised(x: Float32, weight: Float32) -> Float32:
    return np.asarray(x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + np.float32(NORM_EPSILON)) * weight, dtype=np.float32)


def _rotated(x: Float32, first: int) -> Float32:
    """Rotary positions from ``first`` on; a pair is a channel of the lower half and its partner in the upper one."""
    half = x.shape[-1] // 2
    angles = (first + np.arange(x.shape[-2]))[:, None] * ROPE_BASE ** (-np.arange(half) / half)
    cos, sin = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
    low, high = x[..., :half], x[..., half:]
    return np.concatenate([low * cos - high * sin, low * sin + high * cos], axis=-1)


def _attention(block: Block, number: int, x: Float32, cache: Cache) -> Float32:
    """Attention of new bytes, [texts, length, d_model], over those of the cache and themselves."""
    texts, length, width = x.shape
    query, key, value = (part.reshape(texts, length, HEADS, -1).transpose(0, 2, 1, 3)
                         for part in np.split(x @ block.qkv.T, 3, axis=2))
    query, key = _rotated(query, cache.position), _rotated(key, cache.position)
    if number in cache.keys:
        key = np.concatenate([cache.keys[number], key], axis=2)
        value = np.concatenate([cache.values[number], value], axis=2)
    cache.keys[number], cache.values[number] = key[:, :, -(CONTEXT - 1):], value[:, :, -(CONTEXT - 1):]
    # how far each key lies behind each query
    behind = np.arange(key.shape[2] - length, key.shape[2])[:, None] - np.arange(key.shape[2])
    scores = query @ key.transpose(0, 1, 3, 2) / np.float32(query.shape[-1] ** 0.5)
    scores = np.where((behind >= 0) & (behind < CONTEXT), scores, np.float32(-np.inf))
    scores = np.exp(scores - scores.max(axis=3, keepdims=True))
    scores /= scores.sum(axis=3, keepdims=True)
    mixed = (scores @ value).transpose(0, 2, 1, 3).reshape(texts, length, width)
    return np.asarray(mixed @ block.out.T, dtype=np.float32)


@dataclass(frozen=True)
class Recorded:
    """What the model's MoE layers did on held-out text, as PyTorch computed it."""

    #: gate decisions of every block's layer
    trace: Trace
    #: inputs of the layers, float32 [blocks, tokens, d_model]
    x: Float32
    #: their results, float32 [blocks, tokens, d_model]
    y: Float32
    #: the tokens, uint8 [tokens], and the bytes before them
    text: Bytes
    before: Bytes
    #: other text, to measure the model on: uint8 [texts, CONTEXT + 1]
    held_out: Bytes
    #: what its bytes cost the model, float32 [texts, CONTEXT]
    bits: Float32


def load() -> tuple[ToyModel, Recorded]:
    """Read the model that comes with the project, and what was recorded of it.

    Raises:
        TraceError: if its file is missing.
    """
    if not TOY_FILE.is_file():
        raise TraceError(f"{TOY_FILE}: no such file; `python -m trajectile.scripts.maintain.toy_model.train` makes it")
    with np.load(TOY_FILE, allow_pickle=False) as file:
        arrays = {key: file[key] for key in file.files}

    def real(name: str) -> Float32:
        return np.asarray(arrays[name], dtype=np.float32)
    parts = zip(*(real(name) for name in ("attention_norm", "qkv", "out", "moe_norm", "router", "w_gate", "w_up", "w_down")),
                strict=True)
    blocks = tuple(Block(attention_norm, qkv, out, moe_norm, Router(rule=GATE, weight=router), FloatLayer(*experts))
                   for attention_norm, qkv, out, moe_norm, router, *experts in parts)
    return (ToyModel(real("embedding"), blocks, real("norm"), real("head")),
            Recorded(trace_of(TOY_FILE.name, arrays), real("x"), real("y"), arrays["text"], arrays["before"],
                     arrays["held_out"], real("bits")))
