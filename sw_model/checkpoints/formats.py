"""How checkpoints store a matrix [outputs, inputs]: plain, or as codes with scales (docs/import.md).

A format is told by the tensors that there are, their types and shapes. Everything is checked from the headers; what comes out
is the float32 matrix that the codes stand for, exactly.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from trajectile.sw_model.checkpoints.eight_bits import FP8_BLOCKS, FP8_BLOCKS_V4, FP8_ROWS, W8A8
from trajectile.sw_model.checkpoints.four_bits import AWQ, GPTQ, MXFP4, NVFP4, PACKED
from trajectile.sw_model.checkpoints.headers import Arrays, Format, Shapes, two
from trajectile.sw_model.checkpoints.tensors import FLOATS, CheckpointError, Tensors
from trajectile.sw_model.numerics.layers import Float32


@dataclass(frozen=True)
class FormatMatrix:
    """A matrix of one of these formats in a checkpoint, checked."""

    checkpoint: Tensors
    format: Format
    #: name of each tensor by ending
    tensors: Mapping[str, str]
    #: ``(outputs, inputs)``
    shape: tuple[int, int]
    quantisation: Mapping[str, Any]

    @property
    def name(self) -> str:
        """One of its tensors, for messages."""
        return next(iter(self.tensors.values()))

    @property
    def dtype(self) -> str:
        """Type of a plain matrix, or the name of its format."""
        return self.checkpoint.dtype(self.tensors["weight"]) if self.format is PLAIN else self.format.name

    def read(self) -> Float32:
        """The matrix, float32 [outputs, inputs].

        Raises:
            CheckpointError: if a value is not finite, or a code stands for none.
        """
        arrays = {ending: self.checkpoint.raw(name) for ending, name in self.tensors.items()}
        try:
            values = self.format.decode(arrays, self.shape, self.quantisation)
        except ValueError as error:
            raise CheckpointError(f"{self.name}: {error}") from None
        if not np.isfinite(values).all():
            raise CheckpointError(f"{self.name} holds a value that is not finite; legal: finite values")
        return np.ascontiguousarray(values, dtype=np.float32)


def matrix(checkpoint: Tensors, tensors: Mapping[str, str], quantisation: Mapping[str, Any]) -> FormatMatrix:
    """The matrix that some tensors make.

    Args:
        checkpoint: where they are.
        tensors: their names, by what follows the matrix' own name: ``weight``, ``weight_scale``.
        quantisation: ``quantization_config``.

    Raises:
        CheckpointError: if they make none, or shapes do not fit.
    """
    name = next(iter(tensors.values())).rpartition(".")[0]
    shapes = {ending: (checkpoint.dtype(tensor), checkpoint.shape(tensor)) for ending, tensor in tensors.items()}
    for kind in FORMATS:
        if not set(kind.endings) <= set(tensors) <= {*kind.endings, *kind.optional}:
            continue
        try:
            found = kind.shape(shapes, quantisation)
        except ValueError as error:
            raise CheckpointError(f"{name}: {kind.name}: {error}") from None
        if found:
            return FormatMatrix(checkpoint, kind, dict(tensors), found, quantisation)
    there = ", ".join(f"{ending} {dtype} {shape}" for ending, (dtype, shape) in shapes.items())
    legal = ", ".join(f"{kind.name} ({' '.join(kind.endings)})" for kind in FORMATS)
    raise CheckpointError(f"{name} has {there}; legal: {legal}")


def _plain_shape(shapes: Shapes, _: Mapping[str, Any]) -> tuple[int, int] | None:
    dtype, shape = shapes["weight"]
    return two(shape, "[outputs, inputs]") if dtype in FLOATS else None


def _plain(arrays: Arrays, _: tuple[int, int], __: Mapping[str, Any]) -> Float32:
    return arrays["weight"].astype(np.float32)


PLAIN = Format("plain", ("weight",), (), _plain_shape, _plain)
FORMATS = (PLAIN, FP8_BLOCKS, FP8_BLOCKS_V4, FP8_ROWS, W8A8, MXFP4, NVFP4, PACKED, GPTQ, AWQ)
