"""How long the host waits: cycles from a request that is taken to its response, and from a strobe to its counter."""

import pytest

from tests.support.blocks import run_block
from tests.support.configurations import small
from tests.support.host_bench import Bench
from tests.support.watch import Watch, pulse
from trajectile.hw.host.access import AccessPort
from trajectile.hw.host.port import HostPort


def watch_of(host):
    """Requests that are taken and responses."""
    return Watch(aw=host.awvalid & host.awready, w=host.wvalid & host.wready, ar=host.arvalid & host.arready,
                 b=host.bvalid & host.bready, r=host.rvalid & host.rready)


@pytest.mark.parametrize("timing_only", [False, True])
def test_registers(timing_only):
    """Reads and writes of registers, accepted and refused, on a channel that nothing else uses.

    But for the windows: a batch that is rung for when they are empty is refused.
    """
    bench = Bench(small(), timing_only=timing_only)
    port, watch = bench.port, watch_of(bench.port.host)

    async def host(ctx):
        for register in bench.map.registers:
            await bench.read(ctx, register.offset)
            if not register.lockable:
                await bench.write(ctx, register.offset, 0)
            await ctx.tick().repeat(3)

    bench.run(host, background=[watch.run])
    assert len(bench.pushed) == 1
    assert watch.between("aw", "b") == watch.between("w", "b") == {port.latency_cycles}
    assert watch.between("ar", "r") == {port.latency_cycles}


@pytest.mark.parametrize("late", ["aw", "w"])
def test_address_and_data_apart(late):
    """The later of the two counts."""
    port = AccessPort()
    host, watch = port.host, watch_of(port.host)

    async def manager(ctx):
        ctx.set(port.access.writable, 1)
        ctx.set(host.bready, 1)
        for name in ("aw" if late == "w" else "w", late):
            ctx.set(getattr(host, f"{name}valid"), 1)
            await ctx.tick()
            ctx.set(getattr(host, f"{name}valid"), 0)
            await ctx.tick().repeat(4)

    run_block(port, manager, background=[watch.run])
    assert watch.between(late, "b") == {port.latency_cycles}


def extra(offset):
    """How much longer a read, and a write ``offset`` cycles after it, take than by themselves."""
    bench = Bench(small())
    port, watch, begin = bench.port, watch_of(bench.port.host), 40

    async def reader(ctx):
        await ctx.tick().repeat(begin)
        await bench.read(ctx, bench.map["STATUS"].offset)

    async def writer(ctx):
        await ctx.tick().repeat(begin + offset)
        await bench.write(ctx, bench.map["IRQ_ENABLE"].offset, 0)

    bench.run(reader, writer, background=[watch.run])
    (read,), (write,) = watch.between("ar", "r"), watch.between("aw", "b")
    return read - port.latency_cycles, write - port.latency_cycles


def test_the_other_channel():
    """A read waits for one write, a write for one read, and no longer than is stated."""
    reads, writes = zip(*(extra(offset) for offset in range(-3, 8)), strict=True)
    assert max(reads) == AccessPort.behind_write_cycles and min(reads) == min(writes) == 0
    assert max(*reads, *writes) == HostPort.other_access_cycles


@pytest.mark.parametrize("after", range(-3, 4))
def test_counters(after):
    """A strobe ``after`` cycles after a read is asked for: the read sees it if it is in the counter in time."""
    bench = Bench(small(tile__protect="secded"))
    port, found, begin = bench.port, [], 20
    watch = watch_of(port.host)
    watch.signals["strobe"] = port.counts.corrected

    async def reader(ctx):
        await ctx.tick().repeat(begin)
        found.append(await bench.get(ctx, "COUNT_CORRECTED"))

    async def source(ctx):
        await ctx.tick().repeat(begin + after)
        await pulse(ctx, port.counts.corrected)

    bench.run(reader, source, background=[watch.run])
    (strobe,), (accepted,) = watch["strobe"], watch["ar"]
    assert found == [int(strobe + port.counter_cycles <= accepted + port.read_cycles)]
