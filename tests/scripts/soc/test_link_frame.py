"""The frame's page says what the layout is, and docs/link.md shows it."""


import pytest

from tests.support.paths import DOCS
from trajectile.hw.params import Params
from trajectile.scripts.soc.link_frame import frame_table, markdown
from trajectile.sw_model.config import load

PAGE = DOCS / "link.md"


@pytest.mark.parametrize("dataflows", ["spread", "both"])
@pytest.mark.parametrize(("preset", "crc_bits", "timing_only"), [
    ("smoke", 16, False), ("paper", 32, False), ("demo", 16, True)])
def test_every_bit_has_one_row(preset, crc_bits, timing_only, dataflows):
    """Rows follow each other without a gap, and each says something."""
    params = Params(load(preset, [f"link.crc_bits={crc_bits}", f"array.dataflows={dataflows}"]), timing_only=timing_only)
    low = 0
    for row in frame_table(params).splitlines()[2:]:
        _, bits, width, _, meaning, _ = (cell.strip() for cell in row.split("|"))
        high = low + int(width) - 1
        assert bits == (f"{high}:{low}" if high > low else str(low)) and meaning
        low = high + 1
    assert low == params.frame_bits and f" {low} bits" in markdown(params)


def test_the_page_shows_the_layout():
    """The table in docs/link.md is that of the smoke configuration with CRC-16."""
    assert frame_table(Params(load("smoke", ["link.crc_bits=16"]))).strip() in PAGE.read_text(encoding="utf-8")
