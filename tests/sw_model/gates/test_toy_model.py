"""The toy model: its file, and that its forward pass in NumPy computes what PyTorch computed."""

import numpy as np
import pytest

from trajectile.sw_model.config import load
from trajectile.sw_model.gates import toy_model
from trajectile.sw_model.gates.toy_model import CONTEXT, Cache
from trajectile.sw_model.gates.traces import load_trace
from trajectile.sw_model.gates.workloads import TraceError
from trajectile.sw_model.numerics.layers import float_layer

LAYER = load("demo").layer
BLOCKS, TOKENS, WINDOW = 2, 1024, 64


@pytest.fixture(scope="module")
def arrays():
    with np.load(toy_model.TOY_FILE) as file:
        return dict(file)


@pytest.fixture(scope="module")
def loaded():
    return toy_model.load()


def assert_near(values, wanted, tolerance=1e-3):
    """Rows of the last dimension agree, but for one in 500: where a token's experts are equally strong to the last bits,
    a sum in another order may choose another one.
    """
    far = ~np.isclose(values, wanted, rtol=tolerance, atol=tolerance).all(axis=-1)
    assert far.mean() < 0.002


def test_file_is_small():
    assert toy_model.TOY_FILE.stat().st_size < 4_000_000


def test_without_the_file(monkeypatch, tmp_path):
    """The message says what makes it."""
    monkeypatch.setattr(toy_model, "TOY_FILE", tmp_path / "toy.npz")
    with pytest.raises(TraceError, match=r"toy\.npz: no such file; `python -m .*toy_model\.train` makes it"):
        toy_model.load()


def test_arrays(arrays):
    experts, model, ff, k = LAYER.experts, LAYER.d_model, LAYER.d_ff, LAYER.top_k
    expected = {
        "embedding": (np.float16, (256, model)), "head": (np.float16, (256, model)), "norm": (np.float16, (model,)),
        "attention_norm": (np.float16, (BLOCKS, model)), "moe_norm": (np.float16, (BLOCKS, model)),
        "qkv": (np.float16, (BLOCKS, 3 * model, model)), "out": (np.float16, (BLOCKS, model, model)),
        "router": (np.float16, (BLOCKS, experts, model)), "w_gate": (np.float16, (BLOCKS, experts, ff, model)),
        "w_up": (np.float16, (BLOCKS, experts, ff, model)), "w_down": (np.float16, (BLOCKS, experts, model, ff)),
        "x": (np.float16, (BLOCKS, TOKENS, model)), "y": (np.float32, (BLOCKS, TOKENS, model)),
        "topk_ids": (np.int16, (BLOCKS, TOKENS, k)), "topk_weights": (np.float16, (BLOCKS, TOKENS, k)),
        "layers": (np.int16, (BLOCKS,)), "num_experts": (np.int16, ()),
        "text": (np.uint8, (TOKENS,)), "before": (np.uint8, (CONTEXT // 2,)),
        "held_out": (np.uint8, (128, CONTEXT + 1)), "bits": (np.float32, (128, CONTEXT)),
    }
    assert {name: (array.dtype, array.shape) for name, array in arrays.items()} == expected
    assert arrays["num_experts"] == experts and arrays["layers"].tolist() == list(range(BLOCKS))
    assert all(np.isfinite(array).all() for array in arrays.values())


def test_it_is_a_trace_too():
    """A command reads it with --trace."""
    assert load_trace(toy_model.TOY_FILE).layers.tolist() == list(range(BLOCKS))


def test_text(arrays):
    """Source text; what is measured on is other text than what the layers were recorded on."""
    assert arrays["text"].tobytes().decode("ascii").count("\n") > 10
    recorded = arrays["before"].tobytes() + arrays["text"].tobytes()
    assert not any(piece.tobytes() in recorded for piece in arrays["held_out"])


@pytest.mark.parametrize("number", range(BLOCKS))
class TestLayer:
    """The MoE layer of a block."""

    def test_routing(self, loaded, number):
        """Distinct experts, strongest first, weights that sum to one; the gate in NumPy chooses the same."""
        model, recorded = loaded
        ids, weights = recorded.trace.topk_ids[number], recorded.trace.topk_weights[number].astype(np.float64)
        assert ids.min() >= 0 and ids.max() < LAYER.experts
        assert (np.diff(np.sort(ids, axis=1), axis=1) > 0).all()
        assert (np.diff(weights, axis=1) <= 0).all() and (weights >= 0).all()
        np.testing.assert_allclose(weights.sum(axis=1), 1, atol=2e-3)
        gate = model.blocks[number].router.choose(recorded.x[number])
        assert_near(gate.topk_ids, ids)
        assert_near(gate.topk_weights, weights)

    def test_routing_is_uneven_but_not_collapsed(self, loaded, number):
        ids = loaded[1].trace.topk_ids[number]
        windows = [np.bincount(part.ravel(), minlength=LAYER.experts) for part in ids.reshape(-1, WINDOW, LAYER.top_k)]
        even = WINDOW * LAYER.top_k / LAYER.experts
        assert all(load.max() >= 1.5 * even for load in windows)
        assert all(np.count_nonzero(load) >= LAYER.experts // 2 for load in windows)
        overall = np.bincount(ids.ravel(), minlength=LAYER.experts)
        assert np.count_nonzero(overall) >= 0.9 * LAYER.experts
        assert overall.max() < TOKENS / 2

    def test_results(self, loaded, number):
        """The float layer gives what PyTorch gave from the same inputs, experts and weights."""
        model, recorded = loaded
        trace, x = recorded.trace, recorded.x[number]
        assert 0.2 < np.sqrt((x**2).mean()) < 5
        y = float_layer(model.blocks[number].experts, x, trace.topk_ids[number], trace.topk_weights[number])
        np.testing.assert_allclose(y, recorded.y[number], rtol=1e-4, atol=1e-4 * np.abs(recorded.y[number]).max())

    def test_inputs(self, loaded, number):
        """The layers before it, on the text and the bytes before that; the file's inputs have float16 precision."""
        model, recorded = loaded
        text = np.concatenate([recorded.before, recorded.text])
        pieces = np.stack([text[first:first + CONTEXT] for first in range(0, TOKENS, CONTEXT // 2)])
        x, gate = model.moe_inputs(pieces)[number]
        assert len(gate.topk_ids) == len(x)
        later = x.reshape(len(pieces), CONTEXT, -1)[:, CONTEXT // 2:].reshape(TOKENS, -1)
        assert_near(later, recorded.x[number], 2e-3)


def test_bits(loaded):
    """What every held-out byte costs, as PyTorch computed it."""
    model, recorded = loaded
    assert_near(model.bits(recorded.held_out)[..., None], recorded.bits[..., None])


def test_it_has_learned(loaded):
    """Trigrams need 2.63 bits per byte (docs/toy_model.md)."""
    assert loaded[1].bits.mean() < 1.9


def test_a_layer_of_the_caller(loaded):
    """It replaces those of all blocks."""
    model, recorded = loaded
    met = []

    def nothing(number, x, gate):
        met.append((number, x.shape, gate.topk_ids.shape))
        return np.zeros_like(x)
    assert model.bits(recorded.held_out[:3], nothing).mean() > recorded.bits.mean() + 1
    assert met == [(number, (3 * CONTEXT, 64), (3 * CONTEXT, 6)) for number in range(BLOCKS)]


@pytest.mark.parametrize("lengths", [[1] * 20, [60, 1, 59, 8], [100, 28]])
def test_a_cache_changes_nothing(loaded, lengths):
    """Byte by byte or in parts, within one context."""
    model, recorded = loaded
    text, cache = recorded.held_out[:2, :sum(lengths)], Cache()
    parts = [model.logits(part, cache=cache) for part in np.split(text, np.cumsum(lengths)[:-1], axis=1)]
    assert_near(np.concatenate(parts, axis=1), model.logits(text))
    assert cache.position == sum(lengths)


def test_a_cache_forgets(loaded):
    """Beyond a context: parts of any length see the same bytes; the keys that are kept do not grow."""
    model, recorded = loaded
    text = recorded.text[None, :3 * CONTEXT]
    short, long = Cache(), Cache()
    single = [model.logits(text[:, [place]], cache=short) for place in range(text.shape[1])]
    parts = [model.logits(part, cache=long) for part in np.split(text, 3, axis=1)]
    assert_near(np.concatenate(single, axis=1), np.concatenate(parts, axis=1))
    assert short.keys[0].shape[2] == CONTEXT - 1


@pytest.mark.parametrize("length", [0, CONTEXT + 1])
def test_a_text_that_is_too_long(loaded, length):
    with pytest.raises(ValueError, match=f"text has {length} bytes; legal: 1 to 128"):
        loaded[0].logits(np.zeros((1, length), np.uint8))
