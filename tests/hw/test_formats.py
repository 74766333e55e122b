"""The hardware's own widths and tables: those of docs/numerics.md, as the golden model has them as well."""

import pytest

from tests.support.pair_arithmetic import FUNCTIONS, activated
from trajectile.hw import formats
from trajectile.sw_model import config
from trajectile.sw_model.numerics import activation, integer


def test_limits():
    """Name by name."""
    assert config.INT8_MAX == formats.ACTIVATION_MAX
    for name in ("VALUE_MAX", "VALUE_FRACTION", "TABLE_DEPTH", "TABLE_FRACTION", "ACTIVATED_FRACTION"):
        assert getattr(formats, name) == getattr(activation, name), name
    assert (integer.SHIFT_MIN, integer.SHIFT_MAX) == (-formats.SHIFT_LEFT, formats.SHIFT_RIGHT)
    assert integer.FRACTION_BITS == formats.WEIGHT_FRACTION_BITS
    assert 2**formats.WEIGHT_EXPONENT_BITS - 1 == integer.EXPONENT_MAX
    assert integer.MAGNITUDE_BITS == formats.HIDDEN_BITS
    assert 2**formats.CLIP_BITS - 1 == integer.CLIPS_MAX


def test_layouts():
    """Field by field from the lowest bit, as bytes of the page's tables."""
    places = {name: (field.offset, field.width) for name, field in formats.PARAMETERS}
    assert places == {"gate_unit": (0, 8), "up_unit": (8, 8), "result_shift": (16, 8), "unit": (24, 8), "gate_max": (32, 16),
                      "up_max": (48, 16), "up_offset": (64, 16)}
    assert config.accelerator.PARAMETER_BYTES * 8 == formats.PARAMETERS.size
    assert {name: (field.offset, field.width) for name, field in formats.CHOICE_WEIGHT} == {
        "fraction": (0, 11), "exponent": (11, 5)}
    assert formats.HIDDEN.size == 16


@pytest.mark.parametrize("name", config.sections.ACTIVATIONS)
def test_activation_table(name):
    """Entry by entry against the functions of ``math`` and the golden model; each fits the ROM.

    No entry is more than the least ``g`` that meets it is worth: SwiGLU takes the sign of ``a`` from ``g``.
    """
    table = formats.activation_table(name)
    assert set(FUNCTIONS) == set(config.sections.ACTIVATIONS)
    assert len(table) == formats.TABLE_DEPTH
    assert table == [-activated(name, -4 * entry) for entry in range(formats.TABLE_DEPTH)] == activation.table(name).tolist()
    assert max(table).bit_length() <= formats.TABLE_ENTRY_BITS
    assert min(table) == 0
    assert all(loss <= 8 * max(4 * entry - 2, 0) for entry, loss in enumerate(table))
