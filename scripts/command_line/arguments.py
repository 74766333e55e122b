"""Arguments that are wrong whatever the command does with them: refused at once, not after minutes of work."""

import argparse
import os
from math import inf
from pathlib import Path

from trajectile.scripts.errors import UserError

#: numbers that several commands have, and their legal range
RANGES: dict[str, tuple[float, float]] = {"seed": (0, 2**63 - 1), "windows": (1, inf), "batches": (1, inf), "skew": (0, 1e6),
                                         "seeds": (1, 1000), "cycles": (1, 10**9), "mhz": (1, 1e5)}


def check(args: argparse.Namespace) -> None:
    """Check the numbers above, ``--output`` (a folder) and ``--json`` (a file), where a command has them. Nothing is made.

    Raises:
        UserError: for a number out of range or a path that cannot be written.
    """
    for name, (low, high) in RANGES.items():
        value = getattr(args, name, None)
        if value is not None and not low <= value <= high:
            legal = f"{low} to {high:.0f}" if high < inf else f"{low} or more"
            raise UserError(f"--{name} = {value} is not legal; legal values: {legal}")
    if getattr(args, "trace_as", None) and not (args.trace or getattr(args, "fit", None)):
        raise UserError(f"--trace-as = {args.trace_as[0]!r} is not legal without --trace; legal: with a trace that it is of")
    for option, path, folder in (("--output", getattr(args, "output", None), True),
                                 ("--output", getattr(args, "page", None), False),
                                 ("--report", getattr(args, "report", None), False),
                                 ("--json", getattr(args, "json", None), False)):
        if path is not None and (folder or str(path) != "-") and (why := _wrong(path, folder)):
            raise UserError(f"{option} = {str(path)!r} is not legal ({why}); legal values: a "
                            f"{'folder' if folder else 'file'} that can be written")


def _there(path: Path) -> bool:
    """Whether a path exists.

    Raises:
        OSError: if it cannot exist: a part of it is a file, or a name is too long.
    """
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    return True


def _wrong(path: Path, folder: bool) -> str:
    """Why a path cannot be written as a folder or file; empty if it can."""
    try:
        if _there(path):
            if path.is_dir() != folder:
                return "it is a file" if folder else "it is a folder"
            return "" if os.access(path, os.W_OK) else "it cannot be written"
        above = next(parent for parent in path.absolute().parents if _there(parent))
        return "" if os.access(above, os.W_OK | os.X_OK) else f"{above} cannot be written"
    except OSError as error:
        return error.strerror or str(error)
    except ValueError as error:  # a zero character
        return str(error)
