"""Files that are there as a whole or not at all: written under another name, renamed when everything is written."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def locked(folder: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold a folder as long as the block lasts; without ``wait`` say whether it was free. Locks end with their process."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(handle)


def make_folder(folder: Path) -> list[Path]:
    """Make a folder and those above it; returns those that were not there, the innermost first."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return made


def remove_empty(made: list[Path]) -> None:
    """Remove what :func:`make_folder` has made and nothing has come into."""
    with suppress(OSError):  # something is in it
        for path in made:
            path.rmdir()


@contextmanager
def together(folder: Path) -> Iterator[Callable[[str], Path]]:
    """Files of a folder, which is made; what is called with a file's name says where to write it.

    They get their names at the end, all of them. If something fails before, none is there, nor the folder if it was made.
    """
    made = make_folder(folder)
    parts: dict[str, str] = {}

    def part(name: str) -> Path:
        # the ending stays, since it says the format of a picture
        path = folder / f".part-{os.getpid()}-{name}"
        parts[str(path)] = name
        return path

    try:
        yield part
        with locked(folder):  # those of another run come all before or all after
            for path, name in parts.items():
                os.replace(path, folder / name)
    except BaseException as error:
        if isinstance(error, OSError) and (error.filename is None or str(error.filename) in parts):
            error.filename = str(folder / parts.get(str(error.filename), ""))
        for path in parts:
            Path(path).unlink(missing_ok=True)
        remove_empty(made)
        raise


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Write one file, whose folder is made, under the path that is given to the caller. A link stays one."""
    if path.exists() and not path.is_file():  # a pipe, a terminal: not to be replaced by a file
        yield path
        return
    target = path.resolve() if path.is_symlink() else path
    with together(target.parent) as part:
        yield part(target.name)


def write_text(path: Path, text: str) -> None:
    """Write a text in UTF-8 as a whole."""
    with whole(path) as part:
        part.write_text(text, encoding="utf-8")
