"""cocotb: runs the batches of a job through the array and writes down what came out."""

import json
import os
import random
from collections.abc import Coroutine, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, Combine, First, ReadOnly, RisingEdge, Timer

from trajectile.hw.host.regmap import RegisterMap
from trajectile.tb.handles import Top
from trajectile.tb.host import TileHost
from trajectile.tb.host_ops import counter_ops, descriptor_ops, doorbell_op, failure, put, setup_ops, state_ops
from trajectile.tb.job import JOB, Job, Run, awaited

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
        dut.ddr_fault.value = dut.ddr_fault_at.value = dut.io_fault.value = dut.io_fault_at.value = 0
    dut.stall_seed.value, dut.stall_ddr.value, dut.stall_io.value, dut.stall_link.value = run.seed, 0, 0, 0
    dut.wanted.value = dut.mark.value = 0
    for host in hosts:
        host.quiet()
    await ClockCycles(dut.clk, cycles)
    dut.rst.value = 0


async def set_up(dut: Top, job: Job, hosts: Sequence[TileHost]) -> None:
    """What a host does once: the place of each tile in the ring, interrupts. Meanwhile tiles empty their token lists."""
    await all_of(host.do(setup_ops(host.map, host.tile)) for host in hosts)
    await ClockCycles(dut.clk, job.config.layer.experts)


async def mark(dut: Top) -> None:
    """Begin new logs, and count completion records anew."""
    dut.mark.value = 1
    await ClockCycles(dut.clk, 1)
    dut.mark.value = 0


async def queue(dut: Top, job: Job, run: Run, hosts: Sequence[TileHost], number: int) -> None:
    """Queue a batch in every tile; the doorbells of all ring in the same cycle, but of those that are late."""
    batch = job.batches[number]
    await all_of(host.do(descriptor_ops(host.map, batch[host.tile])) for host in hosts)
    await RisingEdge(dut.clk)

    async def ring(host: TileHost) -> None:
        if run.late and run.late[host.tile]:
            await ClockCycles(dut.clk, run.late[host.tile])
        await host.do([doorbell_op(host.map, batch[host.tile])])
    await all_of(ring(host) for host in hosts)


async def start(dut: Top, job: Job, run: Run, hosts: Sequence[TileHost]) -> None:
    """Queue all batches, each when there is room; from here on it stalls as ``run`` says.

    Raises:
        AssertionError: if a tile hangs.
    """
    dut.stall_ddr.value, dut.stall_io.value = int(run.stall_ddr), int(run.stall_io)
    dut.stall_link.value = int(run.stall_link)
    for number in range(len(job.batches)):
        await ended(dut, job, hosts, awaited(number))
        await queue(dut, job, run, hosts, number)


async def ended(dut: Top, job: Job, hosts: Sequence[TileHost], records: int) -> None:
    """Wait until every tile has written so many completion records.

    Raises:
        AssertionError: if a tile hangs.
    """
    registers = hosts[0].map
    dut.wanted.value = records
    await RisingEdge(dut.clk)
    await ReadOnly()
    if not dut.all_done.value:
        done = RisingEdge(dut.all_done)
        if await First(done, Timer(job.max_cycles * PERIOD_NS, "ns")) is not done:
            await RisingEdge(dut.clk)  # the timer ends beside an edge, not after it
            states = [await host.do([*state_ops(registers), *counter_ops(registers)]) for host in hosts]
            raise AssertionError(f"hung: not done after {job.max_cycles} cycles; state and counters by tile: {states}")
    await RisingEdge(dut.clk)


async def finish(dut: Top, job: Job, hosts: Sequence[TileHost]) -> Output:
    """Wait for the last batch of every tile; read counters.

    Raises:
        BatchFailed: if a tile has failed.
        AssertionError: if a tile hangs.
    """
    registers = hosts[0].map
    await ended(dut, job, hosts, len(job.batches))
    assert dut.irq.value == (1 << len(hosts)) - 1, "a tile is done and does not say so"

    async def read(host: TileHost) -> Output:
        counters = await host.do(counter_ops(registers))
        await host.do([put(registers, "IRQ_STATUS", registers["IRQ_STATUS"].field("COMPLETE").mask)])
        return {"counters": dict(zip(registers.counters, counters, strict=True))}

    if message := failure(registers, await all_of(host.do(state_ops(registers)) for host in hosts)):
        raise BatchFailed(message)
    tiles = await all_of(read(host) for host in hosts)
    await RisingEdge(dut.clk)
    assert not dut.irq.value, "the interrupt stays after it was cleared"
    return {"tiles": tiles}


async def batch(dut: Top, job: Job, run: Run, hosts: Sequence[TileHost]) -> Output:
    """Reset, set up, queue, wait for every tile."""
    await reset(dut, run, hosts)
    await set_up(dut, job, hosts)
    await start(dut, job, run, hosts)
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
