"""Perplexity of SmolLM2-135M with its MLPs computed one way or another, and how near each token's MLP results stay.

Every MLP is run as one expert that each token chooses with weight 1, in batches of 64 tokens. The text is documentation
of the Python language that comes with Python (``pydoc_data.topics``).
"""

from collections.abc import Callable
from dataclasses import dataclass
from pydoc_data.topics import topics

import numpy as np
from numpy.typing import NDArray

from trajectile.scripts.maintain.accuracy.smollm2 import Mlp, Model, encoder
from trajectile.sw_model.numerics import integer
from trajectile.sw_model.numerics.fidelity import Fidelity, fidelity
from trajectile.sw_model.numerics.integer import Float32

#: windows of the text, tokens that are predicted in each, and tokens from one window to the next
WINDOWS, PREDICTED, STEP = 4, 255, 1500
BATCH = 64


@dataclass(frozen=True)
class Scheme:
    """One way to compute the MLPs."""

    name: str
    #: made once for a model
    mlp: Callable[[Model], Mlp]


@dataclass(frozen=True)
class Measured:
    """What a scheme costs."""

    scheme: str
    perplexity: float
    predictions: int
    #: of the MLP results of all blocks and tokens against float32 on the same inputs
    fidelity: Fidelity


def float32(model: Model) -> Mlp:
    """The reference."""
    return model.exact


def hardware(model: Model) -> Mlp:
    """The integer layer of docs/numerics.md, as the RTL computes it."""
    layers = [integer.quantise_layer(block.mlp) for block in model.blocks]

    def mlp(number: int, x: Float32) -> Float32:
        parts = []
        for first in range(0, len(x), BATCH):
            inputs = x[first:first + BATCH]
            only = np.zeros((len(inputs), 1), dtype=np.int64)
            batch = integer.quantise_batch(layers[number], inputs, only, np.ones(only.shape))
            parts.append(integer.dequantise(integer.integer_layer(layers[number], batch), batch))
        return np.concatenate(parts)
    return mlp


SCHEMES = (Scheme("float32", float32), Scheme("the integer layer of docs/numerics.md", hardware))


def windows(model: Model) -> list[list[int]]:
    """The text as token numbers."""
    ids = encoder(model)("\n".join(topics[name] for name in sorted(topics))[:STEP * WINDOWS * 8])
    return [ids[number * STEP:number * STEP + PREDICTED + 1] for number in range(WINDOWS)]


def measure(model: Model, scheme: Scheme, text: list[list[int]]) -> Measured:
    """Run the text once."""
    mlp = scheme.mlp(model)
    results: list[NDArray[np.float32]] = []
    references: list[NDArray[np.float32]] = []

    def watched(number: int, x: Float32) -> Float32:
        results.append(mlp(number, x))
        references.append(model.exact(number, x))
        return results[-1]
    total, predictions = 0.0, 0
    for ids in text:
        logits = model.logits(ids[:-1], watched).astype(np.float64)
        logits -= logits.max(axis=1, keepdims=True)
        chances = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        total -= float(chances[np.arange(len(chances)), ids[1:]].sum())
        predictions += len(chances)
    return Measured(scheme.name, float(np.exp(total / predictions)), predictions,
                    fidelity(np.concatenate(results), np.concatenate(references)))
