"""cocotb: the C driver queues batches over AXI4-Lite; good ones, refused ones, wrong records, failures, resets.

The driver runs in a thread of its own and waits there for every access, which cocotbext-axi's manager makes on the port. Its
memory is that of cocotbext-axi's AXI4 RAM behind the io port of every tile.
"""

import json
import os
from collections.abc import Sequence
from itertools import cycle
from mmap import mmap
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.task import bridge, resume
from cocotb.triggers import ClockCycles
from cocotbext.axi import AxiBus, AxiRam, AxiRamRead, AxiReadBus

from trajectile.hw.batch.layouts import Order
from trajectile.hw.batch.ports import QUEUE_DEPTH
from trajectile.hw.host.codes import ERRORS, RECORD_ERROR_LOW, RECORD_ERRORS, Refusal
from trajectile.hw.host.regmap import RegisterMap
from trajectile.sw_model.config import DDR_ADDRESS_BITS, ceil_div
from trajectile.tb.bench_array import PERIOD_NS
from trajectile.tb.bench_axi import AxiHost, content
from trajectile.tb.c_driver import Batch, CDriver, Status, settings_of
from trajectile.tb.handles import Top
from trajectile.tb.job import JOB, Job

#: environment variables: shared library, and a JSON file with the tokens of each tile
LIBRARY, TOLD = "TRAJECTILE_DRIVER", "TRAJECTILE_TOLD"
#: where the tiles lie for the driver
BASE, STRIDE = 0x4000_0000, 0x1000
#: memory of all tiles: each has so many places of so many bytes, for records or results
PLACE_BYTES, PLACES = 0x4000, 8
#: where a tile sees it: across 4 GiB
MEMORY_BASE = 7 << 32
#: row 0 of the layer: its slices lie across 4 GiB, and one of them lies there itself
LAYER = (1 << 32) - 4096
#: looks at a batch or a reset, and cycles between two
LOOKS, FEW_LOOKS, LOOK_CYCLES = 500, 5, 40
#: cycles in which batches are queued in all tiles, and slices asked for
WATCHDOG_CYCLES = 2000
#: accesses to a tile's registers that a batch may take
MOST_ACCESSES = 8

#: what of a batch's results comes out, by token: values, unit, clips
Results = list[list[int]]


class Bench:
    """The array, the driver, and what it is told: for each tile its tokens, each with all that is in its record."""

    def __init__(self, dut: Top, job: Job, told: Sequence[Sequence[dict[str, Any]]]):
        self.dut, self.job, self.told = dut, job, told
        self.map, self.config = RegisterMap(job.params), job.config
        self.tiles = range(job.config.array.tiles)
        self.memory = mmap(-1, len(self.tiles) * PLACES * PLACE_BYTES)
        self.rams = [AxiRam(AxiBus.from_prefix(dut, f"io_{tile}"), dut.clk, dut.rst, mem=self.memory) for tile in self.tiles]
        self.accesses = [0 for _ in self.tiles]
        self.tag = 0
        hosts = [AxiHost(dut, tile, self.map) for tile in self.tiles]

        @resume
        async def read(address: int) -> int:
            tile, offset = divmod(address - BASE, STRIDE)
            if tile not in self.tiles:
                return 0xFFFF_FFFF
            self.accesses[tile] += 1
            return (await hosts[tile].read(offset))[1]

        @resume
        async def write(address: int, value: int) -> None:
            tile, offset = divmod(address - BASE, STRIDE)
            self.accesses[tile] += 1
            await hosts[tile].write(offset, value)

        @resume
        async def relax() -> None:
            await ClockCycles(dut.clk, LOOK_CYCLES)

        self.driver = CDriver(Path(os.environ[LIBRARY]), self.config, read, write, relax, self.memory, base=BASE,
                              stride=STRIDE)

    def place(self, tile: int, number: int) -> int:
        """Where a place of a tile is in memory."""
        return (tile * PLACES + number) * PLACE_BYTES

    def settle(self, **changes: int) -> None:
        """Settings of all tiles; those that are given for tile 0 only."""
        causes = self.map["IRQ_ENABLE"]
        enabled = causes.field("COMPLETE").mask | causes.field("ERROR").mask
        for tile in self.tiles:
            told = settings_of(self.config, tile, interrupts=enabled, write_page=MEMORY_BASE >> 12,
                               write_pages=len(self.memory) >> 12)
            assert self.driver.set(tile, told | (changes if tile == 0 else {})) is Refusal.NONE

    def put_tokens(self, number: int, **wrong: Any) -> None:
        """Write all token records to a place; parts of the first token of tile 0 are replaced."""
        for tile in self.tiles:
            tokens = self.told[tile]
            for token, record in enumerate(tokens):
                self.driver.put_token(self.place(tile, number), len(tokens), token,
                                      **record["record"] | (wrong if tile == token == 0 else {}))

    def batches(self, records: int, results: int, *, order: Order = Order.BALANCED, bf16: int = 0) -> list[Batch]:
        """A batch in all tiles."""
        self.tag = (self.tag + 1) % 256
        return [self.driver.batch(len(self.told[tile]), layer=LAYER, records=MEMORY_BASE + self.place(tile, records),
                                  results=MEMORY_BASE + self.place(tile, results), order=order.value, bf16=bf16,
                                  tag=self.tag) for tile in self.tiles]

    def queue(self, batches: Sequence[Batch], status: Refusal = Refusal.NONE) -> None:
        """Queue it in all tiles."""
        for tile in self.tiles:
            found = self.driver.queue(tile, batches[tile])
            assert found is status, (tile, found)

    def wait(self, batches: Sequence[Batch], status: Status = Status.OK) -> list[set[str]]:
        """Wait for all tiles; names of the errors in their records."""
        bits = [name for name, _ in ERRORS] + [""] * (RECORD_ERROR_LOW - len(ERRORS)) + [name for name, _ in RECORD_ERRORS]
        found = []
        for batch in batches:
            assert (got := self.driver.wait(batch, LOOKS)) is status, got
            record = batch.completion.contents
            assert record.state >> 16 == batch.tokens and record.state & 255 == batch.tag and record.state == record.again
            found.append({name for bit, name in enumerate(bits) if record.errors >> bit & 1})
        return found

    def get_tokens(self, batches: Sequence[Batch]) -> Results:
        """Results of all tokens, with unit and clips behind, in the order of the whole batch."""
        found = {}
        for tile, batch in zip(self.tiles, batches, strict=True):
            for token, record in enumerate(self.told[tile]):
                y, unit, clips = self.driver.get_token(batch.results % len(self.memory), token, bf16=batch.bf16)
                found[record["token"]] = [*y, unit, clips]
        return [found[token] for token in sorted(found)]

    def good(self, records: int, results: int) -> Results:
        """A batch from queue to results."""
        batches = self.batches(records, results)
        self.queue(batches)
        assert self.wait(batches) == [set() for _ in self.tiles]
        return self.get_tokens(batches)

    # -- what the thread of the driver does ---------------------------------------------------------------------

    def first_batch(self) -> list[Batch]:
        """Probe, set, queue."""
        assert all(self.driver.call("probe", tile, tile) == Status.OK for tile in self.tiles)
        assert self.driver.call("probe", 1, 0) == Status.MISMATCH, "tile 1 as tile 0"
        self.settle()
        self.put_tokens(0)
        self.accesses = [0 for _ in self.tiles]
        batches = self.batches(0, 1)
        self.queue(batches)
        return batches

    def after_interrupt(self, batches: Sequence[Batch]) -> Results:
        """Acknowledge; results. No batch takes more accesses than this."""
        for tile in self.tiles:
            assert self.driver.call("interrupt", tile) == self.map["IRQ_STATUS"].field("COMPLETE").mask
            assert self.driver.wait(batches[tile], 1) is Status.OK
        assert max(self.accesses) <= MOST_ACCESSES, self.accesses
        return self.get_tokens(batches)

    def refusals(self) -> None:
        """Each reason of the tile to refuse a descriptor; none of them leaves anything behind."""
        beat, end = self.config.io.bytes_per_cycle, MEMORY_BASE + len(self.memory)
        for wrong, code in (
                ({"layer": LAYER + 2048}, Refusal.ALIGNMENT), ({"records": 1}, Refusal.ALIGNMENT),
                ({"results": MEMORY_BASE + beat // 2}, Refusal.ALIGNMENT), ({"layer": (1 << 40) - 4096}, Refusal.LAYER),
                ({"results": MEMORY_BASE - beat}, Refusal.WRITE_WINDOW), ({"results": end - beat}, Refusal.WRITE_WINDOW),
                ({"results": end}, Refusal.WRITE_WINDOW), ({"records": (1 << 40) - beat}, Refusal.READ_WINDOW),
                ({"tokens": self.config.tile.tokens + 1}, Refusal.VALUE), ({"order": 3}, Refusal.VALUE),
                ({"tag": 256}, Refusal.VALUE), ({"records": 1 << 40}, Refusal.VALUE)):
            batch = self.batches(0, 1)[0]
            for name, value in wrong.items():
                setattr(batch, name, value)
            found = self.driver.queue(0, batch)
            assert found is code, (wrong, found)

    def queued(self) -> list[Results]:
        """Batches in every order and format, one behind the other, until no more can be; settings stay meanwhile.

        Tile 0 gets all of its own first: it cannot finish one before the others have told it their counts.
        """
        formats = zip(cycle(Order), (0, 1, 0, 1), strict=False)
        room = self.config.tile.batches + QUEUE_DEPTH
        batches = [self.batches(0, 1 + number, order=order, bf16=bf16) for number, (order, bf16) in zip(
            range(room), formats, strict=False)]
        for one in batches:
            assert self.driver.queue(0, one[0]) is Refusal.NONE
            self.driver.hooks[2]()  # until it is taken from the queue
        assert self.driver.queue(0, self.batches(0, 7)[0]) is Refusal.FULL
        assert self.driver.set(0, settings_of(self.config, 0, watchdog=1)) is not Refusal.NONE
        assert self.driver.wait(batches[0][0], 1) is Status.TIMEOUT
        for tile in self.tiles[1:]:
            for number, one in enumerate(batches):
                if number >= QUEUE_DEPTH:
                    assert self.driver.wait(batches[number - QUEUE_DEPTH][tile], LOOKS) is Status.OK
                assert self.driver.queue(tile, one[tile]) is Refusal.NONE
        found = []
        for one in batches:
            assert self.wait(one) == [set() for _ in self.tiles]
            found.append(self.get_tokens(one))
        return found

    def wrong_records(self) -> Results:
        """Choices that name what does not exist, or an expert twice: the record says so; the next batch is good."""
        experts = self.told[0][0]["record"]["experts"]
        self.put_tokens(5, experts=[*experts[:-1], self.config.layer.experts])
        self.put_tokens(6, experts=[experts[0]] * len(experts))
        for place, error in ((5, "EXPERT"), (6, "TWICE")):
            batches = self.batches(place, 1)
            self.queue(batches)
            assert self.wait(batches) == [{error} if tile == 0 else set() for tile in self.tiles]
        return self.good(0, 2)

    def failure(self) -> None:
        """A watchdog that bites: the batch that runs and the one that waits end with a record; nothing can be queued."""
        self.settle(watchdog=WATCHDOG_CYCLES)
        for tile in self.tiles:
            self.driver.call("interrupt", tile)
        both = [self.batches(0, 1), self.batches(0, 2)]
        for batches in both:
            self.queue(batches)
        for batches in both:
            assert self.wait(batches, Status.FAILED) == [{"WATCHDOG"}, *[{"STOPPED"}] * (len(self.tiles) - 1)]
        for tile in self.tiles:
            masks = {name: self.map["ERROR"].field(name).mask for name, _ in ERRORS}
            assert self.driver.call("error", tile) == masks["STOPPED" if tile else "WATCHDOG"]
            assert self.driver.call("interrupt", tile) & self.map["IRQ_STATUS"].field("ERROR").mask
        self.queue(self.batches(0, 1), Refusal.FAILED)

    def failed_reset(self) -> None:
        """While a DDR channel does not answer, the reset does not end."""
        assert self.driver.call("reset", 0, FEW_LOOKS) == Status.TIMEOUT
        self.queue(self.batches(0, 1), Refusal.RESETTING)

    def recovery(self) -> Results:
        """A reset; settings and records are still there."""
        assert self.driver.call("reset", 0, LOOKS) == Status.OK
        assert [self.driver.call("error", tile) for tile in self.tiles] == [0 for _ in self.tiles]
        self.settle()
        return self.good(0, 3)

    def locked(self) -> Results:
        """Locked windows stay as they are, whatever a host does; batches inside of them are good."""
        self.settle(lock=1)
        assert self.driver.set(0, settings_of(self.config, 0)) is Refusal.LOCKED
        batch = self.batches(0, 1)[0]
        batch.results = MEMORY_BASE + len(self.memory)
        assert self.driver.queue(0, batch) is Refusal.WRITE_WINDOW
        return self.good(0, 1)


@cocotb.test()
async def run_driver(dut: Top) -> None:
    """All of that; the results of each good batch go to ``output.json`` in the current folder."""
    job = Job.load(Path(os.environ[JOB]))
    Clock(dut.clk, PERIOD_NS, "ns", impl="gpi").start()
    dut.rst.value = 1
    for name in ("stall_seed", "stall_ddr", "stall_io", "stall_link", "mark", "wanted"):
        getattr(dut, name).value = 0
    await ClockCycles(dut.clk, 3)
    rams = []
    for channel in range(job.config.array.channels):
        ram = AxiRamRead(AxiReadBus.from_prefix(dut, f"ddr_{channel}"), dut.clk, dut.rst, size=1 << DDR_ADDRESS_BITS)
        ram.write(LAYER, content(Path(str(cocotb.plusargs[f"ddr{channel}"]))))
        rams.append(ram)
    bench = Bench(dut, job, json.loads(Path(os.environ[TOLD]).read_text(encoding="utf-8")))
    await ClockCycles(dut.clk, 3)
    dut.rst.value = 0
    batches = await bridge(bench.first_batch)()
    every = (1 << job.config.array.tiles) - 1
    for _ in range(ceil_div(job.max_cycles, LOOK_CYCLES)):
        if dut.irq.value == every:
            break
        await ClockCycles(dut.clk, LOOK_CYCLES)
    assert dut.irq.value == every, "no interrupt"
    outputs = [await bridge(bench.after_interrupt)(batches)]
    await ClockCycles(dut.clk, 3)
    assert not dut.irq.value, "the interrupt stays after it was acknowledged"
    await bridge(bench.refusals)()
    outputs += await bridge(bench.queued)()
    outputs.append(await bridge(bench.wrong_records)())
    for ram in rams:
        ram.r_channel.set_pause_generator(cycle([True]))
    await bridge(bench.failure)()
    await bridge(bench.failed_reset)()
    for ram in rams:
        ram.r_channel.clear_pause_generator()
        ram.r_channel.pause = False
    outputs.append(await bridge(bench.recovery)())
    outputs.append(await bridge(bench.locked)())
    Path("output.json").write_text(json.dumps(outputs), encoding="utf-8")
