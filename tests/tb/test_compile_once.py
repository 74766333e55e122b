"""Objects of the runtime library are copied if the same command has made them before, and only those."""

import sys

import pytest

from trajectile.tb.compile_once import run

#: a compiler that writes how often it was called
COMPILER = """#!{python}
import pathlib, sys
calls = pathlib.Path({calls!r})
calls.write_text(calls.read_text() + "x")
source = pathlib.Path(sys.argv[-1] if "-o" not in sys.argv[-2:] else sys.argv[-3])
if "wrong" in source.read_text():
    sys.exit(3)
place = sys.argv.index("-o") + 1
pathlib.Path(sys.argv[place]).write_text(source.read_text() + " ".join(arg for arg in sys.argv if arg.startswith("-O")))
"""


@pytest.fixture
def place(tmp_path):
    """A compiler, a library with one source, and another source."""
    calls, compiler = tmp_path / "calls", tmp_path / "cc"
    calls.write_text("")
    compiler.write_text(COMPILER.format(python=sys.executable, calls=str(calls)))
    compiler.chmod(0o755)
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "verilated.cpp").write_text("library ")
    (tmp_path / "model.cpp").write_text("model ")
    return tmp_path


def compiled(place, target, source, *options):
    """Exit code, what the object holds, and calls of the compiler so far."""
    made = place / target
    code = run(place / "cache", place / "library", [str(place / "cc"), *options, "-c", "-o", str(made), str(place / source)])
    return code, made.read_text() if made.is_file() else None, len((place / "calls").read_text())


def test_the_library_is_compiled_once(place):
    assert compiled(place, "a.o", "library/verilated.cpp", "-Os") == (0, "library -Os", 1)
    assert compiled(place, "b.o", "library/verilated.cpp", "-Os") == (0, "library -Os", 1)


def test_other_options_are_another_object(place):
    assert compiled(place, "a.o", "library/verilated.cpp", "-Os") == (0, "library -Os", 1)
    assert compiled(place, "b.o", "library/verilated.cpp", "-O2") == (0, "library -O2", 2)


def test_another_source_of_the_same_name(place):
    """A newer version of the library, at the same place."""
    compiled(place, "a.o", "library/verilated.cpp", "-Os")
    (place / "library" / "verilated.cpp").write_text("newer library ")
    assert compiled(place, "b.o", "library/verilated.cpp", "-Os") == (0, "newer library -Os", 2)


def test_a_model_is_compiled_each_time(place):
    """It may include what lies beside it."""
    assert compiled(place, "a.o", "model.cpp", "-Og") == (0, "model -Og", 1)
    assert compiled(place, "b.o", "model.cpp", "-Og") == (0, "model -Og", 2)


def test_what_fails_is_not_kept(place):
    """The compiler's exit code is the launcher's, and the next one tries again."""
    source = place / "library" / "verilated.cpp"
    source.write_text("wrong")
    assert compiled(place, "a.o", "library/verilated.cpp", "-Os") == (3, None, 1)
    assert compiled(place, "a.o", "library/verilated.cpp", "-Os") == (3, None, 2)
    assert list((place / "cache").iterdir()) == []
