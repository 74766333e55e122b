"""cocotb: runs the batches of a job through the array and writes down what came out."""

import json
import math
import os
import random
from collections.abc import Coroutine, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import cocotb
from cocotb.clock import Clock
from cocotb.handle import LogicObject
from cocotb.triggers import ClockCycles, Combine, First, ReadOnly, RisingEdge, Timer

from trajectile.hw.host.regmap import RegisterMap
from trajectile.tb.clocks import TileClock
from trajectile.tb.handles import Top, each
from trajectile.tb.host import TileHost
from trajectile.tb.host_ops import (
    counter_ops,
    descriptor_ops,
    doorbell_op,
    failure,
    get,
    port_mask,
    put,
    setup_ops,
    state_ops,
)
from trajectile.tb.job import JOB, Job, Run, awaited

T = TypeVar("T")
#: femtoseconds of a step of the simulators' time
STEP_FS = 1000
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
    for rst in each(dut, "rst"):
        rst.value = 1
    if hasattr(dut, "ddr_fault"):
        dut.ddr_fault.value = dut.ddr_fault_at.value = dut.io_fault.value = dut.io_fault_at.value = 0
    dut.stall_seed.value, dut.stall_ddr.value, dut.stall_io.value, dut.stall_link.value = run.seed, 0, 0, 0
    dut.wanted.value = 0
    for one in each(dut, "mark"):
        one.value = 0
    for host in hosts:
        host.quiet()
    await all_of(_cycles(clock, cycles) for clock in each(dut, "clk"))
    for rst in each(dut, "rst"):
        rst.value = 0


async def _cycles(clock: LogicObject, cycles: int) -> None:
    """So many cycles of a clock."""
    await ClockCycles(clock, cycles)


async def set_up(dut: Top, job: Job, hosts: Sequence[TileHost]) -> None:
    """What a host does once: the place of each tile in the ring, interrupts. Meanwhile tiles empty their token lists."""
    await all_of(host.do(setup_ops(host.map, host.tile)) for host in hosts)
    if job.config.array.independent:
        await all_of(opened(host) for host in hosts)
    await all_of(_cycles(clock, job.config.layer.experts) for clock in each(dut, "clk"))


async def opened(host: TileHost) -> None:
    """Wait until all links of a tile are open, where tiles have clocks of their own."""
    wanted = port_mask(host.map, host.tile)
    while [wanted] != await host.do([get(host.map, "LINK_OPEN")]):
        await host.clock


async def mark(dut: Top) -> None:
    """Begin new logs, and count completion records anew."""
    async def pulse(one: LogicObject, clock: LogicObject) -> None:
        one.value = 1
        await ClockCycles(clock, 1)
        one.value = 0
    await all_of(pulse(*pair) for pair in zip(each(dut, "mark"), each(dut, "clk"), strict=True))


async def queue(dut: Top, job: Job, run: Run, hosts: Sequence[TileHost], number: int) -> None:
    """Queue a batch in every tile; the doorbells of all ring in the same cycle, but of those that are late."""
    batch = job.batches[number]
    await all_of(host.do(descriptor_ops(host.map, batch[host.tile])) for host in hosts)
    await RisingEdge(each(dut, "clk")[0])

    async def ring(host: TileHost) -> None:
        if run.late and run.late[host.tile]:
            for _ in range(run.late[host.tile]):
                await host.clock
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
    clock = each(dut, "clk")[0]
    await RisingEdge(clock)
    await ReadOnly()
    if not dut.all_done.value:
        done = RisingEdge(dut.all_done)
        if await First(done, Timer(job.max_cycles * PERIOD_NS, "ns")) is not done:
            await RisingEdge(clock)  # the timer ends beside an edge, not after it
            states = [await host.do([*state_ops(registers), *counter_ops(registers)]) for host in hosts]
            raise AssertionError(f"hung: not done after {job.max_cycles} cycles; state and counters by tile: {states}")
    await RisingEdge(clock)


async def finish(dut: Top, job: Job, hosts: Sequence[TileHost]) -> Output:
    """Wait for the last batch of every tile; read counters.

    Raises:
        BatchFailed: if a tile has failed.
        AssertionError: if a tile hangs.
    """
    registers = hosts[0].map
    await ended(dut, job, hosts, len(job.batches))
    await _seen_by_all(dut, job)
    assert dut.irq.value == (1 << len(hosts)) - 1, "a tile is done and does not say so"

    async def read(host: TileHost) -> Output:
        counters = await host.do(counter_ops(registers))
        await host.do([put(registers, "IRQ_STATUS", registers["IRQ_STATUS"].field("COMPLETE").mask)])
        return {"counters": dict(zip(registers.counters, counters, strict=True))}

    if message := failure(registers, await all_of(host.do(state_ops(registers)) for host in hosts)):
        raise BatchFailed(message)
    tiles = await all_of(read(host) for host in hosts)
    await RisingEdge(each(dut, "clk")[0])
    await _seen_by_all(dut, job)
    assert not dut.irq.value, "the interrupt stays after it was cleared"
    return {"tiles": tiles}


async def _seen_by_all(dut: Top, job: Job) -> None:
    """What a tile has done in its last cycle shows, whatever its clock is."""
    if job.config.array.independent:
        await ClockCycles(each(dut, "clk")[0], 4)


async def batch(dut: Top, job: Job, run: Run, hosts: Sequence[TileHost]) -> Output:
    """Reset, set up, queue, wait for every tile."""
    await reset(dut, run, hosts)
    await set_up(dut, job, hosts)
    await start(dut, job, run, hosts)
    return await finish(dut, job, hosts)


async def wave(signal: LogicObject, clock: TileClock) -> None:
    """The clock of a tile, at twice the nominal period; edges are rounded to the simulator's steps. Drift is a wave."""
    rng, ideal, edges, now = random.Random(clock.seed), float(clock.phase_fs), 0, 0
    signal.value = 0
    while True:
        at = max(round(2 * (ideal + rng.uniform(-1, 1) * clock.jitter_fs) / STEP_FS), now + 2)
        await Timer(at - now, "step")
        signal.value = 1
        half = clock.period_fs // STEP_FS
        await Timer(half, "step")
        signal.value, now, edges = 0, at + half, edges + 1
        ideal += clock.period_fs + clock.drift_fs * math.sin(2 * math.pi * (edges % clock.drift_edges) / clock.drift_edges)


@cocotb.test()
async def run_job(dut: Top) -> None:
    """All runs of the job, one after the other; the output is ``output.json`` in the current folder."""
    job = Job.load(Path(os.environ[JOB]))
    if job.config.array.independent:
        for clock, own in zip(each(dut, "clk"), job.runs[0].clocks, strict=True):
            cocotb.start_soon(wave(clock, own))
    else:
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
