"""Fewer experts for a batch: by hand, and against the same rules written for one expert at a time."""

import numpy as np
import pytest

from trajectile.sw_model.gates import toy_model
from trajectile.sw_model.gates.selection import Selection, kept_experts, selected
from trajectile.sw_model.gates.workloads import GateBatch, synthetic_gate

#: four tokens, six experts; expert 5 is wanted by many a little, expert 3 by one much, and expert 4 by nobody
GATE = GateBatch(np.array([[0, 1, 5], [0, 5, 2], [1, 0, 5], [0, 3, 2]]),
                 np.array([[.8, .15, .05], [.9, .06, .04], [.6, .3, .1], [.5, .45, .05]], dtype=np.float32), 6)


@pytest.mark.parametrize(("text", "kept"), [
    ("xshare:1", {0, 1, 2, 3, 5}), ("xshare:0.8", {0, 1, 3, 5}), ("xshare:0.6", {0, 1, 3}), ("xshare:0.4", {0, 1}),
    ("lynx:1", {0, 1, 2, 3, 5}), ("lynx:0.8", {0, 1, 2, 5}), ("lynx:0.6", {0, 1, 5}), ("lynx:0.4", {0, 1}),
    ("xshare:0.1", {0, 1}), ("lynx:0.1", {0, 1})])  # every token's best expert stays
def test_kept(text, kept):
    """Sums of weights, or numbers of tokens; the best expert of each token in any case."""
    assert set(np.flatnonzero(kept_experts(GATE, Selection.of(text)))) == kept


def test_choices():
    """What is left, in its order; weights sum to what they did, in the same proportions."""
    gate = selected(GATE, Selection.of("lynx:0.6"))
    np.testing.assert_array_equal(gate.topk_ids, [[0, 1, 5], [0, 5, -1], [1, 0, 5], [0, -1, -1]])
    np.testing.assert_allclose(gate.topk_weights, [[.8, .15, .05], [.9 / .96, .06 / .96, 0], [.6, .3, .1], [1, 0, 0]],
                               rtol=1e-6)
    assert gate.experts == 6 and gate.topk_weights.dtype == np.float32 and gate.topk_ids.dtype == np.int64


def test_choosing_again():
    """With the scores of all experts, XShare may keep one that nobody chose, and tokens have as many choices as before."""
    scores = np.array([[.40, .20, .05, .05, .19, .11], [.50, .05, .10, .05, .14, .16], [.30, .40, .02, .02, .16, .10],
                       [.30, .05, .10, .29, .16, .10]])
    assert set(np.flatnonzero(kept_experts(GATE, Selection.of("xshare:0.6"), scores))) == {0, 1, 4}
    gate = selected(GATE, Selection.of("xshare:0.6"), scores)
    np.testing.assert_array_equal(gate.topk_ids, [[0, 1, 4], [0, 4, 1], [1, 0, 4], [0, 4, 1]])
    np.testing.assert_allclose(gate.topk_weights.sum(axis=1), GATE.topk_weights.sum(axis=1), rtol=1e-6)
    np.testing.assert_allclose(gate.topk_weights[0], np.array([.40, .20, .19]) / .79, rtol=1e-6)
    few = selected(GATE, Selection.of("xshare:0.4"), scores)
    assert (few.topk_ids[:, 2] == -1).all() and (few.topk_weights[:, 2] == 0).all()
    np.testing.assert_array_equal(selected(GATE, Selection.of("lynx:0.6"), scores).topk_ids,
                                  selected(GATE, Selection.of("lynx:0.6")).topk_ids)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("method", ["xshare", "lynx"])
@pytest.mark.parametrize("share", [1, 0.9, 0.7, 0.5, 0.2])
def test_random_batches(method, share, seed):
    """The budget is kept to, if the best experts leave room; what is kept is worth no less than what is not."""
    rng = np.random.default_rng(seed)
    gate = synthetic_gate(40, 5, int(rng.integers(1, 30)), 0.5, rng)
    kept = kept_experts(gate, Selection(method, share))
    worth = [(sum(1 for token, row in enumerate(gate.topk_ids) if expert in row),
              sum(float(gate.topk_weights[token][list(row).index(expert)]) for token, row in enumerate(gate.topk_ids)
                  if expert in row)) for expert in range(40)]
    active = {expert for expert in range(40) if worth[expert][0]}
    best = set(gate.topk_ids[:, 0].tolist())
    budget = -(-round(share * 100) * len(active) // 100)
    ranked = sorted(active - best, key=lambda expert: worth[expert][method == "xshare":], reverse=True)
    assert set(np.flatnonzero(kept)) == best | set(ranked[:max(budget - len(best), 0)])
    gate_after = selected(gate, Selection(method, share))
    for before, after in zip(gate.topk_ids, gate_after.topk_ids, strict=True):
        assert [e for e in after if e >= 0] == [e for e in before if kept[e]]
    np.testing.assert_allclose(gate_after.topk_weights.sum(axis=1), gate.topk_weights.sum(axis=1), rtol=1e-5)


def test_no_choice():
    """A token without a choice keeps none; an identity's weight stays; a batch without tokens is one."""
    gate = GateBatch(np.array([[-1, -1], [-1, 3], [2, 3]]), np.array([[0, 0], [0, .4], [.3, .2]], dtype=np.float32), 4,
                     np.array([.5, .6, 0], dtype=np.float32))
    kept = selected(gate, Selection.of("lynx:0.5"))
    np.testing.assert_array_equal(kept.topk_ids, gate.topk_ids)  # 3 is the best of one token, 2 of the other
    np.testing.assert_array_equal(kept.topk_weights, gate.topk_weights)
    np.testing.assert_array_equal(kept.identity, gate.identity)
    none = GateBatch(gate.topk_ids[:0], gate.topk_weights[:0], 4)
    assert selected(none, Selection.of("xshare:0.5")).topk_ids.shape == (0, 2)


def test_the_whole_share_changes_nothing():
    """But for XShare with all scores, which may prefer experts that nobody chose."""
    _, recorded = toy_model.load()
    gate = recorded.trace.window(0, 0, 64)
    for method in ("xshare", "lynx"):
        same = selected(gate, Selection(method, 1))
        np.testing.assert_array_equal(same.topk_ids, gate.topk_ids)
        np.testing.assert_allclose(same.topk_weights, gate.topk_weights, rtol=1e-6)


@pytest.mark.parametrize("text", ["", "xshare", "xshare:", "xshare:0", "lynx:1.01", "lynx:-1", "lynx:nan", "best:0.5",
                                  "xshare:a", "xshare:0.5:1", "XShare:0.5", "0.5"])
def test_what_is_not_legal(text):
    """Field, value and legal values."""
    with pytest.raises(ValueError, match=r"select = '.*' is not legal; legal values: xshare or lynx and the share") as error:
        Selection.of(text)
    assert repr(text) in str(error.value)


def test_text():
    """As it is written."""
    assert str(Selection.of("lynx:0.70")) == "lynx:0.7" and Selection.of("xshare:1") == Selection("xshare", 1)
