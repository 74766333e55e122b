"""Gate traces as JSON: one token per line (vLLM's loggers), or one step of a layer per line (Megatron)."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trajectile.sw_model.gates.array_traces import weight_like
from trajectile.sw_model.gates.choices import completed
from trajectile.sw_model.gates.json_records import records
from trajectile.sw_model.gates.line_order import LineOrder, Position
from trajectile.sw_model.gates.npy import MAX_VALUES
from trajectile.sw_model.gates.reading import Reading
from trajectile.sw_model.gates.workloads import Trace, TraceError

#: number of a layer, experts of a layer
MAX_NUMBER = 1 << 20
IDS = ("topk_ids", "top_indices", "topk_indices", "topk_idx", "expert_ids", "selected_experts")
WEIGHTS = ("topk_weights", "routing_weights", "expert_weights", "topk_probs")
LAYERS = ("layer", "layer_id", "layer_idx", "layer_index", "layer_number", "layer_name")
#: the number in a module's name, as ``model.layers.3.mlp.experts``
LAYER_NAME = re.compile(r"\b(?:layers|layer|blocks|block|h)\.(\d{1,7})\b")


@dataclass(frozen=True)
class _Step:
    """The choices of one line."""

    position: Position
    #: [tokens, top_k]
    ids: NDArray[Any]
    weights: NDArray[Any] | None


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


def _key(place: str, record: dict[str, Any], legal: tuple[str, ...], chosen: str, option: str) -> str | None:
    """Which of the legal keys a record has; the user's choice comes first."""
    found = [key for key in ((chosen,) if chosen else legal) if key in record]
    if any(record[key] != record[found[0]] for key in found[1:]):
        raise TraceError(f"{place}: {' and '.join(found)} differ; legal: one of them, or --trace-as {option}={found[0]}")
    return found[0] if found else None


def _layer_number(place: str, key: str, value: object) -> int:
    if isinstance(value, str) and len(numbers := set(LAYER_NAME.findall(value))) == 1:
        value = int(numbers.pop())
    return _number(place, key, value, 0)


def _layer(place: str, record: dict[str, Any], how: Reading) -> int | None:
    """The number of a record's layer; None if it says nothing of layers."""
    if how.layer:
        if how.layer not in record:
            raise TraceError(f"{place}: {how.layer} is missing; legal: the key of --trace-as layer in every line")
        return _layer_number(place, how.layer, record[how.layer])
    found = {key: _layer_number(place, key, record[key]) for key in LAYERS if key in record}
    if len(set(found.values())) > 1:
        raise TraceError(f"{place}: {', '.join(f'{key} = {value}' for key, value in found.items())} are different layers; "
                         f"legal: the same, or --trace-as layer={next(iter(found))}")
    if not found and (odd := [key for key in record if "layer" in key.lower() and not key.lower().startswith(("num", "n_"))]):
        raise TraceError(f"{place}: {odd[0]} may be the layer; legal: {', '.join(LAYERS)}, or --trace-as layer={odd[0]}")
    return next(iter(found.values()), None)


def _weights(place: str, record: dict[str, Any], how: Reading) -> str | None:
    """The key of a record's weights, if it has any that are wanted."""
    if how.weights == "even":
        return None
    key = _key(place, record, WEIGHTS, how.weights, "weights")
    if key is None and not how.weights:
        if other := [name for name in weight_like(list(record)) if isinstance(record[name], list)]:
            raise TraceError(f"{place}: {other[0]} may be the gate weights; legal: {', '.join(WEIGHTS)}, or --trace-as "
                             f"weights={other[0]}, or --trace-as weights=even")
    return key


class _Reader:
    """Takes lines up, layer by layer."""

    def __init__(self, how: Reading):
        self._how = how
        self._order = LineOrder(how)
        self._values = 0
        #: whether lines say their layer; None before the first
        self._numbered: bool | None = None
        self.steps: dict[int, list[_Step]] = {}
        #: number of experts that the lines state
        self.experts: int | None = None

    def take(self, place: str, record: dict[str, Any]) -> None:
        """Take up a line, or pass over it if it has no choices."""
        key = _key(place, record, IDS, self._how.ids, "ids")
        if "num_experts" in record:
            number = _number(place, "num_experts", record["num_experts"], 1)
            if self.experts not in (None, number):
                raise TraceError(f"{place}: num_experts = {number} is not legal; legal: {self.experts}, as the lines before")
            self.experts = number
        if key is None:
            if record.get("type", "route") == "route":
                raise TraceError(f"{place}: {self._how.ids or 'topk_ids'} is missing; legal: one of {', '.join(IDS)}, or "
                                 "--trace-as ids=KEY, or another type than route")
            return
        # the layers of multi-token prediction are numbered from 0 again, and a step may have had no tokens
        if record.get("block", "decoder") != "decoder" or (key != "topk_ids" and record[key] == []):
            return
        layer = self._layer(place, record)
        table = _table(place, key, record[key], "iu")
        self._values += table.size
        if self._values > MAX_VALUES:
            raise TraceError(f"{place}: more than {MAX_VALUES} choices; legal: at most so many in a file")
        position = self._order.position(place, layer, record, table.tobytes())
        if position is None:
            return
        mine = self.steps.setdefault(layer, [])
        if mine and table.shape[1] != mine[0].ids.shape[1]:
            raise TraceError(f"{place}: {key} names {table.shape[1]} experts; legal: {mine[0].ids.shape[1]}, as the lines "
                             f"before of layer {layer}")
        mine.append(_Step(position, table, self._scores(place, record, key, table)))

    def _layer(self, place: str, record: dict[str, Any]) -> int:
        layer = _layer(place, record, self._how)
        if self._numbered not in (None, layer is not None):
            raise TraceError(f"{place}: the layer is {'missing' if layer is None else 'given'}, unlike in the lines before; "
                             "legal: in all lines or in none")
        self._numbered = layer is not None
        return layer or 0

    def _scores(self, place: str, record: dict[str, Any], key: str, ids: NDArray[Any]) -> NDArray[Any] | None:
        """The weights of a line."""
        named = _weights(place, record, self._how)
        if named is None:
            return None
        scores = _table(place, named, record[named], "iuf")
        if scores.shape != ids.shape:
            raise TraceError(f"{place}: {named} has shape {list(scores.shape)}; legal: {list(ids.shape)} as {key}")
        return scores


def of_lines(path: Path, how: Reading, *, experts: int | None, layer: int | None) -> Trace:
    """A trace of JSON lines, or of the objects of a JSON document.

    Args:
        path: the file.
        how: what the user says of it.
        experts: number of experts of the configuration.
        layer: only this layer is wanted; others may be incomplete.

    Raises:
        TraceError: if a line is wrong, or its meaning open.
    """
    reader = _Reader(how)
    for place, record in records(path):
        reader.take(place, record)
    if not reader.steps:
        raise TraceError(f"{path.name}: no line has topk_ids or top_indices{f' of rank {how.rank}' if how.rank else ''}; "
                         f"legal: lines with one of {', '.join(IDS)}")
    return _joined(path.name, reader.steps, reader.experts, how, experts=experts, layer=layer)


def _joined(name: str, steps: dict[int, list[_Step]], stated: int | None, how: Reading, *, experts: int | None,
            layer: int | None) -> Trace:
    """The lines of each layer one after another, and the layers on top of each other."""
    layers = [layer] if layer in steps else sorted(steps)
    if how.order == "step":
        steps = {number: sorted(steps[number], key=lambda step: step.position) for number in layers}
    tables = [np.concatenate([step.ids for step in steps[number]]) for number in layers]
    for what, axis in (("tokens", 0), ("experts per token", 1)):
        counts = {table.shape[axis] for table in tables}
        if len(counts) > 1:
            raise TraceError(f"{name}: layers have {min(counts)} to {max(counts)} {what}; legal: the same in every layer, or "
                             f"--layer with one of {', '.join(map(str, layers))}")
    weights = None
    given = {step.weights is not None for number in layers for step in steps[number]}
    if len(given) > 1 or (how.weights not in ("", "even") and given == {False}):
        raise TraceError(f"{name}: {how.weights or 'topk_weights'} is missing in some lines; legal: in all lines or in none, "
                         "or --trace-as weights=even")
    if given == {True}:
        weights = np.stack([np.concatenate([step.weights for step in steps[number] if step.weights is not None])
                            for number in layers]).astype(np.float64)
    return completed(name, "topk_ids", np.stack(tables), weights, np.array(layers),
                     None if stated is None else np.array(stated), experts=experts, layer=layer, how=how)
