"""Rows of a batch: shared experts, weights on the input, identities, smoothing; results are added to their tokens."""

import math

import numpy as np
import pytest

from trajectile.sw_model.gates.feeding import Feeding
from trajectile.sw_model.gates.workloads import GateBatch

X = np.array([[1, 2], [-3, 4]], dtype=np.float32)
GATE = GateBatch(np.array([[1, 0], [2, -1]]), np.array([[.5, .25], [.75, 0]], dtype=np.float32), 3)
ONE = GateBatch(np.array([[1], [2]]), np.array([[.5], [.25]], dtype=np.float32), 3)


def test_tokens_as_they_are():
    fed = Feeding().rows(GATE, X)
    assert fed.x is X and fed.gate.topk_ids is GATE.topk_ids and fed.token.tolist() == [0, 1]
    np.testing.assert_array_equal(fed.results(2 * X), 2 * X)


@pytest.mark.parametrize(("own", "weights"), [(None, [1, 1]), (np.array([0, 1], np.float32), [2, 4])])
def test_shared_experts(own, weights):
    """They are the last ones, met by every token, each with the weight of the token."""
    fed = Feeding(shared=2, shared_gate=own).rows(GATE, X)
    assert fed.gate.topk_ids.tolist() == [[1, 0, 3, 4], [2, -1, 3, 4]] and fed.gate.experts == 5
    weights = weights if own is None else [1 / (1 + math.exp(-z)) for z in weights]
    expected = [[.5, .25, *[weights[0]] * 2], [.75, 0, *[weights[1]] * 2]]
    np.testing.assert_allclose(fed.gate.topk_weights, expected, rtol=1e-6)


def test_weights_on_the_input():
    """The routed expert's activations are scaled, and its weight is 1; the shared expert has a row of its own."""
    fed = Feeding(on_input=True).rows(ONE, X)
    np.testing.assert_array_equal(fed.x, [[.5, 1], [-.75, 1]])
    assert fed.gate.topk_weights.tolist() == [[1], [1]] and fed.gate.topk_ids.tolist() == [[1], [2]]
    both = Feeding(on_input=True, shared=2)
    fed = both.rows(ONE, X)
    assert both.rows_per_token == 2 and fed.token.tolist() == [0, 0, 1, 1]
    np.testing.assert_array_equal(fed.x, [[.5, 1], [1, 2], [-.75, 1], [-3, 4]])
    assert fed.gate.topk_ids.tolist() == [[1, -1, -1], [-1, 3, 4], [2, -1, -1], [-1, 3, 4]]
    assert fed.gate.topk_weights.tolist() == [[1, 0, 0], [0, 1, 1]] * 2
    np.testing.assert_array_equal(fed.results(np.array([[1, 1], [2, 2], [3, 3], [4, 4]])), [[3, 3], [7, 7]])
    with pytest.raises(ValueError, match="top_k = 2 is not legal with weights on the input"):
        both.rows(GATE, X)


def test_identities_are_added_to_the_results():
    gate = GateBatch(GATE.topk_ids, GATE.topk_weights, 3, np.array([.5, 2], dtype=np.float32))
    fed = Feeding(shared=1).rows(gate, X)
    np.testing.assert_array_equal(fed.results(np.ones((2, 2))), 1 + X * [[.5], [2]])
    np.testing.assert_array_equal(fed.results(np.zeros((2, 2))), X * [[.5], [2]])  # as often as one likes


def test_smoothing_divides_what_experts_are_given():
    """And not what the gate of the shared expert, or an identity, sees."""
    gate = GateBatch(ONE.topk_ids, ONE.topk_weights, 3, np.ones(2, dtype=np.float32))
    own = np.array([1, 0], dtype=np.float32)
    fed = Feeding(shared=1, shared_gate=own, smoothing=np.array([4, 1], np.float32)).rows(gate, X)
    np.testing.assert_array_equal(fed.x, X / [4, 1])
    np.testing.assert_allclose(fed.gate.topk_weights[:, 1], 1 / (1 + np.exp(-X[:, 0])), rtol=1e-6)
    np.testing.assert_array_equal(fed.beside, X)


def test_no_tokens():
    none = GateBatch(np.zeros((0, 1), np.int64), np.zeros((0, 1), np.float32), 3)
    fed = Feeding(on_input=True, shared=1).rows(none, X[:0])
    assert fed.x.shape == (0, 2) and fed.results(np.zeros((0, 2))).shape == (0, 2)
