"""Perplexity of SmolLM2-135M with its MLPs computed one way or another, and how near each token's MLP results stay.

Every MLP is run as one expert that each token chooses with weight 1. The text is documentation of the Python language that
comes with Python (``pydoc_data.topics``).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pydoc_data.topics import topics

import numpy as np
from numpy.typing import NDArray

from trajectile.scripts.flow import smollm2
from trajectile.scripts.flow.smollm2 import Mlp, Model, one_expert
from trajectile.sw_model.config import Config, load
from trajectile.sw_model.numerics import integer
from trajectile.sw_model.numerics.fidelity import Fidelity, fidelity
from trajectile.sw_model.numerics.integer import Float32, QuantisedBatch
from trajectile.sw_model.numerics.layers import float_layer
from trajectile.sw_model.numerics.weights import WeightFormat

#: windows of the text, tokens that are predicted in each, and tokens from one window to the next
WINDOWS, PREDICTED, STEP = 4, 255, 1500
#: columns of a slice
SLICE_COLUMNS = 32


#: activations of tokens as the hardware is given them
Quantiser = Callable[[Float32], QuantisedBatch]


@dataclass(frozen=True)
class Scheme:
    """One way to compute the MLPs."""

    name: str
    #: made once for a model
    mlp: Callable[[Model], Mlp]
    #: the scheme with the same weights and exact activations, if it is another one
    exact: str | None = None


@dataclass(frozen=True)
class Measured:
    """What a scheme costs."""

    scheme: Scheme
    perplexity: float
    predictions: int
    #: of the MLP results of all blocks and tokens against float32 on the same inputs
    fidelity: Fidelity
    #: results of a token in a block of which a value did not fit its format; None without formats
    clipped: int | None = None


def float32(model: Model) -> Mlp:
    """The reference."""
    return model.exact


def configuration(kind: WeightFormat, d_model: int, d_ff: int) -> Config:
    """An MLP as the only expert of the demo's tiles, in slices of 32 columns: their size changes no result."""
    return load("demo", [f"layer.d_model={d_model}", f"layer.d_ff={d_ff}", "layer.experts=1", "layer.top_k=1",
                         f"tile.slices={d_ff // SLICE_COLUMNS}", f"tile.weights={kind.name}",
                         f"tile.scale_mantissa={kind.mantissa_bits}"])


def one_scale(x: Float32) -> QuantisedBatch:
    """The same with one scale for all inputs of a token: that of its largest block."""
    batch = one_expert(x)
    shift = np.broadcast_to(batch.shift.max(axis=1, keepdims=True), batch.shift.shape)
    exponent = batch.exponent[:, None] + shift[:, :1]
    return replace(batch, x=np.rint(np.ldexp(x.astype(np.float64), -exponent)).astype(np.int8), shift=shift)


class IntegerMlps:
    """The MLPs in the integer layer of docs/numerics.md, as the RTL computes them."""

    def __init__(self, model: Model, kind: WeightFormat, quantised: Quantiser = one_expert) -> None:
        self.quantised = quantised
        first = model.blocks[0].mlp
        self.config = configuration(kind, first.w_gate.shape[2], first.w_gate.shape[1])
        self.layers = smollm2.integer_mlps(self.config, model, quantised)
        #: results of a token in a block that clipped
        self.clipped = 0
        #: inputs that each block was given first
        self.first: dict[int, Float32] = {}

    def __call__(self, number: int, x: Float32) -> Float32:
        """A block's MLP. Tokens of a batch know nothing of each other, so any number of them may be one."""
        self.first.setdefault(number, x)
        results = integer.integer_layer(self.config, self.layers[number], self.quantised(x))
        self.clipped += int((results.clips > 0).sum())
        return integer.dequantise(results.y, self.layers[number])


def hardware(kind: WeightFormat, quantised: Quantiser = one_expert) -> Callable[[Model], IntegerMlps]:
    """The integer layer with weights in a format."""
    return lambda model: IntegerMlps(model, kind, quantised)


def exact(kind: WeightFormat) -> Callable[[Model], Mlp]:
    """The same weights with everything else in float32."""
    def made(model: Model) -> Mlp:
        layers = [integer.quantise_layer(block.mlp, kind).real() for block in model.blocks]

        def mlp(number: int, x: Float32) -> Float32:
            return float_layer(layers[number], x, np.zeros((len(x), 1), dtype=np.int64), np.ones((len(x), 1)))
        return mlp
    return made


def _schemes(name: str, kind: WeightFormat) -> tuple[Scheme, Scheme]:
    """A format with exact activations, and in the integer layer."""
    reference = f"{name}, exact activations"
    return Scheme(reference, exact(kind)), Scheme(f"{name}, integer layer", hardware(kind), reference)


#: by name of their weights
KINDS = {"mx8": WeightFormat("mx8"), "mxfp4": WeightFormat("mxfp4"), "int4": WeightFormat("int4"),
         "int4, scale mantissa": WeightFormat("int4", mantissa=True)}
MX8, *FOUR_BITS = (_schemes(name, kind) for name, kind in KINDS.items())
#: the reference; a scheme with exact activations before those that are compared with it
SCHEMES = (Scheme("float32", float32), *MX8,
           Scheme("mx8, integer layer, one scale a token", hardware(KINDS["mx8"], one_scale), MX8[0].name),
           *(scheme for pair in FOUR_BITS for scheme in pair))


def windows(model: Model) -> list[list[int]]:
    """The text as token numbers; units of results are chosen on other text."""
    ids = smollm2.encoder(model)("\n".join(topics[name] for name in sorted(topics))[:STEP * WINDOWS * 8])
    return [ids[number * STEP:number * STEP + PREDICTED + 1] for number in range(WINDOWS)]


def measure(model: Model, scheme: Scheme, mlp: Mlp, text: list[list[int]], done: Callable[[], object] = int) -> Measured:
    """Run the text once.

    Args:
        model: the language model.
        scheme: what is measured.
        mlp: that scheme's, made for this model.
        text: windows of token numbers.
        done: called after each window.
    """
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
        done()
    return Measured(scheme, float(np.exp(total / predictions)), predictions,
                    fidelity(np.concatenate(results), np.concatenate(references)),
                    mlp.clipped if isinstance(mlp, IntegerMlps) else None)
