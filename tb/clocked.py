"""Benches written in Verilog alone: a ``bench_top`` with one input, ``clk``, that ends itself with ``$finish``."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from trajectile.tb.runner import Build, cached, compiled, require, tail, verilate
from trajectile.tb.toolchain import SimulationError, seen_from
from trajectile.tb.top import TOP

MAIN = Path(__file__).parent / "cpp" / "clock.cpp"

#: the clock for Icarus; Verilator's is C++
_CLOCK = f"""`timescale 1ns / 1ps
module bench_clock;
    reg clk = 0;
    always #1 clk = !clk;
    {TOP} {TOP} (.clk(clk));
endmodule
"""


def build(texts: Mapping[str, str], simulator: str = "verilator") -> Build:
    """Compile a bench, or find it compiled.

    Args:
        texts: Verilog by file name; one has ``bench_top``.
        simulator: ``verilator`` or ``icarus``.

    Raises:
        SimulationError: if the simulator is not there or does not accept the bench.
    """
    require(simulator)
    icarus = simulator == "icarus"
    sources = dict(texts) | ({"bench_clock.v": _CLOCK} if icarus else {"clock.cpp": MAIN.read_text(encoding="utf-8")})

    def compile_into(folder: Path, log: Path) -> None:
        if icarus:
            compiled(["iverilog", "-g2005", "-s", "bench_clock", "-o", "simulation", *sources], folder, log)
        else:
            verilate(folder, log, TOP, [*texts, "../clock.cpp"], program="../simulation")

    return cached(f"clocked-{simulator}", [], sources, compile_into)


def run(made: Build, folder: Path, plusargs: Sequence[str] = ()) -> str:
    """Run a bench to its ``$finish``; returns what it printed.

    Raises:
        SimulationError: if it stops otherwise, or prints an ERROR.
    """
    folder.mkdir(parents=True, exist_ok=True)
    program = str(made.folder / "simulation")
    command = ["vvp", "-n", program] if made.simulator.endswith("icarus") else [program]
    done = subprocess.run([*command, *seen_from(folder, plusargs)], cwd=folder, capture_output=True, text=True, check=False)
    (folder / "run.log").write_text(done.stdout + done.stderr, encoding="utf-8")
    if done.returncode or "ERROR" in done.stdout:
        raise SimulationError(f"the bench ended with code {done.returncode}\n{tail(folder / 'run.log')}")
    return done.stdout
