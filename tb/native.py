"""Simulations without Python in the loop: Verilator's model under a small C++ main that works off a list of host accesses.

For batches of millions of cycles. The same top, memory models and event monitors as under cocotb; only the host differs
(``tb/cpp/main.cpp``).
"""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from trajectile.hw.host.regmap import RegisterMap
from trajectile.tb import toolchain
from trajectile.tb.host_ops import Op, counter_ops, descriptor_ops, doorbell_op, failure, port_mask, setup_ops, state_ops
from trajectile.tb.instruments import OFF, Instruments
from trajectile.tb.job import Job, awaited
from trajectile.tb.runner import Build, cached, require, tail, verilate
from trajectile.tb.toolchain import SimulationError, seen_from
from trajectile.tb.top import SOURCES, TOP

CPP = Path(__file__).parent / "cpp"


def build(files: Mapping[str, str], top: str, tiles: int, *, optimise: str = toolchain.OPTIMISE,
          instruments: Instruments = OFF, independent: bool = False, link_faults: bool = False) -> Build:
    """Compile a design with the C++ main, or find it compiled.

    Args:
        files: Verilog of the design by file name.
        top: Verilog of the bench's top (:func:`trajectile.tb.top.bench_top`).
        tiles: tiles of the array.
        optimise: option of the C++ compiler.
        instruments: what is observed of its runs.
        independent: each tile has a clock of its own (``tb/cpp/dies.cpp``).
        link_faults: there is an input that starts faults of links.

    Raises:
        SimulationError: if Verilator, make or g++ is missing or does not accept the design.
    """
    instruments.require("native")
    ports = "".join(f"    HOST_PORTS({tile}),\n" for tile in range(tiles))
    sources = {**instruments.files(files), f"{TOP}.v": top,
               **{path.name: path.read_text(encoding="utf-8") for path in SOURCES}}
    main = "dies.cpp" if independent else "main.cpp"
    texts = sources | {name: (CPP / name).read_text(encoding="utf-8") for name in (main, "host.h")} | {"ports.inc": ports}
    if independent:
        texts["pins.inc"] = "".join(f"    TILE_PINS({tile}),\n" for tile in range(tiles))
    defined = ["-CFLAGS", "-DLINK_FAULTS"] if link_faults and independent else []

    def compile_into(folder: Path, log: Path) -> None:
        verilate(folder, log, TOP, [*defined, *sources, f"../{main}"], optimise=optimise)

    require("verilator")
    return replace(cached("native", [optimise, *defined], texts, compile_into), instruments=instruments)


def lines(tile: int, ops: Sequence[Op]) -> str:
    """Accesses of a tile's port, a line each."""
    return "".join(f"{tile} r {op.address}\n" if op.value is None else f"{tile} w {op.address} {op.value}\n" for op in ops)


def opened_op(registers: RegisterMap, tile: int) -> str:
    """Wait until all links of a tile are open, where tiles have clocks of their own."""
    mask = port_mask(registers, tile)
    return f"{tile} p {registers['LINK_OPEN'].offset} {mask} {mask}\n"


def run(made: Build, job: Job, folder: Path, plusargs: Sequence[str] = ()) -> None:
    """Run a job's batches once; ``output.json`` in ``folder`` is what ``trajectile.tb.bench_array`` writes. Where tiles have
    clocks of their own, the hosts ring when all links are open.

    Raises:
        SimulationError: if the simulation stops, hangs, a tile fails or refuses an access.
    """
    registers, tiles = RegisterMap(job.params), range(job.config.array.tiles)
    script = "".join(clock.line(tile) for tile, clock in enumerate(job.runs[0].clocks))
    script += "".join(lines(tile, list(setup_ops(registers, tile))) for tile in tiles)
    if job.config.array.independent:
        script += "".join(opened_op(registers, tile) for tile in tiles)
    script += f"pause {job.config.layer.experts}\n"  # token lists are emptied after a reset
    for number, batch in enumerate(job.batches):
        script += "".join(lines(tile, list(descriptor_ops(registers, batch[tile]))) for tile in tiles)
        script += f"wait {awaited(number)}\n"
        script += "".join(lines(tile, [doorbell_op(registers, batch[tile])]) for tile in tiles) + "go\n"
    after = [*state_ops(registers), *counter_ops(registers)]
    script += f"wait {len(job.batches)}\n" + "".join(lines(tile, after) for tile in tiles)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "host.txt").write_text(script, encoding="ascii")
    log, answers = folder / "run.log", folder / "answers.txt"
    answers.unlink(missing_ok=True)
    with log.open("w", encoding="utf-8") as output:
        command = [str(made.folder / "model" / "simulation"), "host.txt", "answers.txt", str(job.max_cycles),
                   *seen_from(folder, plusargs)]
        code = subprocess.run(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT, check=False).returncode
    values: dict[int, list[int]] = {tile: [] for tile in tiles}
    text = answers.read_text(encoding="ascii") if answers.exists() else ""
    for line in text[:text.rfind("\n") + 1].splitlines():  # without a last line that is cut off
        owner, value = line.split()
        values[int(owner)].append(int(value))
    states = [values[tile][:2] for tile in tiles]
    if all(len(state) == 2 for state in states) and (message := failure(registers, states)):
        raise SimulationError(message)
    if code:
        raise SimulationError(f"the simulation ended with code {code}\n{tail(log)}")
    if any(len(values[tile]) != len(after) for tile in tiles):
        raise SimulationError(f"{answers} is cut off, as where no space is left")
    made.instruments.collect(folder)
    outputs = [{"counters": dict(zip(registers.counters, values[tile][2:], strict=True))} for tile in tiles]
    (folder / "output.json").write_text(json.dumps([{"tiles": outputs}]), encoding="utf-8")
