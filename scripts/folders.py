"""Folders that several runs may name at the same time: each works in one of its own, and puts its files there at the end."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trajectile.scripts.files import locked, make_folder, remove_empty

#: begin of the name of a run's own folder, inside of the named one, so that files need not be copied to another disk
PREFIX = ".run-"
#: end of the name of the file beside it that the run holds as long as it lives. Not the folder itself: what the run writes
#: there is put in place under the folder's lock, and a process that waits for its own lock waits for ever.
HELD = ".held"


def _move(source: Path, target: Path) -> None:
    """Put files in place, one by one; those of the target that the source has not stay."""
    target.mkdir(exist_ok=True)
    for path in sorted(source.iterdir()):
        if path.is_dir():
            _move(path, target / path.name)
        else:
            path.replace(target / path.name)


def _sweep(folder: Path) -> None:
    """Remove what runs that were killed have left: nobody holds it any more. The folder is locked meanwhile."""
    for left in folder.glob(f"{PREFIX}*"):
        if left.suffix == HELD:
            continue
        held = left.with_name(left.name + HELD)
        held.touch()  # killed before it was made
        with locked(held, wait=False) as mine:
            if mine:
                shutil.rmtree(left, ignore_errors=True)
                held.unlink(missing_ok=True)


def _rename(error: Exception, work: Path, folder: Path) -> None:
    """Say of the named folder what an error says of a run's own."""
    def named(text: object) -> object:
        if not isinstance(text, str):
            return text
        return text.replace(str(work.resolve()), str(folder)).replace(str(work), str(folder))
    error.args = tuple(named(arg) for arg in error.args)
    if isinstance(error, OSError) and error.filename:
        error.filename = named(str(error.filename))


@contextmanager
def private(folder: Path, *, keep_failed: bool = False) -> Iterator[Path]:
    """A folder of this run alone; its files come into ``folder`` at the end, as one set.

    Runs that name the same folder do not see each other's files; the folder has those of the run that ended last.

    Args:
        folder: where the files go; it is made.
        keep_failed: the files are put in place after an error too, so that its logs can be read.
    """
    made = make_folder(folder)
    with locked(folder):
        _sweep(folder)
        work = Path(tempfile.mkdtemp(prefix=PREFIX, dir=folder))
        name = work.with_name(work.name + HELD)
        held = os.open(name, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(held, fcntl.LOCK_EX)
    try:
        yield work
        with locked(folder):
            _move(work, folder)
    except Exception as error:
        if keep_failed:
            with locked(folder):
                _move(work, folder)
        _rename(error, work, folder)
        raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
        name.unlink(missing_ok=True)
        os.close(held)
        remove_empty(made)


def share(source: Path, folder: Path) -> None:
    """Put copies of a folder's files, not of its folders, into another one, as one set."""
    with private(folder) as work:
        for path in source.iterdir():
            if path.is_file():
                shutil.copyfile(path, work / path.name)
