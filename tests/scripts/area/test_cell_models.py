"""Verilog models of cells: the functions of Liberty files, operator by operator, and whole libraries."""

import numpy as np
import pytest

from trajectile.scripts.area import liberty, technology
from trajectile.scripts.area.cell_models import cell_model, cell_models, verilog_of
from trajectile.scripts.errors import UserError

#: every combination of three inputs
A, B, C = (np.arange(8) >> bit & 1 == 1 for bit in range(3))
ZERO, ONE = np.zeros(8, dtype=bool), np.ones(8, dtype=bool)


@pytest.mark.parametrize(("function", "meaning"), [
    ("A", A), ("0", ZERO), ("1", ONE), ("!A", ~A), ("A'", ~A), ("A''", A), ("!A'", A), ("A*B", A & B), ("A&B", A & B),
    ("A B", A & B), ("A+B", A | B), ("A|B", A | B), ("A^B", A ^ B), ("A+B*C", A | (B & C)), ("(A+B)*C", (A | B) & C),
    ("(A+B) C'", (A | B) & ~C), ("!(A*B)+C", ~(A & B) | C), ("A*B^C", A & (B ^ C)), ("A^B^C", A ^ B ^ C),
    ("(A+B)'", ~(A | B)),
    ("A !B", A & ~B), ("A(B)", A & B), ("((A))", A), ("A + B + C", A | B | C), ("(A0*!S)+(A1*S)", (A & ~C) | (B & C))])
def test_functions(function, meaning):
    """Each for all inputs: between parentheses Verilog's operators are Python's."""
    verilog = verilog_of(function)
    names = {"A": A, "B": B, "C": C, "A0": A, "A1": B, "S": C, "zero": ZERO, "one": ONE}
    assert np.array_equal(eval(verilog.replace("1'b0", "zero").replace("1'b1", "one"), names), meaning), verilog


@pytest.mark.parametrize("function", ["", "A+", "(A", "A)", "*A", "A#B", "!", "2"])
def test_functions_that_are_none(function):
    """The message has cell and function."""
    with pytest.raises(UserError, match=r"cell x1 is not legal; legal: pins"):
        verilog_of(function, "x1")


def cell(text):
    """A cell of a made-up library."""
    return next(liberty.read("x", f"library (x) {{ {text} }}")[1][0].of("cell"))


def test_a_flip_flop():
    """Clock as it is or inverted, clear and preset, the inverted state."""
    model = cell_model(cell("""cell (x) { area : 1;
        ff (IQ, IQN) { clocked_on : "!CK"; next_state : "D E"; clear : "!R"; preset : "S"; }
        pin (CK) { direction : input; } pin (D) { direction : input; } pin (E) { direction : input; }
        pin (R) { direction : input; } pin (S) { direction : input; }
        pin (QN) { direction : output; function : "IQN"; } }"""))
    assert model == """module x(input CK, input D, input E, input R, input S, output QN);
  reg IQ;
  wire IQN = ~IQ;
  wire is_clocked_on = ~CK;
  wire is_clear = ~R;
  always @(posedge is_clocked_on or posedge is_clear or posedge S)
    if (is_clear) IQ <= 1'b0; else if (S) IQ <= 1'b1; else IQ <= (D & E);
  assign QN = IQN;
endmodule
"""


def test_cells_that_cannot_be_modelled():
    """A latch, and an output that has no function."""
    with pytest.raises(UserError, match="cell x has a latch"):
        cell_model(cell("cell (x) { area : 1; latch (IQ, IQN) { enable : G; } }"))
    with pytest.raises(UserError, match="cell x is not legal"):
        cell_model(cell("cell (x) { area : 1; pin (Y) { direction : output; } }"))


def test_the_shipped_cells():
    """Every one has a model, and only those that are used are written."""
    cells = {cell.name: cell.group for cell in technology.load().cells.values()}
    models = cell_models(cells, cells)
    assert models.count("endmodule") == len(cells) > 20
    assert cell_models(cells, ["sg13g2_inv_1"]) == """module sg13g2_inv_1(input A, output Y);
  assign Y = ~A;
endmodule
"""
