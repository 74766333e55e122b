"""An array in a simulator that stays up: one batch after the other, each made when the one before has been read.

The process is that of :mod:`trajectile.tb.native`, without Python in the loop, and takes its list of accesses from a pipe.
Layers lie one behind the other in the DDR models. Token records of a batch are written to files, which the models of io
memory read when the bench marks a new run; what tiles write is read from their logs.
"""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

import numpy as np

from trajectile.hw.host.regmap import RegisterMap
from trajectile.hw.params import Params
from trajectile.sw_model.batch.records import record_region
from trajectile.sw_model.config import Config
from trajectile.sw_model.numerics import image
from trajectile.sw_model.numerics.integer import QuantisedBatch, QuantisedLayer
from trajectile.sw_model.schedule.scheduler import Schedule
from trajectile.tb import io_log, native
from trajectile.tb.host_ops import descriptor_ops, doorbell_op, failure, setup_ops, state_ops
from trajectile.tb.io_log import Written
from trajectile.tb.job import Descriptor
from trajectile.tb.toolchain import SimulationError, seen_from
from trajectile.tb.top import bench_top, layer_pitch


class LiveArray:
    """The array of a design, with some layers in its DDR channels, ready for batches. A context manager."""

    def __init__(self, config: Config, files: Mapping[str, str], layers: Sequence[QuantisedLayer], folder: Path, *,
                 max_cycles: int = 10_000_000):
        """Build the simulation, or find it built.

        Args:
            config: the accelerator.
            files: Verilog of the design by file name.
            layers: their weights, each in the configuration's formats.
            folder: where files are exchanged; it must be there.
            max_cycles: a batch that takes longer has hung.

        Raises:
            SimulationError: if Verilator, make or g++ is missing or does not accept the design.
        """
        self.config, self.folder, self.max_cycles = config, folder.resolve(), max_cycles
        self.registers = RegisterMap(Params(config))
        self._built = native.build(files, bench_top(config, held_inputs=True, layers=len(layers)), config.array.tiles)
        self._tiles = range(config.array.tiles)
        self._plusargs = ["+live", f"+events={self.folder / 'events'}"]
        for channel in range(config.array.channels):
            memory = np.zeros((len(layers), layer_pitch(config)), dtype=np.uint8)
            for number, layer in enumerate(layers):
                content = image.channel_image(config, layer, channel)
                memory[number, :len(content)] = content
            path = self.folder / f"ddr{channel}.hex"
            image.write_hex(path, memory.ravel(), config.ddr.bytes_per_cycle)
            self._plusargs.append(f"+ddr{channel}={path}")
        self._records = [self.folder / f"io{tile}.hex" for tile in self._tiles]
        self._logs = [self.folder / f"events_io{tile}.log" for tile in self._tiles]
        self._read = [0] * len(self._tiles)
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> "LiveArray":
        for tile, path in enumerate(self._records):
            path.write_text("0\n", encoding="ascii")
            self._plusargs.append(f"+io{tile}={path}")
        command = [str(self._built.folder / "model" / "simulation"), "/dev/stdin", "/dev/stdout", str(self.max_cycles),
                   *seen_from(self.folder, self._plusargs)]
        self._process = subprocess.Popen(command, cwd=self.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         stderr=subprocess.STDOUT, text=True, encoding="ascii", errors="replace")
        self._ask("".join(native.lines(tile, list(setup_ops(self.registers, tile))) for tile in self._tiles)
                  + f"pause {self.config.layer.experts}\n")  # token lists are emptied after a reset
        return self

    def __exit__(self, *_: object) -> None:
        process = self._process
        if process:
            if process.stdin:
                process.stdin.close()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
            if process.stdout:
                process.stdout.close()

    def run(self, plan: Schedule, batch: QuantisedBatch, descriptors: Sequence[Descriptor]) -> list[Written]:
        """One batch, from its doorbells to its completion records; returns what each tile has written.

        Args:
            plan: of the batch.
            batch: its numbers.
            descriptors: what the host of each tile queues; records lie at address 0.

        Raises:
            SimulationError: if the batch hangs, a tile fails, an access is refused or a memory model complains.
        """
        config, registers = self.config, self.registers
        for tile, path in enumerate(self._records):
            region = record_region(config, batch, plan.tiles[tile].records)
            beat = np.zeros(config.io.bytes_per_cycle, dtype=np.uint8)
            image.write_hex(path, region if len(region) else beat, config.io.bytes_per_cycle)
        states = self._ask(
            "mark\n" + "".join(native.lines(tile, list(descriptor_ops(registers, descriptors[tile]))) for tile in self._tiles)
            + "go\n" + "".join(native.lines(tile, [doorbell_op(registers, descriptors[tile])]) for tile in self._tiles)
            + "wait 1\n" + "".join(native.lines(tile, state_ops(registers)) for tile in self._tiles))
        values: dict[int, list[int]] = {tile: [] for tile in self._tiles}
        for line in states:
            owner, value = line.split()
            values[int(owner)].append(int(value))
        if message := failure(registers, [values[tile] for tile in self._tiles]):
            raise SimulationError(message)
        return [self._written(tile) for tile in self._tiles]

    def _written(self, tile: int) -> Written:
        """What is new in a tile's log."""
        with self._logs[tile].open(encoding="ascii") as log:
            log.seek(self._read[tile])
            text = log.read()
        whole = text[:text.rfind("\n") + 1]
        self._read[tile] += len(whole)
        return io_log.parse(whole.splitlines())[-1]

    def _ask(self, script: str) -> list[str]:
        """Give the simulation lines of its list, and wait for its answers."""
        process = self._process
        assert process and process.stdin and process.stdout
        try:
            process.stdin.write(script + "say done\n")
            process.stdin.flush()
        except BrokenPipeError:
            pass  # what it said before it ended is below
        return _answers(process.stdout)


def _answers(output: IO[str]) -> list[str]:
    """Lines up to "say done".

    Raises:
        SimulationError: with what the simulation says instead.
    """
    found: list[str] = []
    for line in output:
        if line.startswith("say done"):
            return found
        if "ERROR" in line:
            raise SimulationError(line.strip())
        found.append(line)
    raise SimulationError("the simulation ended: " + "".join(found[-5:]).strip())
