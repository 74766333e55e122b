"""cocotb: the batches of a job on links that go wrong. Where the array fails, it is reset and runs the batch again."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles

from trajectile.tb.bench_array import PERIOD_NS, Output, all_of, ended, finish, program, reset, results, start, tile_hosts
from trajectile.tb.handles import Top
from trajectile.tb.host import PATIENCE_CYCLES, HostError, TileHost
from trajectile.tb.host_ops import counter_ops, get, put, state_ops
from trajectile.tb.job import JOB, Job, Run


async def outcome(job: Job, host: TileHost) -> Output:
    """How the batch has ended in a tile: names of its errors, counters, and results if there are no errors.

    A link that loses its last acknowledgements fails after the batch is done, perhaps while the results are being read.
    """
    registers = host.map
    found: Output = {"results": {}, "clips": {}}
    try:
        found = await results(job, host)
    except HostError:
        pass
    status, error, *counters = await host.do([*state_ops(registers), *counter_ops(registers)])
    names = [field.name for field in registers["STATUS"].fields if status & field.mask]
    errors = [field.name for field in registers["ERROR"].fields if error & field.mask]
    assert ("FAILED" in names and "RUNNING" not in names) if errors else (names == ["DONE"] and found["clips"].keys() == {
        lane for tile, lane in job.read if tile == host.tile}), f"tile {host.tile}: status {names}, errors {errors}"
    return {"errors": errors, "counters": dict(zip(registers.counters, counters, strict=True)),
            **({"results": {}, "clips": {}} if errors else found)}


async def reset_by_register(host: TileHost, hosts: Sequence[TileHost]) -> None:
    """Reset the array, and wait until no tile is in reset any more."""
    registers = host.map
    await host.do([put(registers, "CONTROL", registers["CONTROL"].field("RESET").mask)])
    for other in hosts:
        for _ in range(PATIENCE_CYCLES):
            if await other.do([get(registers, "STATUS")]) == [0]:
                break
        else:
            raise AssertionError(f"tile {other.tile}: the reset does not end")


@cocotb.test()
async def run_job(dut: Top) -> None:
    """All runs of the job; the output is ``output.json`` in the current folder, with a second try after a failure."""
    job = Job.load(Path(os.environ[JOB]))
    Clock(dut.clk, PERIOD_NS, "ns", impl="gpi").start()
    dut.fault_run.value = 0
    outputs = []
    for number, run in enumerate(job.runs):
        cocotb.log.info("run %s", run)
        hosts = tile_hosts(dut, job, run)
        await reset(dut, run, hosts)
        await program(job, hosts)
        dut.fault_run.value = number + 1
        await start(dut, run, hosts)
        await ended(dut, job, hosts)
        tiles = await all_of(outcome(job, host) for host in hosts)
        outputs.append({"run": number, "tiles": tiles})
        dut.fault_run.value = 0
        if any(tile["errors"] for tile in tiles):
            await reset_by_register(hosts[run.seed % len(hosts)], hosts)
            await start(dut, Run(run.seed), hosts)
            outputs.append({"run": number, "again": True, **await finish(dut, job, hosts)})
    await ClockCycles(dut.clk, 2)  # the last links write their log
    Path("output.json").write_text(json.dumps(outputs), encoding="utf-8")
