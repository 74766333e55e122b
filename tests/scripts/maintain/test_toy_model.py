"""The accuracy of the toy model in the integer layer: what was aimed at, its table, its place on the page."""

import numpy as np
import pytest

from trajectile.scripts.maintain import pages
from trajectile.scripts.maintain.toy_model import accuracy
from trajectile.sw_model.gates import toy_model
from trajectile.sw_model.numerics.fidelity import fidelity


@pytest.fixture(scope="module", name="found")
def measured():
    """On an eighth of the held-out text; the page has all of it."""
    return accuracy.measured(["mx8", "mxfp4"], 16)


def test_the_reference(found):
    """Float32 needs what was recorded in training."""
    _, recorded = toy_model.load()
    assert found[0].bits_per_byte == pytest.approx(recorded.bits[:16].mean(), abs=1e-3)
    assert found[0].fidelity.cosine_worst == pytest.approx(1)


def test_aims(found):
    """mx8 within 0.2 % of float32's bits per byte, mxfp4 within 3 %; nothing clips."""
    reference, mx8, mxfp4 = found
    assert mx8.bits_per_byte <= 1.002 * reference.bits_per_byte
    assert mxfp4.bits_per_byte <= 1.03 * reference.bits_per_byte
    assert mx8.clipped == mxfp4.clipped == 0
    assert 0.99 < mxfp4.fidelity.cosine_median < mx8.fidelity.cosine_median < 1


def test_the_table():
    """Bits relative to the first row's."""
    near = fidelity(np.array([[1.0, 0], [0, 0]]), np.array([[1.0, 0], [0, 1]]))
    table = accuracy.markdown([accuracy.Measured("float32", 2, near, 0), accuracy.Measured("other", 2.5, near, 7)])
    assert table.splitlines()[3] == "| other | 2.5000 | 1.2500 | 0.50000 | 0.000 | 7 |"


def test_the_page():
    """Every format has its row, and float32's is what is recorded."""
    table = pages.read_part("toy_model.md", "toy accuracy").splitlines()
    assert len(table) == 3 + len(accuracy.KINDS)
    assert table[2].startswith(f"| float32 | {toy_model.load()[1].bits.mean():.4f} | 1.0000 |")
