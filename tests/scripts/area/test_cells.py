"""What timing and power read of a Liberty file: units, what is meant where a pin or cell says nothing, energies."""

import pytest

from trajectile.scripts.area import liberty
from trajectile.scripts.area.cells import Cells
from trajectile.scripts.errors import UserError

INVERTER = """area : 1; pin (A) { direction : input; %s } pin (Y) { direction : output; function : "!A"; %s }"""


def cells(head, body=INVERTER % ("capacitance : 2;", "")):
    """Of a library of one cell."""
    return Cells(liberty.read("x", f"library (x) {{ {head} cell (X) {{ {body} }} }}")[1])


@pytest.mark.parametrize(("head", "ff"), [
    ("", 2000), ("capacitive_load_unit (1, pf);", 2000), ("capacitive_load_unit (1, ff);", 2),
    ('capacitive_load_unit("1.000000", \\\n   "FF");', 2),
    ('capacitive_load_unit ("10,fF");', 20), ("capacitive_load_unit (0.1, pF);", 200)])
def test_load_unit(head, ff):
    """However it is written."""
    assert cells(head)["X"].capacitance["A"] == pytest.approx(ff)


@pytest.mark.parametrize(("unit", "nw"), [("1nW", 3.0), ("1 nW", 3.0), ("100pw", 0.3), ("1uW", 3e3), ("1W", 3e9)])
def test_leakage_unit(unit, nw):
    """Also without a prefix."""
    assert cells(f'leakage_power_unit : "{unit}";', INVERTER % ("", "") + "cell_leakage_power : 3;")["X"].leakage_nw == (
        pytest.approx(nw))


@pytest.mark.parametrize("head", ['time_unit : "1lightyear";', "capacitive_load_unit (1, cups);", 'voltage_unit : "0V";',
                                  'leakage_power_unit : "W1";'])
def test_units_that_are_none(head):
    """Refused, with what would be one."""
    with pytest.raises(ValueError, match="is no unit"):
        cells(head)


@pytest.mark.parametrize(("head", "body", "expected"), [
    ("default_input_pin_cap : 3;", "", 3000), ("default_input_pin_cap : 3;", "capacitance : 0;", 0), ("", "", 0)])
def test_default_capacitance(head, body, expected):
    """Of a pin that does not say."""
    assert cells(head, INVERTER % (body, ""))["X"].capacitance["A"] == pytest.approx(expected)


@pytest.mark.parametrize(("body", "nw"), [
    ("", 7.0), ("cell_leakage_power : 3;", 3.0), ("cell_leakage_power : 3; leakage_power () { value : 2; }", 2.0),
    ('leakage_power () { when : "A"; value : 2; } leakage_power () { when : "!A"; value : 4; }', 3.0),
    ('cell_leakage_power : 5; leakage_power () { when : "A"; value : 2; }', 5.0)])
def test_leakage(body, nw):
    """In any state, of the cell, on average over states, of the library."""
    assert cells("default_cell_leakage_power : 7;", INVERTER % ("", "") + body)["X"].leakage_nw == nw


def test_energy_of_both_edges():
    """One table for rise and fall, or two."""
    one = 'internal_power () { related_pin : "A"; power (scalar) { values ("0.5"); } }'
    two = one.replace("power (scalar)", "rise_power (scalar) { values (0.25); } fall_power (scalar)").replace("0.5", "0.75")
    found = [cells("capacitive_load_unit (1, ff);", INVERTER % ("", power))["X"].toggle_fj for power in (one, two)]
    assert found == [pytest.approx(0.5)] * 2


@pytest.mark.parametrize(("pin", "clocked_on"), [
    ("clock : true;", "C"), ("clock : TRUE;", "C"), ("", "C"), ("", "!C"), ("", "C'")])
def test_clock_pin(pin, clocked_on):
    """As the pin says, or the flip-flop."""
    flop = f"""area : 5; ff (IQ, IQN) {{ clocked_on : "{clocked_on}"; next_state : "D"; }}
        pin (C) {{ direction : input; {pin} }} pin (D) {{ direction : input; }}
        pin (Q) {{ direction : output; function : "IQ"; }}"""
    assert cells("", flop)["X"].clock == "C"


def test_supply():
    """Of the library, or of its operating conditions; one for all cells."""
    assert cells("nom_voltage : 0.7;").volts == 0.7
    conditions = "operating_conditions (a) { voltage : 0.8; } operating_conditions (b) { voltage : 0.9; }"
    assert cells(conditions).volts == 0.8 and cells(conditions + "default_operating_conditions : b;").volts == 0.9
    two = [*liberty.read("x", "library (x) { nom_voltage : 0.7; cell (A) { area : 1; } }")[1],
           *liberty.read("y", "library (y) { nom_voltage : 1.2; cell (B) { area : 1; } }")[1]]
    with pytest.raises(UserError, match=r"nom_voltage = 0\.7 and 1\.2 is not legal"):
        _ = Cells(two).volts


def test_pins_with_one_group():
    """``pin (A, B)`` gives both their capacitance."""
    both = 'area : 1; pin (A, B) { direction : input; capacitance : 1; } pin (Y) { direction : output; function : "A&B"; }'
    assert cells("capacitive_load_unit (1, ff);", both)["X"].capacitance == {"A": 1.0, "B": 1.0}
