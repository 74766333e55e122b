"""The trained MoE layer as int8 with its inputs and results, and how near the integers come."""

import numpy as np
import numpy.typing as npt
import torch

from trajectile.scripts.maintain.toy_model import CONTEXT, D_MODEL, EXPERTS, TOP_K
from trajectile.scripts.maintain.toy_model.network import BLOCKS, Model

#: Tokens of the batches whose loads and integer results are reported.
WINDOW = 64

Array = npt.NDArray[np.float32]


def quantise(w: Array) -> tuple[npt.NDArray[np.int8], Array]:
    """int8 weights and the scale of each expert's matrix."""
    scale = (np.abs(w).max(axis=(1, 2)) / 127).astype(np.float32)
    return np.clip(np.rint(w / scale[:, None, None]), -127, 127).astype(np.int8), scale


def float_layer(x: Array, ids: npt.NDArray[np.int16], weights: npt.NDArray[np.float16],
                matrices: tuple[Array, Array, Array]) -> Array:
    """The MoE layer in float32; ``ids`` and ``weights`` are ``[tokens, top_k]``."""
    gate, up, down = matrices
    y = np.zeros_like(x)
    for expert in np.unique(ids):
        token, place = np.nonzero(ids == expert)
        g, u = x[token] @ gate[expert].T, x[token] @ up[expert].T
        h = g / (1 + np.exp(-g)) * u * weights[token, place].astype(np.float32)[:, None]
        y[token] += h @ down[expert].T
    return y


def int8_window(data: dict[str, np.ndarray], window: slice, clipping: float) -> tuple[npt.NDArray[np.float64], float]:
    """The layer in integers as in docs/numerics.md, but for the rounding of its 16-bit multipliers, on one batch.

    Returns ``y_real`` and the share of hidden values that the clip to int8 changes.
    """
    x, ids = data["x"][window].astype(np.float64), data["topk_ids"][0, window]
    weights = data["topk_weights"][0, window].astype(np.float64)
    x_scale = np.abs(x).max() / 127
    xq = np.rint(x / x_scale)
    token, place = np.nonzero(ids >= 0)
    expert = ids[token, place]

    def sums(name: str, limit: int) -> npt.NDArray[np.float64]:
        total = np.einsum("nd,nfd->nf", xq[token], data[f"w_{name}"][expert].astype(np.float64))
        step = x_scale * data[f"{name}_scale"][expert].astype(np.float64)[:, None] * 64
        return np.clip(np.floor(total * step + 0.5), -limit, limit)

    g, u = sums("gate", 511), sums("up", 2047)
    size = np.abs(g)
    table = np.floor(2048 * (size / 64) / (1 + np.exp(size / 64)) + 0.5)
    v = np.where(g >= 0, 32 * size - table, -table) * u
    h_real = v * 2.0**-17 * (weights[token, place] * data["down_scale"][expert])[:, None]
    h_scale = np.abs(h_real).max() * clipping / 127
    rounded = np.floor(h_real / h_scale + 0.5)
    h = np.clip(rounded, -127, 127)
    y = np.zeros_like(x)
    np.add.at(y, token, np.einsum("nf,ndf->nd", h, data["w_down"][expert].astype(np.float64)))
    return y * h_scale, float((h != rounded).mean())


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Cosine of two arrays taken as vectors."""
    a, b = a.astype(np.float64).ravel(), b.astype(np.float64).ravel()
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


@torch.no_grad()
def export(model: Model, text: bytes, tokens: int) -> dict[str, np.ndarray]:
    """The layer, its inputs on the first ``tokens`` bytes of ``text`` after half a context, and its results."""
    half = CONTEXT // 2
    pieces = np.stack([np.frombuffer(text, np.uint8)[i:i + CONTEXT] for i in range(0, tokens, half)]).astype(np.int64)
    x = model.moe_input(torch.from_numpy(pieces))[:, half:].reshape(-1, D_MODEL).half()
    _, weights, ids = model.moe.route(x.float())
    matrices = tuple(p.detach().numpy() for p in (model.moe.gate, model.moe.up, model.moe.down))
    data = {"x": x.float().numpy(), "topk_ids": ids.numpy().astype(np.int16)[None],
            "topk_weights": weights.numpy().astype(np.float16)[None],
            "layers": np.array([BLOCKS - 1], np.int16), "num_experts": np.array(EXPERTS, np.int16),
            "text": np.frombuffer(text, np.uint8)[half:half + tokens].copy()}
    data["y"] = float_layer(data["x"], data["topk_ids"][0], data["topk_weights"][0], matrices)
    for name, w in zip(("gate", "up", "down"), matrices, strict=True):
        data[f"w_{name}"], data[f"{name}_scale"] = quantise(w)
    return data


def report(data: dict[str, np.ndarray]) -> None:
    """Print what docs/toy_model.md quotes about the exported layer."""
    ids = data["topk_ids"][0]
    windows = [slice(i, i + WINDOW) for i in range(0, len(ids), WINDOW)]
    loads = np.stack([np.bincount(ids[w].ravel(), minlength=EXPERTS) for w in windows])
    active, hottest = (loads > 0).sum(axis=1), loads.max(axis=1)
    print(f"active experts in a window of {WINDOW}: mean {active.mean():.1f}, {active.min()} to {active.max()}")
    print(f"hottest expert's tokens in a window: mean {hottest.mean():.1f}, {hottest.min()} to {hottest.max()}; "
          f"even load would be {WINDOW * TOP_K / EXPERTS:.1f}")
    overall = np.bincount(ids.ravel(), minlength=EXPERTS)
    print(f"all {len(ids)} tokens: {np.count_nonzero(overall)} experts used, loads {overall.min()} to {overall.max()}")
    dequantised = tuple(data[f"w_{n}"] * data[f"{n}_scale"][:, None, None] for n in ("gate", "up", "down"))
    y = float_layer(data["x"], ids, data["topk_weights"][0], dequantised)
    print(f"cosine with dequantised weights: {cosine(y, data['y']):.5f}")
    for clipping in (1.0, 0.8, 0.6, 0.5, 0.4):
        results = [int8_window(data, w, clipping) for w in windows]
        whole = [cosine(r, data["y"][w]) for (r, _), w in zip(results, windows, strict=True)]
        single = [cosine(a, b) for (r, _), w in zip(results, windows, strict=True)
                  for a, b in zip(r, data["y"][w], strict=True)]
        clipped = np.mean([share for _, share in results])
        print(f"int8, clipping factor {clipping}: cosine of a window worst {min(whole):.5f}, "
              f"mean {np.mean(whole):.5f}; of a token worst {min(single):.4f}; clipped {clipped:.1e}")
    print(f"largest |x| {np.abs(data['x']).max():.2f}, rms {np.sqrt((data['x']**2).mean()):.2f}; "
          f"rms of y {np.sqrt((data['y']**2).mean()):.3f}")
