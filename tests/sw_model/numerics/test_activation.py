"""Activation functions: every gate value of every function."""

import numpy as np
import pytest

from tests.support import pair_arithmetic as page
from trajectile.sw_model.config import ACTIVATIONS
from trajectile.sw_model.numerics.activation import TABLE_DEPTH, VALUE_MAX, activate, activate_fixed, table

G = np.arange(-VALUE_MAX, VALUE_MAX + 1)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_gate_value(name):
    """As the page has it; f(-z) = f(z) - z; near the real function, for which the gate value is rounded to 1/64."""
    fixed = activate_fixed(name, G)
    assert fixed.tolist() == [page.activated(name, int(g)) for g in G]
    np.testing.assert_array_equal(fixed[::-1], fixed - 8 * G)
    real = activate(name, G / 256)
    assert np.abs(fixed / 2048 - real).max() < 1.2 * 2 / 256 + 1 / 2048
    # widths: a table entry, and what comes out
    assert 0 <= table(name).min() and table(name).max() < 2**10 and len(table(name)) == TABLE_DEPTH
    assert np.abs(fixed).max() < 2**19


def test_tables_end_where_they_are_zero():
    """Past the table's end nothing is lost that a step would show."""
    assert all(abs(activate(name, np.array([-8.0]))[0]) < 3 / 1024 for name in ACTIVATIONS)


def test_a_function_that_is_unknown():
    with pytest.raises(ValueError, match="activation = 'relu' is not legal; legal values: silu"):
        activate("relu", np.zeros(1))
