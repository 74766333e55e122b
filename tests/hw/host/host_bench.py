"""A host port with everything around it in Python, and a model of what its registers should do."""

import random

from amaranth.hdl import Cat, Value
from amaranth.sim import Simulator

from hw.host.port import HostPort
from hw.host.regmap import COUNTERS, REPORTED_ERRORS, Access, TableMemory
from hw.params import Table

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
        self.limit = 0  #: what WATCHDOG is

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
        errors = [port.halt, *(getattr(port, f"error_{name.lower()}") for name in REPORTED_ERRORS)]
        fetched, starts, was_clear, was_running, failed = [], [0] * (self.go_delay - 1), 0, 0, False
        ctx.set(port.tile_id, 1)
        self.counts = dict.fromkeys(["CYCLES", *strobes], 0)
        while True:
            _, _, error, start, go, clear, running, write, read, number, lane, index, data, *active = await ctx.tick().sample(
                Cat(errors).any(), port.start, port.go, port.clear, port.running, table.write, table.read,
                Value.cast(table.table), table.lane, table.index, table.write_data, *strobes.values())
            assert not (write and read) and not ((write or read) and (running or go)), "table access in a batch"
            failed |= error or bool(running and self.limit and self.counts["CYCLES"] == self.limit)
            assert clear == (go and not running and not failed)
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

    @property
    def tables(self) -> list[TableMemory]:
        """The table memories."""
        return list(self.map.tables.values())

    def entries(self) -> dict[tuple[int, int, int], int]:
        """What the table memories hold, cut to their widths."""
        width = {t.table.value: t.width for t in self.tables}
        return {key: value & (1 << width[key[0]]) - 1 for key, value in self.memory.items()}

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
        if name == "WATCHDOG":
            self.limit = value

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
