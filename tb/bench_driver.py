"""cocotb: the C driver programs the array over AXI4-Lite; good batches, refused accesses, failures, resets.

The driver runs in a thread of its own and waits there for every access, which cocotbext-axi's manager makes on the port.
"""

import json
import os
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.task import bridge, resume
from cocotb.triggers import ClockCycles, First, RisingEdge, Timer

from trajectile.hw.host.codes import ERRORS, Refusal
from trajectile.hw.host.regmap import RegisterMap
from trajectile.tb.bench_array import PERIOD_NS
from trajectile.tb.bench_axi import AxiHost
from trajectile.tb.c_driver import CDriver, Status
from trajectile.tb.handles import Top
from trajectile.tb.job import JOB, Job
from trajectile.tb.scenario import DDR_FAULTS

#: environment variables: shared library, and a JSON file with what the driver is told
LIBRARY, PROGRAM = "TRAJECTILE_DRIVER", "TRAJECTILE_PROGRAM"
#: where the tiles lie for the driver
BASE, STRIDE = 0x4000_0000, 0x1000
#: polls of a batch, and of a reset that is to fail
POLLS, FEW_POLLS = 5000, 20


class Bench:
    """The array, the driver, and what it writes."""

    def __init__(self, dut: Top, job: Job, told: dict[str, Any]):
        self.dut, self.job, self.told = dut, job, told
        self.map = RegisterMap(job.params)
        self.tiles = range(job.config.array.tiles)
        hosts = [AxiHost(dut, tile, self.map) for tile in self.tiles]

        @resume
        async def read(address: int) -> int:
            tile, offset = divmod(address - BASE, STRIDE)
            return (await hosts[tile].read(offset))[1] if tile in self.tiles else 0xFFFF_FFFF

        @resume
        async def write(address: int, value: int) -> None:
            tile, offset = divmod(address - BASE, STRIDE)
            await hosts[tile].write(offset, value)

        self.driver = CDriver(Path(os.environ[LIBRARY]), job.params, read, write, base=BASE, stride=STRIDE)

    def program(self, **changes: Any) -> None:
        """Program all tiles; tile 0 with some fields changed."""
        for tile in self.tiles:
            assert self.driver.program(tile, self.told["programs"][tile] | (changes if tile == 0 else {})) is Status.OK

    def put_tokens(self) -> None:
        """Write all activations."""
        for tile, lane, token, x, shifts in self.told["tokens"]:
            assert self.driver.put_token(tile, lane, token, x, shifts) is Status.OK

    def get_tokens(self) -> list[list[int]]:
        """Read the results of all tokens, each with its count of clips behind."""
        found = []
        for *place, _, _ in self.told["tokens"]:
            (status, y), (other, clips) = self.driver.get_token(*place), self.driver.get_clips(*place)
            assert status is other is Status.OK
            found.append([*y, clips])
        return found

    def refused(self, tile: int, code: Refusal, register: str) -> None:
        """Some access was refused: which and why; said once."""
        fields = self.map["REFUSED"].fields
        value = self.driver.value("refused", tile)
        found = {field.name: (value & field.mask) >> field.low for field in fields}
        assert found == {"CODE": code.value, "WRITE": 1, "ADDRESS": self.map[register].offset}, found
        assert self.driver.value("refused", tile) == 0

    def errors(self) -> list[set[str]]:
        """Names of the errors of each tile."""
        return [{name for bit, (name, _) in enumerate(ERRORS) if self.driver.value("error", tile) >> bit & 1}
                for tile in self.tiles]

    # -- what the thread of the driver does ---------------------------------------------------------------------

    def first_batch(self) -> None:
        """Probe, program, start."""
        assert self.driver.call("probe") is Status.OK
        self.driver.array.base += STRIDE
        assert self.driver.call("probe") is Status.MISMATCH, "tile 1 as tile 0"
        self.driver.array.base -= STRIDE
        self.program()
        self.put_tokens()
        assert self.driver.call("start") is Status.OK

    def after_interrupt(self) -> list[list[int]]:
        """Acknowledge; results."""
        assert self.driver.value("interrupt") == self.map["IRQ_STATUS"].field("DONE").mask
        assert self.driver.call("poll") is Status.OK
        return self.get_tokens()

    def refusals(self) -> list[list[int]]:
        """Numbers that the driver or the tile does not take; START in a batch; then that batch is good."""
        rules = self.told["programs"][0]["rule"]
        used = next(number for number, rule in enumerate(rules) if rule[0])
        for field, value in ((3, 1 << 16), (0, 2)):
            wrong = [list(rule) for rule in rules]
            wrong[used][field] = value
            assert self.driver.program(0, self.told["programs"][0] | {"rule": wrong}) is Status.RANGE
        tokens = self.told["programs"][0]["token"]
        for exponent, status in ((128, Status.RANGE), (-129, Status.RANGE), (-128, Status.OK), (127, Status.OK)):
            token = [*tokens[0][:3], exponent]
            assert self.driver.program(0, self.told["programs"][0] | {"token": [token, *tokens[1:]]}) is status
        for base, register in ((1 << 40, "DDR_BASE_HIGH"), (2048, "DDR_BASE")):
            assert self.driver.program(0, self.told["programs"][0] | {"ddr_base": base}) is Status.REFUSED
            self.refused(0, Refusal.VALUE, register)
        assert self.driver.program(len(self.tiles), self.told["programs"][0]) is Status.RANGE
        assert self.driver.put_token(0, self.driver.lanes, 0, [], []) is Status.RANGE
        assert self.driver.get_token(0, 0, 1 << 20)[0] is Status.RANGE
        assert self.driver.get_clips(0, self.driver.lanes, 0)[0] is Status.RANGE
        wrong[used][field], wrong[used][3] = 1, 0  # no passes
        assert self.driver.program(0, self.told["programs"][0] | {"rule": wrong}) is Status.REFUSED
        self.refused(0, Refusal.ENTRY_VALUE, "TABLE_DATA")
        self.program()
        assert self.driver.call("start") is Status.OK
        assert self.driver.call("start") is Status.REFUSED
        self.refused(0, Refusal.BUSY, "CONTROL")
        assert self.driver.call("poll") is Status.RUNNING and self.driver.call("wait", 1) is Status.TIMEOUT
        assert self.driver.call("wait", POLLS) is Status.OK
        return self.get_tokens()

    def failure(self) -> None:
        """A watchdog that bites, and a START that is refused."""
        self.program(watchdog=10)
        self.driver.value("interrupt")
        assert self.driver.call("start") is Status.OK
        assert self.driver.call("wait", POLLS) is Status.FAILED
        assert self.errors() == [{"WATCHDOG"}, *[{"STOPPED"}] * (len(self.tiles) - 1)]
        assert self.driver.value("interrupt") & self.map["IRQ_STATUS"].field("ERROR").mask
        assert self.driver.call("start") is Status.REFUSED
        self.refused(0, Refusal.FAILED, "CONTROL")
        assert self.driver.get_token(0, 0, 0)[0] is Status.REFUSED
        self.driver.value("refused", 0)

    def failed_reset(self) -> None:
        """While a DDR channel does not answer, the reset does not end."""
        assert self.driver.call("reset", FEW_POLLS) is Status.TIMEOUT

    def recovery(self) -> list[list[int]]:
        """A reset; tables and tokens are still there."""
        assert self.driver.call("reset", POLLS) is Status.OK
        assert self.errors() == [set() for _ in self.tiles]
        assert self.driver.program(0, self.told["programs"][0]) is Status.OK
        assert self.driver.call("start") is Status.OK and self.driver.call("wait", POLLS) is Status.OK
        return self.get_tokens()


@cocotb.test()
async def run_driver(dut: Top) -> None:
    """All of that; the results of each good batch go to ``output.json`` in the current folder."""
    job = Job.load(Path(os.environ[JOB]))
    Clock(dut.clk, PERIOD_NS, "ns", impl="gpi").start()
    dut.rst.value = 1
    for name in ("stall_seed", "stall_ddr", "stall_link", "ddr_fault", "ddr_fault_at"):
        getattr(dut, name).value = 0
    await ClockCycles(dut.clk, 3)
    bench = Bench(dut, job, json.loads(Path(os.environ[PROGRAM]).read_text(encoding="utf-8")))
    await ClockCycles(dut.clk, 3)
    dut.rst.value = 0
    await bridge(bench.first_batch)()
    if not dut.all_done.value:
        done = RisingEdge(dut.all_done)
        assert await First(done, Timer(job.max_cycles * PERIOD_NS, "ns")) is done, "no interrupt"
    outputs = [await bridge(bench.after_interrupt)()]
    assert not dut.irq.value, "the interrupt stays after it was acknowledged"
    outputs.append(await bridge(bench.refusals)())
    dut.ddr_fault_at.value, dut.ddr_fault.value = 3, DDR_FAULTS["no_data"]
    await bridge(bench.failure)()
    await bridge(bench.failed_reset)()
    dut.ddr_fault.value = 0
    outputs.append(await bridge(bench.recovery)())
    Path("output.json").write_text(json.dumps(outputs), encoding="utf-8")
