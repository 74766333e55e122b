"""The hardware's own widths, limits and table are those of the golden model, and what the widths hold."""

from trajectile.hw import formats
from trajectile.sw_model.config import INT8_MAX
from trajectile.sw_model.numerics import integer


def test_limits():
    """Name by name."""
    for name in ("GATE_BITS", "SILU_BITS", "GATE_LIMIT", "UP_LIMIT", "SHIFT_MIN", "SHIFT_MAX"):
        assert getattr(formats, name) == getattr(integer, name), name
    assert formats.HIDDEN_LIMIT == INT8_MAX
    assert 2**formats.MULT_BITS - 1 == integer.MULT_MAX
    assert formats.SHIFT_BITS == integer.SHIFT_MAX.bit_length()


def test_silu_table():
    """Entry by entry; each fits the ROM."""
    table = formats.silu_table()
    assert table == integer.silu_table().tolist()
    assert max(table).bit_length() <= formats.SILU_ENTRY_BITS
