"""The toy model's data file: shapes, types, ranges, and that its int8 weights still compute what was trained."""


import numpy as np
import pytest

from trajectile.sw_model.config import load
from trajectile.sw_model.gates import workloads

FILE = workloads.TOY_FILE
LAYER = load("demo").layer
TOKENS, WINDOW = 1024, 64


@pytest.fixture(scope="module")
def toy():
    with np.load(FILE) as file:
        return dict(file)


def test_file_is_small():
    assert FILE.stat().st_size < 1_500_000


def test_arrays(toy):
    experts, model, ff, k = LAYER.experts, LAYER.d_model, LAYER.d_ff, LAYER.top_k
    expected = {
        "w_gate": (np.int8, (experts, ff, model)), "w_up": (np.int8, (experts, ff, model)),
        "w_down": (np.int8, (experts, model, ff)), "gate_scale": (np.float32, (experts,)),
        "up_scale": (np.float32, (experts,)), "down_scale": (np.float32, (experts,)),
        "x": (np.float32, (TOKENS, model)), "y": (np.float32, (TOKENS, model)), "text": (np.uint8, (TOKENS,)),
        "topk_ids": (np.int16, (1, TOKENS, k)), "topk_weights": (np.float16, (1, TOKENS, k)),
        "layers": (np.int16, (1,)), "num_experts": (np.int16, ()),
    }
    assert {name: (array.dtype, array.shape) for name, array in toy.items()} == expected
    assert toy["num_experts"] == experts


@pytest.mark.parametrize("name", ["gate", "up", "down"])
def test_weights_fill_their_range(toy, name):
    """Symmetric int8, and each expert's largest magnitude is 127."""
    largest = np.abs(toy[f"w_{name}"].astype(int)).max(axis=(1, 2))
    assert (largest == 127).all()
    scale = toy[f"{name}_scale"]
    assert np.isfinite(scale).all() and (scale > 0).all()


def test_routing(toy):
    """Distinct experts, strongest first, weights that sum to one."""
    ids, weights = toy["topk_ids"][0], toy["topk_weights"][0].astype(np.float64)
    assert ids.min() >= 0 and ids.max() < LAYER.experts
    assert (np.diff(np.sort(ids, axis=1), axis=1) > 0).all()
    assert (np.diff(weights, axis=1) <= 0).all() and (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=2e-3)


def test_routing_is_uneven_but_not_collapsed(toy):
    ids = toy["topk_ids"][0]
    windows = [np.bincount(part.ravel(), minlength=LAYER.experts) for part in ids.reshape(-1, WINDOW, LAYER.top_k)]
    even = WINDOW * LAYER.top_k / LAYER.experts
    assert all(load.max() >= 1.5 * even for load in windows)
    assert all(np.count_nonzero(load) >= LAYER.experts // 2 for load in windows)
    overall = np.bincount(ids.ravel(), minlength=LAYER.experts)
    assert np.count_nonzero(overall) >= 0.9 * LAYER.experts
    assert overall.max() < TOKENS / 2


def test_activations(toy):
    """Finite, exact in float16, of the size that an RMSNorm gives, and each text byte is source text."""
    x = toy["x"]
    assert np.isfinite(x).all() and np.isfinite(toy["y"]).all()
    np.testing.assert_array_equal(x, x.astype(np.float16).astype(np.float32))
    assert 0.2 < np.sqrt((x**2).mean()) < 5
    assert toy["text"].tobytes().decode("ascii").count("\n") > 10


def test_int8_weights_compute_the_layer(toy):
    """Float layer of the dequantised weights against the stored result of the trained ones, whole and by token."""
    gate, up, down = (toy[f"w_{n}"] * toy[f"{n}_scale"][:, None, None] for n in ("gate", "up", "down"))
    ids, weights, x = toy["topk_ids"][0], toy["topk_weights"][0].astype(np.float32), toy["x"]
    y = np.zeros_like(x)
    for k in range(LAYER.top_k):
        expert = ids[:, k]
        g = np.einsum("td,tfd->tf", x, gate[expert])
        h = g / (1 + np.exp(-g)) * np.einsum("td,tfd->tf", x, up[expert]) * weights[:, k, None]
        y += np.einsum("tf,tdf->td", h, down[expert])
    wanted = toy["y"]
    per_token = (y * wanted).sum(axis=1) / (np.linalg.norm(y, axis=1) * np.linalg.norm(wanted, axis=1))
    assert (y * wanted).sum() / (np.linalg.norm(y) * np.linalg.norm(wanted)) > 0.995
    assert per_token.min() > 0.99
