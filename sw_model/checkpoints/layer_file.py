"""The file in which an imported layer is kept: int8 weights, scales and the gate, as ``safetensors``."""

import json
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from trajectile.sw_model.checkpoints.tensors import CheckpointError
from trajectile.sw_model.config import INT8_MAX
from trajectile.sw_model.gates.router import Router, rule_of, with_shared
from trajectile.sw_model.gates.workloads import GateBatch
from trajectile.sw_model.numerics.integer import Float32, QuantisedLayer

FORMAT = "trajectile layer 2"
WEIGHTS = ("w_gate", "w_up", "w_down")
SCALES = ("gate_scale", "up_scale", "down_scale")
#: tensors of the gate, which need not be there
GATE = ("router", "router_bias", "router_correction", "shared_gate")


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

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(d_model, d_ff, experts)``."""
        experts, d_ff, d_model = self.layer.w_gate.shape
        return d_model, d_ff, experts

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

    def with_shared(self, gate: GateBatch, x: Float32) -> GateBatch:
        """Choices of routed experts, for the activations ``x`` [tokens, d_model], with those that every token meets."""
        return with_shared(gate, x, self.shared, self.shared_gate) if self.shared else gate


def save(path: Path, saved: SavedLayer) -> None:
    """Write a layer.

    Raises:
        OSError: if the system refuses it, as where no space is left.
    """
    tensors: dict[str, NDArray[Any]] = {name: getattr(saved.layer, name) for name in WEIGHTS + SCALES}
    facts = {"format": FORMAT, "top_k": str(saved.top_k), "source": saved.source, "shared": str(saved.shared)}
    gate: list[Float32 | None] = [None] * 3
    if saved.router is not None:
        facts["gate"] = json.dumps(saved.router.rule.as_dict)
        gate = [saved.router.weight, saved.router.bias, saved.router.correction]
    tensors |= {name: values for name, values in zip(GATE, [*gate, saved.shared_gate], strict=True) if values is not None}
    try:
        save_file(tensors, path, metadata=facts)
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
        with safe_open(path, framework="np") as file:
            facts = file.metadata() or {}
            if facts.get("format") != FORMAT:
                raise CheckpointError(f"its format is {facts.get('format')!r}, not {FORMAT!r}: import the layer again")
            tensors = {}
            for name, kind in (dict.fromkeys(WEIGHTS, "I8") | dict.fromkeys(SCALES + GATE, "F32")).items():
                if name not in GATE or name in file.keys():
                    if file.get_slice(name).get_dtype() != kind:
                        raise CheckpointError(f"{name} has type {file.get_slice(name).get_dtype()} instead of {kind}")
                    tensors[name] = file.get_tensor(name)
        top_k, shared = int(facts.get("top_k", "")), int(facts.get("shared", ""))
        rule = rule_of(json.loads(facts["gate"])) if "router" in tensors else None
    except Exception as error:  # the library's own errors have no common class but this
        raise CheckpointError(f"{path}: {error}; legal: a layer.safetensors of trajectile import") from None
    experts = len(tensors["w_gate"])
    if not 0 <= shared < max(experts, 1):
        raise CheckpointError(f"{path}: shared = {shared} is not legal; legal values: 0 to {experts - 1}")
    _check(path, tensors, experts - shared)
    gate = {name: tensors.pop(name, None) for name in GATE}
    if not 1 <= top_k <= experts - shared:
        raise CheckpointError(f"{path}: top_k = {top_k} is not legal; legal values: 1 to {experts - shared}")
    router = None
    if rule is not None and gate["router"] is not None:
        try:
            rule = replace(rule, top_k=top_k)
            rule.check(experts - shared)
        except ValueError as error:
            raise CheckpointError(f"{path}: gate: {error}") from None
        router = Router(rule=rule, weight=gate["router"], bias=gate["router_bias"], correction=gate["router_correction"])
    return SavedLayer(QuantisedLayer(**tensors), top_k, facts.get("source", ""), router, shared, gate["shared_gate"])


def _check(path: Path, tensors: dict[str, NDArray[Any]], routed: int) -> None:
    shape = tensors["w_gate"].shape
    if len(shape) != 3 or not all(shape):
        raise CheckpointError(f"{path}: w_gate has shape {list(shape)}; legal: [experts, d_ff, d_model]")
    experts, d_ff, d_model = shape
    legal = {"w_up": shape, "w_down": (experts, d_model, d_ff), "router": (routed, d_model), "router_bias": (routed,),
             "router_correction": (routed,), "shared_gate": (d_model,), **dict.fromkeys(SCALES, (experts,))}
    for name, tensor in tensors.items():
        if name in legal and tensor.shape != legal[name]:
            raise CheckpointError(f"{path}: {name} has shape {list(tensor.shape)}; legal: {list(legal[name])}")
        if name in WEIGHTS and tensor.min() < -INT8_MAX:
            raise CheckpointError(f"{path}: {name} holds {tensor.min()}; legal values: {-INT8_MAX} to {INT8_MAX}")
        if name not in WEIGHTS and not np.isfinite(tensor).all():
            raise CheckpointError(f"{path}: {name} holds a value that is not finite; legal: finite values")
        if name in SCALES and not (tensor > 0).all():
            raise CheckpointError(f"{path}: {name} holds a scale that is not positive; legal: more than 0")
