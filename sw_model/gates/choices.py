"""The choices of a trace in any form: what was not recorded, padding, shared experts, weights; then a checked trace."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from trajectile.sw_model.gates.reading import Reading
from trajectile.sw_model.gates.workloads import Trace, TraceError, trace_of

#: so many choices of expert 0 in a row, in all layers, are taken for something that was not recorded
ZERO_CHOICES = 4
#: no choice
NONE = -1
#: rows from which on a pattern in all of them is no accident
ROWS = 64


def completed(name: str, key: str, ids: NDArray[Any], weights: NDArray[Any] | None, layers: NDArray[Any] | None,
              stated: NDArray[Any] | None, *, experts: int | None, layer: int | None, how: Reading,
              allocated: bool = False) -> Trace:
    """A trace of the choices [layers, tokens, top_k] under ``key``, and of what else is known.

    Args:
        name: of the file, for messages.
        key: of the choices.
        ids: [layers, tokens, top_k].
        weights: the same shape; without them all choices of a token weigh the same.
        layers: numbers of the layers; without them they count from 0.
        stated: number of experts that the file states.
        experts: number of experts of the configuration.
        layer: only this layer is wanted; others may be incomplete.
        how: what the user says of the file.
        allocated: the array was made with zeros, so that what was not recorded is zero.

    Raises:
        TraceError: if something is wrong or open.
    """
    if ids.ndim != 3 or ids.dtype.kind not in "iu":
        raise TraceError(f"{name}: {key} has shape {list(ids.shape)} and type {ids.dtype}; legal: integers with 3 dimensions")
    if weights is not None and weights.shape != ids.shape:
        raise TraceError(f"{name}: the weights have shape {list(weights.shape)}; legal: {list(ids.shape)} as {key}")
    if how.weights == "even":
        weights = None
    layers = np.arange(len(ids)) if layers is None else layers
    if layers.ndim == 1 and len(layers) == len(ids):  # otherwise refused below
        rows = _recorded_layers(name, key, ids, layers, how, allocated=allocated)
        wanted = rows & (layers == layer)
        tokens = _recorded_tokens(name, key, ids[wanted if wanted.any() and ids.shape[2] > 1 else rows], how,
                                  allocated=allocated)
        rows = wanted if wanted.any() else rows
        ids, layers = ids[rows][:, tokens], layers[rows]
        weights = None if weights is None else weights[rows][:, tokens]
    ids = _without_none(ids, how)
    ids, weights = _without_padding(name, key, ids, weights, how)
    ids, weights = _without_shared(name, key, ids, weights, how)
    if stated is None:
        most = int(ids.max(initial=0))
        if experts is not None and most >= experts:
            raise TraceError(
                f"{name}: {key} holds expert {most}; legal values: 0 to layer.experts - 1 = {experts - 1}, without replicas; "
                "--trace-as shared=1 leaves out a shared expert at the end of each token's list, --trace-as "
                f"padding={most} leaves out tokens with that number")
        stated = np.array(most + 1 if experts is None else experts)
    if weights is None:
        weights = np.where(ids == NONE, 0, 1 / max(ids.shape[2], 1)).astype(np.float32)
    elif not how.weights:
        _check_weights(name, ids, weights)
    return trace_of(name, {"topk_ids": ids, "topk_weights": weights, "num_experts": stated, "layers": layers})


def _recorded_layers(name: str, key: str, ids: NDArray[Any], layers: NDArray[Any], how: Reading, *,
                     allocated: bool) -> NDArray[np.bool_]:
    """Which layers have choices, [layers]: vLLM leaves those without experts zero."""
    used = np.asarray(ids.any(axis=(1, 2)), dtype=np.bool_)
    if not allocated or used.all() or not ids.size or how.zeros == "expert":
        return np.ones(len(ids), dtype=np.bool_)
    if not used.any():
        raise TraceError(f"{name}: {key} is zero in all {len(ids)} layers, as where nothing was recorded; legal: choices"
                         + ("" if ids.shape[2] > 1 else ", or --trace-as zeros=expert if all tokens chose expert 0"))
    if ids.shape[2] == 1 and not how.zeros:
        raise TraceError(
            f"{name}: {key} is zero in layers {', '.join(map(str, layers[~used][:20]))}, which may have no experts, or have "
            "chosen expert 0; legal: --trace-as zeros=missing leaves them out, --trace-as zeros=expert keeps them")
    return used


def _recorded_tokens(name: str, key: str, ids: NDArray[Any], how: Reading, *, allocated: bool) -> NDArray[np.bool_]:
    """Which tokens have choices, [tokens]: those of a cached prefix stay zero in all layers."""
    count, tokens, top_k = ids.shape
    everyone = np.ones(tokens, dtype=np.bool_)
    if not count or not top_k or how.zeros == "expert" or (top_k == 1 and not allocated):
        return everyone
    zero = ~ids.any(axis=2)
    # for more than one expert a single such row is no choice
    missing: NDArray[np.bool_] = np.asarray(zero.any(axis=0) if top_k > 1 else zero.all(axis=0), dtype=np.bool_)
    if not missing.any():
        return everyone
    if how.zeros == "missing":
        return np.logical_not(missing)
    if top_k == 1:
        edges = np.flatnonzero(np.diff(np.concatenate([[False], missing, [False]])))
        if int((edges[1::2] - edges[::2]).max()) * count < ZERO_CHOICES:
            return everyone
    first = int(np.flatnonzero(missing)[0])
    raise TraceError(
        f"{name}: {key} is zero for {int(missing.sum())} of {tokens} tokens, the first is token {first}, as in a cached "
        "prefix or padding, where nothing is recorded; legal: --trace-as zeros=missing leaves them out"
        + (", --trace-as zeros=expert keeps them as choices of expert 0" if top_k == 1 else ""))


def _without_padding(name: str, key: str, ids: NDArray[Any], weights: NDArray[Any] | None,
                     how: Reading) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """The tokens that name no padding in any layer."""
    if how.padding is not None:
        kept = ~(ids == how.padding).any(axis=(0, 2))
        ids, weights = ids[:, kept], None if weights is None else weights[:, kept]
    low = int(ids[ids != NONE].min(initial=0)) if how.none is not None else int(ids.min(initial=0))
    if low < 0:
        some = int((ids == low).any(axis=(0, 2)).sum())
        raise TraceError(f"{name}: {key} holds {low} for {some} of {ids.shape[1]} tokens; legal values: 0 to the number of "
                         f"experts - 1, or --trace-as padding={low}, which leaves these tokens out, or --trace-as "
                         f"none={low}, which leaves these choices out")
    return ids, weights


def _without_none(ids: NDArray[Any], how: Reading) -> NDArray[Any]:
    """The choices, of which those that are none are ``NONE``."""
    if how.none is None:
        return ids
    return np.where(ids >= how.none if how.none >= 0 else ids == how.none, NONE, ids.astype(np.int64))


def _without_shared(name: str, key: str, ids: NDArray[Any], weights: NDArray[Any] | None,
                    how: Reading) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """The routed experts: a column in which all tokens name the same expert is a shared one."""
    if how.shared is not None:
        if how.shared >= ids.shape[2]:
            raise TraceError(f"--trace-as shared = {how.shared} is not legal for {name}; legal values: 0 to "
                             f"{ids.shape[2] - 1}, as each token has {ids.shape[2]} experts in {key}")
        kept = slice(0, ids.shape[2] - how.shared)
        return ids[:, :, kept], None if weights is None else weights[:, :, kept]
    if ids.shape[1] >= ROWS and ids.shape[2] > 1:
        for column in np.flatnonzero((ids == ids[:, :1]).all(axis=(0, 1))):
            raise TraceError(
                f"{name}: {key} names the same expert for all {ids.shape[1]} tokens in column {column}, as a shared expert; "
                "legal: routed experts only; --trace-as shared=1 leaves the last column out, --trace-as shared=0 keeps all")
    return ids, weights


def _check_weights(name: str, ids: NDArray[Any], weights: NDArray[Any]) -> None:
    """Weights that nobody vouched for are from 0 to 1, and belong to the experts beside them."""
    if weights.size and weights.dtype.kind == "f" and (high := float(weights.max())) > 1.001:
        raise TraceError(
            f"{name}: topk_weights holds {high:.6g}, as scores or logits do; legal: 0 to 1, or --trace-as "
            "weights=topk_weights takes them as they are (a scaling factor), --trace-as weights=even ignores them")
    if ids.shape[0] * ids.shape[1] >= ROWS and ids.shape[2] > 1:
        steps = np.diff(weights.astype(np.float64), axis=2)
        if (np.diff(ids.astype(np.int64), axis=2) > 0).all() and (steps <= 0).all() and (steps < 0).any():
            raise TraceError(
                f"{name}: every token's experts are sorted by number and its weights by size, so they do not belong "
                "together; legal: the same order in both, or --trace-as weights=topk_weights takes them as they are, "
                "--trace-as weights=even ignores them")
