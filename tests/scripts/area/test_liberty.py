"""The Liberty reader: what is a cell's area and what only looks like it, and what is refused."""

import gzip

import pytest

from trajectile.scripts.area import liberty
from trajectile.scripts.area.technology import load
from trajectile.scripts.errors import UserError


def library(*cells):
    return "library (test) {\n  time_unit : \"1ns\";\n" + "\n".join(cells) + "\n}\n"


@pytest.mark.parametrize(("text", "areas"), [
    (library("cell (A) { area : 1.5; }"), {"A": 1.5}),
    (library('cell ("A") { area : "2e1"; }', "cell(B){area:3;}"), {"A": 20.0, "B": 3.0}),
    # what only looks like the cell's area
    (library("wire_load (x) { area : 9; }",
             "cell (A) { leakage (x) { area : 7; } area : 1; pin (Y) { area : 8; } }"), {"A": 1.0}),
    (library("cell (A) { /* area : 2; */ area : 1; // area : 3;\n}"), {"A": 1.0}),
    (library('cell (A) { note : "} cell (B) { area : 2; \\" "; area : 1; }'), {"A": 1.0}),
    (library("cell (A) { pin (Y) { cell (B) { area : 2; } } area : 1; }"), {"A": 1.0}),
    # a cell without an area takes none from its neighbour
    (library("cell (A) { pin (Y) { } }", "cell (B) { area : 2; }"), {"B": 2.0}),
    # no semicolons
    (library("cell (A) {\n area : 1\n pin (Y) {\n }\n}", "cell (B) {\n levels (1, 2)\n area : 2\n}"), {"A": 1.0, "B": 2.0}),
    # a string and a list over several lines, an empty statement
    (library('cell (A) { values ("1, 2", \\\n "3, 4");; area : 1; }'), {"A": 1.0}),
    (library("cell (A) { area : 1; }") + library("cell (B) { area : 2; }"), {"A": 1.0, "B": 2.0}),
    # a line that goes on behind blanks, a byte order mark's worth of comments, a variable, a range, no semicolon at the end
    (library("cell (A) { area : 1 \\ \t\n ; /* a\nb */ }"), {"A": 1.0}),
    (library("VDD = 1.0; define (x, cell, string); my_group (x) { foo : 1 } comment : \"a // b { }\";",
             "cell (A) { area : 1 /* um */ ; x : A[3:0]; }"), {"A": 1.0}),
])
def test_areas(text, areas):
    """Of cells in a library, directly."""
    assert liberty.cells(text) == areas


@pytest.mark.parametrize(("text", "named"), [
    ("no liberty at all {{{", "line 1: 'no liberty at all' before a brace"),
    ("cell (A) { area : 1; }", "line 1: 'cell' outside all groups"),
    (library("cell (A) { area : 1; "), "line 1: library ('test') is not closed"),
    (library("cell (A) { area : 1; } }"), "line 4: a brace that closes nothing"),
    (library("cell (A) { area : much; }"), "line 3: area = 'much' of cell A"),
    (library("cell (A) { area : -1; }"), "area = '-1'"),
    (library("cell (A) { area : nan; }"), "area = 'nan'"),
    (library("cell (A) { area : 1e999; }"), "area = '1e999'"),
    (library("cell (A) { area : ; }"), "area = ''"),
    (library("cell (A) { area : 1; area : 1; }"), "area of cell A is given twice"),
    (library("cell (A) { }", "cell (A) { }"), "line 4: cell ('A')"),
    (library("cell () { area : 1; }"), "cell ('')"),
    (library("/* cell (A) { area : 1; }"), "line 3: '/*' is not legal here, or not closed"),
    (library('cell (A) { note : "area : 1; }'), "line 3: '\"' is not legal here, or not closed"),
    (library("cell (A) { area : \\ 1; }"), "'\\\\' is not legal here"),
    (library("cell (A) { area : 1; }") + "rest", "line 5: 'rest'"),
    ("{", "line 1: '' before a brace"),
    (library('include_file ("flops.lib");', "cell (A) { area : 1; }"), "line 3: include_file 'flops.lib' is not read"),
    (library("cell (A) { area 1; }"), "line 3: 'area 1' is not legal; legal: name : value; or name (values);"),
    (library("cell (A) { dont_use : true area : 1; }"), "line 3: 'dont_use : true area : 1'"),
    (library("levels (1, 2) cell (A) { area : 1; }"), "line 3: 'levels ( 1 , 2 ) cell ( A )' before a brace"),
    (library("cell (A, B) { area : 1; }"), "cell ('A,B')"),
])
def test_not_liberty(text, named):
    """Line and reason."""
    with pytest.raises(liberty.LibertyError) as error:
        liberty.cells(text)
    assert named in str(error.value)


@pytest.mark.parametrize("content", [
    None, b"", b"library (x) { }", b"library (x) { cell (A) { } }", b"\x1f\x8b broken", b"\xff\xfe\x00", b"{" * 100000,
    gzip.compress(library("cell (A) { area : 1; }").encode(), mtime=0)[:-12],
    gzip.compress(library("cell (A) { area : 1; }").encode(), mtime=0)[:20] + b"\x00" * 20])
def test_a_file_that_is_refused(content, tmp_path):
    """File, option, and what would be legal."""
    path = tmp_path / "cells.lib"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"--liberty = .*cells\.lib is not legal; legal values: a Liberty file with cells"):
        load(paths=[path])


@pytest.mark.parametrize(("attribute", "value"), [
    ("function : A & B;", "A & B"), ("function : (A | B);", "( A | B )"), ("function : (A&B);", "( A&B )"),
    ("function : !A", "!A"), ("function : A\n & B;", "A & B"), ("function : A &\n B\n", "A & B"),
    ("function : (A\n B)\n", "( A B )"), ('function : "A \\\n B";', "A   B"), ('function : A /* + */ \\\n * B;', "A * B"),
    ("function (A, \"B C\");", "A")])
def test_expressions(attribute, value):
    """Outside quotes and over lines an expression is read to its end."""
    read = liberty.read("x", library(f"cell (X) {{ area : 1; {attribute} }}"))[1][0]
    assert next(read.of("cell")).value("function") == value


@pytest.mark.parametrize(("head", "names"), [
    ("(A, B)", ["A", "B"]), ('("A" , "B")', ["A", "B"]), ('("A B")', ["A", "B"]), ("(A B)", ["A", "B"]),
    ("(A[3:0])", ["A[3:0]"]), ("()", [])])
def test_names_of_a_group(head, names):
    """A group may have several."""
    read = liberty.read("x", library(f"cell (X) {{ area : 1; pin {head} {{ }} }}"))[1][0]
    assert next(next(read.of("cell")).of("pin")).names == names


def test_a_byte_order_mark(tmp_path):
    """As editors leave it."""
    path = tmp_path / "cells.lib"
    path.write_bytes(b"\xef\xbb\xbf" + library("cell (A) { area : 1; }").encode())
    assert liberty.cells(liberty.text_of(path)) == {"A": 1.0}


def test_a_file_that_is_a_folder(tmp_path):
    """Not opened."""
    with pytest.raises(UserError, match="--liberty"):
        load(paths=[tmp_path])


def test_a_packed_bomb(tmp_path, monkeypatch):
    """What unpacks to more than a library can have is not unpacked."""
    monkeypatch.setattr(liberty, "MAX_CHARACTERS", 1000)
    path = tmp_path / "cells.lib.gz"
    path.write_bytes(gzip.compress(b" " * 100_000))
    with pytest.raises(UserError, match="longer than 1000 characters"):
        load(paths=[path])


def test_several_files(tmp_path):
    """Plain and packed; the cells of all."""
    (tmp_path / "a.lib").write_text(library('cell (A) { area : 1; pin (Y) { direction : output; function : "1"; } }'))
    (tmp_path / "b.lib.gz").write_bytes(gzip.compress(library("cell (RAM_8x4) { area : 2; }").encode()))
    found = load(paths=[tmp_path / "a.lib", tmp_path / "b.lib.gz"])
    assert {name: cell.area_um2 for name, cell in found.cells.items()} == {"A": 1.0}
    assert [(macro.depth, macro.width, macro.area_um2) for macro in found.srams.macros] == [(8, 4, 2.0)]
