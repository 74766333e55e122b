"""cocotb: the batches of a job on links that go wrong. Where the array fails, it is reset and runs the batch again."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles

from trajectile.tb.bench_array import PERIOD_NS, Output, all_of, ended, finish, mark, reset, set_up, start, tile_hosts
from trajectile.tb.handles import Top
from trajectile.tb.host import PATIENCE_CYCLES, TileHost
from trajectile.tb.host_ops import counter_ops, get, put, state_ops
from trajectile.tb.job import JOB, Job, Run


async def outcome(host: TileHost) -> Output:
    """How the batches have ended in a tile: names of its errors, counters.

    A link that loses its last acknowledgements fails after the batches are done.
    """
    registers = host.map
    status, error, *counters = await host.do([*state_ops(registers), *counter_ops(registers)])
    names = [field.name for field in registers["STATUS"].fields if status & field.mask]
    errors = [field.name for field in registers["ERROR"].fields if error & field.mask]
    assert names == (["FAILED"] if errors else []), f"tile {host.tile}: status {names}, errors {errors}"
    return {"errors": errors, "counters": dict(zip(registers.counters, counters, strict=True))}


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
        await set_up(dut, job, hosts)
        dut.fault_run.value = number + 1
        await start(dut, job, run, hosts)
        await ended(dut, job, hosts, len(job.batches))
        tiles = await all_of(outcome(host) for host in hosts)
        outputs.append({"run": number, "tiles": tiles})
        dut.fault_run.value = 0
        if any(tile["errors"] for tile in tiles):
            await reset_by_register(hosts[run.seed % len(hosts)], hosts)
            await mark(dut)
            await start(dut, job, Run(run.seed), hosts)
            outputs.append({"run": number, "again": True, **await finish(dut, job, hosts)})
    await ClockCycles(dut.clk, 2)  # the last links write their log
    Path("output.json").write_text(json.dumps(outputs), encoding="utf-8")
