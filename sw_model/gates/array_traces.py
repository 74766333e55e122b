"""Gate traces as arrays: ``.npz`` and ``.npy``."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from trajectile.sw_model.gates.choices import completed
from trajectile.sw_model.gates.reading import Reading
from trajectile.sw_model.gates.workloads import Trace, TraceError

#: arrays that are looked for in an .npz
ARRAYS = ("topk_ids", "topk_weights", "layers", "num_experts", "routed_experts", "prompt_routed_experts", "top_indices")
#: axes of the arrays whose name says it: vLLM's; Megatron's, which may also be of one layer; this project's
NAMED_AXES = {"routed_experts": "tokens,layers,top_k", "top_indices": "layers,tokens,top_k",
              "topk_ids": "layers,tokens,top_k"}
#: no model has more: what is longer than this is an axis of tokens
MOST_LAYERS = 128
#: what names of weights have in them
WEIGHT_WORDS = ("weight", "score", "prob")


def weight_like(names: list[str]) -> list[str]:
    """Those of some names that may be of gate weights."""
    return [name for name in names if any(word in name.lower() for word in WEIGHT_WORDS)]


def wanted(how: Reading) -> set[str]:
    """Names of the arrays that are read."""
    return {*ARRAYS, how.ids, how.weights} - {"", "even"}


def of_array(name: str, stem: str, ids: NDArray[Any], how: Reading, **given: Any) -> Trace:
    """A trace of a ``.npy``. Its name without the ending is the name of the array, as in an ``.npz``.

    Raises:
        TraceError: if something is wrong or open.
    """
    key = stem if stem in ("routed_experts", "top_indices") else "the array"
    axes = how.axes or _axes(name, key, ids)
    _check_axes(name, key, ids, axes)
    return completed(name, key, _layers_first(ids, axes), None, None, None, how=how, allocated=True, **given)


def of_arrays(name: str, arrays: dict[str, NDArray[Any]], names: list[str], how: Reading, **given: Any) -> Trace:
    """A trace of the arrays of an ``.npz``.

    Args:
        name: of the file.
        arrays: by name.
        names: of all arrays that the file has.
        how: what the user says of the file.
        given: ``experts`` and ``layer`` for :func:`trajectile.sw_model.gates.choices.completed`.

    Raises:
        TraceError: if something is missing, wrong or open.
    """
    shown = ", ".join(sorted(names)[:20]) or "no arrays"
    keys = [how.ids] if how.ids else [key for key in NAMED_AXES if key in arrays]
    if not keys or keys[0] not in arrays:
        raise TraceError(f"{name}: {how.ids or 'topk_ids'} is missing; there are {shown}; legal: topk_ids, routed_experts or "
                         "top_indices, or --trace-as ids=NAME")
    if len(keys) > 1:
        raise TraceError(f"{name}: {' and '.join(keys)} are both choices of experts; legal: one of them, or --trace-as "
                         f"ids={keys[0]}")
    key = keys[0]
    own = [other for other in ("topk_weights", "layers", "num_experts") if other not in arrays]
    if key == "topk_ids" and own and not how.ids:  # this project's own form is complete
        raise TraceError(f"{name}: {own[0]} is missing; there are {shown}; legal: topk_ids, topk_weights, layers and "
                         "num_experts, or --trace-as ids=topk_ids")
    ids, weights = arrays[key], _weights(name, arrays, names, how)
    axes = how.axes or _axes(name, key, ids)
    _check_axes(name, key, ids, axes)
    if key == "routed_experts" and "prompt_routed_experts" in arrays:  # vLLM writes those of the prompt apart
        parts = [arrays["prompt_routed_experts"], ids]
        if axes != NAMED_AXES[key] or {part.ndim for part in parts} != {3} or len({part.shape[1:] for part in parts}) > 1:
            raise TraceError(f"{name}: routed_experts has shape {', '.join(str(list(part.shape)) for part in parts)}; legal: "
                             "[tokens, layers, top_k], the same layers and top_k in all")
        ids = np.concatenate(parts)
    if weights is not None and (weights.shape != ids.shape or weights.dtype.kind != "f"):
        raise TraceError(f"{name}: topk_weights has shape {list(weights.shape)} and type {weights.dtype}; legal: floating "
                         f"point, shape {list(ids.shape)} as {key}")
    return completed(name, key, _layers_first(ids, axes), None if weights is None else _layers_first(weights, axes),
                     arrays.get("layers"), arrays.get("num_experts"), how=how,
                     allocated=key == "routed_experts" or bool(how.ids), **given)


def _weights(name: str, arrays: dict[str, NDArray[Any]], names: list[str], how: Reading) -> NDArray[Any] | None:
    if how.weights:
        if how.weights != "even" and how.weights not in arrays:
            raise TraceError(f"--trace-as weights = {how.weights!r} is not legal for {name}; legal values: even, "
                             f"{', '.join(sorted(names)[:20])}")
        return arrays.get(how.weights)
    if "topk_weights" not in arrays and (other := weight_like(names)):
        raise TraceError(f"{name}: {other[0]} may be the gate weights; legal: topk_weights, or --trace-as "
                         f"weights={other[0]}, or --trace-as weights=even")
    return arrays.get("topk_weights")


def _check_axes(name: str, key: str, ids: NDArray[Any], axes: str) -> None:
    if ids.ndim != axes.count(",") + 1:
        raise TraceError(f"{name}: {key} has shape {list(ids.shape)} and type {ids.dtype}; legal: integers "
                         f"[{axes.replace(',', ', ')}]")


def _layers_first(values: NDArray[Any], axes: str) -> NDArray[Any]:
    """[layers, tokens, top_k]."""
    if axes == "tokens,top_k":
        return values[None]
    return values.transpose(1, 0, 2) if axes == "tokens,layers,top_k" else values


def _axes(name: str, key: str, ids: NDArray[Any]) -> str:
    """The order of the axes of an array: its name says it, or which of them is too long for layers."""
    if key == "top_indices" and ids.ndim == 2:
        return "tokens,top_k"
    fitting = [axes for axes, layers in (("tokens,layers,top_k", 1), ("layers,tokens,top_k", 0))
               if ids.ndim == 3 and ids.shape[layers] <= MOST_LAYERS and NAMED_AXES.get(key, axes) == axes]
    if len(fitting) == 1:
        return fitting[0]
    raise TraceError(f"{name}: {key} has shape {list(ids.shape)} and type {ids.dtype}, which does not say what are tokens "
                     f"and what up to {MOST_LAYERS} layers; legal: integers with 3 dimensions, --trace-as "
                     "axes=tokens,layers,top_k (vLLM's; its name routed_experts.npy also says it) or "
                     "axes=layers,tokens,top_k or axes=tokens,top_k")
