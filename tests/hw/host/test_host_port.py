"""The host port against a model of the registers: random traffic and delays, descriptors, errors, counters."""

import random

import pytest

from tests.support.configurations import small
from tests.support.host_bench import BF16, ORDER, SHARED, TAG, Bench, Model, regions
from trajectile.hw.batch.layouts import RECORD_COUNTERS
from trajectile.hw.d2d.layouts import NEIGHBOURS, Port
from trajectile.hw.host.codes import Refusal
from trajectile.hw.host.regmap import COUNTERS, optional_counters
from trajectile.sw_model.config import load


def _likely(rng: random.Random, name: str, config) -> int:
    """A value for a register that is often legal, and often near a limit."""
    beat = config.io.bytes_per_cycle
    if name == "DOORBELL":
        return (rng.randrange(config.tile.tokens + 2) | rng.randrange(4) << ORDER | rng.getrandbits(1) << BF16
                | (config.array.shares and rng.random() < 0.2) << SHARED | rng.getrandbits(8) << TAG)
    if name in ("BATCH_RECORDS", "BATCH_RESULTS"):
        return (rng.choice([4096, 8192, 0x4000, 0]) + beat * rng.randrange(-8, 9) + (rng.random() < 0.03)) % 2**32
    if name == "BATCH_LAYER":
        return rng.choice([*[rng.randrange(1 << 20) << 12] * 4, 0xFFFF_F000, 0xFFFF_F000, 1 << 11])
    if name == "BATCH_HIGH":
        return rng.choice([*[0] * 9, 1, 255, 255, 0xFF00, 0xFF_0000])
    if name == "CONTROL":
        return rng.choice([0, 1, 2, 2])
    if name.endswith("_BASE"):
        return rng.choice([0, 0, 0, 1, 1, 2, (1 << 28) - 1])
    if name.endswith("_SIZE"):
        return rng.choice([1, 2, 3, *[1 << 28] * 4])
    return rng.choice([rng.getrandbits(32), rng.randrange(8), 1, rng.randrange(6) | rng.randrange(4) << 8])


@pytest.mark.parametrize("delay", [0, 6])
@pytest.mark.parametrize("timing_only", [False, pytest.param(True, marks=pytest.mark.regress)])
def test_random_traffic(delay, timing_only):
    """Any access at any time gives the model's response and value; what is pushed is what was said. Some builds share."""
    config = small(tile__mac_t=3, array__cols=3, array__ddr_tiles=(0, 2), io__bytes_per_cycle=16, link__beat_bytes=16,
                   array__dataflows="both" if delay else "spread")
    bench = Bench(config, seed=11 + delay, delay=delay, timing_only=timing_only)
    model, rng, port = Model(bench), random.Random(5), bench.port
    names = [r.name for r in bench.map.registers]
    often = ["DOORBELL", "DOORBELL", "BATCH_RECORDS", "BATCH_RESULTS", "BATCH_HIGH", "BATCH_LAYER", "IO_READ_BASE",
             "IO_READ_SIZE", "IO_WRITE_BASE", "IO_WRITE_SIZE", "DOORBELL", "DOORBELL", "CONTROL"]
    moving = {bench.map[name].offset for name in ("NOW", *bench.counts)}
    expected = []

    async def strobe(ctx, signal):
        ctx.set(signal, 1)
        await ctx.tick()
        ctx.set(signal, 0)
        await ctx.tick()

    async def traffic(ctx):
        for step in range(2500):
            kind = rng.random()
            address = (rng.randrange(4096) if kind < 0.05 else bench.map[rng.choice(often)].offset if kind < 0.85
                       else bench.map[rng.choice(names)].offset)
            name = model.at[address & ~3].name if address & ~3 in model.at else ""
            if name == "IO_LOCK":
                continue
            if step == 2200:
                assert model.write(bench.map["IO_LOCK"].offset, 1, 15)
                await bench.put(ctx, "IO_LOCK", 1)
            if rng.random() < 0.7:
                value = _likely(rng, name, config) if rng.random() < 0.95 else rng.getrandbits(32)
                strobes = 15 if rng.random() < 0.97 else rng.randrange(15)
                legal = model.write(address, value, strobes)
                assert await bench.write(ctx, address, value, strobes) == legal, (name, hex(value))
                if legal and name == "DOORBELL":
                    expected.append(model.descriptor(value))
            elif address & ~3 not in moving:
                assert await bench.read(ctx, address) == model.read(address), name
            for name, setting in port.settings.by_name.items():
                assert ctx.get(setting) == model.values[name]
            assert ctx.get(port.irq) == bool(model.values["IRQ_STATUS"] & model.values["IRQ_ENABLE"])
            # Batches come and go.
            if bench.waiting and rng.random() < 0.2 and not model.running:
                bench.waiting -= 1
                model.running = 1
                ctx.set(port.batches.running, 1)
                await ctx.tick()
            elif model.running and rng.random() < 0.3:
                model.running = 0
                ctx.set(port.batches.running, 0)
                await strobe(ctx, port.batches.complete)
                model.values["IRQ_STATUS"] |= 1
                model.values["COMPLETED"] += 1
            if rng.random() < 0.02:
                await strobe(ctx, port.batches.record)
                model.values["IRQ_STATUS"] |= 8
            if not (model.failed or model.resetting) and rng.random() < 0.01:
                model.failed = True
                ctx.set(port.batches.failed, 1)
                model.values["ERROR"] = rng.randrange(1, 1 << len(port.batches.error))
                ctx.set(port.batches.error, model.values["ERROR"])
                await strobe(ctx, port.batches.fail)
                model.values["IRQ_STATUS"] |= 2
            elif (model.failed or model.resetting) and rng.random() < 0.1:
                model.resetting, model.failed = not model.resetting, False
                ctx.set(port.batches.failed, 0)
                ctx.set(port.batches.error, 0)
                ctx.set(port.batches.resetting, model.resetting)
                await ctx.tick()
                model.values |= {"ERROR": 0, "IRQ_STATUS": model.values["IRQ_STATUS"] & ~2}
        assert [{name: value for name, value in found.items() if name != "rung"} for found in bench.pushed] == expected
        assert len(expected) > 40 and len({d["records"] for d in expected}) > 5
        assert {d.get("shared") for d in expected} == ({0, 1} if delay else {None})
        assert model.refusals == set(Refusal) - {Refusal.NONE}
        assert bench.resets > 2

    bench.run(traffic)


@pytest.mark.parametrize("delays", [(20, 0, 0), (0, 20, 0), (20, 0, 40), (0, 20, 40), (0, 0, 20)])
def test_address_and_data_far_apart(delays):
    """Data long before or after the address, a response that is taken late; a write in part changes nothing, and an address
    between two words is that of the word.
    """
    bench = Bench(small())

    async def host(ctx):
        watchdog = bench.map["WATCHDOG"].offset
        for value in (0x1000, 0x1001):
            assert await bench.write(ctx, watchdog, value, delays=delays) and await bench.get(ctx, "WATCHDOG") == value
        assert not await bench.write(ctx, watchdog, 0xDEADBEEF, 0b0011, delays=delays)
        assert await bench.get(ctx, "WATCHDOG") == 0x1001
        assert await bench.refused(ctx) == (Refusal.PARTIAL, True, "WATCHDOG")
        assert await bench.write(ctx, watchdog + 2, 0x55, delays=delays) and await bench.get(ctx, "WATCHDOG") == 0x55
        assert await bench.read(ctx, watchdog + 3) == (True, 0x55)

    bench.run(host)


@pytest.mark.parametrize("preset", ["smoke", "demo", "paper"])
@pytest.mark.parametrize("beat", [4, 128])
def test_descriptor_fields_are_whole(preset, beat):
    """The largest addresses, tokens and tags arrive; they are those of the last write before the doorbell."""
    config = load(preset, ["array.dataflows=spread", f"io.bytes_per_cycle={beat}"])
    bench = Bench(config)
    read, written = regions(config, config.tile.tokens, 1)
    size = config.channel_slices * config.slice_pitch_bytes
    layer, records, results = 2**40 - -(-size // 4096) * 4096, 2**40 - read, 2**40 - written

    async def host(ctx):
        await bench.point(ctx, layer, records, results)
        assert await bench.ring(ctx, config.tile.tokens, order=2, bf16=1, tag=255) is Refusal.NONE
        await bench.point(ctx, 0, 0, 0)
        assert await bench.ring(ctx) is Refusal.NONE
        await bench.get(ctx, "NOW")
        first, second = ({name: value for name, value in d.items() if name != "rung"} for d in bench.pushed)
        assert first == {"layer": layer >> 12, "records": records // beat, "results": results // beat,
                         "tokens": config.tile.tokens, "order": 2, "bf16": 1, "tag": 255}
        assert set(second.values()) == {0}
        assert await bench.ring(ctx) is Refusal.FULL
        assert await bench.get(ctx, "QUEUE") == 2 and await bench.get(ctx, "STATUS") == 1

    bench.run(host)


def test_counters():
    """They count every strobe, at any time; completion records get the same numbers."""
    bench = Bench(small())
    port = bench.port

    async def host(ctx):
        for _ in range(3):
            for number, (name, _) in enumerate(COUNTERS):
                before = bench.counts[name]
                value = await bench.get(ctx, name)
                assert before - 2 <= value <= bench.counts[name]
                found, exact = ctx.get(port.counters[number]), bench.counts[name]
                assert exact - 2 <= found <= exact
            await ctx.tick().repeat(50)
        assert min(bench.counts.values()) > 50
        earlier = await bench.get(ctx, "NOW")
        await ctx.tick().repeat(10)
        assert 14 <= await bench.get(ctx, "NOW") - earlier <= 20
        ctx.set(port.batches.complete, 1)
        await ctx.tick().repeat(3)
        ctx.set(port.batches.complete, 0)
        await ctx.tick().repeat(2)
        assert await bench.get(ctx, "COMPLETED") == 3

    assert len(COUNTERS) == RECORD_COUNTERS
    bench.run(host)


@pytest.mark.parametrize(("cause", "name"), [(1, "complete"), (2, "fail"), (8, "record")])
def test_interrupt(cause, name):
    """A cause rises with its strobe, if it is enabled; it stays until it is cleared, and if it occurs again right then."""
    bench = Bench(small())
    port = bench.port
    strobe = getattr(port.batches, name)

    async def host(ctx):
        for enable in (15 - cause, cause):
            await bench.put(ctx, "IRQ_ENABLE", enable)
            ctx.set(strobe, 1)
            await ctx.tick()
            ctx.set(strobe, 0)
            assert ctx.get(port.irq) == (enable == cause) and await bench.get(ctx, "IRQ_STATUS") == cause
            await bench.put(ctx, "IRQ_STATUS", 15 - cause)
            assert await bench.get(ctx, "IRQ_STATUS") == cause
            ctx.set(strobe, 1)
            await bench.put(ctx, "IRQ_STATUS", cause)
            ctx.set(strobe, 0)
            assert await bench.get(ctx, "IRQ_STATUS") == cause
            await bench.put(ctx, "IRQ_STATUS", cause)
            assert not ctx.get(port.irq) and await bench.get(ctx, "IRQ_STATUS") == 0

    bench.run(host)


def test_a_reset_ends_a_failure_and_keeps_the_rest():
    """Of the causes ERROR goes; settings, windows and their lock stay, and what was pushed is not forgotten."""
    bench = Bench(small())
    port = bench.port
    kept = {"WATCHDOG": 1000, "RING_NEXT": 1, "IO_READ_BASE": 5, "IO_WRITE_SIZE": 7, "IO_LOCK": 1, "BATCH_LAYER": 4096,
            "IRQ_ENABLE": 15}

    async def host(ctx):
        for name, value in kept.items():
            await bench.put(ctx, name, value)
        for strobe in (port.batches.complete, port.batches.fail, port.batches.record):
            ctx.set(strobe, 1)
            await ctx.tick()
            ctx.set(strobe, 0)
        assert await bench.get(ctx, "IRQ_STATUS") == 11
        await bench.put(ctx, "CONTROL", 2)
        assert bench.resets == 1
        ctx.set(port.batches.resetting, 1)
        assert await bench.get(ctx, "STATUS") == 16
        ctx.set(port.batches.resetting, 0)
        assert await bench.get(ctx, "IRQ_STATUS") == 9
        for name, value in kept.items():
            assert await bench.get(ctx, name) == value
        await bench.put(ctx, "CONTROL", 0)
        assert bench.resets == 1

    bench.run(host)


def test_lock():
    """After IO_LOCK nothing but rst changes a window; writing 0 does not unlock."""
    bench = Bench(small())
    windows = [f"IO_{side}_{what}" for side in ("READ", "WRITE") for what in ("BASE", "SIZE")]

    async def host(ctx):
        for number, name in enumerate(windows):
            await bench.put(ctx, name, number + 1)
        await bench.put(ctx, "IO_LOCK", 0)
        assert await bench.get(ctx, "IO_LOCK") == 0
        for value in (1, 0):
            await bench.put(ctx, "IO_LOCK", value)
            assert await bench.get(ctx, "IO_LOCK") == 1
            for number, name in enumerate(windows):
                assert not await bench.write(ctx, bench.map[name].offset, 0)
                assert await bench.refused(ctx) == (Refusal.LOCKED, True, name)
                assert await bench.get(ctx, name) == number + 1
        await bench.put(ctx, "WATCHDOG", 3)

    bench.run(host)


def test_optional_registers():
    """Every counter of links and memory has its own strobe; every port has its bit."""
    bench = Bench(small(link__crc_bits=16, tile__protect="secded"))
    port, names = bench.port, [name for name, _ in optional_counters(bench.params)]
    strobes = {f"LINK_{side.name}_{name}": strobe for side in NEIGHBOURS
               for name, strobe in port.links[side.value].by_name.items()}
    strobes["COUNT_CORRECTED"] = port.counts.corrected
    assert set(strobes) == set(names)

    async def host(ctx):
        for times, name in enumerate(names, start=1):
            ctx.set(strobes[name], 1)
            await ctx.tick().repeat(times)
            ctx.set(strobes[name], 0)
        assert [await bench.get(ctx, name) for name in names] == list(range(1, 14))
        for number in range(4):
            for other in range(4):
                ctx.set(port.links[other].down, other == number)
            assert await bench.get(ctx, "LINK_DOWN") == 1 << number

    bench.run(host)


def test_routes_and_configuration():
    """Routing table of 16 tiles from two registers; the constants are the configuration's."""
    config = small(array__rows=4, array__cols=4, array__ddr_tiles=(0, 15))
    bench = Bench(config)
    ports = [Port(n * 3 % 5) for n in range(16)]

    async def host(ctx):
        assert all(ctx.get(bench.port.settings.route[n]) == Port.LOCAL for n in range(16))
        for number in range(2):
            value = sum(port.value << 4 * n for n, port in enumerate(ports[8 * number:8 * number + 8]))
            await bench.put(ctx, f"ROUTE_{number}", value)
            assert not await bench.write(ctx, bench.map[f"ROUTE_{number}"].offset, value & ~7 | 5)
            assert await bench.get(ctx, f"ROUTE_{number}") == value
        assert [ctx.get(bench.port.settings.route[n]) for n in range(16)] == ports
        assert await bench.get(ctx, "ID") == 0x5452414A
        assert await bench.get(ctx, "TILES") == 16 and await bench.get(ctx, "D_MODEL") == config.layer.d_model
        assert await bench.get(ctx, "TIMING_ONLY") == 0
        assert await bench.get(ctx, "RESULT_BYTES_BF16") == config.result_bytes(2)

    bench.run(host)
