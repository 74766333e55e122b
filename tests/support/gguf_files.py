"""GGUF files as llama.cpp's converters write them, made by the tests: every layout, type and architecture."""

from pathlib import Path
from typing import Any

import gguf
import numpy as np

from trajectile.sw_model.checkpoints.four_bits import E2M1

#: how types are called
KINDS = gguf.GGMLQuantizationType
#: metadata that every converter writes, and no layer is computed from
COMMON = {
    "block_count": 4, "context_length": 4096, "embedding_length": 64, "feed_forward_length": 128,
    "expert_feed_forward_length": 32, "vocab_size": 32, "attention.head_count": 4, "attention.head_count_kv": [2, 2, 2, 2],
    "attention.layer_norm_rms_epsilon": 1e-6, "rope.freq_base": 1e6, "rope.dimension_count": 16,
    "rope.scaling.type": "yarn", "leading_dense_block_count": 1, "nextn_predict_layers": 1, "attention.causal": True}


def stored(values, kind: str):
    """A tensor's content in a type: what the file has of it, and what that stands for, decoded without the library."""
    if kind == "F32":
        return values.astype(np.float32), values.astype(np.float32)
    if kind == "F16":
        return values.astype(np.float16), values.astype(np.float16).astype(np.float32)
    if kind == "Q4_K":
        raw = q4_k_blocks(values.shape)
    else:
        raw = gguf.quantize(values.astype(np.float32), KINDS[kind])
    return raw, DECODE[kind](raw.reshape(-1, gguf.GGML_QUANT_SIZES[KINDS[kind]][1])).reshape(values.shape)


def q4_k_blocks(shape, seed=3):
    """Blocks of Q4_K with any codes, scales and minima: the library has no quantiser of this type."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (int(np.prod(shape)) // 256, 144), dtype=np.uint8)
    factors = rng.uniform(0.001, 0.01, (len(blocks), 2)).astype(np.float16)
    blocks[:, :4] = factors.view(np.uint8)
    return blocks.reshape(*shape[:-1], shape[-1] // 256 * 144)


def _half(blocks, begin=0):
    return np.ascontiguousarray(blocks[:, begin:begin + 2]).view(np.float16).astype(np.float32)


def _halves(codes):
    """[blocks, n] bytes to [blocks, 2 n] nibbles: all low ones before all high ones."""
    return np.concatenate([codes & 15, codes >> 4], axis=1)


def _q4_k(blocks):
    values = []
    for block, (d, least) in zip(blocks, np.concatenate([_half(blocks), _half(blocks, 2)], axis=1), strict=True):
        packed, codes = block[4:16], block[16:].reshape(4, 32)
        for group in range(8):
            if group < 4:
                scale, low = packed[group] & 63, packed[group + 4] & 63
            else:
                scale = packed[group + 4] & 15 | packed[group - 4] >> 6 << 4
                low = packed[group + 4] >> 4 | packed[group] >> 6 << 4
            nibbles = codes[group // 2] >> 4 * (group % 2) & 15
            values.append(d * np.float32(scale) * nibbles.astype(np.float32) - least * np.float32(low))
    return np.array(values, dtype=np.float32)


#: of types whose blocks have a factor and codes: blocks [n, bytes] to float32
DECODE = {
    "BF16": lambda blocks: (blocks.view(np.uint16).astype(np.uint32) << 16).view(np.float32),
    "Q8_0": lambda blocks: _half(blocks) * blocks[:, 2:].view(np.int8).astype(np.float32),
    "Q4_0": lambda blocks: _half(blocks) * (_halves(blocks[:, 2:]).astype(np.float32) - 8),
    "MXFP4": lambda blocks: np.float32(2) ** (blocks[:, :1].astype(np.float32) - 127) * E2M1[_halves(blocks[:, 1:])],
    "Q4_K": _q4_k,
}


def tensors(layer, router=None, *, number=3, kind="F32", layout="stacked", down=None):
    """A layer's tensors with others around them, as ``(content, type)`` by name, and what its three matrices stand for."""
    stem, kinds = f"blk.{number}.", (kind, kind, down or kind)
    pairs = [stored(matrix, one) for matrix, one in zip((layer.w_gate, layer.w_up, layer.w_down), kinds, strict=True)]
    found: dict[str, tuple[Any, str]] = {"token_embd.weight": (np.zeros((4, 64), np.float32), "F32")}
    for name in ("attn_q.weight", "attn_k_norm.weight", "ffn_norm.weight", "post_attention_norm.weight", "attn_q.bias"):
        found[stem + name] = np.zeros(64, np.float32), "F32"
    for name in ("ffn_gate", "ffn_up", "ffn_down"):
        found[f"blk.0.{name}.weight"] = np.zeros((4, 64), np.float32), "F32"
    if router is not None:
        found[stem + "ffn_gate_inp.weight"] = router, "F32"
    (gate, _), (up, _), (down_stored, _) = pairs
    if layout == "fused":
        found[stem + "ffn_gate_up_exps.weight"] = np.concatenate([gate, up], axis=1), kind
        found[stem + "ffn_down_exps.weight"] = down_stored, kinds[2]
    else:
        for part, raw, one in zip(("gate", "up", "down"), (gate, up, down_stored), kinds, strict=True):
            if layout == "stacked":
                found[f"{stem}ffn_{part}_exps.weight"] = raw, one
            else:
                found |= {f"{stem}ffn_{part}.{expert}.weight": (matrix, one) for expert, matrix in enumerate(raw)}
    return found, [decoded for _, decoded in pairs]


def write(path: Path, table, architecture="qwen3moe", metadata=None, part=None) -> Path:
    """Write a file; ``metadata`` has keys without the architecture before them, and ``None`` leaves one out.

    Args:
        path: of the file.
        table: ``(content, type)`` by name; the content of quantised types is bytes.
        architecture: of the model.
        metadata: keys beside the usual ones, or instead of them; a key with ``/`` before it is as it stands.
        part: number of the file among all parts, and how many they are.
    """
    writer = gguf.GGUFWriter(path, architecture)
    facts = COMMON | {"expert_count": None, "expert_used_count": 2} | (metadata or {})
    for key, value in facts.items():
        full = key[1:] if key.startswith("/") else f"{architecture}.{key}"
        if isinstance(value, bool):
            writer.add_bool(full, value)
        elif isinstance(value, int):
            writer.add_uint32(full, value)
        elif isinstance(value, float):
            writer.add_float32(full, value)
        elif isinstance(value, list):
            writer.add_array(full, value)
        elif value is not None:
            writer.add_string(full, value)
    writer.add_array("tokenizer.ggml.tokens", ["a", "b", "ab"])
    if part:
        writer.add_uint16("split.no", part[0])
        writer.add_uint16("split.count", part[1])
    for name, (content, kind) in table.items():
        writer.add_tensor(name, np.ascontiguousarray(content), raw_dtype=KINDS[kind])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
