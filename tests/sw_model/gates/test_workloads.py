"""Gate traces, good and bad, and the synthetic gate."""

import numpy as np
import pytest

from tests.support.trace_files import arrays
from trajectile.sw_model.gates.traces import load_trace
from trajectile.sw_model.gates.workloads import TraceError, synthetic_gate


def written(tmp_path, **changes):
    path = tmp_path / "trace.npz"
    np.savez(path, **arrays(**changes))
    return path


def test_window(tmp_path):
    """Layers are named by their number in the model."""
    trace = load_trace(written(tmp_path))
    gate = trace.window(9, 3, 4)
    np.testing.assert_array_equal(gate.topk_ids, arrays()["topk_ids"][1, 3:7])
    np.testing.assert_array_equal(gate.topk_weights, arrays()["topk_weights"][1, 3:7].astype(np.float32))
    assert gate.experts == 8 and trace.tokens == 10


@pytest.mark.parametrize(("layer", "offset", "tokens", "named"), [
    (5, 0, 1, "layer = 5"), (4, 0, 11, "tokens = 11"), (4, -1, 2, "offset = -1"), (4, 9, 2, "offset = 9"),
    (4, 0, -1, "tokens = -1")])
def test_a_window_that_does_not_exist(tmp_path, layer, offset, tokens, named):
    """The message says what there is."""
    with pytest.raises(TraceError, match="legal values") as error:
        load_trace(written(tmp_path)).window(layer, offset, tokens)
    assert named in str(error.value)


@pytest.mark.parametrize(("changes", "named"), [
    ({"topk_ids": None}, "topk_ids is missing"),
    ({"topk_weights": None}, "topk_weights is missing"),
    ({"layers": None}, "layers is missing"),
    ({"num_experts": None}, "num_experts is missing"),
    ({"topk_ids": np.zeros((2, 10), dtype=int)}, "topk_ids has shape"),
    ({"topk_ids": np.zeros((2, 10, 3))}, "topk_ids has shape"),
    ({"topk_ids": np.zeros((2, 10, 3), dtype=int)}, "is zero for 10 of 10 tokens"),
    ({"topk_ids": np.ones((2, 10, 3), dtype=int)}, "an expert twice for a token (token 0 in layer 4: [1, 1, 1])"),
    ({"num_experts": np.array(4)}, "topk_ids holds 0 to 7"),
    ({"num_experts": np.array([4])}, "num_experts has shape"),
    ({"layers": np.array([1, 2, 3])}, "layers has 3 entries"),
    ({"topk_weights": np.zeros((2, 10, 2), dtype=np.float32)}, "topk_weights has shape"),
    ({"topk_weights": np.zeros((2, 10, 3), dtype=int)}, "topk_weights has shape"),
    ({"topk_weights": np.full((2, 10, 3), np.nan, dtype=np.float32)}, "not finite"),
    ({"topk_weights": np.full((2, 10, 3), -1, dtype=np.float32)}, "negative"),
])
def test_bad_arrays(tmp_path, changes, named):
    """File, array and what is legal."""
    with pytest.raises(TraceError) as error:
        load_trace(written(tmp_path, **changes))
    assert named in str(error.value) and "trace.npz" in str(error.value) and "legal" in str(error.value)


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 broken"])
def test_a_file_that_is_no_npz(tmp_path, content):
    """And a file that is not there."""
    path = tmp_path / "trace.npz"
    path.write_bytes(content)
    with pytest.raises(TraceError, match="legal gate traces: \\.npz or \\.npy of"):
        load_trace(path)
    with pytest.raises(TraceError, match="no such file"):
        load_trace(tmp_path / "none.npz")


def test_pickles_are_never_loaded(tmp_path):
    """An object array could run code."""
    with pytest.raises(TraceError, match="legal gate traces: \\.npz or \\.npy of"):
        load_trace(written(tmp_path, topk_ids=np.array([[[object()]]])))


def test_synthetic_gate():
    """Reproducible, legal, and the more uneven the more skew."""
    def peak(skew):
        gate = synthetic_gate(32, 4, 512, skew, np.random.default_rng(1))
        assert gate.topk_ids.shape == (512, 4) and (np.diff(np.sort(gate.topk_ids, axis=1)) > 0).all()
        assert (gate.topk_weights > 0).all() and (gate.topk_weights.sum(axis=1) < 1).all()
        return np.bincount(gate.topk_ids.ravel(), minlength=32).max()
    assert peak(0.0) < 100 < peak(1.0) < peak(3.0)
    first, second = (synthetic_gate(8, 2, 5, 1.0, np.random.default_rng(2)) for _ in range(2))
    np.testing.assert_array_equal(first.topk_ids, second.topk_ids)


@pytest.mark.parametrize(("top_k", "skew"), [(9, 1.0), (0, 1.0), (2, -1.0), (2, np.nan)])
def test_a_gate_that_cannot_be(top_k, skew):
    """More choices than experts, or a skew that is none."""
    with pytest.raises(ValueError, match="legal values"):
        synthetic_gate(8, top_k, 5, skew, np.random.default_rng(1))


def test_shared_traces_are_readable(shared):
    """The real traces beside the repository."""
    for name, experts, top_k in (("flame-moe-290m", 64, 6), ("qwen1.5-moe-a2.7b", 60, 4)):
        trace = load_trace(shared / "traces" / f"{name}.npz")
        assert trace.experts == experts and trace.topk_ids.shape[2] == top_k and trace.tokens >= 256
