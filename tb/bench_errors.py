"""cocotb: batches that go wrong. They are followed by a reset and good batches, and all of that is written down."""

import json
import os
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, First, RisingEdge, Timer

from trajectile.hw.host.axi import Response
from trajectile.hw.host.codes import Refusal
from trajectile.hw.host.regmap import RegisterMap
from trajectile.tb.bench_array import PERIOD_NS, Output, all_of, finish, mark, reset, set_up, start
from trajectile.tb.handles import Top
from trajectile.tb.host import TileHost
from trajectile.tb.host_ops import Op, descriptor_ops, doorbell_op, failure, get, put, setup_ops, state_ops
from trajectile.tb.job import JOB, Descriptor, Job, Run
from trajectile.tb.probes import probe, refusal, refused
from trajectile.tb.scenario import DDR_FAULTS, IO_FAULTS, SCENARIOS, Scenario, load

#: a memory that does not answer is watched for so many cycles of a reset
WATCHED_CYCLES = 100
#: a reset, or completion records after a failure, that take longer hang
RESET_CYCLES = 5000
#: from a doorbell for which there is no room to the next try
RETRY_CYCLES = 5


def now() -> int:
    """Cycles since the simulation began."""
    return round(cocotb.simtime.get_sim_time("ns") / PERIOD_NS)


class Queue:
    """The doorbells of one tile for batches that go wrong; each rings again until there is room, or the tile has failed."""

    def __init__(self, host: TileHost, batches: Sequence[Sequence[Descriptor | None]]):
        self.host = host
        self.batches = [(number, batch[host.tile]) for number, batch in enumerate(batches)]
        #: numbers of those that were accepted
        self.rung: list[int] = []
        #: why others were refused
        self.refusals: set[str] = set()
        self.given_up = False
        self.task = cocotb.start_soon(self._ring())

    async def _ring(self) -> None:
        for number, batch in self.batches:
            if batch is not None:
                if not await self._queued(batch):
                    return
                self.rung.append(number)

    async def _queued(self, batch: Descriptor) -> bool:
        registers = self.host.map
        await self.host.do(descriptor_ops(registers, batch))
        doorbell = doorbell_op(registers, batch)
        while not self.given_up:
            if await self.host.write(doorbell.address, doorbell.value or 0) == Response.OKAY.value:
                return True
            why, _, _ = await refusal(self.host)
            self.refusals.add(why.name)
            if why is not Refusal.FULL:
                return False
            for _ in range(RETRY_CYCLES):
                await self.host.clock
        return False


def restore_ops(registers: RegisterMap, scenario: Scenario, tile: int) -> Iterator[Op]:
    """Write what is right again, and no more: all the rest must have survived."""
    usual = {op.address: op.value for op in setup_ops(registers, tile)}
    for name in scenario.settings.get(tile, {}):
        yield put(registers, name, usual.get(registers[name].offset) or registers[name].reset)
    yield put(registers, "IRQ_ENABLE", usual[registers["IRQ_ENABLE"].offset] or 0)
    yield put(registers, "IRQ_STATUS", registers["IRQ_STATUS"].mask)


async def interrupts(dut: Top, tiles: int, patience: int, *, may_finish: bool) -> tuple[int, int]:
    """Cycles until the first and until the last tile raises its interrupt, or until all have completed all.

    Raises:
        AssertionError: if that takes more than ``patience``.
    """
    begun, first, last = now(), None, Timer(patience * PERIOD_NS, "ns")
    while True:
        irq = int(dut.irq.value)
        if irq and first is None:
            first = now() - begun
        if irq == (1 << tiles) - 1 and first is not None:
            return first, now() - begun
        done = RisingEdge(dut.all_done)
        came = await First(dut.irq.value_change, done, last)
        if came is done and may_finish:
            return now() - begun, now() - begun
        assert came is not last, f"interrupts {irq:b} after {patience} cycles"
        if came is done:
            await RisingEdge(dut.clk)


async def polled(hosts: Sequence[TileHost], name: str, values: Sequence[int]) -> None:
    """Wait until a register of each tile has a value.

    Raises:
        AssertionError: if that takes too long.
    """
    begun = now()
    found: list[int] = []
    while found != list(values):
        assert now() - begun < RESET_CYCLES, f"{name} by tile: {found}, not {list(values)}"
        found = [value for (value,) in await all_of(host.do([get(host.map, name)]) for host in hosts)]


async def soft_reset(dut: Top, scenario: Scenario, hosts: Sequence[TileHost], queues: Sequence[Queue]) -> int:
    """Write CONTROL.RESET in some tile and wait for all; returns the cycles it took.

    While a memory does not answer, the reset must go on.
    """
    registers = hosts[0].map
    resetting = registers["STATUS"].field("RESETTING").mask
    host = hosts[(scenario.reset_after or 0) % len(hosts)]
    queues[host.tile].given_up = True
    await queues[host.tile].task
    begun = now()
    await host.do([put(registers, "CONTROL", registers["CONTROL"].field("RESET").mask)])
    for queue in queues:
        queue.given_up = True
    if scenario.probe:
        # side by side: it lasts no longer than it must
        await all_of([refused(host, put(registers, "WATCHDOG", 0), Refusal.RESETTING),
                      refused(hosts[host.tile - 1], put(registers, "DOORBELL", 0), Refusal.RESETTING)])
    for queue in queues:
        await queue.task
    if scenario.silent:
        await ClockCycles(dut.clk, WATCHED_CYCLES)
        states = {status & resetting for (status,) in await all_of(host.do([get(registers, "STATUS")]) for host in hosts)}
        assert states == {resetting}, "a reset ended without what was asked for"
        dut.ddr_fault.value = dut.io_fault.value = 0
    await polled(hosts, "STATUS", [0] * len(hosts))
    return now() - begun


async def meddle(host: TileHost, good: Descriptor, count: int) -> None:
    """Try to change a tile while a batch runs, or to queue what is wrong. All of it is refused."""
    rng, registers = random.Random(host.tile), host.map
    usual = {op.address: op.value or 0 for op in setup_ops(registers, host.tile)}
    wrongs = [(register.offset, usual.get(register.offset, register.reset)) for register in registers.registers
              if register.idle_only]
    too_many = Descriptor(**{**vars(good), "tokens": registers.params.config.tile.tokens + 1})
    wrongs.append((registers["DOORBELL"].offset, doorbell_op(registers, too_many).value or 0))
    for _ in range(count):
        address, value = rng.choice(wrongs)
        response = await host.write(address, value)
        assert response == Response.SLVERR.value, f"tile {host.tile}: a write of {address:#x} in a batch"


async def failed(scenario: Scenario, hosts: Sequence[TileHost], queues: Sequence[Queue]) -> Output:
    """What tiles say when they have failed; every descriptor gets its record, and none is taken any more."""
    registers = hosts[0].map
    said: Output = {"states": await all_of(host.do(state_ops(registers)) for host in hosts)}
    if not failure(registers, said["states"]):
        return said
    rings = await all_of(host.write(registers["DOORBELL"].offset, 0) for host in hosts)
    said["refused"] = [response == Response.SLVERR.value for response in rings]
    said["codes"] = [why.name for why, _, _ in await all_of(refusal(host) for host in hosts)]
    if not scenario.unanswered:
        await polled(hosts, "COMPLETED", [len(queue.rung) for queue in queues])
        await polled(hosts, "QUEUE", [0] * len(hosts))
    return said


async def spoil(dut: Top, job: Job, scenario: Scenario, hosts: Sequence[TileHost]) -> Output:
    """The bad batches and the reset, from rst on."""
    registers = hosts[0].map
    said: Output = {}
    run = Run(scenario.seed, stall_ddr=bool(scenario.seed), stall_io=bool(scenario.seed), stall_link=bool(scenario.seed))
    await reset(dut, run, hosts)
    await set_up(dut, job, hosts)
    await all_of(host.do([
        *(put(registers, name, value) for name, value in scenario.settings.get(host.tile, {}).items()),
        put(registers, "IRQ_ENABLE", registers["IRQ_ENABLE"].field("ERROR").mask)]) for host in hosts)
    if scenario.ddr_fault:
        channel, kind, at = scenario.ddr_fault
        dut.ddr_fault_at.value, dut.ddr_fault.value = at, DDR_FAULTS[kind] << 3 * channel
    if scenario.io_fault:
        tile, kind, at = scenario.io_fault
        dut.io_fault_at.value, dut.io_fault.value = at, IO_FAULTS[kind] << 3 * tile
    dut.stall_ddr.value, dut.stall_io.value, dut.stall_link.value = run.stall_ddr, run.stall_io, run.stall_link
    dut.wanted.value = len(scenario.batches)
    await RisingEdge(dut.clk)
    queues = [Queue(host, scenario.batches) for host in hosts]
    if scenario.reset_after is not None:
        await ClockCycles(dut.clk, scenario.reset_after)
    else:
        said["first"], said["last"] = await interrupts(dut, len(hosts), scenario.patience, may_finish=scenario.may_finish)
        for queue in queues:
            await queue.task
        said |= await failed(scenario, hosts, queues)
    if scenario.reset == "rst":
        for queue in queues:
            queue.task.cancel()
        dut.rst.value = dut.mark.value = 1
        await RisingEdge(dut.clk)
        await reset(dut, Run(), hosts, cycles=1 + scenario.seed % 3)
        await set_up(dut, job, hosts)
    else:
        said["reset_cycles"] = await soft_reset(dut, scenario, hosts, queues)
        dut.ddr_fault.value = dut.io_fault.value = 0
        dut.stall_ddr.value = dut.stall_io.value = dut.stall_link.value = 0
        await polled(hosts, "COMPLETED", [len(queue.rung) for queue in queues])
        states = await all_of(host.do(state_ops(registers)) for host in hosts)
        assert states == [[0, 0]] * len(hosts) and not dut.irq.value, f"after the reset: {states}"
        await all_of(host.do(restore_ops(registers, scenario, host.tile)) for host in hosts)
        await mark(dut)
    said["rung"], said["refusals"] = [queue.rung for queue in queues], [sorted(queue.refusals) for queue in queues]
    return said


async def play(dut: Top, job: Job, scenario: Scenario, hosts: Sequence[TileHost]) -> list[Output]:
    """The bad batches, the reset, the good batches: two runs for who reads the logs."""
    said = await spoil(dut, job, scenario, hosts)
    if scenario.probe:
        await all_of(probe(host, [batch[host.tile] for batch in job.batches]) for host in hosts)
        await all_of(host.do(restore_ops(host.map, scenario, host.tile)) for host in hosts)
    await start(dut, job, Run(), hosts)
    await all_of(meddle(host, job.batches[0][host.tile], scenario.meddle) for host in hosts)
    good = await finish(dut, job, hosts)
    return [{"failed": scenario.name, **said}, {"again": True, **good}]


@cocotb.test()
async def run_scenarios(dut: Top) -> None:
    """All scenarios, one after the other; the output is ``output.json`` in the current folder."""
    job = Job.load(Path(os.environ[JOB]))
    registers = RegisterMap(job.params)
    Clock(dut.clk, PERIOD_NS, "ns", impl="gpi").start()
    outputs: list[Output] = []
    for number, scenario in enumerate(load(Path(os.environ[SCENARIOS]))):
        cocotb.log.info("scenario %s", scenario.name)
        hosts = [TileHost(dut, tile, registers) for tile in range(job.config.array.tiles)]
        outputs += [{"run": number, **output} for output in await play(dut, job, scenario, hosts)]
    Path("output.json").write_text(json.dumps(outputs), encoding="utf-8")
