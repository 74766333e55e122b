"""Choices that a file leaves open: nothing is guessed, and what the user says is done."""

import numpy as np
import pytest

from tests.support.trace_files import IDS, WEIGHTS, arrays, saved
from trajectile.sw_model.gates.reading import Reading
from trajectile.sw_model.gates.traces import load_trace
from trajectile.sw_model.gates.workloads import TraceError

#: [tokens, layers, 1]: 20 tokens in 3 layers of one expert each
SINGLE = np.random.default_rng(3).integers(1, 8, size=(20, 3, 1), dtype=np.uint8)


def vllm(folder, ids):
    """A file as vLLM's array is saved."""
    np.save(folder / "routed_experts.npy", ids)
    return folder / "routed_experts.npy"


def read(path, *said, experts=8, layer=None):
    return load_trace(path, experts, layer=layer, how=Reading.of(said))


def refused(path, *said, **given):
    with pytest.raises(TraceError, match="legal") as error:
        read(path, *said, **given)
    return str(error.value)


def changed(values, place, value):
    found = values.copy()
    found[place] = value
    return found


def test_layers_of_one_expert_that_are_zero(tmp_path):
    """Dense layers, or expert 0 for everybody: with several experts per token only the first can be."""
    path = vllm(tmp_path, changed(SINGLE, np.s_[:, 1], 0))
    message = refused(path)
    assert "zero in layers 1," in message and "zeros=missing" in message and "zeros=expert" in message
    trace = read(path, "zeros=missing")
    assert trace.layers.tolist() == [0, 2] and (trace.topk_ids == SINGLE[:, [0, 2]].transpose(1, 0, 2)).all()
    assert read(path, "zeros=expert").layers.tolist() == [0, 1, 2]
    assert read(path, "zeros=missing", layer=2).topk_ids.shape == (1, 20, 1)


def test_everything_is_zero(tmp_path):
    """Nothing was recorded."""
    path = vllm(tmp_path, np.zeros((20, 3, 2), dtype=np.uint8))
    assert "zero in all 3 layers" in refused(path) and "zero in all 3 layers" in refused(path, "zeros=missing")
    path = vllm(tmp_path, np.zeros_like(SINGLE))
    assert "zeros=expert" in refused(path)
    assert read(path, "zeros=expert").tokens == 20


@pytest.mark.parametrize("gap", [np.s_[:8], np.s_[5:7], np.s_[-2:]])
def test_tokens_of_one_expert_that_are_zero(tmp_path, gap):
    """A cached prefix, a gap, padding at the end."""
    path = vllm(tmp_path, changed(SINGLE, gap, 0))
    message = refused(path)
    assert f"zero for {len(SINGLE[gap])} of 20 tokens, the first is token {range(20)[gap][0]}," in message
    np.testing.assert_array_equal(read(path, "zeros=missing").topk_ids, np.delete(SINGLE, gap, axis=0).transpose(1, 0, 2))
    np.testing.assert_array_equal(read(path, "zeros=expert").topk_ids, changed(SINGLE, gap, 0).transpose(1, 0, 2))


def test_a_few_choices_of_expert_zero(tmp_path):
    """Are every day's."""
    few = changed(SINGLE, np.s_[4], 0)
    assert read(vllm(tmp_path, few)).tokens == 20
    assert read(vllm(tmp_path, changed(SINGLE, np.s_[::2, 0], 0))).tokens == 20


def test_tokens_of_several_experts_that_are_zero(tmp_path):
    """No choice names expert 0 twice, so a single token is enough; what it was stays the user's to say."""
    path = vllm(tmp_path, changed(IDS.transpose(1, 0, 2), np.s_[:2], 0))
    assert "zero for 2 of 10 tokens, the first is token 0" in refused(path)
    np.testing.assert_array_equal(read(path, "zeros=missing").topk_ids, IDS[:, 2:])
    assert "an expert twice" in refused(path, "zeros=expert")
    path = vllm(tmp_path, changed(IDS.transpose(1, 0, 2), np.s_[3, 0], 0))
    assert "token 3" in refused(path)
    assert read(path, layer=1).tokens == 10  # the other layer is whole


@pytest.mark.parametrize(("kind", "padding"), [("i2", -1), ("i8", -1), ("u1", 255), ("u2", 65535), ("i4", 8)])
def test_padding(tmp_path, kind, padding):
    """-1, the largest number of the type, or the number of experts."""
    ids = changed(IDS.transpose(1, 0, 2).astype(kind), np.s_[8:], np.array(padding).astype(kind))
    path = vllm(tmp_path, ids)
    assert f"padding={padding}" in refused(path)
    np.testing.assert_array_equal(read(path, f"padding={padding}").topk_ids, IDS[:, :8])


@pytest.mark.parametrize(("kind", "none", "said"), [("i4", [-1], "-1"), ("u1", [255], "255"), ("i8", [8, 9, 11], "8")])
def test_choices_of_no_expert(tmp_path, kind, none, said):
    """The token keeps its other choices; even weights stay those of all its choices."""
    ids = IDS.transpose(1, 0, 2).astype(kind)
    ids[3:5, :, 1] = np.resize(np.array(none).astype(kind), (2, ids.shape[1]))
    found = read(vllm(tmp_path, ids), f"none={said}")
    expected = IDS.copy()
    expected[:, 3:5, 1] = -1
    np.testing.assert_array_equal(found.topk_ids, expected)
    np.testing.assert_allclose(found.topk_weights, np.where(expected < 0, 0, 1 / IDS.shape[2]))
    assert found.experts == int(IDS.max()) + 1 or found.experts == 8
    assert "legal values" in refused(vllm(tmp_path, ids), "none=x")


def test_shared_experts(tmp_path):
    """As the last of each token's experts, with the number after the last routed one, or with one of the routed."""
    fused = np.concatenate([IDS, np.full_like(IDS[:, :, :1], 8)], axis=2)
    saved(tmp_path / "a.npz", top_indices=fused)
    assert "holds expert 8" in refused(tmp_path / "a.npz") and "shared=1" in refused(tmp_path / "a.npz")
    np.testing.assert_array_equal(read(tmp_path / "a.npz", "shared=1").topk_ids, IDS)
    assert "0 to 3, as each token has 4 experts" in refused(tmp_path / "a.npz", "shared=4")
    many = np.concatenate([1 + SINGLE[:, :, 0].T[:, :, None]] * 4, axis=1)  # 80 tokens
    saved(tmp_path / "b.npz", top_indices=np.concatenate([many, np.zeros_like(many)], axis=2))
    assert "the same expert for all 80 tokens in column 1" in refused(tmp_path / "b.npz", experts=9)
    assert read(tmp_path / "b.npz", "shared=0", experts=9).topk_ids.shape == (3, 80, 2)
    assert read(tmp_path / "b.npz", "shared=1", experts=9).topk_ids.shape == (3, 80, 1)


def test_weights_that_are_scores(tmp_path):
    """What lies above 1 is no share."""
    saved(tmp_path / "a.npz", **arrays(topk_weights=WEIGHTS + 7))
    assert "weights=topk_weights takes them" in refused(tmp_path / "a.npz")
    np.testing.assert_array_equal(read(tmp_path / "a.npz", "weights=topk_weights").topk_weights, (WEIGHTS + 7).astype("f4"))
    assert (read(tmp_path / "a.npz", "weights=even").topk_weights == np.float32(1 / 3)).all()


def test_weights_of_other_experts(tmp_path):
    """Experts sorted by number beside weights sorted by size: one of the two was sorted without the other."""
    rng = np.random.default_rng(4)
    ids = np.sort(np.array([[rng.permutation(8)[:3] for _ in range(80)]]), axis=2)
    weights = -np.sort(-rng.random(ids.shape), axis=2)
    saved(tmp_path / "a.npz", **arrays(topk_ids=ids, topk_weights=weights, layers=np.array([4])))
    assert "do not belong together" in refused(tmp_path / "a.npz")
    assert read(tmp_path / "a.npz", "weights=topk_weights").tokens == 80
    for other in (weights[:, :, ::-1], np.full(ids.shape, 0.25), rng.random(ids.shape)):
        saved(tmp_path / "a.npz", **arrays(topk_ids=ids, topk_weights=other, layers=np.array([4])))
        assert read(tmp_path / "a.npz").tokens == 80
