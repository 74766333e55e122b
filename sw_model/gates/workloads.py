"""Where gate decisions come from: traces, a synthetic gate."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trajectile.sw_model.numerics.integer import Float32

#: experts of a layer in a trace, far above what a configuration can have
MAX_EXPERTS = 1 << 16


class TraceError(ValueError):
    """A trace that cannot be used. The message names the file, the array and what is legal."""


@dataclass(frozen=True)
class GateBatch:
    """Gate decisions of some tokens."""

    #: chosen experts, strongest first, int64 [tokens, top_k]; -1 is no choice
    topk_ids: NDArray[np.int64]
    #: gate weights, float32 [tokens, top_k]; 0 where there is no choice
    topk_weights: Float32
    #: experts that there are to choose from
    experts: int
    #: weight with which each token is its own result, float32 [tokens]; None: 0
    identity: Float32 | None = None


@dataclass(frozen=True)
class Trace:
    """Gate decisions of consecutive tokens in some layers of a model."""

    #: file name, for messages
    name: str
    #: [layers, tokens, top_k]; -1 is no choice
    topk_ids: NDArray[np.int64]
    topk_weights: Float32
    #: number of each layer in its model, [layers]
    layers: NDArray[np.int64]
    experts: int

    @property
    def tokens(self) -> int:
        """Tokens in the trace."""
        return int(self.topk_ids.shape[1])

    def window(self, layer: int, offset: int, tokens: int) -> GateBatch:
        """``tokens`` consecutive tokens from ``offset`` on, in the layer of that number.

        Raises:
            TraceError: if there is no such layer or window.
        """
        rows = np.flatnonzero(self.layers == layer)
        if not rows.size:
            raise TraceError(f"layer = {layer} is not in {self.name}; legal values: {', '.join(map(str, self.layers))}")
        if not 0 <= tokens <= self.tokens:
            raise TraceError(f"tokens = {tokens} is not legal for {self.name}; legal values: 0 to {self.tokens}")
        if not 0 <= offset <= self.tokens - tokens:
            raise TraceError(f"offset = {offset} is not legal for {self.name}; legal values: 0 to {self.tokens - tokens} "
                             f"with {tokens} tokens")
        row, span = int(rows[0]), slice(offset, offset + tokens)
        return GateBatch(self.topk_ids[row, span], self.topk_weights[row, span], self.experts)


def _integers(name: str, key: str, values: NDArray[Any], dimensions: int) -> NDArray[np.int64]:
    if values.ndim != dimensions or values.dtype.kind not in "iu":
        raise TraceError(f"{name}: {key} has shape {list(values.shape)} and type {values.dtype}; legal: integers with "
                         f"{dimensions} dimensions")
    return values.astype(np.int64)


def trace_of(name: str, arrays: dict[str, NDArray[Any]]) -> Trace:
    """Check the arrays of a trace.

    Raises:
        TraceError: if one is missing or wrong.
    """
    for key in ("topk_ids", "topk_weights", "layers", "num_experts"):
        if key not in arrays:
            raise TraceError(f"{name}: {key} is missing; there are {', '.join(sorted(arrays)) or 'no arrays'}; legal: "
                             "topk_ids, topk_weights, layers and num_experts")
    ids = _integers(name, "topk_ids", arrays["topk_ids"], 3)
    layers = _integers(name, "layers", arrays["layers"], 1)
    experts = int(_integers(name, "num_experts", arrays["num_experts"], 0))
    if not 1 <= experts <= MAX_EXPERTS:
        raise TraceError(f"{name}: num_experts = {experts} is not legal; legal values: 1 to {MAX_EXPERTS}")
    weights = arrays["topk_weights"]
    if weights.shape != ids.shape or weights.dtype.kind != "f":
        raise TraceError(f"{name}: topk_weights has shape {list(weights.shape)} and type {weights.dtype}; legal: floating "
                         f"point, shape {list(ids.shape)} as topk_ids")
    if not len(ids):
        raise TraceError(f"{name}: topk_ids has no layers; legal: at least one")
    if len(layers) != len(ids) or len(set(layers.tolist())) != len(layers):
        raise TraceError(f"{name}: layers has {len(layers)} entries, {len(set(layers.tolist()))} different; legal: "
                         f"{len(ids)}, one a layer of topk_ids, none twice")
    if ids.size and not (ids.min() >= -1 and ids.max() < experts):
        raise TraceError(f"{name}: topk_ids holds {ids.min()} to {ids.max()}; legal values: 0 to num_experts - 1 = "
                         f"{experts - 1}, or -1 for no choice")
    ordered = np.sort(ids, axis=2)
    twice = ((np.diff(ordered, axis=2) == 0) & (ordered[:, :, 1:] >= 0)).any(axis=2)
    if ids.shape[2] < 1 or twice.any():
        row, token = (int(place) for place in np.argwhere(twice)[0]) if twice.any() else (0, 0)
        raise TraceError(f"{name}: topk_ids names an expert twice for a token (token {token} in layer {layers[row]}: "
                         f"{ids[row, token].tolist() if ids.shape[1] else 'no expert'}); legal: top_k different experts")
    # NaN fails every comparison; what float32 cannot hold is refused with it
    if not ((weights >= 0) & (weights <= np.finfo(np.float32).max)).all():
        raise TraceError(f"{name}: topk_weights holds a value that is negative or not finite; legal: 0 to the largest "
                         "float32")
    return Trace(name, ids, weights.astype(np.float32), layers, experts)


def synthetic_gate(experts: int, top_k: int, tokens: int, skew: float, rng: np.random.Generator) -> GateBatch:
    """A seeded gate: expert popularity falls as 1 / rank^skew (0 is even), each token draws ``top_k`` without repeats.

    Raises:
        ValueError: if ``top_k`` is above ``experts`` or ``skew`` is negative or not finite.
    """
    if not 1 <= top_k <= experts:
        raise ValueError(f"top_k = {top_k} is not legal; legal values: 1 to {experts}")
    if not (np.isfinite(skew) and skew >= 0):
        raise ValueError(f"skew = {skew} is not legal; legal values: 0 or more")
    logits = -skew * np.log(np.arange(1, experts + 1))
    logits = logits[rng.permutation(experts)] + rng.gumbel(size=(tokens, experts))
    ids = np.argsort(-logits, axis=1)[:, :top_k]
    scores = np.exp(np.take_along_axis(logits, ids, axis=1))
    weights = scores / (1 + scores.sum(axis=1, keepdims=True))
    return GateBatch(ids.astype(np.int64), weights.astype(np.float32), experts)


def synthetic_trace(experts: int, top_k: int, tokens: int, skew: float, seed: int) -> Trace:
    """A trace of one layer, number 0, of :func:`synthetic_gate`."""
    gate = synthetic_gate(experts, top_k, tokens, skew, np.random.default_rng(seed))
    return Trace(f"synthetic gate, skew {skew}, seed {seed}", gate.topk_ids[None], gate.topk_weights[None],
                 np.zeros(1, dtype=np.int64), experts)


def _spread(ids: NDArray[Any], experts: int) -> NDArray[np.float64]:
    """Mean number of active experts and mean load of the hottest, over windows of 16, 64 and 256 tokens of a layer."""
    found = []
    for tokens in (16, 64, 256):
        windows = [ids[first:first + tokens] for first in range(0, len(ids) - tokens + 1, tokens)]
        counts = np.array([np.bincount(window[window >= 0], minlength=experts) for window in windows])
        found += [(counts > 0).sum(axis=1).mean(), counts.max(axis=1).mean()]
    return np.array(found)


def fit_skew(trace: Trace, seed: int = 1) -> tuple[float, float]:
    """Skew of the synthetic gate that comes nearest to a trace, in steps of 0.05, and the mean relative error left.

    What is compared: active experts and the load of the hottest one, over windows of 16, 64 and 256 tokens of all layers.

    Raises:
        TraceError: if the trace has fewer than 256 tokens.
    """
    if trace.tokens < 256:
        raise TraceError(f"{trace.name}: {trace.tokens} tokens are too few to fit a skew; legal: 256 or more")
    real = np.mean([_spread(ids, trace.experts) for ids in trace.topk_ids], axis=0)
    top_k = trace.topk_ids.shape[2]

    def error(skew: float) -> float:
        gate = synthetic_gate(trace.experts, top_k, min(trace.tokens, 2048), skew, np.random.default_rng(seed))
        return float(np.abs(_spread(gate.topk_ids, trace.experts) / real - 1).mean())
    errors = {round(step * 0.05, 2): error(step * 0.05) for step in range(31)}
    best = min(errors, key=lambda skew: errors[skew])
    return best, errors[best]
