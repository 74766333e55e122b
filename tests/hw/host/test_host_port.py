"""The host port against a model of the registers: random traffic and delays, tables, batches, errors."""

import random

import pytest
from amaranth.hdl import Value
from amaranth.sim import Simulator

from hw.host.port import SETTINGS, HostPort
from hw.host.regmap import COUNTERS, Access
from hw.params import Port, Table
from sw_model.config import load
from tests.conftest import small

#: longest time an access may take if the manager is always ready
BOUND_CYCLES = 10


class Bench:
    """A host port; manager, table memories and the rest of the array are Python."""

    def __init__(self, config, *, seed=1, delay=0, timing_only=False, go_delay=1):
        print(f"seed {seed}")
        self.port = HostPort(config, timing_only=timing_only)
        self.map, self.params = self.port.map, self.port.params
        self.rng, self.delay, self.go_delay = random.Random(seed), delay, go_delay
        self.memory: dict[tuple[int, int, int], int] = {}  #: entries by table, lane, index
        self.counts: dict[str, int] = {}  #: what the counters should be
        self.batches = 0
        self.finish_cycle = None  #: the tile finishes in this cycle of a batch
        self.outside_go = 0  #: another tile's START, in the next cycle

    def run(self, *benches) -> None:
        """Simulate until every bench has returned."""
        simulator = Simulator(self.port)
        simulator.add_clock(1e-6)
        simulator.add_testbench(self.surroundings, background=True)
        for bench in benches:
            simulator.add_testbench(bench)
        simulator.run()

    def result(self, lane: int, index: int) -> int:
        """An entry of RESULTS."""
        return random.Random(lane * 65536 + index).getrandbits(self.params.result_bits)

    async def surroundings(self, ctx):
        """Table memories, go, finished and strobes, cycle by cycle."""
        port, table = self.port, self.port.table
        strobes = {name: getattr(port, name.lower()) for name, _ in COUNTERS}
        fetched, starts, was_clear, was_running = [], [0] * (self.go_delay - 1), 0, 0
        ctx.set(port.tile_id, 1)
        self.counts = dict.fromkeys(["CYCLES", *strobes], 0)
        while True:
            _, _, start, go, clear, running, write, read, number, lane, index, data, *active = await ctx.tick().sample(
                port.start, port.go, port.clear, port.running, table.write, table.read, Value.cast(table.table),
                table.lane, table.index, table.write_data, *strobes.values())
            assert not (write and read) and not ((write or read) and (running or go)), "table access in a batch"
            assert clear == (go and not running)
            assert running == was_running or running == was_clear, "running rises in the cycle after go only"
            was_clear, was_running = clear, running
            if clear:
                self.counts = dict.fromkeys(self.counts, 0)
                self.batches += 1
            if running:
                self.counts["CYCLES"] += 1
                for name, strobe in zip(strobes, active, strict=True):
                    self.counts[name] += strobe
            # What follows is the next cycle. A result stands there in the cycle after that, and then for one cycle only.
            ctx.set(table.read_data, self.result(*fetched.pop()) if fetched else self.rng.getrandbits(64))
            if write:
                self.memory[number, lane, index] = data
            if read:
                assert number == Table.RESULTS.value
                fetched.append((lane, index))
            starts.append(start)
            ctx.set(port.go, starts.pop(0) | self.outside_go)
            self.outside_go = 0
            cycle = 0 if clear else self.counts["CYCLES"]
            ctx.set(port.finished, self.finish_cycle is not None and cycle >= self.finish_cycle)
            for strobe in strobes.values():
                ctx.set(strobe, self.rng.random() < 0.5)

    def _pause(self) -> int:
        return self.rng.randrange(self.delay + 1)

    async def write(self, ctx, address: int, value: int, strobes: int = 15) -> bool:
        """Write; returns whether the response was OKAY."""
        host = self.port.host
        pauses = {"aw": self._pause(), "w": self._pause()}
        ready_after, cycle, response = self._pause(), 0, None
        ctx.set(host.awaddr, address)
        ctx.set(host.wdata, value)
        ctx.set(host.wstrb, strobes)
        while response is None:
            ctx.set(host.awvalid, "aw" in pauses and cycle >= pauses["aw"])
            ctx.set(host.wvalid, "w" in pauses and cycle >= pauses["w"])
            ctx.set(host.bready, cycle >= ready_after)
            _, _, aw, w, b, resp = await ctx.tick().sample(
                host.awvalid & host.awready, host.wvalid & host.wready, host.bvalid & host.bready, host.bresp)
            for name, taken in (("aw", aw), ("w", w)):
                if taken:
                    del pauses[name]
            if b:
                assert not pauses, "response before address and data"
                response = resp
            cycle += 1
            assert cycle <= BOUND_CYCLES + 2 * self.delay, "hung"
        ctx.set(host.bready, 0)
        assert response in (0, 2)
        return response == 0

    async def read(self, ctx, address: int) -> tuple[bool, int]:
        """Read; returns whether the response was OKAY, and the value."""
        host = self.port.host
        pause, ready_after, cycle, asked = self._pause(), self._pause(), 0, False
        ctx.set(host.araddr, address)
        while True:
            ctx.set(host.arvalid, not asked and cycle >= pause)
            ctx.set(host.rready, cycle >= ready_after)
            _, _, ar, r, resp, value = await ctx.tick().sample(
                host.arvalid & host.arready, host.rvalid & host.rready, host.rresp, host.rdata)
            asked |= ar
            cycle += 1
            assert cycle <= BOUND_CYCLES + 2 * self.delay, "hung"
            if r:
                ctx.set(host.rready, 0)
                assert asked and resp in (0, 2)
                return resp == 0, value

    async def put(self, ctx, name: str, value: int) -> None:
        """Write a register by name; it must be accepted."""
        assert await self.write(ctx, self.map[name].offset, value), name

    async def get(self, ctx, name: str) -> int:
        """Read a register by name; it must be accepted."""
        okay, value = await self.read(ctx, self.map[name].offset)
        assert okay, name
        return value

    async def select(self, ctx, table: Table, lane: int, index: int) -> None:
        """Point TABLE_DATA at an entry."""
        await self.put(ctx, "TABLE_SELECT", table.value | lane << 8)
        await self.put(ctx, "TABLE_INDEX", index)


class Model:
    """What the registers should do: a dictionary, and the table window in a few lines."""

    def __init__(self, bench: Bench):
        self.bench, self.map = bench, bench.map
        self.at = {r.offset: r for r in self.map.registers}
        self.values = {r.name: r.reset for r in self.map.registers} | {"TILE_ID": 1}
        self.busy, self.words = False, []
        self.memory: dict[tuple[int, int, int], int] = {}

    def _window(self):
        chosen = self.values["TABLE_SELECT"]
        table = next((t for t in self.bench.tables if t.table.value == chosen & 7), None)
        index = self.values["TABLE_INDEX"]
        return table, chosen >> 8, index, table is not None and index < table.depth and not self.busy

    def _next(self, table) -> None:
        if len(self.words) == table.words:
            self.words = []
            self.values["TABLE_INDEX"] += 1

    def write(self, address: int, value: int, strobes: int) -> bool:
        """Whether the write is legal; does it if so."""
        register = self.at.get(address & ~3)
        if register is None or not register.writable or strobes != 15 or (self.busy and register.idle_only):
            return False
        if value & ~register.mask:
            return False
        for field in register.fields:
            if not field.minimum <= (value & field.mask) >> field.low <= field.largest:
                return False
        if register.access is Access.WINDOW:
            table, lane, index, exists = self._window()
            if not exists or table.read_only:
                return False
            self.words.append(value)
            if len(self.words) == table.words:
                entry = sum(word << 32 * number for number, word in enumerate(self.words))
                self.memory[table.table.value, lane, index] = entry & (1 << table.width) - 1
            self._next(table)
        elif register.access is Access.W1C:
            self.values[register.name] &= ~value
        elif register.access is Access.WO:
            if value:
                self.busy, self.words = True, []
                self.values["STATUS"] = 1
        else:
            self.values[register.name] = value
            if register.name.startswith("TABLE_"):
                self.words = []
        return True

    def read(self, address: int) -> tuple[bool, int]:
        """Whether the read is legal, and its value."""
        register = self.at.get(address & ~3)
        if register is None:
            return False, 0
        if register.access is not Access.WINDOW:
            return True, self.values[register.name]
        table, lane, index, exists = self._window()
        if not exists or not table.read_only:
            return False, 0
        word = self.bench.result(lane, index) >> 32 * len(self.words) & 0xFFFFFFFF
        self.words.append(word)
        self._next(table)
        return True, word

    def finish(self) -> None:
        """The batch has finished."""
        self.busy = False
        self.values |= {"STATUS": 2, "IRQ_STATUS": 1} | self.bench.counts


Bench.tables = property(lambda self: list(self.map.tables.values()))


def entries(bench: Bench) -> dict[tuple[int, int, int], int]:
    """What the table memories hold, cut to their widths."""
    width = {t.table.value: t.width for t in bench.tables}
    return {key: value & (1 << width[key[0]]) - 1 for key, value in bench.memory.items()}


@pytest.mark.parametrize("delay", [0, 6])
@pytest.mark.parametrize("timing_only", [False, True])
def test_random_traffic(delay, timing_only):
    """Any access at any time gives the model's response, value and table contents."""
    config = small(tile__mac_t=3, array__cols=3, array__ddr_tiles=(0, 2), layer__experts=5)
    bench = Bench(config, seed=11 + delay, delay=delay, timing_only=timing_only, go_delay=3)
    model, rng, port = Model(bench), random.Random(5), bench.port
    names = [r.name for r in bench.map.registers]
    depths = sorted(t.depth for t in bench.tables)

    async def traffic(ctx):
        for _ in range(2500):
            kind = rng.random()
            if kind < 0.05:
                address = rng.randrange(4096)
            elif kind < 0.55:
                address = bench.map["TABLE_DATA"].offset
            else:
                address = bench.map[rng.choice([*names, "TABLE_SELECT", "TABLE_INDEX", "CONTROL"])].offset
            if rng.random() < 0.5:
                value = rng.choice([rng.getrandbits(32), rng.randrange(8), rng.choice(depths) - 1,
                                    rng.randrange(1 << 20) << 12, rng.choice(bench.tables).table.value | rng.randrange(4) << 8])
                strobes = 15 if rng.random() < 0.95 else rng.randrange(15)
                assert await bench.write(ctx, address, value, strobes) == model.write(address, value, strobes), hex(address)
            elif not (model.busy and 0x80 <= address & ~3 < 0x100):  # the counters move
                assert await bench.read(ctx, address) == model.read(address), hex(address)
            for name in SETTINGS:
                assert ctx.get(getattr(port, name.lower())) == model.values[name]
            assert ctx.get(port.interrupt) == model.values["IRQ_STATUS"] & model.values["IRQ_ENABLE"]
            if model.busy and rng.random() < 0.1:
                bench.finish_cycle = 0
                await ctx.tick().until(~port.running & port.host.awready & ~port.go)
                while ctx.get(port.running) or bench.counts["CYCLES"] == 0:
                    await ctx.tick()
                bench.finish_cycle = None
                model.finish()
        assert entries(bench) == model.memory and len(model.memory) > 5
        assert bench.batches > 5

    bench.run(traffic)


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
                    entry = rng.getrandbits(table.width)
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
        assert entries(bench) == expected

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
        await ctx.tick().until(bench.port.table.read)
        await ctx.tick().until(bench.port.host.arvalid & bench.port.host.arready)
        await ctx.tick().repeat(offset)
        bench.outside_go = 1

    bench.run(host, other)


@pytest.mark.parametrize("cycles", [1, 2, 7])
@pytest.mark.parametrize("go_delay", [1, 9])
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
                assert not await bench.write(ctx, bench.map["TOKEN_SHIFT"].offset, 3)
            while await bench.get(ctx, "STATUS") != 2:
                assert not ctx.get(port.interrupt) or not ctx.get(port.running)
            for name, count in bench.counts.items():
                assert await bench.get(ctx, name) == count
            assert bench.counts["CYCLES"] == cycles
            assert ctx.get(port.interrupt) == enable and await bench.get(ctx, "IRQ_STATUS") == 1
            await bench.put(ctx, "IRQ_STATUS", 0)
            assert await bench.get(ctx, "IRQ_STATUS") == 1
            await bench.put(ctx, "IRQ_STATUS", 1)
            assert not ctx.get(port.interrupt) and await bench.get(ctx, "IRQ_STATUS") == 0
            assert await bench.get(ctx, "STATUS") == 2, "DONE stays until the next start"

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
        assert all(ctx.get(bench.port.route[n]) == Port.LOCAL for n in range(16))
        for number in range(2):
            value = sum(port.value << 4 * n for n, port in enumerate(ports[8 * number:8 * number + 8]))
            await bench.put(ctx, f"ROUTE_{number}", value)
            assert not await bench.write(ctx, bench.map[f"ROUTE_{number}"].offset, value & ~7 | 5)
            assert await bench.get(ctx, f"ROUTE_{number}") == value
        assert [ctx.get(bench.port.route[n]) for n in range(16)] == ports
        assert await bench.get(ctx, "ID") == 0x5452414A
        assert await bench.get(ctx, "TILES") == 16 and await bench.get(ctx, "D_MODEL") == config.layer.d_model
        assert await bench.get(ctx, "TIMING_ONLY") == 0

    bench.run(host)
