"""Arrays: which axis is which, which array is what."""

import numpy as np
import pytest

from tests.support.trace_files import IDS, WEIGHTS, saved, vllm_arrays
from trajectile.sw_model.gates.reading import Reading
from trajectile.sw_model.gates.traces import load_trace
from trajectile.sw_model.gates.workloads import TraceError

AXES = {"tokens,layers,top_k": (1, 0, 2), "layers,tokens,top_k": (0, 1, 2)}


def read(path, *said):
    return load_trace(path, 8, how=Reading.of(said))


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("name", ["topk", "topk_ids", "trace"])
def test_an_array_that_does_not_say_its_axes(tmp_path, axes, name):
    """10 tokens in 2 layers or 2 tokens in 10 layers: the user says it."""
    np.save(tmp_path / f"{name}.npy", IDS.transpose(AXES[axes]))
    with pytest.raises(TraceError, match=r"which does not say what are tokens.*legal: .*--trace-as axes="):
        read(tmp_path / f"{name}.npy")
    np.testing.assert_array_equal(read(tmp_path / f"{name}.npy", f"axes={axes}").topk_ids, IDS)


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("form", [lambda a: a, lambda a: np.asfortranarray(a.astype(">i4")), lambda a: a.astype("u2")])
def test_an_array_that_is_too_long_for_layers(tmp_path, axes, form):
    """In any order of bytes and elements."""
    long = np.tile(IDS, (1, 20, 1))
    np.save(tmp_path / "a.npy", form(long.transpose(AXES[axes])))
    np.testing.assert_array_equal(read(tmp_path / "a.npy").topk_ids, long)


@pytest.mark.parametrize(("name", "shape"), [("routed_experts", (4, 200, 1)), ("top_indices", (200, 4, 1)),
                                            ("a", (200, 200, 1)), ("a", (200, 4)), ("a", (2, 3, 4, 1))])
def test_shapes_that_fit_no_axes(tmp_path, name, shape):
    """A name that says one thing and a shape that says another."""
    np.save(tmp_path / f"{name}.npy", np.ones(shape, dtype=np.uint8))
    with pytest.raises(TraceError, match="which does not say what are tokens"):
        read(tmp_path / f"{name}.npy")


def test_one_layer(tmp_path):
    """[tokens, top_k]."""
    np.save(tmp_path / "a.npy", IDS[0])
    np.testing.assert_array_equal(read(tmp_path / "a.npy", "axes=tokens,top_k").topk_ids, IDS[:1])
    with pytest.raises(TraceError, match=r"has shape \[10, 3\].*legal: integers \[layers, tokens, top_k\]"):
        read(tmp_path / "a.npy", "axes=layers,tokens,top_k")


def test_weights_beside_vllms_array(tmp_path):
    """Are taken, not passed over."""
    weights = WEIGHTS.transpose(1, 0, 2)
    saved(tmp_path / "a.npz", routed_experts=vllm_arrays(), topk_weights=weights)
    np.testing.assert_array_equal(read(tmp_path / "a.npz").topk_weights, WEIGHTS.astype(np.float32))
    saved(tmp_path / "a.npz", routed_experts=vllm_arrays(), topk_weights=WEIGHTS)
    with pytest.raises(TraceError, match=r"topk_weights has shape \[2, 10, 3\].*legal: .*\[10, 2, 3\]"):
        read(tmp_path / "a.npz")
    saved(tmp_path / "a.npz", routed_experts=vllm_arrays(), router_probs=weights)
    with pytest.raises(TraceError, match=r"router_probs may be the gate weights; legal: .*weights=router_probs"):
        read(tmp_path / "a.npz")
    np.testing.assert_array_equal(read(tmp_path / "a.npz", "weights=router_probs").topk_weights, WEIGHTS.astype(np.float32))
    assert (read(tmp_path / "a.npz", "weights=even").topk_weights == np.float32(1 / 3)).all()
    with pytest.raises(TraceError, match=r"weights = 'none' is not legal.*legal values: even, routed_experts, router_probs"):
        read(tmp_path / "a.npz", "weights=none")


def test_other_names_of_the_choices(tmp_path):
    """Named by the user; two that are both choices are not chosen between."""
    saved(tmp_path / "a.npz", selected=IDS)
    with pytest.raises(TraceError, match=r"there are selected; legal: .*--trace-as ids=NAME"):
        read(tmp_path / "a.npz")
    np.testing.assert_array_equal(
        read(tmp_path / "a.npz", "ids=selected", "axes=layers,tokens,top_k").topk_ids, IDS)
    saved(tmp_path / "a.npz", routed_experts=vllm_arrays(), top_indices=IDS)
    with pytest.raises(TraceError, match="routed_experts and top_indices are both choices"):
        read(tmp_path / "a.npz")
    assert read(tmp_path / "a.npz", "ids=top_indices").layers.tolist() == [0, 1]
    saved(tmp_path / "a.npz", topk_ids=IDS)
    assert read(tmp_path / "a.npz", "ids=topk_ids").tokens == 10
