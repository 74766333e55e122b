"""Matrices as codes of 4 bits, some also of 8, with a scale per group of inputs."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trajectile.sw_model.checkpoints.headers import RUNTIME, Arrays, Format, Shapes, fit, two
from trajectile.sw_model.config import ceil_div
from trajectile.sw_model.config.checks import shown
from trajectile.sw_model.numerics.layers import Float32

#: values of the sixteen codes of FP4 E2M1
E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6], dtype=np.float32)
#: inputs per scale of MXFP4 and of NVFP4
MX_BLOCK, NV_BLOCK = 32, 16
#: output of each nibble of a word of AWQ, lowest first
AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)


def nibbles(packed: NDArray[Any], bits: int = 4) -> NDArray[np.int64]:
    """Codes of a last dimension of bytes or words, lowest first: [..., n] to [..., n * width / bits]."""
    width = 8 * packed.dtype.itemsize
    words = packed.view(f"u{packed.dtype.itemsize}").astype(np.int64)
    codes = words[..., None] >> np.arange(0, width, bits, dtype=np.int64) & (2**bits - 1)
    return np.asarray(codes.reshape(*packed.shape[:-1], -1))


def _fp4_shape(shapes: Shapes, scale: str, block: int) -> tuple[int, int]:
    outputs, half = two(shapes["weight"][1], "[outputs, inputs / 2]")
    fit(scale, shapes[scale][1], [outputs, ceil_div(2 * half, block)])
    return outputs, 2 * half


def _mxfp4_shape(shapes: Shapes, _: Mapping[str, Any]) -> tuple[int, int] | None:
    fits = shapes["weight"][0] in ("I8", "U8") and shapes["scale"][0] == "F8_E8M0"
    return _fp4_shape(shapes, "scale", MX_BLOCK) if fits else None


def mxfp4_values(packed: NDArray[Any], exponents: NDArray[Any]) -> Float32:
    """What codes of MXFP4 stand for; what float32 does not have is not finite.

    Args:
        packed: two codes in each byte, the even input's in the low bits, [outputs, inputs / 2].
        exponents: of each 32 inputs, E8M0 as uint8 [outputs, blocks]: 127 is 1, 255 is no number.
    """
    codes = E2M1[nibbles(packed)]
    exponents = exponents.repeat(MX_BLOCK, axis=1)[:, :codes.shape[1]]
    with np.errstate(over="ignore", under="ignore"):
        values = np.ldexp(codes, exponents.astype(np.int32) - 127)
    return np.asarray(np.where(exponents == 255, np.float32(np.nan), values), dtype=np.float32)


def _mxfp4(arrays: Arrays, _: tuple[int, int], __: Mapping[str, Any]) -> Float32:
    return mxfp4_values(arrays["weight"], arrays["scale"].view(np.uint8))


def _nvfp4_shape(shapes: Shapes, _: Mapping[str, Any]) -> tuple[int, int] | None:
    if shapes["weight"][0] != "U8" or shapes["weight_scale"][0] != "F8_E4M3":
        return None
    fit("weight_scale_2", shapes["weight_scale_2"][1], [], [1])
    return _fp4_shape(shapes, "weight_scale", NV_BLOCK)


def _nvfp4(arrays: Arrays, shape: tuple[int, int], _: Mapping[str, Any]) -> Float32:
    scale = arrays["weight_scale"].astype(np.float32) * arrays["weight_scale_2"].astype(np.float32).reshape(())
    return E2M1[nibbles(arrays["weight"])] * scale.repeat(NV_BLOCK, axis=1)[:, :shape[1]]


def code_bits(quantisation: Mapping[str, Any]) -> int:
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
        groups = np.arange(inputs) // ceil_div(inputs, count)
    elif groups.min(initial=0) < 0 or groups.max(initial=0) >= count:
        raise ValueError(f"g_idx holds {groups.min()} to {groups.max()}; legal values: 0 to {count - 1}")
    zero = zeros if isinstance(zeros, int) else zeros[:, groups]
    return np.asarray((codes - zero).astype(np.float32) * scales.astype(np.float32)[:, groups], dtype=np.float32)


def _packed_shape(shapes: Shapes, quantisation: Mapping[str, Any]) -> tuple[int, int] | None:
    if shapes["weight_packed"][0] != "I32":
        return None
    per_word = 32 // code_bits(quantisation)
    outputs, words = two(shapes["weight_packed"][1], f"[outputs, inputs / {per_word}]")
    rows, groups = two(shapes["weight_scale"][1], "[outputs, groups]")
    fit("weight_shape", shapes["weight_shape"][1], [2])
    if rows != outputs:
        raise ValueError(f"weight_scale has {rows} rows; legal: {outputs}")
    if "weight_zero_point" in shapes:
        fit("weight_zero_point", shapes["weight_zero_point"][1], [ceil_div(outputs, per_word), groups])
    return outputs, words * per_word


def _packed(arrays: Arrays, shape: tuple[int, int], quantisation: Mapping[str, Any]) -> Float32:
    bits = code_bits(quantisation)
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
    per_word = 32 // code_bits(quantisation)
    words, outputs = two(shapes["qweight"][1], f"[inputs / {per_word}, outputs]")
    groups, columns = two(shapes["scales"][1], "[groups, outputs]")
    fit("scales", [groups, columns], [groups, outputs])
    fit("qzeros", shapes["qzeros"][1], [groups, ceil_div(outputs, per_word)])
    if "g_idx" in shapes:
        fit("g_idx", shapes["g_idx"][1], [words * per_word])
    elif quantisation.get("desc_act"):
        raise ValueError("desc_act = true is not legal without g_idx; legal: both, or none")
    return outputs, words * per_word


def _gptq(arrays: Arrays, shape: tuple[int, int], quantisation: Mapping[str, Any]) -> Float32:
    bits = code_bits(quantisation)
    codes = nibbles(np.ascontiguousarray(arrays["qweight"].T), bits)
    later = 0 if quantisation.get("checkpoint_format") == "gptq_v2" else 1  # the first version stores one less
    zeros = nibbles(arrays["qzeros"], bits).T[:shape[0]] + later
    return _grouped(codes, zeros, np.ascontiguousarray(arrays["scales"].T), arrays.get("g_idx"))


def _awq_shape(shapes: Shapes, quantisation: Mapping[str, Any]) -> tuple[int, int] | None:
    if _method(quantisation) != "awq" or shapes["qweight"][0] != "I32" or "g_idx" in shapes:
        return None
    if code_bits(quantisation) != 4:
        raise ValueError("bits = 8 is not legal; legal value: 4")
    if str(quantisation.get("version", "gemm")).lower() != "gemm":
        raise ValueError(f"version = {shown(quantisation['version'])} is not legal; legal value: gemm")
    inputs, words = two(shapes["qweight"][1], "[inputs, outputs / 8]")
    groups, _ = two(shapes["scales"][1], "[groups, outputs]")
    fit("scales", shapes["scales"][1], [groups, 8 * words])
    fit("qzeros", shapes["qzeros"][1], [groups, words])
    return 8 * words, inputs


def _awq(arrays: Arrays, _: tuple[int, int], __: Mapping[str, Any]) -> Float32:
    def in_order(packed: NDArray[Any]) -> NDArray[Any]:
        """[rows, outputs / 8] words to [outputs, rows] codes."""
        codes = nibbles(packed).reshape(len(packed), -1, 8)[:, :, np.argsort(AWQ_ORDER)]
        return np.asarray(codes.reshape(len(packed), -1).T)
    return _grouped(in_order(arrays["qweight"]), in_order(arrays["qzeros"]), np.ascontiguousarray(arrays["scales"].T), None)


MXFP4 = Format("MXFP4", ("weight", "scale"), (), _mxfp4_shape, _mxfp4)
NVFP4 = Format("NVFP4", ("weight", "weight_scale", "weight_scale_2"), RUNTIME, _nvfp4_shape, _nvfp4)
PACKED = Format("compressed-tensors", ("weight_packed", "weight_scale", "weight_shape"),
                ("weight_zero_point", "weight_g_idx"), _packed_shape, _packed)
GPTQ = Format("GPTQ", ("qweight", "qzeros", "scales"), ("g_idx",), _gptq_shape, _gptq)
AWQ = Format("AWQ", ("qweight", "qzeros", "scales"), (), _awq_shape, _awq)
