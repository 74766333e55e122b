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
from trajectile.sw_model.config import Config, load
from trajectile.sw_model.numerics import integer
from trajectile.sw_model.numerics.fidelity import Fidelity, fidelity
from trajectile.sw_model.numerics.integer import Float32, QuantisedBatch, QuantisedLayer
from trajectile.sw_model.numerics.layers import float_layer
from trajectile.sw_model.numerics.weights import WeightFormat

#: windows of the text, tokens that are predicted in each, and tokens from one window to the next
WINDOWS, PREDICTED, STEP = 4, 255, 1500
BATCH = 64
#: columns of a slice, and tokens of the text on which units are chosen
SLICE_COLUMNS, CALIBRATED = 32, 256


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


def configuration(kind: WeightFormat, d_model: int, d_ff: int) -> Config:
    """An MLP as the only expert of the paper's hardware, in slices of 32 columns."""
    return load("paper", [f"layer.d_model={d_model}", f"layer.d_ff={d_ff}", "layer.experts=1", "layer.top_k=1",
                          f"tile.slices={d_ff // SLICE_COLUMNS}", f"tile.weights={kind.name}",
                          f"tile.scale_mantissa={3 if kind.mantissa else 0}"])


def one_expert(x: Float32) -> QuantisedBatch:
    """A batch whose tokens all choose the only expert with weight 1."""
    only = np.zeros((len(x), 1), dtype=np.int64)
    return integer.quantise_batch(x, only, np.ones(only.shape))


def calibrated_layers(model: Model, kind: WeightFormat) -> tuple[Config, list[QuantisedLayer]]:
    """The MLPs in a format; units of results are those of text that is not measured."""
    inputs: dict[int, Float32] = {}

    def watched(number: int, x: Float32) -> Float32:
        inputs[number] = x
        return model.exact(number, x)
    model.logits(calibration_text(model), watched)
    first = model.blocks[0].mlp
    config = configuration(kind, first.w_gate.shape[2], first.w_gate.shape[1])
    return config, [integer.calibrated(config, integer.quantise_layer(block.mlp, kind), one_expert(inputs[number]))
                    for number, block in enumerate(model.blocks)]


def hardware(kind: WeightFormat) -> Callable[[Model], Mlp]:
    """The integer layer of docs/numerics.md with weights in a format, as the RTL computes it."""
    def made(model: Model) -> Mlp:
        config, layers = calibrated_layers(model, kind)

        def mlp(number: int, x: Float32) -> Float32:
            parts = [integer.integer_layer(config, layers[number], one_expert(x[first:first + BATCH])).y
                     for first in range(0, len(x), BATCH)]
            return integer.dequantise(np.concatenate(parts), layers[number])
        return mlp
    return made


def exact(kind: WeightFormat) -> Callable[[Model], Mlp]:
    """The same weights with everything else in float32."""
    def made(model: Model) -> Mlp:
        layers = [integer.quantise_layer(block.mlp, kind).real() for block in model.blocks]

        def mlp(number: int, x: Float32) -> Float32:
            return float_layer(layers[number], x, np.zeros((len(x), 1), dtype=np.int64), np.ones((len(x), 1)))
        return mlp
    return made


#: by name of their weights; a scheme with exact activations before the one that is compared with it
KINDS = {"mx8": WeightFormat("mx8"), "mxfp4": WeightFormat("mxfp4"), "int4": WeightFormat("int4"),
         "int4, scale mantissa": WeightFormat("int4", mantissa=True)}
SCHEMES = (Scheme("float32", float32),
           *(scheme for name, kind in KINDS.items() for scheme in (
               Scheme(f"{name}, exact activations", exact(kind)), Scheme(f"{name}, integer layer", hardware(kind)))))


def calibration_text(model: Model) -> list[int]:
    """Token numbers of text that :func:`windows` does not have: the last topics."""
    text = "\n".join(topics[name] for name in sorted(topics, reverse=True))[:4 * CALIBRATED]
    return encoder(model)(text)[:CALIBRATED]


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
