"""A disk that is full: one line, exit code 3, and nothing half-written that looks whole."""

import contextlib
import errno
import io
import os
import resource

import pytest

from tests.support import checkpoints
from trajectile.scripts import cli, files
from trajectile.scripts.flow.outcomes import read_outcomes
from trajectile.tb import scoreboard
from trajectile.tb.toolchain import SimulationError


@contextlib.contextmanager
def no_file_above(size):
    """Let writes fail that make a file larger, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_all_or_nothing(tmp_path):
    """Files get their names together; a folder that was made goes again."""
    with files.together(tmp_path / "a" / "b") as part:
        part("x").write_text("1")
        part("y.png").write_text("2")
        assert part("y.png").suffix == ".png" and not (tmp_path / "a" / "b" / "x").exists()
    assert sorted(path.name for path in (tmp_path / "a" / "b").iterdir()) == ["x", "y.png"]
    with pytest.raises(OSError, match="no space") as error, files.together(tmp_path / "c" / "d") as part:
        part("x").write_text("1")
        raise OSError(errno.ENOSPC, "no space")
    assert not (tmp_path / "c").exists() and error.value.filename == str(tmp_path / "c" / "d")


def test_what_was_there_stays(tmp_path):
    """A file is replaced by a whole one or not at all; the name in the message is the file's own."""
    files.write_text(tmp_path / "x", "old")
    with pytest.raises(OSError, match="too large") as error, no_file_above(10):
        files.write_text(tmp_path / "x", "new" * 10)
    assert [path.name for path in tmp_path.iterdir()] == ["x"] and (tmp_path / "x").read_text() == "old"
    assert error.value.filename == str(tmp_path)
    with pytest.raises(OSError, match="no space") as error, files.whole(tmp_path / "y") as part:
        raise OSError(errno.ENOSPC, "no space", str(part))
    assert error.value.filename == str(tmp_path / "y")


@pytest.mark.parametrize("command", [
    ["generate", "smoke", "-o", "out"], ["timeline", "smoke", "--tokens", "4", "-o", "out"],
    ["compare", "smoke", "--tokens", "1", "--windows", "1", "-o", "out"],
    ["sweep", "smoke", "--vary", "tile.slots=3", "--tokens", "4", "--windows", "1", "-o", "out"],
    ["buffer", "smoke", "--tokens", "4", "--batches", "1", "-o", "out"], ["doctor", "--json", "out/x.json"],
    ["synthesize", "smoke", "-o", "out"], ["import", "model", "--config", "smoke", "-o", "out"],
], ids=lambda command: command[0])
def test_commands_on_a_full_disk(command, tmp_path, monkeypatch):
    """Whatever is written first."""
    monkeypatch.chdir(tmp_path)
    layer, gate = checkpoints.weights()
    checkpoints.write(tmp_path / "model", checkpoints.tensors("mixtral", layer, gate), config={"num_experts_per_tok": 2})
    out, err = io.StringIO(), io.StringIO()  # pytest's own are files
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), no_file_above(100):
        assert cli.main(command) == 3
    shown = err.getvalue()
    assert "Traceback" not in shown and os.strerror(errno.EFBIG) in shown.splitlines()[-1], shown
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".part-")]
    if command[0] in ("generate", "timeline", "doctor", "import"):
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["1 load 0 0 0 0\n", "1 load 0 0 0 0\n5 complete 0 0 0 0\n6 lo", "5 complete 0 0 0 0"])
def test_a_log_that_is_cut_off(tmp_path, text):
    """Is no batch, and no difference to the model."""
    (tmp_path / "events0.log").write_text(text)
    with pytest.raises(ValueError, match="cut off"):
        scoreboard.read_events(tmp_path / "events", 1)


def test_a_run_on_a_full_disk(tmp_path):
    """The tool's fault, not a batch that is not exact."""
    (tmp_path / "output.json").write_text("[{}]")
    (tmp_path / "events0.log").write_text("1 lo")

    class job:
        class config:
            class array:
                tiles = 1
                independent = False
    with pytest.raises(SimulationError, match="cut off where no space is left"):
        read_outcomes(job, [], tmp_path)
