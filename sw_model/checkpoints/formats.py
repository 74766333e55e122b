"""How checkpoints store a matrix [outputs, inputs]: plain, or as codes with scales (docs/import.md).

A format is told by the tensors that there are, their types and shapes. Everything is checked from the headers; what comes out
is the float32 matrix that the codes stand for, exactly.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trajectile.sw_model.checkpoints.checkpoint import FLOATS, Checkpoint, CheckpointError
from trajectile.sw_model.config.checks import shown
from trajectile.sw_model.numerics.integer import Float32

Arrays = Mapping[str, NDArray[Any]]
Shapes = Mapping[str, tuple[str, list[int]]]

#: values of the sixteen codes of FP4 E2M1
E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6], dtype=np.float32)
#: inputs per scale of MXFP4 and of NVFP4
MX_BLOCK, NV_BLOCK = 32, 16
#: output of each nibble of a word of AWQ, lowest first
AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)


@dataclass(frozen=True)
class Format:
    """One way to store a matrix."""

    name: str
    #: endings of the tensors that there must be, and of those that there may be
    endings: tuple[str, ...]
    optional: tuple[str, ...]
    #: ``(outputs, inputs)`` of types and shapes by ending; None if this is another format; ``ValueError`` if it is this one,
    #: and wrong
    shape: Callable[[Shapes, Mapping[str, Any]], tuple[int, int] | None]
    #: the matrix, of the tensors by ending
    decode: Callable[[Arrays, tuple[int, int], Mapping[str, Any]], Float32]


@dataclass(frozen=True)
class Matrix:
    """A matrix in a checkpoint, checked."""

    checkpoint: Checkpoint
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


def matrix(checkpoint: Checkpoint, tensors: Mapping[str, str], quantisation: Mapping[str, Any]) -> Matrix:
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
            return Matrix(checkpoint, kind, dict(tensors), found, quantisation)
    there = ", ".join(f"{ending} {dtype} {shape}" for ending, (dtype, shape) in shapes.items())
    legal = ", ".join(f"{kind.name} ({' '.join(kind.endings)})" for kind in FORMATS)
    raise CheckpointError(f"{name} has {there}; legal: {legal}")


def _two(shape: list[int], meaning: str) -> tuple[int, int]:
    if len(shape) != 2 or not all(shape):
        raise ValueError(f"shape {shape} is not legal; legal: {meaning}")
    return shape[0], shape[1]


def _fit(ending: str, shape: list[int], *legal: list[int]) -> None:
    if shape not in legal:
        raise ValueError(f"{ending} has shape {shape}; legal: {' or '.join(map(str, legal))}")


def _ceil(value: int, unit: int) -> int:
    return -(-value // unit)


# -- plain ------------------------------------------------------------------------------------------------------------------

def _plain_shape(shapes: Shapes, _: Mapping[str, Any]) -> tuple[int, int] | None:
    dtype, shape = shapes["weight"]
    return _two(shape, "[outputs, inputs]") if dtype in FLOATS else None


def _plain(arrays: Arrays, _: tuple[int, int], __: Mapping[str, Any]) -> Float32:
    return arrays["weight"].astype(np.float32)


# -- 8-bit codes ------------------------------------------------------------------------------------------------------------

def _block(quantisation: Mapping[str, Any]) -> tuple[int, int]:
    size = quantisation.get("weight_block_size", [128, 128])
    if not (isinstance(size, list) and len(size) == 2 and all(type(n) is int and n > 0 for n in size)):
        raise ValueError(f"weight_block_size = {shown(size)} is not legal; legal: two positive numbers")
    return size[0], size[1]


def _fp8_blocks_shape(shapes: Shapes, quantisation: Mapping[str, Any]) -> tuple[int, int] | None:
    if shapes["weight"][0] != "F8_E4M3":
        return None
    outputs, inputs = _two(shapes["weight"][1], "[outputs, inputs]")
    rows, columns = _block(quantisation)
    _fit("weight_scale_inv", shapes["weight_scale_inv"][1], [_ceil(outputs, rows), _ceil(inputs, columns)])
    return outputs, inputs


def _fp8_blocks(arrays: Arrays, shape: tuple[int, int], quantisation: Mapping[str, Any]) -> Float32:
    rows, columns = _block(quantisation)
    scale = arrays["weight_scale_inv"].astype(np.float32).repeat(rows, axis=0).repeat(columns, axis=1)
    return arrays["weight"].astype(np.float32) * scale[:shape[0], :shape[1]]


def _rows_shape(*types: str) -> Callable[[Shapes, Mapping[str, Any]], tuple[int, int] | None]:
    def found(shapes: Shapes, _: Mapping[str, Any]) -> tuple[int, int] | None:
        if shapes["weight"][0] not in types or shapes["weight_scale"][0] not in FLOATS:
            return None
        outputs, inputs = _two(shapes["weight"][1], "[outputs, inputs]")
        _fit("weight_scale", shapes["weight_scale"][1], [outputs, 1], [outputs], [1], [])
        return outputs, inputs
    return found


def _rows(arrays: Arrays, _: tuple[int, int], __: Mapping[str, Any]) -> Float32:
    return arrays["weight"].astype(np.float32) * arrays["weight_scale"].astype(np.float32).reshape(-1, 1)


# -- 4-bit codes ------------------------------------------------------------------------------------------------------------

def nibbles(packed: NDArray[Any], bits: int = 4) -> NDArray[np.int64]:
    """Codes of a last dimension of bytes or words, lowest first: [..., n] to [..., n * width / bits]."""
    width = 8 * packed.dtype.itemsize
    words = packed.view(f"u{packed.dtype.itemsize}").astype(np.int64)
    codes = words[..., None] >> np.arange(0, width, bits, dtype=np.int64) & (2**bits - 1)
    return np.asarray(codes.reshape(*packed.shape[:-1], -1))


def _fp4_shape(shapes: Shapes, scale: str, block: int) -> tuple[int, int]:
    outputs, half = _two(shapes["weight"][1], "[outputs, inputs / 2]")
    _fit(scale, shapes[scale][1], [outputs, _ceil(2 * half, block)])
    return outputs, 2 * half


def _mxfp4_shape(shapes: Shapes, _: Mapping[str, Any]) -> tuple[int, int] | None:
    fits = shapes["weight"][0] in ("I8", "U8") and shapes["scale"][0] == "F8_E8M0"
    return _fp4_shape(shapes, "scale", MX_BLOCK) if fits else None


def _mxfp4(arrays: Arrays, shape: tuple[int, int], _: Mapping[str, Any]) -> Float32:
    scale = arrays["scale"].astype(np.float32).repeat(MX_BLOCK, axis=1)[:, :shape[1]]
    return E2M1[nibbles(arrays["weight"])] * scale


def _nvfp4_shape(shapes: Shapes, _: Mapping[str, Any]) -> tuple[int, int] | None:
    if shapes["weight"][0] != "U8" or shapes["weight_scale"][0] != "F8_E4M3":
        return None
    _fit("weight_scale_2", shapes["weight_scale_2"][1], [], [1])
    return _fp4_shape(shapes, "weight_scale", NV_BLOCK)


def _nvfp4(arrays: Arrays, shape: tuple[int, int], _: Mapping[str, Any]) -> Float32:
    scale = arrays["weight_scale"].astype(np.float32) * arrays["weight_scale_2"].astype(np.float32).reshape(())
    return E2M1[nibbles(arrays["weight"])] * scale.repeat(NV_BLOCK, axis=1)[:, :shape[1]]


def _bits(quantisation: Mapping[str, Any]) -> int:
    """Width of a code: of GPTQ and AWQ ``bits``, of compressed-tensors ``num_bits`` of its one group."""
    bits = quantisation.get("bits", quantisation.get("w_bit"))
    groups = quantisation.get("config_groups")
    if bits is None and isinstance(groups, Mapping):
        found = {group.get("weights", {}).get("num_bits") for group in groups.values()
                 if isinstance(group, Mapping) and isinstance(group.get("weights"), Mapping)}
        bits = found.pop() if len(found) == 1 else None
    bits = 4 if bits is None else bits
    if bits not in (4, 8):
        raise ValueError(f"bits = {shown(bits)} is not legal; legal values: 4, 8")
    return int(bits)


def _grouped(codes: NDArray[Any], zeros: NDArray[Any] | int, scales: NDArray[Any], groups: NDArray[Any] | None) -> Float32:
    """``(code - zero) * scale``; codes [outputs, inputs], zeros and scales [outputs, groups]."""
    inputs, count = codes.shape[1], scales.shape[1]
    if groups is None:
        groups = np.arange(inputs) // _ceil(inputs, count)
    elif groups.min(initial=0) < 0 or groups.max(initial=0) >= count:
        raise ValueError(f"g_idx holds {groups.min()} to {groups.max()}; legal values: 0 to {count - 1}")
    zero = zeros if isinstance(zeros, int) else zeros[:, groups]
    return np.asarray((codes - zero).astype(np.float32) * scales.astype(np.float32)[:, groups], dtype=np.float32)


def _packed_shape(shapes: Shapes, quantisation: Mapping[str, Any]) -> tuple[int, int] | None:
    if shapes["weight_packed"][0] != "I32":
        return None
    per_word = 32 // _bits(quantisation)
    outputs, words = _two(shapes["weight_packed"][1], f"[outputs, inputs / {per_word}]")
    rows, groups = _two(shapes["weight_scale"][1], "[outputs, groups]")
    _fit("weight_shape", shapes["weight_shape"][1], [2])
    if rows != outputs:
        raise ValueError(f"weight_scale has {rows} rows; legal: {outputs}")
    if "weight_zero_point" in shapes:
        _fit("weight_zero_point", shapes["weight_zero_point"][1], [_ceil(outputs, per_word), groups])
    return outputs, words * per_word


def _packed(arrays: Arrays, shape: tuple[int, int], quantisation: Mapping[str, Any]) -> Float32:
    bits = _bits(quantisation)
    outputs, inputs = (int(n) for n in arrays["weight_shape"])
    if outputs != shape[0] or not shape[1] - 32 // bits < inputs <= shape[1]:
        raise ValueError(f"weight_shape = [{outputs}, {inputs}] is not legal; legal: what weight_packed holds")
    codes = nibbles(arrays["weight_packed"], bits)[:, :inputs] - 2**(bits - 1)
    zeros: NDArray[Any] | int = 0
    if "weight_zero_point" in arrays:
        zeros = nibbles(np.ascontiguousarray(arrays["weight_zero_point"].T), bits).T[:outputs] - 2**(bits - 1)
    return _grouped(codes, zeros, arrays["weight_scale"], arrays.get("weight_g_idx"))


def _method(quantisation: Mapping[str, Any]) -> str:
    return str(quantisation.get("quant_method", "")).lower()


def _gptq_shape(shapes: Shapes, quantisation: Mapping[str, Any]) -> tuple[int, int] | None:
    if _method(quantisation) == "awq" or shapes["qweight"][0] != "I32":
        return None
    if _method(quantisation) != "gptq":
        raise ValueError(f"quantization_config.quant_method = {shown(quantisation.get('quant_method'))} is not legal; legal: "
                         "gptq, awq (their tensors have the same names)")
    per_word = 32 // _bits(quantisation)
    words, outputs = _two(shapes["qweight"][1], f"[inputs / {per_word}, outputs]")
    groups, columns = _two(shapes["scales"][1], "[groups, outputs]")
    _fit("scales", [groups, columns], [groups, outputs])
    _fit("qzeros", shapes["qzeros"][1], [groups, _ceil(outputs, per_word)])
    if "g_idx" in shapes:
        _fit("g_idx", shapes["g_idx"][1], [words * per_word])
    elif quantisation.get("desc_act"):
        raise ValueError("desc_act = true is not legal without g_idx; legal: both, or none")
    return outputs, words * per_word


def _gptq(arrays: Arrays, shape: tuple[int, int], quantisation: Mapping[str, Any]) -> Float32:
    bits = _bits(quantisation)
    codes = nibbles(np.ascontiguousarray(arrays["qweight"].T), bits)
    later = 0 if quantisation.get("checkpoint_format") == "gptq_v2" else 1  # the first version stores one less
    zeros = nibbles(arrays["qzeros"], bits).T[:shape[0]] + later
    return _grouped(codes, zeros, np.ascontiguousarray(arrays["scales"].T), arrays.get("g_idx"))


def _awq_shape(shapes: Shapes, quantisation: Mapping[str, Any]) -> tuple[int, int] | None:
    if _method(quantisation) != "awq" or shapes["qweight"][0] != "I32" or "g_idx" in shapes:
        return None
    if _bits(quantisation) != 4:
        raise ValueError("bits = 8 is not legal; legal value: 4")
    if str(quantisation.get("version", "gemm")).lower() != "gemm":
        raise ValueError(f"version = {shown(quantisation['version'])} is not legal; legal value: gemm")
    inputs, words = _two(shapes["qweight"][1], "[inputs, outputs / 8]")
    groups, _ = _two(shapes["scales"][1], "[groups, outputs]")
    _fit("scales", shapes["scales"][1], [groups, 8 * words])
    _fit("qzeros", shapes["qzeros"][1], [groups, words])
    return 8 * words, inputs


def _awq(arrays: Arrays, _: tuple[int, int], __: Mapping[str, Any]) -> Float32:
    def in_order(packed: NDArray[Any]) -> NDArray[Any]:
        """[rows, outputs / 8] words to [outputs, rows] codes."""
        codes = nibbles(packed).reshape(len(packed), -1, 8)[:, :, np.argsort(AWQ_ORDER)]
        return np.asarray(codes.reshape(len(packed), -1).T)
    return _grouped(in_order(arrays["qweight"]), in_order(arrays["qzeros"]), np.ascontiguousarray(arrays["scales"].T), None)


#: scales of activations at their own runtime; activations have scales of their own here
_RUNTIME = ("input_scale", "input_global_scale", "k_scale", "v_scale")
PLAIN = Format("plain", ("weight",), (), _plain_shape, _plain)
FORMATS = (
    PLAIN,
    Format("FP8 blocks", ("weight", "weight_scale_inv"), _RUNTIME, _fp8_blocks_shape, _fp8_blocks),
    Format("FP8 rows", ("weight", "weight_scale"), _RUNTIME, _rows_shape("F8_E4M3"), _rows),
    Format("W8A8", ("weight", "weight_scale"), _RUNTIME, _rows_shape("I8"), _rows),
    Format("MXFP4", ("weight", "scale"), (), _mxfp4_shape, _mxfp4),
    Format("NVFP4", ("weight", "weight_scale", "weight_scale_2"), _RUNTIME, _nvfp4_shape, _nvfp4),
    Format("compressed-tensors", ("weight_packed", "weight_scale", "weight_shape"), ("weight_zero_point", "weight_g_idx"),
           _packed_shape, _packed),
    Format("GPTQ", ("qweight", "qzeros", "scales"), ("g_idx",), _gptq_shape, _gptq),
    Format("AWQ", ("qweight", "qzeros", "scales"), (), _awq_shape, _awq),
)
