"""Functions of Liberty files for all inputs; how they are read and shown as Verilog is in ``test_cell_models.py``."""

import pytest

from trajectile.scripts.area.functions import parse, truth


@pytest.mark.parametrize(("function", "bits"), [
    ("A&B", "0001"), ("(A B)'", "1110"), ("A+B", "0111"), ("A^B", "0110"), ("!(A|B)", "1000"), ("A B + A' B'", "1001"),
    ("1", "1111"), ("0", "0000"), ("B", "0101")])
def test_truth(function, bits):
    """The last name changes fastest."""
    assert truth(function, ["A", "B"]) == tuple(bit == "1" for bit in bits)
    assert parse(function).variables() <= {"A", "B"}


def test_a_name_that_is_not_given():
    """A function of more than the inputs has no table."""
    with pytest.raises(KeyError):
        truth("A&C", ["A", "B"])
