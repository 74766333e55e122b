"""Matrices as codes of 8 bits: FP8 with a scale per block, FP8 and int8 with a scale per output."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from trajectile.sw_model.checkpoints.headers import RUNTIME, Arrays, Format, Shapes, fit, two
from trajectile.sw_model.checkpoints.tensors import FLOATS
from trajectile.sw_model.config import ceil_div
from trajectile.sw_model.config.checks import shown
from trajectile.sw_model.numerics.layers import Float32


def _block(quantisation: Mapping[str, Any]) -> tuple[int, int]:
    size = quantisation.get("weight_block_size", [128, 128])
    if not (isinstance(size, list) and len(size) == 2 and all(type(n) is int and n > 0 for n in size)):
        raise ValueError(f"weight_block_size = {shown(size)} is not legal; legal: two positive numbers")
    return size[0], size[1]


def _fp8_blocks(ending: str) -> Format:
    """FP8 with a scale per block, in the tensor of an ending."""
    def found(shapes: Shapes, quantisation: Mapping[str, Any]) -> tuple[int, int] | None:
        if shapes["weight"][0] != "F8_E4M3" or shapes[ending][0] not in (*FLOATS, "F8_E8M0"):
            return None
        outputs, inputs = two(shapes["weight"][1], "[outputs, inputs]")
        rows, columns = _block(quantisation)
        fit(ending, shapes[ending][1], [ceil_div(outputs, rows), ceil_div(inputs, columns)])
        return outputs, inputs

    def decoded(arrays: Arrays, shape: tuple[int, int], quantisation: Mapping[str, Any]) -> Float32:
        rows, columns = _block(quantisation)
        scale = arrays[ending].astype(np.float32).repeat(rows, axis=0).repeat(columns, axis=1)
        return arrays["weight"].astype(np.float32) * scale[:shape[0], :shape[1]]
    return Format("FP8 blocks", ("weight", ending), RUNTIME, found, decoded)


def _rows_shape(*types: str) -> Callable[[Shapes, Mapping[str, Any]], tuple[int, int] | None]:
    def found(shapes: Shapes, _: Mapping[str, Any]) -> tuple[int, int] | None:
        if shapes["weight"][0] not in types or shapes["weight_scale"][0] not in FLOATS:
            return None
        outputs, inputs = two(shapes["weight"][1], "[outputs, inputs]")
        fit("weight_scale", shapes["weight_scale"][1], [outputs, 1], [outputs], [1], [])
        return outputs, inputs
    return found


def _rows(arrays: Arrays, _: tuple[int, int], __: Mapping[str, Any]) -> Float32:
    return arrays["weight"].astype(np.float32) * arrays["weight_scale"].astype(np.float32).reshape(-1, 1)


FP8_BLOCKS = _fp8_blocks("weight_scale_inv")
#: DeepSeek-V4 outside its routed experts
FP8_BLOCKS_V4 = _fp8_blocks("scale")
FP8_ROWS = Format("FP8 rows", ("weight", "weight_scale"), RUNTIME, _rows_shape("F8_E4M3"), _rows)
W8A8 = Format("W8A8", ("weight", "weight_scale"), RUNTIME, _rows_shape("I8"), _rows)
