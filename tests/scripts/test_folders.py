"""Runs that name the same folder: each set of files is whole, and nothing is left of a run that was stopped."""

import errno

import pytest

from trajectile.scripts.files import locked, write_text
from trajectile.scripts.folders import private


def test_two_at_once(tmp_path):
    """Both work alone; the folder has the files of the one that ends last, and what was there under other names."""
    folder = tmp_path / "out"
    with private(folder) as first:
        with private(folder) as second:
            for work, text in ((first, "first"), (second, "second")):
                (work / "part").mkdir()
                (work / "a").write_text(text)
                (work / "part" / "b").write_text(text)
            (second / "c").write_text("second")
        assert (folder / "a").read_text() == (folder / "part" / "b").read_text() == "second"
    assert (folder / "a").read_text() == (folder / "part" / "b").read_text() == "first"
    assert sorted(path.name for path in folder.iterdir()) == ["a", "c", "part"]


def test_after_an_error(tmp_path):
    """Nothing is changed, unless logs are wanted; messages name the folder that was named; Ctrl-C leaves nothing."""
    folder = tmp_path / "out"
    for keep in (False, True):
        with pytest.raises(OSError) as caught, private(folder, keep_failed=keep) as work:
            (work / "log").write_text("why")
            raise OSError(errno.ENOSPC, "no space", str(work / "log"))
        assert caught.value.filename == str(folder / "log")
        assert [path.name for path in folder.glob("*")] == ["log"] * keep and folder.exists() is keep
    with pytest.raises(KeyboardInterrupt), private(folder, keep_failed=True) as work:
        (work / "other").touch()
        raise KeyboardInterrupt
    assert [path.name for path in folder.iterdir()] == ["log"]


def test_what_a_killed_run_leaves(tmp_path):
    """It goes when the next one begins; that of a run which goes on stays."""
    dead = tmp_path / ".run-dead"
    dead.mkdir()
    with private(tmp_path) as first, private(tmp_path):
        assert first.exists() and not dead.exists()
    assert list(tmp_path.iterdir()) == []


def test_a_run_does_not_wait_for_itself(tmp_path):
    """Whole files, and a run, in a run's own folder: a lock that the run itself holds would never be free."""
    with private(tmp_path) as outer:
        write_text(outer / "a", "a")
        with private(outer) as inner:
            write_text(inner / "b", "b")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_locks(tmp_path):
    """One at a time."""
    with locked(tmp_path), locked(tmp_path, wait=False) as other:
        assert not other
    with locked(tmp_path, wait=False) as mine:
        assert mine


def test_a_file_is_whole_or_not_there(tmp_path):
    """A text that cannot be written leaves the old one and nothing beside it; links stay links."""
    (tmp_path / "link").symlink_to("sub/file")
    write_text(tmp_path / "sub" / "file", "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(tmp_path / "link", "\ud800")
    assert (tmp_path / "link").read_text() == "old"
    write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "sub" / "file").read_text() == "new"
    assert [path.name for path in (tmp_path / "sub").iterdir()] == ["file"]
