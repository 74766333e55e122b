"""Experts in a tensor for all of them: fused gate and up outputs, MXFP4 of gpt-oss, the rows of DBRX."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from trajectile.sw_model.checkpoints import naming
from trajectile.sw_model.checkpoints.experts import PARTS, Bias, Weights, check_said, unknown
from trajectile.sw_model.checkpoints.four_bits import MX_BLOCK, mxfp4_values
from trajectile.sw_model.checkpoints.model_config import MAX_EXPERTS
from trajectile.sw_model.checkpoints.tensors import FLOATS, CheckpointError, Tensors
from trajectile.sw_model.numerics.layers import Float32


class Stack(Protocol):
    """A matrix of each expert in a checkpoint."""

    @property
    def dtype(self) -> str:
        """Its type, or the name of its format."""

    def read(self, expert: int) -> Float32:
        """Float32 [outputs, inputs]; :class:`CheckpointError` if a value is not finite."""


@dataclass(frozen=True)
class Plain:
    """A tensor [experts, outputs, inputs], or [experts * rows, inputs]; each expert's part may be transposed."""

    checkpoint: Tensors
    name: str
    transposed: bool = False
    #: None: the tensor has a dimension for experts
    rows: int | None = None

    @property
    def dtype(self) -> str:
        """Its type."""
        return self.checkpoint.dtype(self.name)

    def read(self, expert: int) -> Float32:
        """Float32 [outputs, inputs]."""
        part = expert if self.rows is None else slice(expert * self.rows, (expert + 1) * self.rows)
        values = self.checkpoint.read(self.name, part)
        return values.T if self.transposed else values


@dataclass(frozen=True)
class Packed:
    """MXFP4 in two tensors: codes [experts, outputs, blocks, 16], scales [experts, outputs, blocks]."""

    checkpoint: Tensors
    blocks: str
    scales: str

    @property
    def dtype(self) -> str:
        """The name of its format."""
        return "MXFP4"

    def read(self, expert: int) -> Float32:
        """Float32 [outputs, inputs], exactly."""
        codes, scales = (self.checkpoint.raw(name, expert) for name in (self.blocks, self.scales))
        values = mxfp4_values(codes.reshape(len(codes), -1), scales)
        if not np.isfinite(values).all():
            raise CheckpointError(f"{self.scales} of expert {expert} holds a scale that float32 does not have; "
                                  "legal: up to 2^125")
        return values


@dataclass(frozen=True, kw_only=True)
class Stacked:
    """All experts in a tensor per matrix, or with gate and up in one."""

    #: gate and up in one, and down; or gate, up, down
    stacks: tuple[Stack, ...]
    #: ``(experts, d_ff, d_model)``
    shape: tuple[int, int, int]
    transposed: bool = False
    #: gate and up outputs in turn, instead of all gate outputs before all up outputs
    interleaved: bool = False
    checkpoint: Tensors
    #: [experts, 2 d_ff] and [experts, d_model]; both, or none
    bias_names: tuple[str, str] | None = None

    @property
    def dtype(self) -> str:
        """Types or formats of the matrices."""
        return ", ".join(dict.fromkeys(stack.dtype for stack in self.stacks))

    @property
    def biased(self) -> bool:
        """Whether they have biases."""
        return self.bias_names is not None

    def _halves(self) -> tuple[slice, slice]:
        """Where gate and up are among the outputs of both."""
        d_ff = self.shape[1]
        return (slice(0, None, 2), slice(1, None, 2)) if self.interleaved else (slice(0, d_ff), slice(d_ff, 2 * d_ff))

    def read(self, expert: int) -> Weights:
        """An expert."""
        *first, down = (stack.read(expert) for stack in self.stacks)
        gate, up = first if len(first) == 2 else (first[0][part] for part in self._halves())
        if self.bias_names is None:
            return Weights(gate, up, down)
        both, last = self.bias_names
        gate_bias, up_bias = (Bias(self.checkpoint, both, expert, part).read() for part in self._halves())
        return Weights(gate, up, down, gate_bias, up_bias, Bias(self.checkpoint, last, expert).read())


def fused(checkpoint: Tensors, stem: str, rest: Mapping[str, str]) -> Stacked:
    """Experts whose gate and up are one tensor, plain or MXFP4.

    Args:
        checkpoint: where they are.
        stem: what they are called.
        rest: tensors by the rest of their names.

    Raises:
        CheckpointError: if one is missing, unknown, there twice, or of a shape that does not fit.
    """
    names: dict[str, dict[str, str]] = {"gate_up": {}, "down": {}}
    for name, tensor in rest.items():
        match = naming.FUSED.fullmatch(name)
        parts = names[naming.MATRIX[match["word"]]] if match else {}
        ending = (match["ending"] or "weight") if match else ""
        if not match or ending in parts:
            raise unknown(stem, name)
        parts[ending] = tensor
    for key, word in (("gate_up", "gate_up_proj"), ("down", "down_proj")):
        there = set(names[key]) - {"bias"}
        if there not in ({"weight"}, {"blocks", "scales"}):
            raise CheckpointError(f"{stem}.{word} is missing{f' beside {sorted(there)}' if there else ''}; legal: "
                                  "gate_up_proj and down_proj, or both with _blocks and _scales")
    shapes = [_shape(checkpoint, names[key]) for key in ("gate_up", "down")]
    for transposed in (False, True):
        both, down = ([shape[0], shape[2], shape[1]] if transposed and "weight" in names[key] else shape
                      for key, shape in zip(names, shapes, strict=True))
        # the two ways can not be taken for each other: one has d_model in the middle of down, the other d_ff
        if both[0] == down[0] <= MAX_EXPERTS and both[1:] == [2 * down[2], down[1]]:
            stacks = tuple(Plain(checkpoint, parts["weight"], transposed) if "weight" in parts else
                           Packed(checkpoint, parts["blocks"], parts["scales"]) for parts in names.values())
            shape = (both[0], down[2], down[1])
            return Stacked(checkpoint=checkpoint, stacks=stacks, shape=shape, transposed=transposed,
                           interleaved=checkpoint.model.family.interleaved,
                           bias_names=_biases(checkpoint, stem, names, shape))
    first, last = (next(iter(parts.values())) for parts in names.values())
    raise CheckpointError(
        f"{first} has shape {checkpoint.shape(first)}, {last} {checkpoint.shape(last)}; legal: [experts, 2 d_ff, d_model] "
        "and [experts, d_model, d_ff], or [experts, d_model, 2 d_ff] and [experts, d_ff, d_model], with 1 to "
        f"{MAX_EXPERTS} experts")


def _shape(checkpoint: Tensors, names: Mapping[str, str]) -> list[int]:
    """``[experts, outputs, inputs]`` of a tensor, or of MXFP4."""
    if "weight" in names:
        name = names["weight"]
        if checkpoint.dtype(name) not in FLOATS:
            raise CheckpointError(f"{name} has type {checkpoint.dtype(name)}; legal: {', '.join(FLOATS)}")
        shape = checkpoint.shape(name)
        if len(shape) != 3 or not all(shape):
            raise CheckpointError(f"{name} has shape {shape}; legal: [experts, 2 d_ff, d_model] or [experts, d_model, d_ff], "
                                  "or both transposed")
        return shape
    blocks, scales = names["blocks"], names["scales"]
    for name in (blocks, scales):
        if checkpoint.dtype(name) != "U8":
            raise CheckpointError(f"{name} has type {checkpoint.dtype(name)}; legal: U8")
    shape = checkpoint.shape(blocks)
    if len(shape) != 4 or not all(shape) or shape[3] != MX_BLOCK // 2 or checkpoint.shape(scales) != shape[:3]:
        raise CheckpointError(f"{blocks} has shape {shape}, {scales} {checkpoint.shape(scales)}; legal: [experts, outputs, "
                              f"inputs / {MX_BLOCK}, {MX_BLOCK // 2}] and [experts, outputs, inputs / {MX_BLOCK}]")
    return [*shape[:2], MX_BLOCK * shape[2]]


def _biases(checkpoint: Tensors, stem: str, names: Mapping[str, Mapping[str, str]],
            shape: tuple[int, int, int]) -> tuple[str, str] | None:
    """Names of the biases, checked."""
    experts, d_ff, d_model = shape
    there = {key: parts["bias"] for key, parts in names.items() if "bias" in parts}
    for name in there.values():
        check_said(checkpoint, name)
    if not there and not checkpoint.model.biased:
        return None
    for key, word, outputs in (("gate_up", "gate_up_proj", 2 * d_ff), ("down", "down_proj", d_model)):
        if key not in there:
            raise CheckpointError(f"{stem}.{word}_bias is missing; legal: [{experts}, {outputs}], as "
                                  f"{'the other has one' if there else 'this model_type has biases'}")
        if checkpoint.shape(there[key]) != [experts, outputs]:
            raise CheckpointError(f"{there[key]} has shape {checkpoint.shape(there[key])}; legal: [{experts}, {outputs}]")
    return there["gate_up"], there["down"]


def rows(checkpoint: Tensors, stem: str, rest: Mapping[str, str]) -> Stacked:
    """Experts whose rows lie one after the other; arguments and errors of :func:`fused`."""
    names: dict[str, str] = {}
    for name, tensor in rest.items():
        match = naming.ROWS.fullmatch(name)
        if not match:
            raise unknown(stem, name)
        names[{"w1": "gate", "v1": "up", "w2": "down"}[match["word"]]] = tensor
    for key, word in zip(PARTS, ("w1", "v1", "w2"), strict=True):
        if key not in names:
            raise CheckpointError(f"{stem}.mlp.{word} is missing; legal: w1, v1 and w2")
    experts = checkpoint.model.experts
    if experts is None:
        raise CheckpointError(f"{checkpoint.path}: moe_num_experts is missing, and {names['gate']} does not say it; legal: a "
                              "config.json with it")
    shape = checkpoint.shape(names["gate"])
    for name in names.values():
        if checkpoint.dtype(name) not in FLOATS:
            raise CheckpointError(f"{name} has type {checkpoint.dtype(name)}; legal: {', '.join(FLOATS)}")
        if len(shape) != 2 or not all(shape) or shape[0] % experts or checkpoint.shape(name) != shape:
            raise CheckpointError(f"{name} has shape {checkpoint.shape(name)}; legal: [{experts} d_ff, d_model] of all three")
    d_ff = shape[0] // experts
    stacks = tuple(Plain(checkpoint, names[key], transposed=key == "down", rows=d_ff) for key in PARTS)
    if checkpoint.model.biased:
        raise CheckpointError(f"{stem}.mlp.w1_bias is missing; legal: biases, as config.json says that experts have them")
    return Stacked(checkpoint=checkpoint, stacks=stacks, shape=(experts, d_ff, shape[1]))
