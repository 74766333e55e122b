"""How long the host waits: cycles from a request that is taken to its response, and from a strobe to its counter."""

import pytest

from tests.support.blocks import run_block
from tests.support.configurations import small
from tests.support.host_bench import Bench
from tests.support.watch import Watch
from trajectile.hw.host.access import AccessPort
from trajectile.hw.params import Table


def watch_of(host):
    """Requests that are taken and responses."""
    return Watch(aw=host.awvalid & host.awready, w=host.wvalid & host.wready, ar=host.arvalid & host.arready,
                 b=host.bvalid & host.bready, r=host.rvalid & host.rready)


@pytest.mark.parametrize("timing_only", [False, True])
def test_registers(timing_only):
    """Reads and writes of registers, accepted and refused, on a channel that nothing else uses."""
    bench = Bench(small(), timing_only=timing_only)
    port, watch = bench.port, watch_of(bench.port.host)

    async def host(ctx):
        for register in bench.map.registers:
            await bench.read(ctx, register.offset)
            await bench.write(ctx, register.offset, 0)
            await ctx.tick().repeat(3)

    bench.run(host, background=[watch.run])
    assert watch.between("aw", "b") == watch.between("w", "b") == {port.latency_cycles}
    assert watch.between("ar", "r") == {port.latency_cycles}


@pytest.mark.parametrize("late", ["aw", "w"])
def test_address_and_data_apart(late):
    """The later of the two counts."""
    port = AccessPort()
    host, watch = port.host, watch_of(port.host)

    async def manager(ctx):
        ctx.set(port.access.okay, 1)
        ctx.set(host.bready, 1)
        for name in ("aw" if late == "w" else "w", late):
            ctx.set(getattr(host, f"{name}valid"), 1)
            await ctx.tick()
            ctx.set(getattr(host, f"{name}valid"), 0)
            await ctx.tick().repeat(4)

    run_block(port, manager, background=[watch.run])
    assert watch.between(late, "b") == {port.latency_cycles}


def test_results():
    """A read of TABLE_DATA waits for the table memory; every word of an entry does."""
    bench = Bench(small())
    watch = watch_of(bench.port.host)

    async def host(ctx):
        await bench.select(ctx, Table.RESULTS, 1, 3)
        await ctx.tick().repeat(3)
        watch["ar"].clear()
        for number in range(5):
            assert await bench.get(ctx, "TABLE_DATA") == bench.result(1, 3 + number // 4) >> 32 * (number % 4) & 0xFFFFFFFF
            await ctx.tick().repeat(3)

    bench.run(host, background=[watch.run])
    assert watch.between("ar", "r") == {bench.port.table_read_cycles}
