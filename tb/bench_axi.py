"""cocotb: the same batches as ``bench_array`` with another project's AXI models on every AXI port.

The host ports are driven by cocotbext-axi's AXI4-Lite manager and the DDR channels answered by its AXI4 RAM, which check the
handshakes in their own way and share no line with this project's driver and DDR model.
"""

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiRamRead, AxiReadBus

from trajectile.hw.host.regmap import RegisterMap
from trajectile.tb.bench_array import PERIOD_NS, batch
from trajectile.tb.handles import Top
from trajectile.tb.host import TileHost
from trajectile.tb.job import JOB, Job


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
        lines = Path(str(cocotb.plusargs[f"ddr{channel}"])).read_text(encoding="ascii").split()
        content = b"".join(bytes.fromhex(line)[::-1] for line in lines)
        ram = AxiRamRead(AxiReadBus.from_prefix(dut, f"ddr_{channel}"), dut.clk, dut.rst, size=len(content))
        ram.write(0, content)
        rams.append(ram)
    outputs = []
    for run in job.runs:
        cocotb.log.info("run %s", run)
        for number, ram in enumerate(rams):
            for channel in (ram.ar_channel, ram.r_channel):
                channel.clear_pause_generator()
                if run.stall_ddr:
                    channel.set_pause_generator(hesitation(run.seed * 100 + number))
        outputs.append(await batch(dut, job, run, hosts))
    Path("output.json").write_text(json.dumps(outputs), encoding="utf-8")
