"""Errors and resets at the host port: what batch control says is shown, and nothing is queued while it says so."""

import pytest

from tests.support.configurations import small
from tests.support.host_bench import BUSY, FAILED, RESETTING, Bench
from trajectile.hw.host.codes import ERRORS, RECORD_ERROR_LOW, RECORD_ERRORS, Refusal


@pytest.mark.parametrize("number", range(len(ERRORS)), ids=[name for name, _ in ERRORS])
def test_error_is_shown(number):
    """Its bit, STATUS, the interrupt; settings and doorbells are refused until the failure is over."""
    bench = Bench(small())
    batches = bench.port.batches

    async def host(ctx):
        await bench.put(ctx, "IRQ_ENABLE", 2)
        ctx.set(batches.fail, 1)
        await ctx.tick()
        ctx.set(batches.fail, 0)
        ctx.set(batches.failed, 1)
        ctx.set(batches.error, 1 << number)
        assert ctx.get(bench.port.irq)
        assert await bench.get(ctx, "STATUS") == FAILED and await bench.get(ctx, "ERROR") == 1 << number
        assert bench.map["ERROR"].field(ERRORS[number][0]).mask == 1 << number
        assert await bench.ring(ctx) is Refusal.FAILED
        assert not await bench.write(ctx, bench.map["WATCHDOG"].offset, 1)
        assert await bench.refused(ctx) == (Refusal.FAILED, True, "WATCHDOG")
        ctx.set(batches.failed, 0)
        assert await bench.ring(ctx) is Refusal.NONE

    bench.run(host)


def test_errors_of_records_have_bits_of_their_own():
    """In a completion record they stand beside the fatal ones."""
    assert RECORD_ERROR_LOW >= len(ERRORS) and RECORD_ERROR_LOW + len(RECORD_ERRORS) <= 32
    names = [name for name, _ in ERRORS]
    assert len(set(names)) == len(names) and not set(names) & {f"RECORD_{name}" for name, _ in RECORD_ERRORS}


@pytest.mark.parametrize(("waiting", "running"), [(0, 0), (1, 0), (0, 1), (2, 1)])
def test_busy(waiting, running):
    """While a descriptor waits or a batch runs, settings stay; doorbells are taken as long as there is room."""
    bench = Bench(small())

    async def host(ctx):
        await bench.put(ctx, "WATCHDOG", 5)
        bench.waiting = waiting
        ctx.set(bench.port.batches.running, running)
        await ctx.tick()
        busy = bool(waiting or running)
        assert await bench.get(ctx, "STATUS") == busy * BUSY and await bench.get(ctx, "QUEUE") == waiting | running << 8
        for register in bench.map.registers:
            if register.idle_only:
                assert await bench.write(ctx, register.offset, register.reset) != busy, register.name
                if busy:
                    assert await bench.refused(ctx) == (Refusal.BUSY, True, register.name)
        assert await bench.get(ctx, "WATCHDOG") == (5 if busy else 0)
        assert await bench.ring(ctx) is (Refusal.FULL if waiting == 2 else Refusal.NONE)

    bench.run(host)


@pytest.mark.parametrize("failed", [0, 1])
def test_reset(failed):
    """A reset goes before a failure: RESETTING is the code of what is refused. It can be asked for again at any time."""
    bench = Bench(small())
    batches = bench.port.batches

    async def host(ctx):
        ctx.set(batches.failed, failed)
        ctx.set(batches.resetting, 1)
        assert await bench.get(ctx, "STATUS") == RESETTING | failed * FAILED
        assert await bench.ring(ctx) is Refusal.RESETTING
        assert not await bench.write(ctx, bench.map["RING_NEXT"].offset, 0)
        assert await bench.refused(ctx) == (Refusal.RESETTING, True, "RING_NEXT")
        for count in (1, 2):
            await bench.put(ctx, "CONTROL", 2)
            assert bench.resets == count
        await bench.put(ctx, "BATCH_LAYER", 4096)
        await bench.put(ctx, "IRQ_ENABLE", 3)

    bench.run(host)


@pytest.mark.parametrize("offset", range(6))
@pytest.mark.parametrize("state", ["failed", "resetting"])
def test_doorbell_and_failure_cross(offset, state):
    """However they meet, a doorbell is either refused or pushed, and the host is told which."""
    bench = Bench(small())

    async def host(ctx):
        await ctx.tick().repeat(10)
        okay = await bench.write(ctx, bench.map["DOORBELL"].offset, 0)
        await ctx.tick().repeat(3)
        assert len(bench.pushed) == okay
        assert okay == (offset >= bench.port.latency_cycles)

    async def other(ctx):
        await ctx.tick().repeat(10 + offset)
        ctx.set(getattr(bench.port.batches, state), 1)

    bench.run(host, other)
