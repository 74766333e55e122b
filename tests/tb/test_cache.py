"""What is kept is whole: attempts that were killed, or go on where nobody waits for them, disturb nobody."""

import multiprocessing
import os
import signal

import pytest

from trajectile.tb.cache import kept


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache."""
    monkeypatch.setenv("TRAJECTILE_BUILD", str(tmp_path))


def _ask(start, answers, kill=False):
    def make(folder):
        (folder / "part").write_text(str(os.getpid()))
        if kill:
            os.kill(os.getpid(), signal.SIGKILL)
        (folder / "whole").write_text(str(os.getpid()))
    start.wait()
    folder = kept("x", ["a", "b"], make)
    answers.put((folder.name, (folder / "part").read_text(), (folder / "whole").read_text()))


@pytest.mark.parametrize("processes", [2, 8])
def test_made_once(processes):
    """However many processes ask at once."""
    context = multiprocessing.get_context("fork")
    start, answers = context.Event(), context.Queue()
    asking = [context.Process(target=_ask, args=(start, answers)) for _ in range(processes)]
    for process in asking:
        process.start()
    start.set()
    found = {answers.get(timeout=60) for _ in asking}
    for process in asking:
        process.join()
    assert len(found) == 1


def test_killed(tmp_path):
    """What a killed process has begun is not found, and is gone when the next has made it; a straggler writes beside it."""
    context = multiprocessing.get_context("fork")
    start, answers = context.Event(), context.Queue()
    start.set()
    dead = context.Process(target=_ask, args=(start, answers, True))
    dead.start()
    dead.join()
    [left] = [path for path in tmp_path.iterdir() if path.is_dir()]
    folder = kept("x", ["a", "b"], lambda folder: (folder / "whole").touch())
    assert not left.exists() and not (folder / "part").exists()
    left.mkdir()
    (left / "late").touch()
    assert kept("x", ["a", "b"], lambda _: pytest.fail("made again")) == folder
