"""The wheel in fresh environments, tried in a folder that is not the checkout.

``wheel`` (``make wheel-check``, which CI runs): this Python, the locked versions. ``ranges`` (``make ranges``): lowest and
newest versions of every dependency, every Python that is there.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from tests.support.paths import ROOT

#: folders that a user may have beside the own work: nothing of them may be imported
DECOYS = ("hw", "sw_model", "tb", "scripts", "configs")
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
#: tests that run in every environment of ``ranges``
QUICK = ("tests/sw_model", "tests/hw/compute", "tests/hw/lib/test_yosys.py", "tests/scripts/commands/test_importer.py")
UV = (sys.executable, "-m", "uv")


class Failed(RuntimeError):
    """A step did not do what it should. The message has what was run and what it said."""


def call(*words: str | Path, cwd: Path = ROOT, code: int = 0) -> str:
    """Run a command and return what it says on both streams.

    Raises:
        Failed: if it ends with another exit code.
    """
    done = subprocess.run([str(word) for word in words], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False)
    if done.returncode != code:
        raise Failed(f"{' '.join(map(str, words))}: exit code {done.returncode}, not {code}\n{done.stdout[-4000:]}")
    return done.stdout


def build(folder: Path) -> Path:
    """The wheel of this checkout.

    Raises:
        Failed: if it cannot be built, or holds what it should not.
    """
    call(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT)
    wheel, = folder.glob("*.whl")
    files = call(sys.executable, "-m", "zipfile", "--list", wheel)
    for name in ("trajectile/py.typed", "trajectile/configs/smoke.toml", "trajectile/tb/rtl/ddr_model.v"):
        if name not in files:
            raise Failed(f"{name} is not in the wheel")
    for name in ("maintain", "__pycache__", "tests/"):
        if name in files:
            raise Failed(f"{name} is in the wheel")
    return wheel


def program(environment: Path, name: str = "trajectile") -> Path:
    """A program of an environment."""
    return environment / "bin" / name


def elsewhere(folder: Path) -> Path:
    """A new folder to work in, with packages that are named as the repository's folders are."""
    for name in DECOYS:
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text("raise ImportError('a folder of the user')\n", encoding="utf-8")
    return folder


def try_commands(environment: Path, folder: Path, *, demo: bool = True) -> str:
    """Generate, simulate and more with an installed wheel; returns a digest of the Verilog.

    Raises:
        Failed: if a command ends with another exit code than 0. Simulations compare results and cycles with the model.
    """
    trajectile = program(environment)
    call(trajectile, "--version", cwd=folder)
    call(program(environment, "python"), "-m", "trajectile", "doctor", cwd=folder)
    call(trajectile, "generate", "smoke", "-o", "verilog", cwd=folder)
    call(trajectile, "simulate", "smoke", cwd=folder)
    if demo:
        call(trajectile, "demo", "smoke", "--tokens", "8", cwd=folder)
        call(trajectile, "compare", "smoke", "--tokens", "1,4", "--windows", "1", cwd=folder)
        call(trajectile, "report", "smoke", "--tokens", "4", "--timing-only", cwd=folder)
    else:
        call(trajectile, "synthesize", "smoke", cwd=folder)
    return sha256(b"".join(path.read_bytes() for path in sorted((folder / "verilog").iterdir()))).hexdigest()[:16]


def try_without_yosys(environment: Path, folder: Path) -> None:
    """Without a Yosys for synthesis: Verilog is generated, and synthesis says in one line what is missing.

    Raises:
        Failed: if not.
    """
    python = program(environment, "python")
    call(python, "-m", "pip", "uninstall", "--quiet", "--yes", "pyosys")
    call(program(environment), "generate", "smoke", "-o", "again", cwd=folder)
    said = call(program(environment), "synthesize", "smoke", "--set", "tile.slots=5", cwd=folder, code=3)
    if "pip install pyosys" not in said or len(said.splitlines()) != 1:
        raise Failed(f"synthesize without Yosys said: {said}")


def check_wheel(folder: Path) -> None:
    """The wheel in a fresh environment of this Python, with the versions of the lock.

    Raises:
        Failed: if something does not work.
    """
    wheel, environment = build(folder / "dist"), folder / "environment"
    call(sys.executable, "-m", "venv", environment)
    call(program(environment, "python"), "-m", "pip", "install", "--quiet", "--constraint", ROOT / "requirements.lock", wheel)
    work = elsewhere(folder / "work")
    digest = try_commands(environment, work)
    try_without_yosys(environment, work)
    print(f"{wheel.name}: works in a fresh environment; Verilog of smoke {digest}")


def check_ranges(folder: Path, pythons: Sequence[str]) -> None:
    """Lowest versions with the oldest Python, newest ones with every Python: same Verilog, exact simulations, quick tests.

    Raises:
        Failed: if one does not work, or the Verilog differs.
    """
    wheel, found = build(folder / "dist"), {}
    plans = [(pythons[0], "lowest-direct"), *((python, "highest") for python in pythons)]
    for python, resolution in plans:
        name = f"Python {python}, {resolution.split('-')[0]} versions"
        place = folder / f"{python}-{resolution}"
        environment, versions = place / "environment", place / "versions.txt"
        place.mkdir()
        only = ("--quiet", "--only-binary", ":all:")
        call(*UV, "pip", "compile", *only, "--resolution", resolution, "--python-version", python, "--output-file", versions,
             "pyproject.toml")
        call(*UV, "venv", "--quiet", "--python", python, environment)
        in_it = ("--python", program(environment, "python"))
        call(*UV, "pip", "install", *only, *in_it, "-r", versions)
        call(*UV, "pip", "install", "--quiet", *in_it, "--no-deps", wheel)
        found[name] = try_commands(environment, elsewhere(place / "work"), demo=False)
        call(*UV, "pip", "install", "--quiet", *in_it, "-c", versions, "pytest>=8", "pytest-timeout", "hypothesis")
        # an old release of one package may use what a new one of another is about to remove
        call(program(environment, "python"), "-m", "pytest", "-q", "-W", "default::DeprecationWarning", *QUICK)
        print(f"{name}: works; Verilog of smoke {found[name]}", flush=True)
    if len(set(found.values())) != 1:
        raise Failed(f"the Verilog is not the same: {found}")


def have(python: str) -> bool:
    """Whether a Python of this version is installed."""
    return subprocess.run([*UV, "python", "find", "--no-python-downloads", python], capture_output=True, check=False,
                          cwd=ROOT).returncode == 0


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("wheel", "ranges"))
    parser.add_argument("--python", action="append", help="for ranges; may be repeated (default: those that are there of "
                        f"{', '.join(PYTHONS)})")
    args = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="trajectile-"))
    try:
        if args.what == "wheel":
            check_wheel(folder)
        else:
            check_ranges(folder, args.python or [python for python in PYTHONS if have(python)])
    except Failed as error:
        print(f"failed: {error}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
