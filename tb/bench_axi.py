"""cocotb: the same batches as ``bench_array`` with another project's AXI models on every AXI port.

The host ports are driven by cocotbext-axi's AXI4-Lite manager, and DDR and io ports are answered by its AXI4 RAM, which check
the handshakes in their own way and share no line with this project's driver and memory models.
"""

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles
from cocotbext.axi import AxiBus, AxiLiteBus, AxiLiteMaster, AxiRam, AxiRamRead, AxiReadBus

from trajectile.hw.host.regmap import RegisterMap
from trajectile.sw_model.config import DDR_ADDRESS_BITS
from trajectile.tb.bench_array import PERIOD_NS, batch
from trajectile.tb.handles import Top
from trajectile.tb.host import TileHost
from trajectile.tb.job import JOB, Job
from trajectile.tb.program import results_bytes


class AxiHost(TileHost):
    """A host that talks through cocotbext-axi."""

    def __init__(self, dut: Top, tile: int, registers: RegisterMap):
        super().__init__(dut, tile, registers)
        bus = AxiLiteBus.from_prefix(dut, f"host_{tile}")
        self.manager = AxiLiteMaster(bus, dut.clk, dut.rst)

    def quiet(self) -> None:
        """The manager keeps its own signals quiet during reset."""

    async def write(self, address: int, value: int) -> int:
        """Write a register; returns the response."""
        return int((await self.manager.write(address, value.to_bytes(4, "little"))).resp)

    async def read(self, address: int) -> tuple[int, int]:
        """Read a register; returns response and value."""
        answer = await self.manager.read(address, 4)
        return int(answer.resp), int.from_bytes(answer.data, "little")


def content(path: Path) -> bytes:
    """The bytes of a memory, from a file for ``$readmemh``."""
    return b"".join(bytes.fromhex(line)[::-1] for line in path.read_text(encoding="ascii").split())


def written(job: Job, memory: AxiRam, tile: int) -> Iterator[str]:
    """What the tile has written for each batch, as ``tb/rtl/io_model.v`` logs it; then the memory is zero there again."""
    width = job.config.io.bytes_per_cycle
    for batch_ in job.batches:
        descriptor = batch_[tile]
        for address in range(descriptor.results, descriptor.results + results_bytes(
                job.config, descriptor.tokens, bf16=descriptor.bf16), width):
            yield f"{address:x} {bytes(memory.read(address, width))[::-1].hex()}"
            memory.write(address, bytes(width))


def hesitation(seed: int) -> Iterator[int]:
    """Pauses in half of the cycles."""
    rng = random.Random(seed)
    while True:
        yield rng.randrange(2)


@cocotb.test()
async def run_job(dut: Top) -> None:
    """All runs of the job; the output is ``output.json`` in the current folder, as ``bench_array`` writes it."""
    job = Job.load(Path(os.environ[JOB]))
    Clock(dut.clk, PERIOD_NS, "ns", impl="gpi").start()
    # in reset first: the models take what they see for a handshake from the moment they are made
    dut.rst.value = 1
    await ClockCycles(dut.clk, 3)
    registers = RegisterMap(job.params)
    hosts = [AxiHost(dut, tile, registers) for tile in range(job.config.array.tiles)]
    rams = []
    for channel in range(job.config.array.channels):
        given = content(Path(str(cocotb.plusargs[f"ddr{channel}"])))
        ram = AxiRamRead(AxiReadBus.from_prefix(dut, f"ddr_{channel}"), dut.clk, dut.rst, size=len(given))
        ram.write(0, given)
        rams.append(ram)
    memories = []
    for tile in range(job.config.array.tiles):
        memory = AxiRam(AxiBus.from_prefix(dut, f"io_{tile}"), dut.clk, dut.rst, size=2**DDR_ADDRESS_BITS)
        memory.write(0, content(Path(str(cocotb.plusargs[f"io{tile}"]))))
        memories.append(memory)
    logs: list[list[str]] = [[] for _ in memories]
    outputs = []
    for run in job.runs:
        cocotb.log.info("run %s", run)
        channels: list[Any] = []
        if run.stall_ddr:
            channels += [channel for ram in rams for channel in (ram.ar_channel, ram.r_channel)]
        if run.stall_io:
            channels += [one for memory in memories for part in (memory.read_if, memory.write_if)
                         for name in ("ar_channel", "r_channel", "aw_channel", "w_channel", "b_channel")
                         if (one := getattr(part, name, None))]
        for place, stalled in enumerate(channels):
            stalled.set_pause_generator(hesitation(run.seed * 100 + place))
        outputs.append(await batch(dut, job, run, hosts))
        for stalled in channels:
            stalled.clear_pause_generator()
            stalled.pause = False  # it stays as it was
        for tile, memory in enumerate(memories):
            logs[tile] += [*(logs[tile] and ["reset"]), *written(job, memory, tile)]
    for tile, lines in enumerate(logs):
        Path(f"events_io{tile}.log").write_text("".join(f"{line}\n" for line in lines), encoding="ascii")
    Path("output.json").write_text(json.dumps(outputs), encoding="utf-8")
