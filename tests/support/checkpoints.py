"""Checkpoints as models write them, made by the tests: every naming, type and layout, whole or in shards."""

import json
from pathlib import Path

import ml_dtypes
import numpy as np
from safetensors.numpy import save_file

from trajectile.sw_model.numerics.layers import FloatLayer

TYPES = {"BF16": np.dtype(ml_dtypes.bfloat16), "F16": np.dtype(np.float16), "F32": np.dtype(np.float32)}
#: naming -> stem of the experts' names
NAMINGS = {
    "mixtral": "model.layers.{}.block_sparse_moe.experts", "qwen": "model.layers.{}.mlp.experts",
    "deepseek": "model.layers.{}.mlp.experts", "olmoe": "model.layers.{}.mlp.experts",
    "fused": "model.layers.{}.mlp.experts", "fused-transposed": "model.language_model.layers.{}.mlp.experts"}


def weights(experts=6, d_ff=18, d_model=12, dtype="F32", seed=1):
    """A layer as a checkpoint of the type can hold it, float32, and its router [experts, d_model]."""
    rng = np.random.default_rng(seed)

    def draw(*shape):
        return (rng.standard_normal(shape) * shape[-1]**-0.5).astype(TYPES[dtype]).astype(np.float32)
    layer = FloatLayer(draw(experts, d_ff, d_model), draw(experts, d_ff, d_model), draw(experts, d_model, d_ff))
    return layer, draw(experts, d_model)


def tensors(naming, layer, router=None, *, number=3, dtype="F32"):
    """The tensors of a layer under the names of a model, with others around them."""
    stem, kind = NAMINGS[naming].format(number), TYPES[dtype]
    block = stem.removesuffix("experts")
    others = (f"layers.{number}.self_attn.q_proj", "embed_tokens", "layers.0.mlp.gate_proj")
    found = {f"model.{name}.weight": np.zeros((4, 4)) for name in others}
    if router is not None:
        found[block + "gate.weight"] = router
    if naming in ("qwen", "deepseek"):  # twice as wide as a routed one
        _, d_ff, d_model = layer.w_gate.shape
        rng = np.random.default_rng(9)
        for word in ("gate_proj", "up_proj", "down_proj"):
            shape = (d_model, 2 * d_ff) if word == "down_proj" else (2 * d_ff, d_model)
            found[f"{block}shared_expert{'s' * (naming == 'deepseek')}.{word}.weight"] = 0.2 * rng.standard_normal(shape)
    if naming.startswith("fused"):
        both, down = np.concatenate([layer.w_gate, layer.w_up], axis=1), layer.w_down
        if naming == "fused-transposed":
            both, down = both.transpose(0, 2, 1), down.transpose(0, 2, 1)
        found |= {f"{stem}.gate_up_proj": both, f"{stem}.down_proj": down}
    else:
        words = ("w1", "w3", "w2") if naming == "mixtral" else ("gate_proj", "up_proj", "down_proj")
        for word, matrix in zip(words, (layer.w_gate, layer.w_up, layer.w_down), strict=True):
            found |= {f"{stem}.{expert}.{word}.weight": part for expert, part in enumerate(matrix)}
    return {name: np.ascontiguousarray(tensor.astype(kind)) for name, tensor in found.items()}


def write(folder: Path, table, *, shards=1, config=None) -> Path:
    """Write tensors as one file, or as shards with their index, and a config.json; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    if shards == 1:
        save_file(table, folder / "model.safetensors")
        return folder
    names = sorted(table)
    places: dict[str, str] = {}
    for shard in range(shards):
        file = f"model-{shard + 1:05}-of-{shards:05}.safetensors"
        part = {name: table[name] for name in names[shard::shards]}
        save_file(part, folder / file)
        places |= dict.fromkeys(part, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    return folder


def write_eight(path: Path, table) -> None:
    """Write tensors of which some have types of 8 bits that safetensors does not take from NumPy."""
    kinds = {"float8_e4m3fn": "F8_E4M3", "float8_e8m0fnu": "F8_E8M0", "float32": "F32", "float16": "F16",
             "bfloat16": "BF16", "int8": "I8",
             "uint8": "U8", "int32": "I32"}
    header, data = {}, b""
    for name, values in table.items():
        content = np.ascontiguousarray(values).tobytes()
        header[name] = {"dtype": kinds[values.dtype.name], "shape": list(values.shape),
                        "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
