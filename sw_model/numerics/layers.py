"""A layer in float32: weights, and everything of its function that a model may have; the reference of the integer layer."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trajectile.sw_model.config import LayerConfig
from trajectile.sw_model.numerics.activation import activate

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]


@dataclass(frozen=True)
class GluFunction:
    """``f(min(gate, gate_limit)) * (clip(up, -up_limit, up_limit) + up_offset)``; no limit: None."""

    activation: str = "silu"
    gate_limit: float | None = None
    up_limit: float | None = None
    up_offset: float = 0.0

    def __call__(self, gate: NDArray[Any], up: NDArray[Any]) -> NDArray[Any]:
        """Of real gate and up values."""
        if self.gate_limit is not None:
            gate = np.minimum(gate, self.gate_limit)
        if self.up_limit is not None:
            up = np.clip(up, -self.up_limit, self.up_limit)
        return np.asarray(activate(self.activation, gate) * (up + self.up_offset), dtype=gate.dtype)


@dataclass(frozen=True)
class FloatLayer:
    """Weights of a layer in float32, its biases, and what its experts do with gate and up values."""

    #: [experts, d_ff, d_model]
    w_gate: Float32
    w_up: Float32
    #: [experts, d_model, d_ff]
    w_down: Float32
    #: [experts, d_ff], [experts, d_ff], [experts, d_model]
    gate_bias: Float32 | None = None
    up_bias: Float32 | None = None
    down_bias: Float32 | None = None
    function: GluFunction = field(default_factory=GluFunction)


def choices(topk_ids: NDArray[Any], expert: int) -> tuple[Int64, Int64]:
    """Tokens that chose an expert, and which of their choices it is; -1 is no choice."""
    tokens, ranks = np.nonzero(topk_ids == expert)
    return tokens, ranks


def float_layer(layer: FloatLayer, x: Float32, topk_ids: NDArray[Any], topk_weights: NDArray[Any]) -> Float32:
    """The layer in float32, [tokens, d_model]."""
    y = np.zeros_like(x, dtype=np.float32)
    weights = np.asarray(topk_weights, dtype=np.float32)

    def bias(of: Float32 | None, expert: int) -> Any:
        return 0 if of is None else of[expert]
    # exp may overflow where SiLU is zero; a layer that overflows itself gives infinity or NaN, and its caller looks
    with np.errstate(over="ignore", invalid="ignore"):
        for expert in np.unique(topk_ids[topk_ids >= 0]):
            tokens, ranks = choices(np.asarray(topk_ids), int(expert))
            gate = x[tokens] @ layer.w_gate[expert].T + bias(layer.gate_bias, expert)
            up = x[tokens] @ layer.w_up[expert].T + bias(layer.up_bias, expert)
            down = layer.function(gate, up) @ layer.w_down[expert].T + bias(layer.down_bias, expert)
            np.add.at(y, tokens, down * weights[tokens, ranks][:, None])
    return y


def random_layer(layer: LayerConfig, rng: np.random.Generator) -> FloatLayer:
    """Random weights with which activations of unit variance keep a sensible size through the layer; biases if it has any."""
    def draw(*shape: int) -> Float32:
        return np.asarray(rng.standard_normal(shape) * shape[-1]**-0.5, dtype=np.float32)
    gate_up = (layer.experts, layer.d_ff, layer.d_model)
    w_gate, w_up, w_down = draw(*gate_up), draw(*gate_up), draw(layer.experts, layer.d_model, layer.d_ff)
    biases = [np.asarray(rng.standard_normal(gate_up[:2]) / 4, dtype=np.float32) if layer.bias else None for _ in range(2)]
    return FloatLayer(w_gate, w_up, w_down, biases[0], biases[1], function=GluFunction(layer.activation))
