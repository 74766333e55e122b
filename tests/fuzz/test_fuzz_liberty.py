"""Liberty files: accepted or refused with the option and the file's name, before Yosys sees them."""

import gzip
import re
from math import inf

import pytest
from hypothesis import strategies as st

from tests.support.fuzzing import cases, fuzz, mutated, run, weighted
from trajectile.scripts.area import liberty, technology
from trajectile.scripts.commands import synthesize

TEXT = '''/* a library */
library (test) {
  time_unit : "1ns"; capacitive_load_unit (1, pf);
  wire_load ("x") { area : 9; fanout_length (1, 0.01); }
  cell (INV) { area : 1.5; pin (A) { direction : input; } pin (Y) { direction : output; function : "!A"; } }
  cell (NAND2) { area : 2; pin (A) { direction : input; } pin (B) { direction : input; }
    pin (Y) { direction : output; function : "(A*B)'"; } }
  cell (DFF) { area : 5; ff (IQ, IQN) { clocked_on : "C"; next_state : "D"; } pin (C) { direction : input; clock : true; }
    pin (D) { direction : input; } pin (Q) { direction : output; function : "IQ"; } }
  cell ("RAM_64x32") {
    area : 2e3
    memory () { type : ram; address_width : 6; }
    values ("1, 2", \\
            "3, 4");
  }
}
'''
REFUSED = re.compile(r"trajectile synthesize: --liberty = \S*cells\.lib is not legal"
                     r"(: no [a-z -]* among its usable cells( \(.*\))?)?; legal values: (a Liberty|Liberty files) ")
WORDS = ["library", "cell", "(", ")", "{", "}", ";", ":", ",", '"', '""', "area", "area : 3;", "cell (B) { area : 1; }", "/*",
         "*/", "//", "\\", "\n", "nan", "-1", "1e999", "inf", "0x10", "\0", "é", "cell (INV) {", "(" * 500, "{" * 500,
         "a (b) {" * 2000, "}" * 500, '"' + "\\" * 999, "/*" * 500, "/" * 500, "_" * 10000]


@st.composite
def edited(draw):
    """The library with words left out, exchanged, doubled or added."""
    words = re.findall(r'\s+|"[^"]*"|\w+|.', TEXT)
    for _ in range(draw(st.integers(0, 4))):
        first, second = (draw(st.integers(0, len(words) - 1)) for _ in range(2))
        kind = draw(st.sampled_from(["drop", "swap", "double", "add", "replace"]))
        if kind == "drop":
            words[first] = ""
        elif kind == "swap":
            words[first], words[second] = words[second], words[first]
        elif kind == "double":
            words.insert(second, words[first])
        elif kind == "add":
            words.insert(first, draw(st.sampled_from(WORDS) | st.text(max_size=6)))
        else:
            words[first] = draw(st.sampled_from(WORDS) | st.text(max_size=6))
    return "".join(words).encode("utf-8", "surrogatepass")


@cases(250, 1700)
@pytest.mark.timeout(600)
def test_libraries(tmp_path, number, request, monkeypatch):
    """In words, in bytes, packed and then spoilt, or anything at all."""
    # Yosys takes seconds
    monkeypatch.setattr(synthesize, "synthesize", lambda _config, _folder, cells, **_: technology.check(cells))
    monkeypatch.setattr(synthesize, "show", lambda *_: None)
    path = tmp_path / "cells.lib"

    def check(content):
        path.write_bytes(content)
        code, text = run(["synthesize", "smoke", "--liberty", str(path), "-o", str(tmp_path / "out")])
        if code == 2:
            assert REFUSED.match(text), text
            return False
        assert code == 0
        found = liberty.cells(liberty.text_of(path))
        assert found and all(0 <= area < inf for area in found.values())
        return True

    packed = gzip.compress(TEXT.encode(), mtime=0)
    fuzz(number, request, weighted((4, edited()), (2, mutated(TEXT.encode())), (2, mutated(packed)),
                                   (1, edited().map(gzip.compress)), (1, st.binary(max_size=60))), check)


@pytest.mark.parametrize("text", [
    '"' * 10**5, "/*" * 10**5, '"\\' * 10**5, "\\\n" * 10**5 + "x", "a (" * 10**5 + "{", " " * 10**6 + '"', "(" * 10**5,
    "library (x) {" + "cell (a" * 10**4, "library (x) {" + "a : b\n" * 10**4, "/* * " * 10**5,
    "library (x) {" + "y (z) {" * 10**4], ids=range(11))
@pytest.mark.timeout(60)
def test_no_text_takes_long(text):
    """Texts on which a careless pattern would go back again and again, or a recursive reader would end."""
    with pytest.raises(liberty.LibertyError):
        liberty.cells(text)
