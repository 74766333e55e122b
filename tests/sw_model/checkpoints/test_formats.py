"""Matrices in every format: codes are packed here one by one, by the text of docs/import.md, and must come out exactly."""

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.support.checkpoints import write_eight
from trajectile.sw_model.checkpoints.checkpoint import Checkpoint
from trajectile.sw_model.checkpoints.formats import matrix
from trajectile.sw_model.checkpoints.tensors import CheckpointError

OUT, IN = 16, 64
FP4 = [0, .5, 1, 1.5, 2, 3, 4, 6, -0.0, -.5, -1, -1.5, -2, -3, -4, -6]
SEED = 3


def words(codes, bits, order=None):
    """Codes [..., n] in words of 32 bits, lowest first; ``order`` says which code is in each place of a word."""
    count = 32 // bits
    codes = np.asarray(codes, dtype=np.uint32)
    made = np.zeros((*codes.shape[:-1], codes.shape[-1] // count), dtype=np.uint32)
    for place in range(count):
        source = place if order is None else order[place]
        made |= codes[..., source::count] << np.uint32(bits * place)
    return made.view(np.int32)


def pairs(codes):
    """Codes of four bits in bytes, the even one low."""
    codes = np.asarray(codes, dtype=np.uint8)
    return codes[..., 0::2] | codes[..., 1::2] << 4


def plain(rng):
    values = rng.standard_normal((OUT, IN)).astype(np.float32)
    return {"weight": values}, {}, values


def fp8_blocks(rng):
    codes = rng.standard_normal((OUT, IN)).astype(ml_dtypes.float8_e4m3fn)
    scale = rng.random((2, 3)).astype(np.float32) + np.float32(.5)
    real = np.array([[np.float32(codes[o, i]) * scale[o // 8, i // 24] for i in range(IN)] for o in range(OUT)])
    return {"weight": codes, "weight_scale_inv": scale}, {"weight_block_size": [8, 24]}, real


def fp8_rows(rng):
    codes = rng.standard_normal((OUT, IN)).astype(ml_dtypes.float8_e4m3fn)
    scale = rng.random((OUT, 1)).astype(np.float32)
    tensors = {"weight": codes, "weight_scale": scale, "input_scale": np.ones(1, np.float32)}
    return tensors, {}, codes.astype(np.float32) * scale


def w8a8(rng):
    codes, scale = rng.integers(-127, 128, (OUT, IN)).astype(np.int8), rng.random((OUT, 1)).astype(np.float32)
    return {"weight": codes, "weight_scale": scale}, {}, codes * scale


def mxfp4(rng):
    codes, exponents = rng.integers(0, 16, (OUT, IN)), rng.integers(120, 131, (OUT, IN // 32))
    real = np.array([[FP4[codes[o, i]] * 2.0**(exponents[o, i // 32] - 127) for i in range(IN)] for o in range(OUT)])
    return {"weight": pairs(codes).view(np.int8),
            "scale": exponents.astype(np.uint8).view(ml_dtypes.float8_e8m0fnu)}, {}, real.astype(np.float32)


def nvfp4(rng):
    codes = rng.integers(0, 16, (OUT, IN))
    scale, whole = rng.random((OUT, IN // 16)).astype(ml_dtypes.float8_e4m3fn), np.array(.25, dtype=np.float32)
    real = np.array([[np.float32(FP4[codes[o, i]]) * (np.float32(scale[o, i // 16]) * whole) for i in range(IN)]
                     for o in range(OUT)])
    return {"weight": pairs(codes), "weight_scale": scale, "weight_scale_2": whole}, {}, real


def packed(rng, bits=4, zero=False, actorder=False):
    codes = rng.integers(0, 2**bits, (OUT, IN))
    scale = rng.random((OUT, 4)).astype(np.float32)
    groups = rng.permutation(np.arange(IN) // 16) if actorder else np.arange(IN) // 16
    zeros = rng.integers(0, 2**bits, (OUT, 4)) if zero else np.full((OUT, 4), 2**(bits - 1))
    real = np.array([[np.float32(int(codes[o, i]) - int(zeros[o, groups[i]])) * scale[o, groups[i]] for i in range(IN)]
                     for o in range(OUT)])
    tensors = {"weight_packed": words(codes, bits), "weight_scale": scale, "weight_shape": np.array([OUT, IN], np.int32)}
    if zero:
        tensors["weight_zero_point"] = np.ascontiguousarray(words(np.ascontiguousarray(zeros.T), bits).T)
    if actorder:
        tensors["weight_g_idx"] = groups.astype(np.int32)
    groups = {"group_0": {"weights": {"num_bits": bits}}}
    return tensors, {"quant_method": "compressed-tensors", "config_groups": groups}, real


def gptq(rng, bits=4, version="gptq", desc_act=False):
    codes, zeros = rng.integers(0, 2**bits, (OUT, IN)), rng.integers(1, 2**bits, (OUT, 4))
    scale = rng.random((4, OUT)).astype(np.float16)
    groups = rng.permutation(np.arange(IN) // 16) if desc_act else np.arange(IN) // 16
    real = np.array([[np.float32(int(codes[o, i]) - int(zeros[o, groups[i]])) * np.float32(scale[groups[i], o])
                      for i in range(IN)] for o in range(OUT)])
    stored = zeros - 1 if version == "gptq" else zeros
    return ({"qweight": np.ascontiguousarray(words(codes, bits).T), "qzeros": words(np.ascontiguousarray(stored.T), bits),
             "scales": scale, "g_idx": groups.astype(np.int32)},
            {"quant_method": "gptq", "bits": bits, "checkpoint_format": version, "desc_act": desc_act}, real)


def awq(rng):
    codes, zeros = rng.integers(0, 16, (IN, OUT)), rng.integers(0, 16, (4, OUT))
    scale, order = rng.random((4, OUT)).astype(np.float16), (0, 2, 4, 6, 1, 3, 5, 7)
    real = np.array([[np.float32(int(codes[i, o]) - int(zeros[i // 16, o])) * np.float32(scale[i // 16, o])
                      for i in range(IN)] for o in range(OUT)])
    return ({"qweight": words(codes, 4, order), "qzeros": words(zeros, 4, order), "scales": scale},
            {"quant_method": "awq", "bits": 4, "version": "gemm"}, real)


FORMATS = {
    "plain": (plain, "F32"), "fp8 blocks": (fp8_blocks, "FP8 blocks"), "fp8 rows": (fp8_rows, "FP8 rows"),
    "w8a8": (w8a8, "W8A8"), "mxfp4": (mxfp4, "MXFP4"), "nvfp4": (nvfp4, "NVFP4"),
    "int4": (packed, "compressed-tensors"), "int8 packed": (lambda rng: packed(rng, 8), "compressed-tensors"),
    "int4 with zero points": (lambda rng: packed(rng, zero=True), "compressed-tensors"),
    "int4 in another order": (lambda rng: packed(rng, actorder=True), "compressed-tensors"),
    "gptq": (gptq, "GPTQ"), "gptq of 8 bits": (lambda rng: gptq(rng, 8), "GPTQ"),
    "gptq v2": (lambda rng: gptq(rng, version="gptq_v2"), "GPTQ"),
    "gptq in another order": (lambda rng: gptq(rng, desc_act=True), "GPTQ"), "awq": (awq, "AWQ"),
}


def made(make):
    print(f"seed {SEED}")
    return make(np.random.default_rng(SEED))


def opened(tmp_path, tensors):
    """A checkpoint of the tensors, and their full names by ending."""
    named = {f"layers.0.mlp.experts.0.up_proj.{ending}": np.ascontiguousarray(values) for ending, values in tensors.items()}
    path = tmp_path / "model.safetensors"
    if any(values.dtype in (ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e8m0fnu) for values in named.values()):
        write_eight(path, named)
    else:
        save_file(named, path)
    return Checkpoint(path), {ending: name for ending, name in zip(tensors, named, strict=True)}


@pytest.mark.parametrize("name", FORMATS)
def test_every_code_comes_out(tmp_path, name):
    """To the last bit of float32."""
    make, dtype = FORMATS[name]
    tensors, quantisation, real = made(make)
    checkpoint, names = opened(tmp_path, tensors)
    with checkpoint:
        found = matrix(checkpoint, names, quantisation)
        assert (found.dtype, found.shape) == (dtype, (OUT, IN))
        np.testing.assert_array_equal(found.read(), real.astype(np.float32))


WRONG = {
    "a scale too few": (fp8_blocks, {"weight_scale_inv": np.ones((2, 2), np.float32)}, {}, "weight_scale_inv has shape"),
    "blocks of nothing": (fp8_blocks, {}, {"weight_block_size": [0, 1]}, "weight_block_size"),
    "rows": (w8a8, {"weight_scale": np.ones((3, 1), np.float32)}, {}, "weight_scale has shape"),
    "blocks of 16": (mxfp4, {"scale": np.ones((OUT, 4)).astype(ml_dtypes.float8_e8m0fnu)}, {}, "scale has shape"),
    "no method": (gptq, {}, {"quant_method": None}, "quant_method"),
    "three bits": (gptq, {}, {"bits": 3}, "bits = 3"),
    "no order": (gptq, {"g_idx": None}, {"desc_act": True}, "desc_act"),
    "a group too many": (gptq, {"g_idx": np.full(IN, 4, np.int32)}, {}, "g_idx holds 4"),
    "gemv": (awq, {}, {"version": "gemv"}, "version"),
    "shape": (packed, {"weight_shape": np.array([OUT, 20], np.int32)}, {}, "weight_shape"),
    "no such format": (plain, {"bias": np.ones(OUT, np.float32)}, {}, "legal: plain"),
    "not finite": (plain, {"weight": np.full((OUT, IN), np.inf, np.float32)}, {}, "not finite"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_is_refused(tmp_path, name):
    """With the tensor and what is legal."""
    make, changes, config, named = WRONG[name]
    tensors, quantisation, _ = made(make)
    tensors = {ending: values for ending, values in (tensors | changes).items() if values is not None}
    checkpoint, names = opened(tmp_path, tensors)
    with checkpoint, pytest.raises(CheckpointError, match=named):
        matrix(checkpoint, names, quantisation | config).read()
