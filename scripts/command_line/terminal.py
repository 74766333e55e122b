"""What a command writes where: its answer to stdout, progress to stderr and only if a person watches, JSON where told.

Colours and moving lines are for terminals only; ``NO_COLOR`` turns colours off there too.
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    track,
)

from trajectile.scripts.json_file import json_text, write_json

#: columns of tables where nobody watches: a pipe, a file
WIDTH = 120
#: as the value of ``--json``: stdout
STDOUT = Path("-")

Item = TypeVar("Item")


def add_json(parser: argparse.ArgumentParser, text: str = "write the answer as JSON") -> None:
    """The option ``--json``, which every command has."""
    parser.add_argument("--json", metavar="OUT", type=Path, help=f"{text}; - is stdout, and the tables go to stderr")


def console(args: argparse.Namespace) -> Console:
    """Where tables go: stdout, or stderr if stdout is for JSON."""
    made = Console(stderr=getattr(args, "json", None) == STDOUT)
    if not made.is_terminal:
        made.width = max(made.width, WIDTH)
    return made


def watched() -> Console:
    """Where progress goes: stderr. Nothing that moves is shown there unless it is a terminal."""
    return Console(stderr=True)


class status:
    """A line that says what is being done and for how long, as long as it is done: ``with status("building") as line``."""

    def __init__(self, text: str):
        on = watched()
        self._progress = Progress(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=on,
                                  transient=True, disable=not on.is_terminal)
        self._task = self._progress.add_task(text, total=None)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def update(self, text: str) -> None:
        """Say what comes next; the time starts again."""
        self._progress.reset(self._task, description=text)


def tracked(items: Iterable[Item], text: str, total: int | None = None) -> Iterator[Item]:
    """The items, with a bar that shows how many are done."""
    on = watched()
    return iter(track(items, text, total=total, console=on, transient=True, disable=not on.is_terminal))


@contextmanager
def bar(text: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar for as long as the block lasts; the function that is given is told how many are done."""
    on = watched()
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=on, transient=True, disable=not on.is_terminal) as progress:
        task = progress.add_task(text, total=total)
        yield lambda done: progress.update(task, completed=done)


def answer(args: argparse.Namespace, values: Any) -> None:
    """Write ``values`` as JSON where ``--json`` says, if it does."""
    path = getattr(args, "json", None)
    if path == STDOUT:
        sys.stdout.write(json_text(values))
    elif path is not None:
        write_json(path, values)
