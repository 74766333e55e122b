"""Gate traces in the forms that other programs write them (docs/import.md), told apart by their content."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trajectile.sw_model.gates.npy import MAX_VALUES, NpyError, read_npy, read_npz
from trajectile.sw_model.gates.workloads import Trace, TraceError, trace_of

LEGAL = ("legal gate traces: .npz or .npy of topk_ids, routed_experts or top_indices, or JSON lines with topk_ids or "
         "top_indices (docs/import.md)")
#: arrays that are looked for in an .npz
ARRAYS = ("topk_ids", "topk_weights", "layers", "num_experts", "routed_experts", "prompt_routed_experts", "top_indices")
#: bytes of one JSON line
MAX_LINE = 1 << 26
#: number of a layer, experts of a layer
MAX_NUMBER = 1 << 20


def load_trace(path: str | Path, experts: int | None = None) -> Trace:
    """Read a gate trace.

    Args:
        path: the file.
        experts: how many experts the layer has, for traces that do not say it; without it as many as occur.

    Raises:
        TraceError: if the file is not there, has none of the known forms, or an array is missing or wrong.
    """
    path = Path(path)
    try:
        if not path.is_file():
            raise TraceError(f"{path}: no such file; {LEGAL}")
        with path.open("rb") as file:
            head = file.read(4096)
        if head[:2] == b"PK":
            arrays, names = read_npz(path, ARRAYS)
            return _of_arrays(path.name, arrays, names, experts)
        if head[:6] == b"\x93NUMPY":
            return _of_arrays(path.name, {"routed_experts": read_npy(path)}, ["routed_experts"], experts)
        if head.lstrip()[:1] == b"{":
            return _of_lines(path, experts)
    except NpyError as error:
        raise TraceError(f"{path}: {error}; {LEGAL}") from None
    except OSError as error:
        raise TraceError(f"{path}: {error.strerror or error}; {LEGAL}") from None
    raise TraceError(f"{path}: no trace of a known form; {LEGAL}")


def _completed(name: str, key: str, ids: NDArray[Any], weights: NDArray[Any] | None, layers: NDArray[Any] | None,
               stated: NDArray[Any] | None, experts: int | None) -> Trace:
    """A trace of the choices [layers, tokens, top_k] under ``key``, and of what else is known.

    Without weights all choices of a token weigh the same; without layer numbers they count from 0.
    """
    if ids.ndim != 3 or ids.dtype.kind not in "iu":
        raise TraceError(f"{name}: {key} has shape {list(ids.shape)} and type {ids.dtype}; legal: integers with 3 dimensions")
    if stated is None:
        most = int(ids.max(initial=0))
        if experts is not None and most >= experts:
            raise TraceError(f"{name}: {key} holds expert {most}; legal values: 0 to layer.experts - 1 = {experts - 1}")
        stated = np.array(most + 1 if experts is None else experts)
    if weights is None:
        weights = np.full(ids.shape, 1 / max(ids.shape[2], 1), dtype=np.float32)
    return trace_of(name, {"topk_ids": ids, "topk_weights": weights, "num_experts": stated,
                           "layers": np.arange(len(ids)) if layers is None else layers})


def _of_arrays(name: str, arrays: dict[str, NDArray[Any]], names: list[str], experts: int | None) -> Trace:
    if "routed_experts" in arrays:  # vLLM: [tokens, layers, top_k], those of the prompt apart
        parts = [arrays[key] for key in ("prompt_routed_experts", "routed_experts") if key in arrays]
        if len({part.shape[1:] for part in parts}) > 1 or parts[0].ndim != 3:
            raise TraceError(f"{name}: routed_experts has shape {', '.join(str(list(part.shape)) for part in parts)}; legal: "
                             "[tokens, layers, top_k], the same layers and top_k in all")
        ids = np.concatenate(parts).transpose(1, 0, 2)
        layers = arrays.get("layers", np.arange(len(ids)))
        if ids.shape[2] > 1 and len(layers) == len(ids):
            used = ids.any(axis=(1, 2))  # a layer without experts is all zeros
            ids, layers = ids[used], layers[used]
        return _completed(name, "routed_experts", ids, None, layers, arrays.get("num_experts"), experts)
    if "top_indices" in arrays:  # Megatron: [tokens, top_k], or the layers stacked
        ids = arrays["top_indices"]
        return _completed(name, "top_indices", ids[None] if ids.ndim == 2 else ids, None, arrays.get("layers"),
                          arrays.get("num_experts"), experts)
    if "topk_ids" not in arrays:
        raise TraceError(f"{name}: topk_ids is missing; there are {', '.join(sorted(names)[:20]) or 'no arrays'}; {LEGAL}")
    return trace_of(name, arrays)


def _records(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Where it stands, as ``file:line``, and each object of a file of JSON lines."""
    with path.open("rb") as file:
        number = 0
        while line := file.readline(MAX_LINE + 1):
            number += 1
            place = f"{path.name}:{number}"
            if len(line) > MAX_LINE:
                raise TraceError(f"{place}: longer than {MAX_LINE} bytes; legal: a JSON object a line")
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                why = "nested too deeply" if isinstance(error, RecursionError) else error
                raise TraceError(f"{place}: not JSON ({why}); legal: a JSON object a line") from None
            if not isinstance(record, dict):
                raise TraceError(f"{place}: not a JSON object; legal: a JSON object a line")
            yield place, record


def _number(place: str, key: str, value: object, low: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= MAX_NUMBER:
        raise TraceError(f"{place}: {key} is not legal; legal values: an integer from {low} to {MAX_NUMBER}")
    return value


def _table(place: str, key: str, value: object, kinds: str) -> NDArray[Any]:
    """A JSON list, or list of lists, of numbers as an array [tokens, top_k]."""
    rows = value if isinstance(value, list) and value and isinstance(value[0], list) else [value]
    try:
        table = np.array(rows)
    except (ValueError, OverflowError, RecursionError):  # lists of different lengths
        table = np.array(None)
    if table.ndim != 2 or table.dtype.kind not in kinds:
        raise TraceError(f"{place}: {key} is not legal; legal: a list of {'integers' if kinds == 'iu' else 'numbers'}, or "
                         "lists of equal length")
    return table


def _of_lines(path: Path, experts: int | None) -> Trace:
    """JSON lines: one token a line (``topk_ids``, ``topk_weights``), or one step of a layer a line (``top_indices``)."""
    ids: dict[int, list[NDArray[Any]]] = {}
    weights: dict[int, list[NDArray[Any]]] = {}
    stated, width, values = None, 0, 0
    for place, record in _records(path):
        key = next((name for name in ("topk_ids", "top_indices") if name in record), None)
        if "num_experts" in record:
            stated = np.array(_number(place, "num_experts", record["num_experts"], 1))
        if key is None:
            if record.get("type", "route") == "route":
                raise TraceError(f"{place}: topk_ids is missing; legal: topk_ids or top_indices, or another type than route")
            continue
        # the layers of multi-token prediction are numbered from 0 again, and a step may have had no tokens
        if record.get("block", "decoder") != "decoder" or (key == "top_indices" and record[key] == []):
            continue
        layer = _number(place, "layer", record.get("layer", 0), 0)
        table = _table(place, key, record[key], "iu")
        width, values = width or table.shape[1], values + table.size
        if table.shape[1] != width:
            raise TraceError(f"{place}: {key} names {table.shape[1]} experts; legal: {width}, as the lines before")
        if values > MAX_VALUES:
            raise TraceError(f"{place}: more than {MAX_VALUES} choices; legal: at most so many in a file")
        ids.setdefault(layer, []).append(table)
        if "topk_weights" in record:
            scores = _table(place, "topk_weights", record["topk_weights"], "iuf")
            if scores.shape != table.shape:
                raise TraceError(f"{place}: topk_weights has shape {list(scores.shape)}; legal: {list(table.shape)} as {key}")
            weights.setdefault(layer, []).append(scores)
    if not ids:
        raise TraceError(f"{path.name}: no line has topk_ids or top_indices; {LEGAL}")
    layers = sorted(ids)
    tables = [np.concatenate(ids[layer]) for layer in layers]
    counts = [len(table) for table in tables]
    if len(set(counts)) > 1:
        raise TraceError(f"{path.name}: layers have {min(counts)} to {max(counts)} tokens; legal: the same in every layer")
    if weights and [sum(map(len, weights.get(layer, []))) for layer in layers] != counts:
        raise TraceError(f"{path.name}: topk_weights is missing in some lines; legal: in all lines or in none")
    return _completed(path.name, "topk_ids", np.stack(tables),
                      np.stack([np.concatenate(weights[layer]) for layer in layers]).astype(np.float64) if weights else None,
                      np.array(layers), stated, experts)
