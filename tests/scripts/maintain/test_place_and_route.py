"""Layouts: a DEF file by hand; a block through the tools where they are installed."""

import pytest

from trajectile.hw.design import design
from trajectile.scripts.errors import ToolError
from trajectile.scripts.maintain import pages
from trajectile.scripts.maintain import place_and_route as layouts
from trajectile.sw_model.config import load

LEF = """MACRO NAND2X1
  CLASS  CORE ;
  SIZE 2.400 BY 10.000 ;
END NAND2X1
MACRO INVX1
  SIZE 1.600 BY 10.000 ;
END INVX1
"""
DEF = """DESIGN top ;
UNITS DISTANCE MICRONS 100 ;
DIEAREA ( -100 0 ) ( 900 2000 ) ;
COMPONENTS 4 ;
- NAND2X1_1 NAND2X1 + PLACED ( 0 0 ) N ;
- INVX1_1 INVX1 + PLACED ( 0 0 ) N ;
- INVX1_2 INVX1 + PLACED ( 0 0 ) N ;
- FILL1_1 FILL + PLACED ( 0 0 ) N ;
END COMPONENTS
PINS 1 ;
- a + NET a
+ LAYER metal1 ( 0 0 ) ( 1 1 ) ;
END PINS
NETS 3 ;
- a
  ( PIN a )
  ( INVX1_1 A )
  ( INVX1_2 A )
+ ROUTED metal1 ( 100 200 ) ( 400 * ) M2_M1
  NEW metal2 ( 400 200 ) ( * 700 ) ;
- clk
  ( PIN clk )
  ( NAND2X1_1 A )
+ ROUTED metal1 ( 0 0 ) ( 9000 * ) ;
- clk_bF$buf1
  ( PIN clk )
  ( NAND2X1_1 A )
+ ROUTED metal1 ( 0 0 ) ( 9000 * ) ;
END NETS
"""


def test_a_layout():
    """Areas from the LEF, wire from point to point, without clock and fill cells."""
    layout = layouts.layout_of(DEF, layouts.lef_areas(LEF))
    assert (layout.cells, layout.cell_area, layout.die_area) == (3, pytest.approx(24 + 2 * 16), pytest.approx(10 * 20))
    assert layout.sinks == 2 and layout.wire == pytest.approx(3 + 5)
    assert layout.wire_per_sink == pytest.approx(4) and layout.in_cells == pytest.approx(4 / (56 / 3) ** 0.5)


def test_a_net_without_wires():
    """It was not routed."""
    with pytest.raises(ToolError, match="net a of 3 pins has no wire"):
        layouts.layout_of(DEF.replace("+ ROUTED metal1 ( 100", "+ LEFT metal1 ( 100"), layouts.lef_areas(LEF))


def test_blocks_have_no_memory():
    """Every block of the table is logic; one that has SRAM is refused by name."""
    made = design(load("smoke"))
    assert all(layouts.closure(made, block) for block in layouts.BLOCKS)
    with pytest.raises(ToolError, match="--block = expert_buffer is not legal"):
        layouts.closure(made, "expert_buffer")


def test_the_table_is_on_the_page():
    """Of all blocks; its wires are what the estimate of speed assumes."""
    text = pages.read_part(layouts.PAGE, layouts.PART)
    rows = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("| `")]
    assert [row[0].strip(" `") for row in rows] == list(layouts.BLOCKS)
    usual = sorted(float(row[-1]) for row in rows)
    assert usual[len(usual) // 2] == pytest.approx(2.5, rel=0.2)


@pytest.mark.regress
@pytest.mark.skipif(bool(layouts.missing()), reason="needs qflow, graywolf, qrouter, magic and qflow-tech-osu018 (Debian)")
def test_a_block(tmp_path, monkeypatch):
    """A small one through all tools."""
    monkeypatch.setattr(layouts, "FOLDER", tmp_path)
    made = design(load("smoke"))
    placed = layouts.lay_out(made, "read_merge")
    assert placed.cells >= 10 and placed.sinks >= 10 and placed.die_area > placed.cell_area
