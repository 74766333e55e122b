"""Gate traces as other programs write them, and files that only look like some."""

import io
import json
import struct
import zipfile

import numpy as np


def arrays(**changes) -> dict[str, np.ndarray]:
    """The arrays of a small .npz trace: layers 4 and 9, ten tokens, 3 of 8 experts; ``None`` leaves one out."""
    rng = np.random.default_rng(5)
    ids = np.array([[rng.permutation(8)[:3] for _ in range(10)] for _ in range(2)], dtype=np.int16)
    values = {"topk_ids": ids, "topk_weights": rng.random(ids.shape).astype(np.float16),
              "layers": np.array([4, 9]), "num_experts": np.array(8)}
    return {key: value for key, value in (values | changes).items() if value is not None}


#: [layers, tokens, top_k] of layers 4 and 9, and weights
IDS, WEIGHTS = arrays()["topk_ids"], arrays()["topk_weights"]
EVEN = np.full(IDS.shape, np.float32(1 / 3))


def saved(path, **values) -> None:
    """A .npz: for where a call must be an expression."""
    np.savez(path, **values)


def vllm_logger(path, *, weights=True, meta=True):
    """A line per token and layer, as loggers in vLLM's fused MoE layer write them."""
    lines = [{"type": "meta", "model_id": "some/model", "layers_logged": [4, 9], "top_k": 3}] if meta else []
    for layer, ids, scores in zip((4, 9), IDS, WEIGHTS, strict=True):
        lines += [{"type": "route", "req_id": "r0", "token_idx": token, "layer": layer, "topk_ids": ids[token].tolist()}
                  | ({"topk_weights": scores[token].tolist()} if weights else {}) for token in range(len(ids))]
    path.write_text("\n".join(map(json.dumps, lines)) + "\n")


def megatron(path):
    """A line per step and layer; layers of multi-token prediction in between; a step without tokens."""
    lines = []
    for step, (first, last) in enumerate(((0, 6), (6, 7), (7, 7), (7, 10))):
        for layer, ids in zip((4, 9), IDS, strict=True):
            lines.append({"step": step, "stage": "pre_dispatch", "block": "decoder", "layer": layer, "rank": 0,
                          "num_tokens": last - first, "topk": 3, "top_indices": ids[first:last].tolist()})
        lines.append({"step": step, "block": "mtp", "mtp_idx": 0, "layer": 4, "top_indices": [[0, 1]]})
    path.write_text("\n".join(map(json.dumps, lines)))


def vllm_arrays(layers=2):
    """[tokens, layers, top_k]; layers without experts stay zero."""
    table = np.zeros((10, layers, 3), dtype=np.int16)
    table[:, -2:] = IDS.transpose(1, 0, 2)
    return table


FORMS = {  # how it is written, layer numbers, weights
    "npz": (lambda path: saved(path, **arrays()), [4, 9], WEIGHTS),
    "vllm logger": (vllm_logger, [4, 9], WEIGHTS),
    "vllm logger without weights": (lambda path: vllm_logger(path, weights=False), [4, 9], EVEN),
    "vllm logger without a header": (lambda path: vllm_logger(path, meta=False), [4, 9], WEIGHTS),
    "routed_experts.npy": (lambda path: np.save(path, vllm_arrays()), [0, 1], EVEN),
    "routed_experts with dense layers": (lambda path: np.save(path, vllm_arrays(5)), [3, 4], EVEN),
    "routed_experts.npz": (lambda path: saved(path, routed_experts=vllm_arrays()), [0, 1], EVEN),
    "prompt and answer": (lambda path: saved(path, prompt_routed_experts=vllm_arrays()[:7], routed_experts=vllm_arrays()[7:],
                                             layers=np.array([4, 9]), num_experts=np.array(8)), [4, 9], EVEN),
    "top_indices.npz": (lambda path: saved(path, top_indices=IDS), [0, 1], EVEN),
    "megatron": (megatron, [4, 9], EVEN),
}


def raw_npy(shape="(2, 10, 3)", descr="'<i8'", data=b"\0" * 480, version=b"\x01\x00"):
    """A .npy with any header."""
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY" + version + struct.pack("<H", len(header)) + header + data


def archive(*members, compression=zipfile.ZIP_DEFLATED) -> bytes:
    """A ZIP file of (name, content)."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as zipped:
        for name, content in members:
            zipped.writestr(name, content)
    return file.getvalue()
