"""The file in which an imported layer is kept: int8 weights, scales and the router, as ``safetensors``."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from trajectile.sw_model.checkpoints.checkpoint import CheckpointError
from trajectile.sw_model.config import INT8_MAX
from trajectile.sw_model.numerics.integer import Float32, QuantisedLayer

FORMAT = "trajectile layer 1"
WEIGHTS = ("w_gate", "w_up", "w_down")
SCALES = ("gate_scale", "up_scale", "down_scale")


@dataclass(frozen=True)
class SavedLayer:
    """A quantised layer and how its gate chooses."""

    layer: QuantisedLayer
    #: experts that a token chooses
    top_k: int
    #: gate weights of a token's experts are divided by their sum
    normalise: bool
    #: where it is from, for messages
    source: str
    #: router, float32 [experts, d_model]; None if the checkpoint had none
    router: Float32 | None

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(d_model, d_ff, experts)``."""
        experts, d_ff, d_model = self.layer.w_gate.shape
        return d_model, d_ff, experts


def save(path: Path, saved: SavedLayer) -> None:
    """Write a layer.

    Raises:
        OSError: if the system refuses it, as where no space is left.
    """
    tensors: dict[str, NDArray[Any]] = {name: getattr(saved.layer, name) for name in WEIGHTS + SCALES}
    if saved.router is not None:
        tensors["router"] = saved.router
    facts = {"format": FORMAT, "top_k": str(saved.top_k), "normalise": str(int(saved.normalise)), "source": saved.source}
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
                raise CheckpointError("not written by trajectile import")
            tensors = {}
            for name, kind in (dict.fromkeys(WEIGHTS, "I8") | dict.fromkeys(SCALES, "F32") | {"router": "F32"}).items():
                if name != "router" or name in file.keys():
                    if file.get_slice(name).get_dtype() != kind:
                        raise CheckpointError(f"{name} has type {file.get_slice(name).get_dtype()} instead of {kind}")
                    tensors[name] = file.get_tensor(name)
        top_k, normalise = int(facts.get("top_k", "")), facts.get("normalise") == "1"
    except Exception as error:  # the library's own errors have no common class but this
        raise CheckpointError(f"{path}: {error}; legal: a layer.safetensors of trajectile import") from None
    _check(path, tensors)
    router = tensors.pop("router", None)
    if not 1 <= top_k <= len(tensors["w_gate"]):
        raise CheckpointError(f"{path}: top_k = {top_k} is not legal; legal values: 1 to {len(tensors['w_gate'])}")
    return SavedLayer(QuantisedLayer(**tensors), top_k, normalise, facts.get("source", ""), router)


def _check(path: Path, tensors: dict[str, NDArray[Any]]) -> None:
    shape = tensors["w_gate"].shape
    if len(shape) != 3 or not all(shape):
        raise CheckpointError(f"{path}: w_gate has shape {list(shape)}; legal: [experts, d_ff, d_model]")
    experts, d_ff, d_model = shape
    legal = {"w_up": shape, "w_down": (experts, d_model, d_ff), "router": (experts, d_model),
             **dict.fromkeys(SCALES, (experts,))}
    for name, tensor in tensors.items():
        if name in legal and tensor.shape != legal[name]:
            raise CheckpointError(f"{path}: {name} has shape {list(tensor.shape)}; legal: {list(legal[name])}")
        if name in WEIGHTS and tensor.min() < -INT8_MAX:
            raise CheckpointError(f"{path}: {name} holds {tensor.min()}; legal values: {-INT8_MAX} to {INT8_MAX}")
        if name not in WEIGHTS and not np.isfinite(tensor).all():
            raise CheckpointError(f"{path}: {name} holds a value that is not finite; legal: finite values")
        if name in SCALES and not (tensor > 0).all():
            raise CheckpointError(f"{path}: {name} holds a scale that is not positive; legal: more than 0")
