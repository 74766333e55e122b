"""cocotb: batches that go wrong. Each is followed by a reset and a good batch, and all of that is written down."""

import json
import os
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge

from trajectile.hw.host.axi import Response
from trajectile.hw.host.codes import Refusal
from trajectile.hw.host.layouts import Table
from trajectile.hw.host.regmap import RegisterMap
from trajectile.tb.bench_array import PERIOD_NS, Output, all_of, finish, program, reset, start
from trajectile.tb.handles import Top
from trajectile.tb.host import TileHost
from trajectile.tb.host_ops import Op, failure, get, put, route_ops, select_ops, state_ops
from trajectile.tb.job import JOB, Job, Run
from trajectile.tb.probes import probe, refused, start_again
from trajectile.tb.program import TileImage
from trajectile.tb.scenario import DDR_FAULTS, SCENARIOS, Scenario, load

#: a DDR channel that does not answer is watched for so many cycles of a reset
WATCHED_CYCLES = 100
#: a reset that takes longer hangs
RESET_CYCLES = 5000


def entry_ops(registers: RegisterMap, table: int, lane: int, index: int, entry: int) -> Iterator[Op]:
    """Write one table entry."""
    yield from select_ops(registers, Table(table), lane, index)
    for number in range(registers.tables[Table(table)].words):
        yield put(registers, "TABLE_DATA", entry >> 32 * number & 0xFFFFFFFF)


def change_ops(registers: RegisterMap, scenario: Scenario, tile: int) -> Iterator[Op]:
    """Write what is wrong into a tile."""
    for name, value in scenario.settings.get(tile, {}).items():
        yield put(registers, name, value)
    for owner, *entry in scenario.entries:
        if owner == tile:
            yield from entry_ops(registers, *entry)
    causes = registers["IRQ_ENABLE"]
    yield put(registers, "IRQ_ENABLE", causes.field("ERROR").mask | scenario.may_finish * causes.field("DONE").mask)


def restore_ops(registers: RegisterMap, job: Job, scenario: Scenario, tile: int) -> Iterator[Op]:
    """Write what is right again, and no more: all the rest must have survived."""
    image = job.images[tile]
    routes = {op.address: op.value or 0 for op in route_ops(registers, image.route)}
    for name in scenario.settings.get(tile, {}):
        yield put(registers, name, routes.get(registers[name].offset, image.settings.get(name, 0)))
    for owner, table, lane, index, _ in scenario.entries:
        entries = image.tables[Table(table), lane]
        if owner == tile and index < len(entries):
            yield from entry_ops(registers, table, lane, index, entries[index])
    causes = registers["IRQ_ENABLE"]
    yield put(registers, "IRQ_ENABLE", causes.field("DONE").mask | causes.field("ERROR").mask)


async def interrupts(dut: Top, tiles: int, patience: int) -> tuple[int, int]:
    """Cycles until the first and until the last tile raises its interrupt.

    Raises:
        AssertionError: if that takes more than ``patience``.
    """
    first: int | None = None
    for cycle in range(patience):
        irq = int(dut.irq.value)
        if irq:
            first = cycle if first is None else first
        if first is not None and irq == (1 << tiles) - 1:
            return first, cycle
        await RisingEdge(dut.clk)
    raise AssertionError(f"interrupts {irq:b} after {patience} cycles")


async def soft_reset(dut: Top, scenario: Scenario, hosts: Sequence[TileHost]) -> int:
    """Write CONTROL.RESET in some tile and wait for all; returns the cycles it took.

    While a DDR channel does not answer, the reset must go on.
    """
    registers = hosts[0].map
    resetting = registers["STATUS"].field("RESETTING").mask
    host = hosts[(scenario.reset_after or 0) % len(hosts)]
    await host.do([put(registers, "CONTROL", registers["CONTROL"].field("RESET").mask)])
    begun = cocotb.simtime.get_sim_time("ns")
    if scenario.probe:
        await refused(host, put(registers, "WATCHDOG", 0), Refusal.RESETTING)

    async def states() -> set[int]:
        return {status & resetting for (status,) in await all_of(host.do([get(registers, "STATUS")]) for host in hosts)}

    if scenario.ddr_fault and scenario.ddr_fault[1].startswith("no_"):
        await ClockCycles(dut.clk, WATCHED_CYCLES)
        assert await states() == {resetting}, "a reset ended without the data that was asked for"
        dut.ddr_fault.value = 0
    while await states() != {0}:
        assert cocotb.simtime.get_sim_time("ns") - begun < RESET_CYCLES * PERIOD_NS, "the reset hangs"
    return round((cocotb.simtime.get_sim_time("ns") - begun) / PERIOD_NS)


async def meddle(host: TileHost, image: TileImage, count: int) -> None:
    """Try to change a tile, or to look into it, while a batch runs. All of it is refused."""
    rng, registers = random.Random(host.tile), host.map
    values = {**image.settings, "CONTROL": registers["CONTROL"].field("START").mask, "TABLE_SELECT": 0, "TABLE_INDEX": 0,
              "TABLE_DATA": 0}
    for _ in range(count):
        name = rng.choice(list(values))
        response = (await host.read(registers[name].offset))[0] if name == "TABLE_DATA" and rng.random() < 0.5 else (
            await host.write(registers[name].offset, values[name]))
        assert response == Response.SLVERR.value, f"tile {host.tile}: {name} in a batch"


async def play(dut: Top, job: Job, scenario: Scenario, hosts: Sequence[TileHost]) -> Output:
    """The bad batch, the reset, the good batch."""
    registers = hosts[0].map
    said: Output = {"name": scenario.name}
    run = Run(scenario.seed, stall_ddr=bool(scenario.seed), stall_link=bool(scenario.seed))
    await reset(dut, run, hosts)
    await program(job, hosts)
    await all_of(host.do(change_ops(registers, scenario, host.tile)) for host in hosts)
    if scenario.ddr_fault:
        channel, kind, at = scenario.ddr_fault
        dut.ddr_fault_at.value, dut.ddr_fault.value = at, DDR_FAULTS[kind] << 3 * channel
    await start(dut, run, hosts)
    if scenario.again:
        said["again"] = await start_again(dut, hosts)
    if scenario.reset_after is not None:
        await ClockCycles(dut.clk, scenario.reset_after)
    else:
        said["first"], said["last"] = await interrupts(dut, len(hosts), scenario.patience)
        said["states"] = await all_of(host.do(state_ops(registers)) for host in hosts)
        if failure(registers, said["states"]):
            starts = await all_of(host.write(registers["CONTROL"].offset, 1) for host in hosts)
            said["refused"] = [response == Response.SLVERR.value for response in starts]
            said["codes"] = await all_of(host.do([get(registers, "REFUSED")]) for host in hosts)
    if scenario.reset == "rst":
        await reset(dut, Run(), hosts, cycles=1 + scenario.seed % 3)
        await program(job, hosts)
    else:
        said["reset_cycles"] = await soft_reset(dut, scenario, hosts)
        dut.ddr_fault.value = dut.stall_ddr.value = dut.stall_link.value = 0
        states = await all_of(host.do(state_ops(registers)) for host in hosts)
        assert states == [[0, 0]] * len(hosts) and not dut.irq.value, f"after the reset: {states}"
        await all_of(host.do(restore_ops(registers, job, scenario, host.tile)) for host in hosts)
    if scenario.probe:
        await all_of(probe(host) for host in hosts)
    await start(dut, Run(), hosts)
    await all_of(meddle(host, job.images[host.tile], scenario.meddle) for host in hosts)
    return said | await finish(dut, job, hosts)


@cocotb.test()
async def run_scenarios(dut: Top) -> None:
    """All scenarios, one after the other; the output is ``output.json`` in the current folder."""
    job = Job.load(Path(os.environ[JOB]))
    registers = RegisterMap(job.params)
    Clock(dut.clk, PERIOD_NS, "ns", impl="gpi").start()
    outputs = []
    for scenario in load(Path(os.environ[SCENARIOS])):
        cocotb.log.info("scenario %s", scenario)
        outputs.append(await play(dut, job, scenario, [TileHost(dut, tile, registers)
                                                       for tile in range(job.config.array.tiles)]))
    Path("output.json").write_text(json.dumps(outputs), encoding="utf-8")
