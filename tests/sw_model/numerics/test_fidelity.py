"""Fidelity of results, token by token."""

import numpy as np
import pytest

from trajectile.sw_model.numerics.fidelity import fidelity


def test_tokens_by_themselves():
    """Equal, opposite, zero where the reference is not, zero in both: the median and the worst say what one cosine hides."""
    reference = np.array([[100.0, 0], [0, 1], [1, 1], [0, 0], [2, 0]])
    results = np.array([[100.0, 0], [0, -1], [0, 0], [0, 0], [2, 0]])
    found = fidelity(results, reference)
    assert found.cosine > 0.999 and found.zeroed == 1
    assert (found.cosine_median, found.cosine_worst) == (1, -1)


def test_a_zero_reference_that_is_not_met():
    """As far as can be told: 0."""
    assert fidelity(np.ones((1, 2)), np.zeros((1, 2))).cosine_worst == 0
    assert fidelity(np.zeros((1, 2)), np.zeros((1, 2))).zeroed == 0


def test_noise_in_decibels():
    assert fidelity(np.full((2, 2), 1.1), np.ones((2, 2))).sqnr_db == pytest.approx(20)
