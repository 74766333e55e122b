"""What wires weigh: by pin, by a wire-load model of a library, and as OpenSTA gets it."""

import pytest

from trajectile.scripts.area import liberty, technology, wires
from trajectile.scripts.area.wires import Wire

LIBRARY = """library (x) { capacitive_load_unit (1, pf); default_wire_load : "b";
    wire_load ("a") { capacitance : 1; slope : 1; fanout_length (1, 1); }
    wire_load ("b") { capacitance : 0.002; slope : 5; fanout_length (20, 100); fanout_length (1, 3); fanout_length (4, 20); }
    cell (c) { area : 1; } }"""


def test_by_pin():
    """A net without pins has no wire."""
    assert Wire("x", "", ff_per_pin=0.5).load([0, 1, 6]).tolist() == [0, 0.5, 3]


def test_a_wire_load_model():
    """The one that the library names; between its points in a line, beyond the last by the slope; held before the first."""
    wire = wires.of_libraries(liberty.read("x", LIBRARY)[1])
    assert wire and "b of x" in wire.title and wire.fanouts == (1, 4, 20)
    lengths = [0, 3, 3 + 17 / 3, 20, 100, 100 + 2 * 5]
    assert wire.load([0, 1, 2, 4, 20, 22]) == pytest.approx([2 * length for length in lengths])


@pytest.mark.parametrize("text", [LIBRARY.replace('default_wire_load : "b";', ""), LIBRARY.replace(': "b"', ': "c"')])
def test_a_library_without(text):
    """It names none, or one that it does not have."""
    assert wires.of_libraries(liberty.read("x", text)[1]) is None


def test_as_liberty():
    """What is written for OpenSTA reads back as the same."""
    wire = wires.of_libraries(liberty.read("x", LIBRARY)[1])
    for one in (wire, Wire("library", "", ff_per_pin=0.75)):
        text = (f'library (y) {{ capacitive_load_unit (1, pf); default_wire_load : "trajectile_{one.name}";\n'
                f"{one.liberty()}\ncell (c) {{ area : 1; }} }}")
        again = wires.of_libraries(liberty.read("y", text)[1])
        assert again.load(range(40)) == pytest.approx(one.load(range(40)))


def test_assumptions_of_a_technology(shared):
    """The lightest first; the library's own last, where it has one."""
    found = technology.load("sg13g2", sorted((shared / "pdk" / "ihp-sg13g2").glob("sg13g2_stdcell*"))).wires
    assert [wire.name for wire in found] == ["none", "placed", "large", "library"] and "1k" in found[-1].title
    assert found[2].load(3) == pytest.approx(2 * found[1].load(3)) and technology.load().wires == ()
