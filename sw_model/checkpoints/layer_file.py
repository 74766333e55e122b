"""The file in which an imported layer is kept: codes, scales and biases of the hardware and the gate, as ``safetensors``."""

import json
import os
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from trajectile.sw_model.checkpoints.tensors import CheckpointError
from trajectile.sw_model.config import ACTIVATIONS, INT8_MAX, SCALE_SHIFT_MAX, WEIGHTS, ceil_div
from trajectile.sw_model.gates.feeding import Fed, Feeding
from trajectile.sw_model.gates.router import Router, rule_of
from trajectile.sw_model.gates.workloads import GateBatch
from trajectile.sw_model.numerics.activation import VALUE_MAX
from trajectile.sw_model.numerics.integer import Function, QuantisedLayer
from trajectile.sw_model.numerics.layers import Float32
from trajectile.sw_model.numerics.weights import MANTISSA_STEPS, Matrices, WeightFormat, block_of

FORMAT = "trajectile layer 3"
MATRICES = ("gate", "up", "down")
#: what a matrix is made of, and the types of that; the codes' type is that of the format
PARTS = {"shifts": "U8", "mantissas": "U8", "units": "I8"}
BIASES = ("gate_bias", "up_bias")
#: tensors of the gate and of what is done beside the array, which need not be there
GATE = ("router", "router_bias", "router_correction", "shared_gate", "smoothing")
#: legal values of the parameters of a slice
LIMITS = {"gate_max": (1, VALUE_MAX), "up_max": (1, VALUE_MAX), "up_offset": (-VALUE_MAX - 1, VALUE_MAX)}

Tensors = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class SavedLayer:
    """A quantised layer and how its gate chooses."""

    #: routed experts, then the parts of the shared expert
    layer: QuantisedLayer
    #: experts that a token chooses
    top_k: int
    #: where it is from, for messages
    source: str
    #: None if the checkpoint had none
    router: Router | None
    #: experts, the last ones, that every token meets
    shared: int = 0
    #: their weight is the sigmoid of this times the activations, [d_model]; None if it is 1
    shared_gate: Float32 | None = None
    #: the weight of a choice multiplies what the routed expert is given
    on_input: bool = False
    #: what activations are divided by after the gate has chosen, [d_model]; None: nothing
    smoothing: Float32 | None = None

    @property
    def feeding(self) -> Feeding:
        """How tokens become rows of a batch."""
        return Feeding(shared=self.shared, shared_gate=self.shared_gate, on_input=self.on_input, smoothing=self.smoothing)

    @property
    def routed(self) -> int:
        """Experts that the gate chooses from."""
        return self.layer.experts - self.shared

    def choose(self, x: Float32, top_k: int) -> GateBatch:
        """What the layer's own gate chooses, ``top_k`` routed experts per token.

        Raises:
            ValueError: if the layer has no gate, or it cannot choose so many.
        """
        if self.router is None:
            raise ValueError(f"{self.source} has no gate")
        rule = replace(self.router.rule, top_k=top_k)
        rule.check(self.routed)
        return replace(self.router, rule=rule).choose(x)

    def rows(self, gate: GateBatch, x: Float32) -> Fed:
        """What the array is given for choices of routed experts and the activations ``x`` [tokens, d_model]."""
        return self.feeding.rows(gate, x)


def _packed(kind: WeightFormat, codes: NDArray[np.int8]) -> NDArray[Any]:
    """Codes as the file has them: int8, or bits of two in a uint8, the even input's in the low ones."""
    if kind.bits == 8:
        return codes
    return kind.packed(kind.pattern(np.pad(codes, ((0, 0), (0, 0), (0, codes.shape[2] % 2)))))


def _unpacked(kind: WeightFormat, stored: NDArray[Any], inputs: int) -> NDArray[np.int8]:
    """The inverse of :func:`_packed`."""
    if kind.bits == 8:
        return stored
    bits = np.stack([stored & 15, stored >> 4], axis=-1).reshape(*stored.shape[:2], -1)[..., :inputs]
    return kind.codes(np.ascontiguousarray(bits))


def save(path: Path, saved: SavedLayer) -> None:
    """Write a layer.

    Raises:
        OSError: if the system refuses it, as where no space is left.
    """
    layer, tensors = saved.layer, Tensors()
    for name, matrices in zip(MATRICES, (layer.gate, layer.up, layer.down), strict=True):
        tensors |= {f"{name}.codes": _packed(layer.kind, matrices.codes), f"{name}.shifts": matrices.shifts,
                    f"{name}.units": matrices.units.astype(np.int8)}
        if matrices.mantissas is not None:
            tensors[f"{name}.mantissas"] = matrices.mantissas
    for name, bias in zip(BIASES, (layer.gate_bias, layer.up_bias), strict=True):
        if bias is not None:
            tensors[name] = bias.astype(np.int16)
    facts = {"format": FORMAT, "weights": layer.kind.name, "scale_mantissa": str(layer.kind.mantissa_bits),
             "period": str(layer.down.period), "function": json.dumps(asdict(layer.function)),
             "fraction": str(layer.fraction), "top_k": str(saved.top_k), "source": saved.source, "shared": str(saved.shared),
             "on_input": str(int(saved.on_input))}
    gate: list[Float32 | None] = [None] * 3
    if saved.router is not None:
        facts["gate"] = json.dumps(saved.router.rule.as_dict)
        gate = [saved.router.weight, saved.router.bias, saved.router.correction]
    tensors |= {name: values for name, values in zip(GATE, [*gate, saved.shared_gate, saved.smoothing], strict=True)
                if values is not None}
    try:
        save_file({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}, path, metadata=facts)
    except SafetensorError as error:  # a full disk, which the library tells in words only
        code = re.search(r"\(os error (\d+)\)", str(error))
        if code is None:
            raise
        raise OSError(int(code[1]), os.strerror(int(code[1])), str(path)) from error


def load(path: Path) -> SavedLayer:
    """Read a layer.

    Raises:
        CheckpointError: if the file is not there or not such a layer.
    """
    try:
        if not path.is_file():
            raise CheckpointError("no such file")
        facts, tensors = _read(path)
        top_k, shared, fraction, period, on_input = (
            _whole(facts, name) for name in ("top_k", "shared", "fraction", "period", "on_input"))
        rule = rule_of(json.loads(facts["gate"])) if "router" in tensors else None
        kind, function = _kind(facts), _function(json.loads(facts.get("function", "")))
    except Exception as error:  # the library's own errors have no common class but this
        raise CheckpointError(f"{path}: {error}; legal: a layer.safetensors of trajectile import") from None
    try:
        layer = _layer(kind, function, fraction, period, tensors)
        _within("shared", shared, 0, layer.experts - 1)
        _within("on_input", on_input, 0, 1)
        routed = layer.experts - shared
        _check_gate(layer, routed + (rule.identity if rule else 0), tensors)
        _within("top_k", top_k, 1, routed)
        router = None
        if rule is not None:
            rule = replace(rule, top_k=top_k)
            rule.check(routed)
            router = Router(rule=rule, weight=tensors["router"], bias=tensors.get("router_bias"),
                            correction=tensors.get("router_correction"))
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from None
    return SavedLayer(layer, top_k, facts.get("source", ""), router, shared, tensors.get("shared_gate"), bool(on_input),
                      tensors.get("smoothing"))


def _read(path: Path) -> tuple[dict[str, str], Tensors]:
    """What the file says, and its tensors, of the right types."""
    with safe_open(path, framework="np") as file:
        facts = file.metadata() or {}
        if facts.get("format") != FORMAT:
            raise CheckpointError(f"its format is {facts.get('format')!r}, not {FORMAT!r}: import the layer again")
        kind = _kind(facts)
        needed = {f"{name}.{part}": of for name in MATRICES for part, of in PARTS.items()
                  if part != "mantissas" or kind.mantissa}
        needed |= {f"{name}.codes": "I8" if kind.bits == 8 else "U8" for name in MATRICES}
        may_be = dict.fromkeys(BIASES, "I16") | dict.fromkeys(GATE, "F32")
        tensors = {}
        for name, of in (needed | may_be).items():
            if name in needed or name in file.keys():
                if file.get_slice(name).get_dtype() != of:
                    raise CheckpointError(f"{name} has type {file.get_slice(name).get_dtype()} instead of {of}")
                tensors[name] = file.get_tensor(name)
    return facts, tensors


def _kind(facts: dict[str, str]) -> WeightFormat:
    name, mantissa = facts.get("weights", ""), facts.get("scale_mantissa", "")
    if name not in WEIGHTS or mantissa not in ("0", "3"):
        raise CheckpointError(f"weights = {name!r} with scale_mantissa = {mantissa!r} is not legal; legal values: "
                              f"{', '.join(WEIGHTS)} with 0 or 3")
    return WeightFormat(name, mantissa == "3")


def _whole(facts: dict[str, str], name: str) -> int:
    try:
        return int(facts.get(name, ""))
    except ValueError as error:
        raise CheckpointError(f"{name}: {error}") from None


def _within(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise CheckpointError(f"{name} = {value} is not legal; legal values: {low} to {high}")


def _function(values: Any) -> Function:
    if not isinstance(values, dict) or set(values) != {"activation", *LIMITS} or values["activation"] not in ACTIVATIONS:
        raise CheckpointError(f"function = {str(values)[:200]} is not legal; legal: activation ({', '.join(ACTIVATIONS)}), "
                              f"{', '.join(LIMITS)}")
    for name, (low, high) in LIMITS.items():
        if type(values[name]) is not int:
            raise CheckpointError(f"{name} = {str(values[name])[:200]} is not legal; legal values: {low} to {high}")
        _within(name, values[name], low, high)
    return Function(**values)


def _layer(kind: WeightFormat, function: Function, fraction: int, period: int, tensors: Tensors) -> QuantisedLayer:
    """The layer, checked; CheckpointError, or a ValueError of the layer."""
    shape = tensors["gate.codes"].shape
    if len(shape) != 3 or not all(shape):
        raise CheckpointError(f"gate.codes has shape {list(shape)}; legal: [experts, d_ff, d_model], of 4-bit codes "
                              "[experts, d_ff, d_model / 2]")
    experts, d_ff = shape[:2]
    down = tensors["down.codes"].shape
    d_model = down[1] if len(down) == 3 else 0
    if kind.bits == 8 or ceil_div(d_model, 2) != shape[2]:  # an odd width leaves half a byte
        d_model = shape[2] * 8 // kind.bits
    _within("period", period, 1, d_ff)
    widths = {"gate": (d_ff, d_model, d_model), "up": (d_ff, d_model, d_model), "down": (d_model, d_ff, period)}
    found = {}
    for name, (outputs, inputs, every) in widths.items():
        blocks = int(block_of(inputs, every)[-1]) + 1
        stored = inputs if kind.bits == 8 else ceil_div(inputs, 2)
        legal = {"codes": [experts, outputs, stored], "shifts": [experts, outputs, blocks],
                 "mantissas": [experts, outputs, blocks], "units": [experts]}
        parts = {part: tensors[f"{name}.{part}"] for part in legal if f"{name}.{part}" in tensors}
        for part, tensor in parts.items():
            _fits(f"{name}.{part}", tensor, legal[part])
        codes = _unpacked(kind, parts["codes"], inputs)
        _holds(f"{name}.codes", codes, -INT8_MAX, INT8_MAX)
        _holds(f"{name}.shifts", parts["shifts"], 0, SCALE_SHIFT_MAX)
        if "mantissas" in parts:
            _holds(f"{name}.mantissas", parts["mantissas"], 0, MANTISSA_STEPS - 1)
        found[name] = Matrices(codes, parts["shifts"], parts.get("mantissas"), parts["units"].astype(np.int64), every)
    biases = [tensors.get(name) for name in BIASES]
    for name, bias in zip(BIASES, biases, strict=True):
        if bias is not None:
            _fits(name, bias, [experts, d_ff])
            _holds(name, bias, -VALUE_MAX, VALUE_MAX)
    gate_bias, up_bias = (None if bias is None else bias.astype(np.int64) for bias in biases)
    layer = QuantisedLayer(kind, found["gate"], found["up"], found["down"], function, gate_bias, up_bias, fraction)
    for expert in range(experts):
        layer.result_shift(expert)
    _ = layer.unit  # refuses what does not fit
    return layer


def _fits(name: str, tensor: NDArray[Any], legal: list[int]) -> None:
    if list(tensor.shape) != legal:
        raise CheckpointError(f"{name} has shape {list(tensor.shape)}; legal: {legal}")


def _holds(name: str, tensor: NDArray[Any], low: int, high: int) -> None:
    least, largest = int(tensor.min()), int(tensor.max())
    if least < low or largest > high:
        raise CheckpointError(f"{name} holds {least if least < low else largest}; legal values: {low} to {high}")


def _check_gate(layer: QuantisedLayer, choices: int, tensors: Tensors) -> None:
    legal = {"router": [choices, layer.d_model], "router_bias": [choices], "router_correction": [choices],
             "shared_gate": [layer.d_model], "smoothing": [layer.d_model]}
    for name in GATE:
        if name in tensors:
            _fits(name, tensors[name], legal[name])
            if not np.isfinite(tensors[name]).all():
                raise CheckpointError(f"{name} holds a value that is not finite; legal: finite values")
    if "smoothing" in tensors and not (tensors["smoothing"] > 0).all():
        raise CheckpointError("smoothing holds a factor that is not positive; legal: more than 0")
