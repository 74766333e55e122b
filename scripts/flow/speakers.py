"""Language models that can write with their expert layers on the array: which one, by the shape of the configuration."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trajectile.scripts.errors import UserError
from trajectile.scripts.flow import smollm2
from trajectile.scripts.flow.workload import is_toy
from trajectile.sw_model.config import Config
from trajectile.sw_model.gates import toy_model
from trajectile.sw_model.gates.toy_model import MoeLayer
from trajectile.sw_model.numerics import integer
from trajectile.sw_model.numerics.integer import Float32, QuantisedLayer

#: token numbers; those of the toy model are bytes
Tokens = NDArray[np.integer]
#: characters that a text of the toy model is shown as: what is no printable ASCII would move the cursor
SHOWN = {byte: chr(byte) if 32 <= byte < 127 or byte == 10 else "\N{MIDDLE DOT}" for byte in range(256)}


@dataclass(frozen=True)
class Speaker:
    """A language model, and what it takes to talk with it."""

    name: str
    #: MoE layers
    blocks: int
    #: most tokens of a text that it reads at once
    piece: int
    #: what is continued, and how many tokens are written, if the user does not say
    prompt: str
    length: int
    encoded: Callable[[str], Tokens]
    shown: Callable[[Tokens], str]
    #: logits after each token, float32 [texts, tokens, vocabulary], of tokens [texts, tokens]; a cache has what came before
    logits: Callable[[Tokens, MoeLayer, Any], Float32]
    new_cache: Callable[[], Any]
    #: its MoE layers in float32
    exact: MoeLayer
    #: the same in a configuration's formats
    layers: Callable[[Config], list[QuantisedLayer]]


def toy_speaker() -> Speaker:
    """The toy model: 64 experts, two blocks; its tokens are bytes."""
    model, recorded = toy_model.load()

    def layers(config: Config) -> list[QuantisedLayer]:
        """Units are chosen on recorded text."""
        return [integer.prepared(config, block.experts, integer.quantise_batch(
            recorded.x[number], recorded.trace.topk_ids[number], recorded.trace.topk_weights[number]))
            for number, block in enumerate(model.blocks)]
    return Speaker("the toy model", len(model.blocks), toy_model.CONTEXT, "    def __init__(self, name):\n", 64,
                   lambda text: np.frombuffer(text.encode(), dtype=np.uint8),
                   lambda tokens: "".join(SHOWN[byte] for byte in tokens.tolist()),
                   lambda text, moe, cache: model.logits(text.astype(np.uint8), moe, cache), toy_model.Cache, model.exact,
                   layers)


def smollm2_speaker(config: Config) -> Speaker:
    """SmolLM2-135M: 30 blocks, each MLP the only expert of its layer.

    Raises:
        ToolError: if it is not installed.
        UserError: if the configuration has another shape.
    """
    model, layer = smollm2.load(), config.layer
    _, d_ff, d_model = model.blocks[0].mlp.w_gate.shape
    if (layer.d_model, layer.d_ff) != (d_model, d_ff):
        raise _no_speaker(config)
    spoken = smollm2.tokenizer(model)

    def logits(ids: Tokens, moe: MoeLayer, cache: smollm2.Cache) -> Float32:
        return model.following(ids.astype(np.int64), lambda number, x: moe(number, x, smollm2.only_choice(len(x))), cache)

    def shown(tokens: Tokens) -> str:
        """Characters that are no text would move the cursor."""
        text = spoken.decode(tokens.tolist(), skip_special_tokens=False)
        return "".join(letter if letter.isprintable() or letter == "\n" else "\N{MIDDLE DOT}" for letter in text)
    return Speaker("SmolLM2-135M", len(model.blocks), config.token_capacity, "The capital of France is", 8,
                   lambda text: np.array(spoken.encode(text).ids, dtype=np.int64), shown, logits, smollm2.Cache,
                   lambda number, x, _: model.exact(number, x), lambda wanted: smollm2.integer_mlps(wanted, model))


def _no_speaker(config: Config) -> UserError:
    layer = config.layer
    return UserError(f"layer = {layer.d_model} x {layer.d_ff}, {layer.experts} experts, top {layer.top_k} is not legal; "
                     "legal: that of the toy model, 64 x 64, 64 experts, top 6, as in configs/demo.toml, or that of "
                     "SmolLM2-135M, 576 x 1536, one expert, top 1, as in configs/smollm2-135m.toml")


def speaker_of(config: Config) -> Speaker:
    """The language model of the configuration's shape.

    Raises:
        UserError: if there is none.
        ToolError: if it is not installed.
    """
    if is_toy(config):
        return toy_speaker()
    if (config.layer.experts, config.layer.top_k) == (1, 1):
        return smollm2_speaker(config)
    raise _no_speaker(config)
