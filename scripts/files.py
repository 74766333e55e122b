"""Files that are there as a whole or not at all: written under another name, renamed when everything is written."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def together(folder: Path) -> Iterator[Callable[[str], Path]]:
    """Files of a folder, which is made; what is called with a file's name says where to write it.

    They get their names at the end, all of them. If something fails before, none is there, nor the folder if it was made.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    parts: dict[str, str] = {}

    def part(name: str) -> Path:
        # the ending stays, since it says the format of a picture
        path = folder / f".part-{os.getpid()}-{name}"
        parts[str(path)] = name
        return path

    try:
        yield part
        for path, name in parts.items():
            os.replace(path, folder / name)
    except BaseException as error:
        if isinstance(error, OSError) and (error.filename is None or str(error.filename) in parts):
            error.filename = str(folder / parts.get(str(error.filename), ""))
        for path in parts:
            Path(path).unlink(missing_ok=True)
        for above in made:
            if above.is_dir() and not any(above.iterdir()):
                above.rmdir()
        raise


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Write one file, whose folder is made, under the path that is given to the caller."""
    with together(path.parent) as part:
        yield part(path.name)


def write_text(path: Path, text: str) -> None:
    """Write a text in UTF-8 as a whole."""
    with whole(path) as part:
        part.write_text(text, encoding="utf-8")
