"""Arguments that are refused before any work: where to write, numbers out of range, options that cannot be read."""

import json

import pytest

from trajectile.scripts import cli
from trajectile.scripts.commands import generate
from trajectile.scripts.flow import comparison
from trajectile.scripts.json_file import write_json
from trajectile.sw_model.gates import workloads


def refused(arguments, capsys):
    """The one line that a command with exit code 2 writes."""
    assert cli.main(arguments) == 2
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1 and "legal" in shown and "Traceback" not in shown
    return shown


@pytest.fixture
def paths(tmp_path, monkeypatch):
    """A folder with a file and a folder in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    (tmp_path / "broken").symlink_to("nowhere")
    return tmp_path


@pytest.mark.parametrize(("option", "path"), [
    *(("--json", path) for path in ("folder", "file/run.json", "folder/" + "a" * 300, "a\0b", "broken", ".", "/dev/null/x")),
    *(("-o", path) for path in ("file", "file/out", "a" * 300, "a\0b", "broken", "/dev/null/out"))])
def test_places_that_cannot_be_written(option, path, paths, capsys):
    """Said before the simulation, with the option's name; nothing is made."""
    before = sorted(paths.rglob("*"))
    name = "--output" if option == "-o" else option
    assert f"{name} = " in refused(["simulate", "smoke", option, path], capsys)
    assert sorted(paths.rglob("*")) == before


def test_a_folder_that_goes_away(paths, capsys, monkeypatch):
    """What only the work itself finds is no wrong input: exit code 3, the file's name."""
    def run(*_):
        raise OSError(28, "No space left on device", "full/trajectile_tile.v")
    monkeypatch.setattr(generate, "run", run)
    assert cli.main(["generate", "smoke", "-o", "folder"]) == 3
    assert "full/trajectile_tile.v: No space left on device" in capsys.readouterr().err


@pytest.mark.parametrize("line", [
    "simulate smoke --seed -1", f"simulate smoke --seed {2**70}", "simulate smoke --skew nan", "simulate smoke --skew inf",
    f"simulate smoke --tokens {10**30}", f"simulate demo --offset {-10**20}", f"simulate demo --layer {10**25}",
    "compare smoke --windows 0", "compare smoke --windows -3", "compare smoke --layer 3", "buffer smoke --batches 0",
    "buffer smoke --tokens 0", "buffer smoke --layer -1", "sweep smoke --tokens 0 --vary tile.slots=3",
    "sweep smoke --tokens -7 --vary tile.slots=3", "sweep smoke --layer 1 --tokens 4 --vary tile.slots=3"])
def test_numbers_out_of_range(line, paths, capsys):
    """The option's name and the legal values; not from inside a worker, not after hours."""
    option, value = line.split()[2:4]
    shown = refused(line.split(), capsys)
    assert option.strip("-") in shown and str(float(value) if option == "--skew" else value) in shown


def test_a_sweep_that_holds_no_batch(paths, capsys):
    """Too many tokens for every variant."""
    assert "--tokens = 50" in refused(["sweep", "smoke", "--vary", "tile.slots=3,4", "--tokens", "50"], capsys)


@pytest.mark.parametrize("line", [
    "sweep smoke --vary tile.slots=", pytest.param("sweep smoke --vary tile.slots=" + "[" * 5000, id="brackets"),
    "compare smoke --tokens 1,,2", pytest.param("compare smoke --tokens " + "9" * 5000, id="digits"), "", "nothing",
    "simulate", "simulate smoke --tokens 1.5", "simulate smoke --seed x", "simulate smoke --nothing",
    "buffer smoke --slack nan"])
def test_arguments_that_cannot_be_read(line, capsys):
    """The parser's own exit: code 2, usage and one line."""
    with pytest.raises(SystemExit) as stop:
        cli.main(line.split())
    shown = capsys.readouterr().err
    assert stop.value.code == 2 and "Traceback" not in shown and "error: " in shown.splitlines()[-1]


def test_as_many_windows_as_there_are():
    """A million windows of a short trace are those that it has."""
    trace = workloads.synthetic_trace(4, 2, 20, 0.2, 1)
    assert comparison.window_offsets(trace, 8, 10**12) == [10, 11, 12]
    assert comparison.window_offsets(trace, 8, 2) == [10, 12] and comparison.window_offsets(trace, 8, 1) == [10]


def test_json_is_standard(tmp_path):
    """JSON has no infinity: an exact layer's signal-to-noise ratio is null."""
    write_json(tmp_path / "a.json", {"a": float("inf"), "b": [1.5, float("nan")], "c": (True, None, "x")})
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": None, "b": [1.5, None], "c": [True, None, "x"]}


def test_names_that_are_not_text(paths, capsys):
    """Bytes of a command line that are no UTF-8."""
    assert "CONFIG" in refused(["simulate", "\udcff.toml"], capsys)
    assert "\\udcff" in refused(["simulate", "smoke", "--trace", "\udcff\n.npz"], capsys)


