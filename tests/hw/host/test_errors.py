"""Fatal errors at the host port: each ends the batch here and everywhere, is shown, and lets no other batch start."""

import pytest

from tests.support.configurations import small
from tests.support.host_bench import Bench
from trajectile.hw.host.codes import ERRORS, Refusal
from trajectile.hw.host.layouts import Table

#: bits of STATUS
DONE, FAILED, RESETTING = 2, 8, 16


def _bit(name: str) -> int:
    return 1 << [error for error, _ in ERRORS].index(name)


def _input(port, name: str):
    return port.halt if name == "STOPPED" else port.errors.by_name[name]


async def _strobe(ctx, *signals) -> None:
    for signal in signals:
        ctx.set(signal, 1)
    await ctx.tick()
    for signal in signals:
        ctx.set(signal, 0)


@pytest.mark.parametrize("running", [True, False], ids=["running", "idle"])
@pytest.mark.parametrize("name", ["DDR_RESPONSE", "LINK_DOWN", "MEMORY", "ENTRY", "STOPPED"])
def test_error_ends_everything(name, running):
    """In the next cycle the batch is over and the tile has failed; nothing starts any more, neither here nor from outside."""
    bench = Bench(small())
    port = bench.port

    async def host(ctx):
        await bench.put(ctx, "IRQ_ENABLE", 2)
        if running:
            await bench.put(ctx, "CONTROL", 1)
            await ctx.tick().until(port.running)
        ctx.set(_input(port, name), 1)
        assert ctx.get(port.halt_out) == (name != "STOPPED")
        await _strobe(ctx, _input(port, name))
        assert not ctx.get(port.running) and ctx.get(port.irq)
        if name != "STOPPED":
            await _strobe(ctx, port.halt)  # the own failure comes back with the broadcast
        assert not ctx.get(port.halt_out)
        assert await bench.get(ctx, "STATUS") == FAILED and await bench.get(ctx, "ERROR") == _bit(name)
        assert not await bench.write(ctx, bench.map["CONTROL"].offset, 1)
        bench.outside_go = 1
        await ctx.tick().repeat(4)
        assert bench.batches == int(running) and not ctx.get(port.running)
        assert await bench.get(ctx, "IRQ_STATUS") == 6 and await bench.refused(ctx) == (Refusal.FAILED, True, "CONTROL")
        await bench.put(ctx, "IRQ_STATUS", 2)
        assert not ctx.get(port.irq) and await bench.get(ctx, "STATUS") == FAILED

    bench.run(host)


def test_errors_add_up():
    """What occurs after the first error is noted as well; STOPPED is not, it is nothing new."""
    bench = Bench(small())
    port = bench.port

    async def host(ctx):
        await _strobe(ctx, port.errors.memory, port.halt)
        await _strobe(ctx, port.errors.link_down)
        await _strobe(ctx, port.halt)
        assert await bench.get(ctx, "ERROR") == _bit("MEMORY") | _bit("LINK_DOWN")

    bench.run(host)


def test_a_wrong_result_is_not_given_out():
    """MEMORY comes with the word that is wrong, two cycles after its read: that very read is refused."""
    bench = Bench(small())
    port = bench.port

    async def memory(ctx):
        await ctx.tick().until(port.results.read & (port.table.index == 1))
        await ctx.tick()
        await _strobe(ctx, port.errors.memory)

    async def host(ctx):
        await bench.select(ctx, Table.RESULTS, 0, 0)
        address, words = bench.map["TABLE_DATA"].offset, bench.map.tables[Table.RESULTS].words
        assert [(await bench.read(ctx, address))[0] for _ in range(words + 2)] == [True] * words + [False] * 2
        assert await bench.refused(ctx) == (Refusal.FAILED, False, "TABLE_DATA")
        assert await bench.get(ctx, "ERROR") == _bit("MEMORY")

    bench.run(host, memory)


@pytest.mark.parametrize("cycles", [1, 5, 40])
@pytest.mark.parametrize("late", [0, 1])
def test_watchdog(cycles, late):
    """A batch of as many cycles as WATCHDOG says is done, one of a cycle more has failed."""
    bench = Bench(small())
    port = bench.port

    async def host(ctx):
        await bench.put(ctx, "WATCHDOG", cycles)
        bench.finish_cycle = cycles - 1 + late
        await bench.put(ctx, "CONTROL", 1)
        await ctx.tick().until(port.running)
        await ctx.tick().until(~port.running)
        await ctx.tick()
        assert await bench.get(ctx, "STATUS") == (FAILED if late else DONE)
        assert await bench.get(ctx, "ERROR") == (_bit("WATCHDOG") if late else 0)
        assert await bench.get(ctx, "CYCLES") == cycles + late

    bench.run(host)


@pytest.mark.parametrize("offset", range(-2, 5))
def test_start_and_failure_cross(offset):
    """However START and another tile's failure meet, the tile ends up failed and not running."""
    bench = Bench(small(), go_delay=2)
    port = bench.port

    async def host(ctx):
        await ctx.tick().repeat(10)
        await bench.write(ctx, bench.map["CONTROL"].offset, 1)
        await ctx.tick().repeat(10)
        assert await bench.get(ctx, "STATUS") == FAILED and not ctx.get(port.running)

    async def other(ctx):
        await ctx.tick().repeat(12 + offset)
        await _strobe(ctx, port.halt)

    bench.run(host, other)


async def _reset_cycles(ctx, port) -> int:
    """Wait for a reset to begin and to end; how long it took."""
    await ctx.tick().until(port.reset)
    cycles = 1
    while ctx.get(port.reset):
        await ctx.tick()
        cycles += 1
        assert cycles < 200
    return cycles


@pytest.mark.parametrize("state", ["idle", "running", "finished", "failed"])
@pytest.mark.parametrize("waits", [0, 30])
def test_reset(state, waits):
    """From any state; at least as long as the links need and until the loader is quiet; settings and tables stay."""
    config = small(link__latency_cycles=5)
    bench = Bench(config)
    port = bench.port

    async def host(ctx):
        await bench.put(ctx, "LOAD_COUNT", 9)
        await bench.put(ctx, "WATCHDOG", 1000)
        await bench.put(ctx, "IRQ_ENABLE", 7)
        if state in ("running", "finished"):
            bench.finish_cycle = 3 if state == "finished" else None
            await bench.put(ctx, "CONTROL", 1)
            await ctx.tick().repeat(10)
            assert ctx.get(port.running) == (state == "running")
        if state == "failed":
            await _strobe(ctx, port.errors.entry)
        bench.quiet = int(not waits)
        bench.finish_cycle = None
        await bench.put(ctx, "CONTROL", 2)
        assert ctx.get(port.reset) and not ctx.get(port.running)
        if waits:
            await ctx.tick().repeat(waits)
            assert await bench.get(ctx, "STATUS") == RESETTING
            assert not await bench.write(ctx, bench.map["CONTROL"].offset, 1)
            assert await bench.refused(ctx) == (Refusal.RESETTING, True, "CONTROL")
            assert not await bench.write(ctx, bench.map["LOAD_COUNT"].offset, 1)
            assert not (await bench.read(ctx, bench.map["TABLE_DATA"].offset))[0]
            bench.outside_go = 1
            await _strobe(ctx, port.errors.ddr_response)
            await bench.put(ctx, "IRQ_STATUS", 4)
            bench.quiet = 1
        await ctx.tick().repeat(12)
        assert not ctx.get(port.reset) and not ctx.get(port.irq) and not ctx.get(port.running)
        for name, value in {"STATUS": 0, "ERROR": 0, "IRQ_STATUS": 0, "LOAD_COUNT": 9, "WATCHDOG": 1000}.items():
            assert await bench.get(ctx, name) == value, name
        bench.finish_cycle = 3
        await bench.put(ctx, "CONTROL", 1)
        await ctx.tick().repeat(10)
        assert await bench.get(ctx, "STATUS") == DONE

    bench.run(host)


@pytest.mark.parametrize("latency", [1, 2, 7])
def test_reset_length(latency):
    """Two cycles more than a link takes."""
    bench = Bench(small(link__latency_cycles=latency))

    async def host(ctx):
        await bench.put(ctx, "CONTROL", 2)

    async def watch(ctx):
        assert await _reset_cycles(ctx, bench.port) == latency + 2

    bench.run(host, watch)


def test_start_and_reset_in_one_write():
    """Not both."""
    bench = Bench(small())

    async def host(ctx):
        assert not await bench.write(ctx, bench.map["CONTROL"].offset, 3)
        assert await bench.refused(ctx) == (Refusal.VALUE, True, "CONTROL")
        assert await bench.get(ctx, "STATUS") == 0

    bench.run(host)


@pytest.mark.parametrize("offset", range(-3, 6))
def test_start_and_reset_cross(offset):
    """However START and another tile's RESET meet: the tile is idle afterwards, or runs if START came after."""
    bench = Bench(small(), go_delay=2)
    port = bench.port

    async def host(ctx):
        await ctx.tick().repeat(10)
        okay = await bench.write(ctx, bench.map["CONTROL"].offset, 1)
        await ctx.tick().repeat(10)
        assert await bench.get(ctx, "STATUS") == int(okay and offset < -2) == ctx.get(port.running), okay

    async def other(ctx):
        await ctx.tick().repeat(12 + offset)
        bench.outside_reset = 1
        await ctx.tick().repeat(3)
        bench.outside_reset = 0

    bench.run(host, other)
