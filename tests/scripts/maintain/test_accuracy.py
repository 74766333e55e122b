"""The accuracy command: what it says without the model's package, its table, rotary positions."""

import numpy as np

from tests.support.paths import DOCS
from trajectile.scripts.maintain.accuracy import __main__ as command
from trajectile.scripts.maintain.accuracy import smollm2
from trajectile.scripts.maintain.accuracy.measure import Measured
from trajectile.sw_model.numerics.fidelity import fidelity


def test_without_the_model(monkeypatch, capsys):
    """One line that says how it is installed, exit code 3; the page says the same."""
    monkeypatch.setattr(smollm2, "find_spec", lambda name: None)
    assert command.main([]) == 3
    shown = capsys.readouterr().err
    assert smollm2.INSTALL in shown and shown.count("\n") == 1
    assert smollm2.INSTALL in (DOCS / "numerics.md").read_text(encoding="utf-8")


def test_the_table():
    """Perplexities relative to the first row's, and the tokens that came out zero."""
    near = fidelity(np.array([[1.0, 0], [0, 0]]), np.array([[1.0, 0], [0, 1]]))
    rows = command.markdown([Measured("float32", 10, 4, near), Measured("other", 12.5, 4, near)]).splitlines()
    assert rows[3] == "| other | 12.50 | 1.250 | 0.50000 | 0.000 | 1 |"


def test_rotary_positions_keep_lengths():
    """Position 0 is not turned, and no pair changes its length."""
    print("seed 2")
    x = np.random.default_rng(2).standard_normal((5, 2, smollm2.HEAD_DIM)).astype(np.float32)
    turned = smollm2._rotated(x)
    np.testing.assert_array_equal(turned[0], x[0])
    before, after = (np.hypot(pairs[..., 0::2], pairs[..., 1::2]) for pairs in (x, turned))
    np.testing.assert_allclose(after, before, rtol=1e-5)
