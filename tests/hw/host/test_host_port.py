"""The host port against a model of the registers: random traffic and delays, tables, batches, errors."""

import random

import pytest

from tests.support.configurations import small
from tests.support.host_bench import Bench, Model, random_entry
from trajectile.hw.d2d.layouts import NEIGHBOURS, Port
from trajectile.hw.host.codes import Refusal
from trajectile.hw.host.layouts import Table
from trajectile.hw.host.regmap import optional_counters
from trajectile.sw_model.config import load


@pytest.mark.parametrize("delay", [0, 6])
@pytest.mark.parametrize("timing_only", [False, True])
def test_random_traffic(delay, timing_only):
    """Any access at any time gives the model's response, value and table contents."""
    config = small(tile__mac_t=3, array__cols=3, array__ddr_tiles=(0, 2), layer__experts=5)
    bench = Bench(config, seed=11 + delay, delay=delay, timing_only=timing_only, go_delay=3)
    model, rng, port = Model(bench), random.Random(5), bench.port
    names = [r.name for r in bench.map.registers]
    errors = [*port.errors.by_name.values(), port.halt]
    depths = sorted(t.depth for t in bench.tables)

    async def traffic(ctx):
        for _ in range(2500):
            kind = rng.random()
            if kind < 0.05:
                address = rng.randrange(4096)
            elif kind < 0.55:
                address = bench.map["TABLE_DATA"].offset
            else:
                address = bench.map[rng.choice([*names, "TABLE_SELECT", "TABLE_INDEX", "CONTROL", "CONTROL"])].offset
            if rng.random() < 0.5:
                value = rng.choice([rng.getrandbits(32), rng.randrange(8), rng.choice(depths) - 1, 1,
                                    rng.randrange(1 << 20) << 12, rng.randrange(6) | rng.randrange(4) << 8])
                if address & ~3 == bench.map["WATCHDOG"].offset:
                    value |= 1 << 31  # never reached here
                if address & ~3 == bench.map["TABLE_DATA"].offset and rng.random() < 0.8:
                    value = model.good_word()
                if model.state is Refusal.FAILED and rng.random() < 0.2:
                    address, value = bench.map["CONTROL"].offset, 2
                strobes = 15 if rng.random() < 0.95 else rng.randrange(15)
                okay = await bench.write(ctx, address, value, strobes)
                assert okay == model.write(address, value, strobes), hex(address)
                while okay and address & ~3 == bench.map["CONTROL"].offset and await bench.get(ctx, "STATUS") & 16:
                    pass  # a reset
            elif not (model.state is Refusal.BUSY and 0x80 <= address & ~3 < 0x100):  # the counters move
                assert await bench.read(ctx, address) == model.read(address), hex(address)
            for name, setting in port.settings.by_name.items():
                assert ctx.get(setting) == model.values[name]
            assert ctx.get(port.irq) == bool(model.values["IRQ_STATUS"] & model.values["IRQ_ENABLE"])
            if rng.random() < 0.01:
                bit = rng.randrange(5)
                ctx.set(errors[bit], 1)
                await ctx.tick()
                ctx.set(errors[bit], 0)
                await ctx.tick()
                if bit < 4 or model.state is not Refusal.FAILED:
                    model.fail(2 << bit)
            if model.state is Refusal.BUSY and rng.random() < 0.1:
                bench.finish_cycle = 0
                while await bench.get(ctx, "STATUS") != 2:
                    pass
                bench.finish_cycle = None
                model.finish()
                for name, count in bench.counts.items():
                    assert await bench.get(ctx, name) == count
        assert bench.entries() == model.memory and len(model.memory) > 5
        assert model.refusals >= set(Refusal) - {Refusal.NONE, Refusal.RESETTING}
        assert bench.batches > 2

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
def test_table_entries_of_every_width(preset):
    """First and last entries of every table and lane arrive whole; the entry after the last is refused."""
    bench = Bench(load(preset))
    rng, expected = random.Random(3), {}

    async def host(ctx):
        for table in bench.tables:
            for lane in {0, table.lanes - 1}:
                await bench.select(ctx, table.table, lane, table.depth - 2)
                for index in (table.depth - 2, table.depth - 1):
                    entry = random_entry(table, rng)
                    words = [entry >> 32 * n & 0xFFFFFFFF for n in range(table.words)]
                    if table.read_only:
                        for n in range(table.words):
                            word = bench.result(lane, index) >> 32 * n & 0xFFFFFFFF
                            assert await bench.get(ctx, "TABLE_DATA") == word
                    else:
                        expected[table.table.value, lane, index] = entry
                        for word in words:
                            await bench.put(ctx, "TABLE_DATA", word)
                assert await bench.get(ctx, "TABLE_INDEX") == table.depth
                assert not await bench.write(ctx, bench.map["TABLE_DATA"].offset, 0)
                assert (await bench.read(ctx, bench.map["TABLE_DATA"].offset)) == (False, 0)
        assert bench.entries() == expected

    bench.run(host)


def test_base_beyond_4_gib():
    """Two registers make one address: of whole pages, in a channel of any size."""
    bench = Bench(small())

    async def host(ctx):
        await bench.put(ctx, "DDR_BASE", 0xFEDC_B000)
        await bench.put(ctx, "DDR_BASE_HIGH", 0xA9)
        assert ctx.get(bench.port.settings.ddr_base) == 0xA9_FEDC_B000
        assert not await bench.write(ctx, bench.map["DDR_BASE"].offset, 0x800)
        assert not await bench.write(ctx, bench.map["DDR_BASE_HIGH"].offset, 0x100)

    bench.run(host)


def test_results_while_the_other_channel_writes():
    """Reads of RESULTS stay right, and in bounded time, beside a manager that never stops writing."""
    bench = Bench(small(), delay=2)
    reading = [True]

    async def reader(ctx):
        await bench.select(ctx, Table.RESULTS, 1, 3)
        reading.append(True)
        for index in range(3, 8):
            for n in range(bench.map.tables[Table.RESULTS].words):
                word = bench.result(1, index) >> 32 * n & 0xFFFFFFFF
                assert await bench.get(ctx, "TABLE_DATA") == word
        reading.clear()

    async def writer(ctx):
        while len(reading) == 1:
            await ctx.tick()
        count = 0
        while reading:
            await bench.put(ctx, "IRQ_ENABLE", count % 2)
            count += 1
        assert count > 10

    bench.run(reader, writer)


@pytest.mark.parametrize("offset", range(9))
def test_start_of_another_tile_during_a_read(offset):
    """A read of RESULTS that another tile's START overtakes is right or refused; afterwards everything works."""
    bench = Bench(small())

    async def host(ctx):
        await bench.select(ctx, Table.RESULTS, 0, 2)
        await bench.get(ctx, "TABLE_DATA")
        bench.finish_cycle = 20
        okay, value = await bench.read(ctx, bench.map["TABLE_DATA"].offset)
        assert (okay, value) in ((True, bench.result(0, 2) >> 32 & 0xFFFFFFFF), (False, 0))
        await ctx.tick().repeat(40)
        assert bench.batches == 1 and await bench.get(ctx, "STATUS") == 2
        for n in range(2 if offset else 1):
            assert await bench.get(ctx, "TABLE_DATA") == bench.result(0, 2) >> 32 * n & 0xFFFFFFFF

    async def other(ctx):
        await ctx.tick().until(bench.port.results.read)
        await ctx.tick().until(bench.port.host.arvalid & bench.port.host.arready)
        for _ in range(offset):
            await ctx.tick()
        bench.outside_go = 1

    bench.run(host, other)


@pytest.mark.parametrize("cycles", [1, 2, 7])
@pytest.mark.parametrize("go_delay", [1, 20])
def test_batch_cycles_counters_interrupt(cycles, go_delay):
    """A tile that finishes in cycle n-1 has CYCLES = n; counters count in these cycles; the interrupt rises once."""
    bench = Bench(small(), go_delay=go_delay)
    port = bench.port

    async def host(ctx):
        bench.finish_cycle = cycles - 1
        for enable in (1, 0):
            await bench.put(ctx, "IRQ_ENABLE", enable)
            await bench.put(ctx, "CONTROL", 0)
            await ctx.tick().repeat(4)
            assert not ctx.get(port.running)
            await bench.put(ctx, "CONTROL", 1)
            if go_delay > 5:
                assert await bench.get(ctx, "STATUS") == 1, "busy from START on"
                assert not await bench.write(ctx, bench.map["CONTROL"].offset, 1)
                assert not await bench.write(ctx, bench.map["LOAD_COUNT"].offset, 3)
                await bench.put(ctx, "IRQ_STATUS", 4)
            while await bench.get(ctx, "STATUS") != 2:
                assert not ctx.get(port.irq) or not ctx.get(port.running)
            for name, count in bench.counts.items():
                assert await bench.get(ctx, name) == count
            assert bench.counts["CYCLES"] == cycles
            assert ctx.get(port.irq) == enable and await bench.get(ctx, "IRQ_STATUS") == 1
            await bench.put(ctx, "IRQ_STATUS", 0)
            assert await bench.get(ctx, "IRQ_STATUS") == 1
            await bench.put(ctx, "IRQ_STATUS", 1)
            assert not ctx.get(port.irq) and await bench.get(ctx, "IRQ_STATUS") == 0
            assert await bench.get(ctx, "STATUS") == 2, "DONE stays until the next start"

    bench.run(host)


def test_optional_registers():
    """Every counter of links and memory has its own strobe, counts outside a batch too, and begins anew with a start; every
    port has its bit.
    """
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
        bench.finish_cycle = 0
        await bench.put(ctx, "CONTROL", 1)
        await ctx.tick().repeat(4)
        assert {await bench.get(ctx, name) for name in names} == {0}

    bench.run(host)


def test_start_while_running_is_refused_or_reported():
    """The host's own START is refused; another tile's is ignored and shows in STATUS.OVERRUN until the next batch."""
    bench = Bench(small())

    async def host(ctx):
        await bench.put(ctx, "CONTROL", 1)
        await ctx.tick().repeat(4)
        assert not await bench.write(ctx, bench.map["CONTROL"].offset, 1)
        bench.outside_go = 1
        await ctx.tick().repeat(4)
        assert await bench.get(ctx, "STATUS") == 5
        bench.finish_cycle = 0
        await ctx.tick().repeat(4)
        assert await bench.get(ctx, "STATUS") == 6 and bench.batches == 1
        bench.outside_go = 1
        await ctx.tick().repeat(5)
        assert await bench.get(ctx, "STATUS") == 2 and bench.batches == 2
        assert await bench.get(ctx, "CYCLES") == 1

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

    bench.run(host)
