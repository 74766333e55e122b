"""Accesses that are refused: each leaves its code and address, changes nothing else, and can raise the interrupt."""

import pytest

from tests.support.configurations import small
from tests.support.host_bench import Bench
from trajectile.hw.host.codes import REFUSALS, Refusal

#: the layer is longer than a page
CONFIG = small(layer__experts=40, array__cols=3, array__ddr_tiles=(0, 1, 2))
#: what the host does, by the code that it gets: register, value, or None for a read
CASES = {
    Refusal.NO_REGISTER: ("0xffc", None),
    Refusal.READ_ONLY: ("STATUS", 0),
    Refusal.VALUE: ("RING_NEXT", 3),
    Refusal.LOCKED: ("IO_READ_BASE", 0),
    Refusal.RESETTING: ("DOORBELL", 0),
    Refusal.FAILED: ("DOORBELL", 0),
    Refusal.BUSY: ("RING_NEXT", 0),
    Refusal.FULL: ("DOORBELL", 0),
    Refusal.ALIGNMENT: ("DOORBELL", 0),
    Refusal.LAYER: ("DOORBELL", 0),
    Refusal.READ_WINDOW: ("DOORBELL", 1),
    Refusal.WRITE_WINDOW: ("DOORBELL", 1),
}


async def _prepare(ctx, bench: Bench, code: Refusal) -> None:
    """Bring the tile where the access of this case is refused."""
    batches = bench.port.batches
    if code is Refusal.BUSY:
        ctx.set(batches.running, 1)
    elif code is Refusal.FAILED:
        ctx.set(batches.failed, 1)
    elif code is Refusal.RESETTING:
        ctx.set(batches.resetting, 1)
    elif code is Refusal.FULL:
        bench.waiting = 2
        await ctx.tick()
    elif code is Refusal.LOCKED:
        await bench.put(ctx, "IO_LOCK", 1)
    elif code is Refusal.ALIGNMENT:
        await bench.put(ctx, "BATCH_RESULTS", CONFIG.io.bytes_per_cycle // 2)
    elif code is Refusal.LAYER:
        await bench.point(ctx, 2**40 - 4096, 0, 0)
    elif code is Refusal.READ_WINDOW:
        await bench.put(ctx, "IO_READ_SIZE", 0)
    elif code is Refusal.WRITE_WINDOW:
        await bench.put(ctx, "IO_WRITE_BASE", 1)


@pytest.mark.parametrize("code", CASES, ids=lambda code: code.name)
def test_code_address_and_interrupt(code):
    """The code stays until the host clears it; the interrupt comes if it is enabled; nothing is queued."""
    bench = Bench(CONFIG)
    name, value = CASES[code]
    address = int(name, 16) if name.startswith("0x") else bench.map[name].offset

    async def host(ctx):
        await bench.put(ctx, "IRQ_ENABLE", 4)
        await _prepare(ctx, bench, code)
        assert await bench.refused(ctx) == (Refusal.NONE, False, "ID") and not ctx.get(bench.port.irq)
        if value is None:
            assert await bench.read(ctx, address) == (False, 0)
        else:
            assert not await bench.write(ctx, address, value)
        assert ctx.get(bench.port.irq) and await bench.get(ctx, "IRQ_STATUS") & 4
        assert await bench.refused(ctx) == (code, value is not None, name)
        await bench.put(ctx, "IRQ_STATUS", 4)
        assert not ctx.get(bench.port.irq) and await bench.refused(ctx) == (code, value is not None, name)
        await bench.put(ctx, "REFUSED", 0)
        assert await bench.refused(ctx) == (Refusal.NONE, False, "ID")
        assert not bench.pushed

    bench.run(host)


def test_every_code_has_a_case():
    """But PARTIAL, which is below."""
    assert set(CASES) | {Refusal.PARTIAL, Refusal.NONE} == set(Refusal) == set(REFUSALS)


def test_the_last_one_counts():
    """A later refusal takes the place of an earlier one; so does that of a wrong write to REFUSED itself."""
    bench = Bench(CONFIG)

    async def host(ctx):
        assert not await bench.write(ctx, bench.map["RING_NEXT"].offset, 1, strobes=7)
        assert await bench.refused(ctx) == (Refusal.PARTIAL, True, "RING_NEXT")
        assert not (await bench.read(ctx, 0xFFC))[0]
        assert await bench.refused(ctx) == (Refusal.NO_REGISTER, False, "0xffc")
        assert not await bench.write(ctx, bench.map["REFUSED"].offset, 1)
        assert await bench.refused(ctx) == (Refusal.VALUE, True, "REFUSED")

    bench.run(host)


def test_a_doorbell_after_every_kind_of_refusal():
    """What was refused leaves nothing behind: the next good doorbell queues what the registers say."""
    bench = Bench(CONFIG)
    wrong = [(CONFIG.tile.tokens + 1, Refusal.VALUE), (3 << 16, Refusal.VALUE), (1 << 19, Refusal.VALUE)]

    async def host(ctx):
        for value, code in wrong:
            assert not await bench.write(ctx, bench.map["DOORBELL"].offset, value)
            assert await bench.refused(ctx) == (code, True, "DOORBELL")
        assert not await bench.write(ctx, bench.map["DOORBELL"].offset, 0, strobes=14)
        beat = CONFIG.io.bytes_per_cycle
        await bench.point(ctx, 4096, beat, beat // 2)
        assert await bench.ring(ctx, 1) is Refusal.ALIGNMENT
        await bench.put(ctx, "BATCH_RESULTS", 2 * beat)
        assert await bench.ring(ctx, 1, tag=7) is Refusal.NONE
        assert await bench.get(ctx, "QUEUE") == 1
        found = {name: value for name, value in bench.pushed[0].items() if name != "rung"}
        assert found == {"layer": 1, "records": 1, "results": 2, "tokens": 1, "order": 0, "bf16": 0, "tag": 7}
        assert len(bench.pushed) == 1

    bench.run(host)


@pytest.mark.parametrize("what", ["address", "window"])
def test_doorbell_at_the_heels_of_its_address(what):
    """The check sees an address, or a window, that was written as shortly before the doorbell as the port allows."""
    bench = Bench(CONFIG)

    async def host(ctx):
        await bench.put(ctx, "IO_READ_SIZE", 1)
        for _ in range(3):
            if what == "address":
                await bench.put(ctx, "BATCH_RECORDS", 4096)
                assert not await bench.write(ctx, bench.map["DOORBELL"].offset, 1)
                await bench.put(ctx, "BATCH_RECORDS", 0)
            else:
                await bench.put(ctx, "IO_READ_SIZE", 0)
                assert not await bench.write(ctx, bench.map["DOORBELL"].offset, 1)
                await bench.put(ctx, "IO_READ_SIZE", 1)
            assert await bench.write(ctx, bench.map["DOORBELL"].offset, 1)
            await ctx.tick()
            bench.waiting = 0
            await ctx.tick()

    bench.run(host)
