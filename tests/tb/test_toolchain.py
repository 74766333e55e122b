"""Builds on machines that are not tidy: blanks in paths, no program called ``python``, output folders far down."""

import os
import subprocess
from pathlib import Path

import pytest

from trajectile.tb import clocked, runner, toolchain

BENCH = """module bench_top (input wire clk);
    reg [8*40-1:0] path;
    always @(posedge clk) begin
        if (!$value$plusargs("file=%s", path)) path = "none";
        $display("file %0s", path);
        $finish;
    end
endmodule
"""


@pytest.fixture
def untidy(tmp_path, monkeypatch):
    """A cache in a folder with blanks, Verilator in another one, and a ``python`` that fails."""
    program = tmp_path / "bin" / "python"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    root = tmp_path / "an environment" / "verilator"
    root.parent.mkdir()
    root.symlink_to(toolchain.verilator_root())
    monkeypatch.setattr(toolchain, "verilator_root", lambda: root)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("TRAJECTILE_BUILD", str(tmp_path / "a folder"))
    return tmp_path


def test_a_build_among_blanks(untidy):
    """It is made elsewhere and kept where it belongs; and it names its log there when it fails."""
    made = clocked.build({"bench_top.v": BENCH})
    assert made.folder.parent == untidy / "a folder" and (made.folder / "build.log").is_file()
    assert "file none" in clocked.run(made, untidy / "o u t")
    assert clocked.build({"bench_top.v": BENCH}).folder == made.folder
    with pytest.raises(runner.SimulationError) as error:
        clocked.build({"bench_top.v": "module"})
    first = str(error.value).splitlines()[0]
    assert str(untidy / "a folder") in first and "/trajectile-" not in first


def test_paths_longer_than_a_register(tmp_path):
    """What lies in the folder of a run is named from there."""
    deep = tmp_path.joinpath(*["d" * 200] * 6)
    made = clocked.build({"bench_top.v": BENCH})
    assert "file events\n" in clocked.run(made, deep, [f"+file={deep / 'events'}"])


def test_plusargs(tmp_path):
    """Only paths are changed, and only where that makes them shorter."""
    assert toolchain.seen_from(tmp_path, ["+a", "+b=1", f"+c={tmp_path / 'x'}", f"+d={tmp_path.parent / 'x'}", "+e=/x"]) == [
        "+a", "+b=1", "+c=x", "+d=../x", "+e=/x"]


@pytest.mark.parametrize(("path", "legal"), [("/home/a-b_c.d/é", True), ("/a b", False), ("/a#b", False), ("/a$b", False),
                                             ("/a'b", False), ("/a(b)", False)])
def test_paths_that_make_takes(path, legal):
    """Blanks end a word, # begins a comment, $ a variable; the rest is for the shell."""
    assert toolchain.taken(Path(path)) == legal


def test_no_folder_at_all(tmp_path, monkeypatch):
    """What to set is said."""
    monkeypatch.setattr(toolchain, "taken", lambda path: False)
    with pytest.raises(runner.SimulationError, match="legal: TRAJECTILE_BUILD or TMPDIR"), toolchain.workshop(tmp_path):
        pass


def test_a_launcher_of_the_users(monkeypatch):
    """It is the one that make starts."""
    text = "all:\n\t@printf '%s' '$(OBJCACHE)'\n"

    def launcher():
        return subprocess.run(["make", "-s", "-f", "-"], input=text, text=True, capture_output=True, check=True,
                              env=toolchain.environment()).stdout

    monkeypatch.delenv("OBJCACHE", raising=False)
    assert "compile_once.py" in launcher()
    monkeypatch.setenv("OBJCACHE", "ccache")
    assert launcher() == "ccache"


@pytest.mark.parametrize("program", ["/usr/bin/python3", "/a b/c$d/it's \\python"])
def test_variables_arrive_in_a_shell(monkeypatch, program):
    """Through make, as one word."""
    monkeypatch.setattr(toolchain, "MAKE_VARIABLES", {"PYTHON3": toolchain.shlex.quote(program)})
    done = subprocess.run(["make", "-s", "-f", "-"], input="all:\n\t@printf '%s' $(PYTHON3)\n", text=True,
                          capture_output=True, env=toolchain.environment("-O0"), check=True)
    assert done.stdout == program
