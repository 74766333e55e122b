"""What is observed: nothing unless it is wanted, and what was wanted of a build is kept of its runs."""

import pytest

from tests.support import observed
from tests.support.batches import exact, synthetic
from trajectile.sw_model.config import load
from trajectile.tb import lines, runner
from trajectile.tb.instruments import OFF, Instruments

FILES = {"x.v": "module trajectile_sender (clk);\nendmodule\n"}


def test_nothing_is_observed_unless_it_is_wanted(tmp_path):
    """The design as it is, no argument for the build, no file moved."""
    (tmp_path / "coverage.dat").write_text("")
    OFF.collect(tmp_path)
    assert OFF.files(FILES) is FILES and OFF.build_arguments == [] and (tmp_path / "coverage.dat").exists()


def test_what_was_wanted_is_kept(tmp_path):
    """Hits from the log, counts from Verilator's file, which is moved so that the next run begins anew."""
    run = tmp_path / "run"
    run.mkdir()
    (run / "run.log").write_text("COVERED a.b\n")
    (run / "coverage.dat").write_text("")
    both = Instruments(coverage=tmp_path / "hits", lines=tmp_path / "lines")
    both.collect(run)
    assert [path.read_text() for path in (tmp_path / "hits").iterdir()] == ["a.b\n"]
    assert len(list((tmp_path / "lines").iterdir())) == 1 and not (run / "coverage.dat").exists()
    assert both.build_arguments == [lines.BUILD_ARGUMENT]


@pytest.mark.parametrize("simulator", ["icarus", "native"])
def test_lines_are_counted_by_verilator_only(simulator, tmp_path):
    """Refused elsewhere, before anything is built."""
    wanted = Instruments(lines=tmp_path)
    with pytest.raises(ValueError, match=rf"instruments\.lines = .* with simulator {simulator}; legal: verilator"):
        wanted.require(simulator)
    if simulator == "native":
        config = load("smoke")
        with pytest.raises(ValueError, match="legal: verilator"):
            exact(config, synthetic(config, 1, 1), tmp_path, simulator=simulator, instruments=wanted)


def test_a_test_run_is_observed_as_its_option_says(monkeypatch, tmp_path):
    """What ``exact`` passes on; and builds with and without are not the same."""
    monkeypatch.setattr(observed, "_chosen", [OFF])
    assert observed.instruments() is OFF
    observed.observe(tmp_path)
    assert observed.instruments() == Instruments(coverage=tmp_path)
    seen = []
    monkeypatch.setattr(runner, "build", lambda *_, instruments, **options: seen.append(instruments) or 1 / 0)
    config = load("smoke")
    with pytest.raises(ZeroDivisionError):
        exact(config, synthetic(config, 1, 1), tmp_path)
    assert seen == [Instruments(coverage=tmp_path)]
