"""Which cells of a library are used: what they do, what they are for, and what the reader does not know of them."""

import pytest

from trajectile.scripts.area import liberty, technology
from trajectile.scripts.area.cells import Cells
from trajectile.scripts.area.usable import is_function, why_not
from trajectile.scripts.errors import UserError

IN = "pin (A) { direction : input; } pin (B) { direction : input; }"
AND = f'{IN} pin (Y) {{ direction : output; function : "A&B"; }}'
FLOP = 'pin (C) { direction : input; } pin (D) { direction : input; } pin (Q) { direction : output; function : "IQ"; }'
STATE = 'clocked_on : "C"; next_state : "D";'
ENOUGH = f"""cell (INV) {{ area : 1; pin (A) {{ direction : input; }} pin (Y) {{ direction : output; function : "!A"; }} }}
  cell (AND) {{ area : 2; {AND} }} cell (DFF) {{ area : 5; ff (IQ, IQN) {{ {STATE} }} {FLOP} }}"""


def cells(text):
    """Cells of a made-up library."""
    return Cells(liberty.read("x", f"library (x) {{ {text} }}")[1])


def load(tmp_path, *texts):
    """A technology of files with these cells."""
    paths = [tmp_path / f"{number}.lib" for number in range(len(texts))]
    for number, (path, text) in enumerate(zip(paths, texts, strict=True)):
        path.write_text(f"library (x{number}) {{ {text} }}")
    return technology.load(paths=paths)


@pytest.mark.parametrize(("body", "why"), [
    (f"area : 1; {AND}", ""),
    (f"area : 1; dont_touch : true; {AND}", ""),
    (f"area : 1; dont_use : false; {AND}", ""),
    (f"area : 1; dont_use : true; {AND}", "dont_use"),
    (f'area : 1; dont_use : "TRUE"; {AND}', "dont_use"),
    (f"area : 1; is_level_shifter : true; {AND}", "is_level_shifter"),
    (f'area : 1; clock_gating_integrated_cell : "latch_posedge"; {AND}', "clock_gating_integrated_cell"),
    (f'area : 1; {IN} pin (Y) {{ direction : output; function : "A"; three_state : "B"; }}', "three_state"),
    (f'area : 1; {IN} pin (Y) {{ direction : output; is_pad : true; function : "A"; }}', "is_pad"),
    (f"area : 0; {AND}", "area 0"),
    (f"area : 1; {IN}", "no output"),
    (f"area : 1; {IN} pin (Y) {{ direction : output; }}", "no function"),
    (f'area : 1; {AND} pin (Z) {{ direction : output; function : "A"; }}', "several outputs"),
    # `pin (A, B)` says the same of both
    ('area : 1; pin (A, B) { direction : input; } pin (Y) { direction : output; function : "A&B"; }', ""),
    ('area : 1; pin ("A B") { direction : input; } pin (Y) { direction : output; function : "A&B"; }', ""),
    ('area : 1; pin (A) { direction : "INPUT"; } pin (Y) { direction : "Output"; function : "!A"; }', ""),
    ('area : 1; pin (A) { direction : inout; } pin (Y) { direction : output; function : "A"; }', "inout pin"),
    ('area : 1; pin (A) { } pin (Y) { direction : output; function : "A"; }', "unknown pin"),
    (f"area : 1; {AND} pin (A) {{ direction : input; }}", "pin A twice"),
    ('area : 1; pin (A) { direction : input; } pin (Y) { direction : output; function : "A&C"; }', "C is no pin"),
    ('area : 1; bus (A) { direction : input; } pin (Y) { direction : output; function : "A[0]"; }', "bus"),
    (f'area : 1; {IN} pin (Y) {{ direction : output; function : "A[0]"; }}', "a function that is not understood"),
    (f"area : 1; ff (IQ, IQN) {{ {STATE} }} {FLOP}", ""),
    (f'area : 1; ff ("IQ" , "IQN") {{ {STATE} power_down_function : "!VDD"; }} {FLOP}', ""),
    (f"area : 1; ff (IQ) {{ {STATE} }} {FLOP}", "states"),
    (f"area : 1; ff_bank (IQ, IQN, 2) {{ {STATE} }} {FLOP}", "ff_bank"),
    (f"area : 1; ff (IQ, IQN) {{ {STATE} }} ff (P, PN) {{ {STATE} }} {FLOP}", "ff"),
    (f'area : 1; ff (IQ, IQN) {{ {STATE} clear : "R"; }} {FLOP}', "R is no pin"),
    (f'area : 1; statetable ("C D", IQ) {{ }} {FLOP}', "statetable"),
    # what a scan cell is in the eyes of a tester is not what it is
    (f"area : 1; {AND} test_cell () {{ ff (IQ, IQN) {{ {STATE} }} pin (D) {{ direction : input; }} }}", ""),
])
def test_why_not(body, why):
    """One reason each, or none."""
    assert why_not(cells(f"cell (X) {{ {body} }}")["X"]) == why


def test_what_is_left_out_is_said(tmp_path):
    """By number and reason, also in a refusal."""
    found = load(tmp_path, f"{ENOUGH} cell (T) {{ area : 1; dont_use : true; {AND} }} cell (U) {{ {AND} }}")
    technology.check(found)
    assert set(found.cells) == {"INV", "AND", "DFF"}
    assert found.notes == ("2 of 5 cells left out: 1 dont_use, 1 no area",)
    with pytest.raises(UserError, match=r"no inverter among its usable cells \(1 of 3 cells left out: 1 area 0\)"):
        technology.check(load(tmp_path, ENOUGH.replace("area : 1", "area : 0")))
    assert technology.load().notes == ()


def test_a_buffer_is_no_inverter(tmp_path):
    """Told by the function."""
    with pytest.raises(UserError, match="no inverter"):
        technology.check(load(tmp_path, ENOUGH.replace('"!A"', '"A"')))


def test_a_cell_in_two_files(tmp_path):
    """Two corners of a library, or the same file twice."""
    with pytest.raises(UserError, match=r"1\.lib is not legal: cell INV is in \S*0\.lib too"):
        load(tmp_path, ENOUGH, ENOUGH)


@pytest.mark.parametrize(("mux", "nand", "area"), [
    ('"(A&!S)|(B&S)"', '"!(A&B)"', 3.0), ('"S A + S\' B"', '"(A B)\'"', 3.0), ('"A&B&S"', '"!(A&B)"', 4.0),
    ('"A&B&S"', '"A&B"', 0.0)])
def test_multiplexer_by_its_function(mux, nand, area, tmp_path):
    """Whatever its name; two and a half NAND gates where there is none."""
    three = "pin (A, B, S) { direction : input; }"
    found = load(tmp_path, f"""{ENOUGH} cell (MX) {{ area : 3; {three} pin (Y) {{ direction : output; function : {mux}; }} }}
        cell (ND) {{ area : 1.6; {IN} pin (Y) {{ direction : output; function : {nand}; }} }}""")
    assert found.mux_area == area
    assert is_function(found.cells["INV"], 1, {(True, False)}) and not is_function(found.cells["DFF"], 2, {(True,) * 4})
