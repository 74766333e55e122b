"""cocotb: runs the batches of a job through the array and writes down what came out."""

import json
import os
import random
from collections.abc import Coroutine, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, Combine, First, RisingEdge, Timer

from trajectile.hw.host.regmap import RegisterMap
from trajectile.tb.handles import Top
from trajectile.tb.host import HostError, TileHost
from trajectile.tb.host_ops import clip_ops, counter_ops, failure, get, lane_results, program_ops, put, result_ops, state_ops
from trajectile.tb.job import JOB, Job, Run

T = TypeVar("T")
#: what a bench writes of a batch, as JSON has it
Output = dict[str, Any]

PERIOD_NS = 2


class BatchFailed(AssertionError):
    """A tile says that the batch has failed; the message says which and why."""


async def all_of(tasks: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Run coroutines side by side; their results."""
    started = [cocotb.start_soon(task) for task in tasks]
    await Combine(*started)
    return [task.result() for task in started]


def tile_hosts(dut: Top, job: Job, run: Run) -> list[TileHost]:
    """A host for each tile."""
    registers = RegisterMap(job.params)
    rng = random.Random(run.seed) if run.stall_host else None
    return [TileHost(dut, tile, registers, rng) for tile in range(job.config.array.tiles)]


async def reset(dut: Top, run: Run, hosts: Sequence[TileHost], cycles: int = 3) -> None:
    """Reset everything; nothing stalls or fails."""
    dut.rst.value = 1
    if hasattr(dut, "ddr_fault"):
        dut.ddr_fault.value = dut.ddr_fault_at.value = 0
    dut.stall_seed.value, dut.stall_ddr.value, dut.stall_link.value = run.seed, 0, 0
    for host in hosts:
        host.quiet()
    await ClockCycles(dut.clk, cycles)
    dut.rst.value = 0


async def program(job: Job, hosts: Sequence[TileHost]) -> None:
    """Write settings and tables of every tile."""
    await all_of(host.do(program_ops(host.map, image)) for host, image in zip(hosts, job.images, strict=True))


async def start(dut: Top, run: Run, hosts: Sequence[TileHost]) -> None:
    """Start a batch; from here on it stalls as ``run`` says."""
    dut.stall_ddr.value, dut.stall_link.value = int(run.stall_ddr), int(run.stall_link)
    await RisingEdge(dut.clk)
    # any tile may start all
    await hosts[run.seed % len(hosts)].do([put(hosts[0].map, "CONTROL", 1)])


async def ended(dut: Top, job: Job, hosts: Sequence[TileHost]) -> None:
    """Wait until every tile is done or has failed.

    Raises:
        AssertionError: if a tile hangs.
    """
    registers = hosts[0].map
    if not dut.all_done.value:
        done = RisingEdge(dut.all_done)
        if await First(done, Timer(job.max_cycles * PERIOD_NS, "ns")) is not done:
            await RisingEdge(dut.clk)  # the timer ends beside an edge, not after it
            states = [await host.do([get(registers, "STATUS"), *counter_ops(registers)]) for host in hosts]
            raise AssertionError(f"hung: not done after {job.max_cycles} cycles; status and counters by tile: {states}")
    await RisingEdge(dut.clk)


async def results(job: Job, host: TileHost) -> Output:
    """Results of a tile by lane, as 32-bit words, and counts of clips by lane."""
    lanes = {lane: tokens for (tile, lane), tokens in job.read.items() if tile == host.tile}
    return {"results": {lane: lane_results(host.map, tokens, await host.do(result_ops(host.map, lane, tokens)))
                        for lane, tokens in lanes.items()},
            "clips": {lane: await host.do(clip_ops(host.map, lane, tokens)) for lane, tokens in lanes.items()}}


async def finish(dut: Top, job: Job, hosts: Sequence[TileHost]) -> Output:
    """Wait for every tile; read counters and results.

    Raises:
        BatchFailed: if a tile has failed, or fails while its results are read.
        AssertionError: if a tile hangs.
    """
    registers = hosts[0].map
    await ended(dut, job, hosts)

    async def read(host: TileHost) -> Output | HostError:
        try:
            found = await results(job, host)
        except HostError as error:  # a tile that has failed refuses, and this read may be what it failed of
            return error
        counters = await host.do(counter_ops(registers))
        await host.do([put(registers, "IRQ_STATUS", registers["IRQ_STATUS"].field("DONE").mask)])
        return {"counters": dict(zip(registers.counters, counters, strict=True)), **found}

    tiles = await all_of(read(host) for host in hosts)
    if message := failure(registers, await all_of(host.do(state_ops(registers)) for host in hosts)):
        raise BatchFailed(message)
    for tile in tiles:
        if isinstance(tile, HostError):
            raise tile
    await RisingEdge(dut.clk)
    assert not dut.irq.value, "the interrupt stays after it was cleared"
    return {"tiles": tiles}


async def batch(dut: Top, job: Job, run: Run, hosts: Sequence[TileHost]) -> Output:
    """Reset, program, start, wait for every tile, read."""
    await reset(dut, run, hosts)
    await program(job, hosts)
    await start(dut, run, hosts)
    return await finish(dut, job, hosts)


@cocotb.test()
async def run_job(dut: Top) -> None:
    """All runs of the job, one after the other; the output is ``output.json`` in the current folder."""
    job = Job.load(Path(os.environ[JOB]))
    Clock(dut.clk, PERIOD_NS, "ns", impl="gpi").start()
    outputs = []
    for run in job.runs:
        cocotb.log.info("run %s", run)
        try:
            outputs.append(await batch(dut, job, run, tile_hosts(dut, job, run)))
        except BatchFailed as failed:
            if not job.may_fail:
                raise
            outputs.append({"failed": str(failed)})
    Path("output.json").write_text(json.dumps(outputs), encoding="utf-8")
