"""A host port with everything around it in Python, and a model of what its registers should do."""

import random

from amaranth.hdl import Cat, Value

from tests.support.blocks import run_block
from trajectile.hw.host.codes import Refusal
from trajectile.hw.host.layouts import READ_ONLY, Table
from trajectile.hw.host.port import HostPort
from trajectile.hw.host.regmap import COUNTERS, Access
from trajectile.hw.host.table_memory import TableMemory
from trajectile.hw.params import Params

#: longest time an access may take if the manager is always ready
BOUND_CYCLES = 10


class Bench:
    """A host port; manager, table memories and the rest of the array are Python."""

    def __init__(self, config, *, seed=1, delay=0, timing_only=False, go_delay=1):
        print(f"seed {seed}")
        self.port = HostPort(Params(config, timing_only=timing_only))
        self.map, self.params = self.port.map, self.port.params
        self.rng, self.delay, self.go_delay = random.Random(seed), delay, go_delay
        self.memory: dict[tuple[int, int, int], int] = {}  #: entries by table, lane, index
        self.counts: dict[str, int] = {}  #: what the counters should be
        self.batches = 0
        self.finish_cycle = None  #: the tile finishes in this cycle of a batch
        self.outside_go = 0  #: another tile's START, in the next cycle
        self.outside_reset = 0  #: another tile keeps the array in reset
        self.quiet = 1  #: the loader has nothing under way
        self.limit = 0  #: what WATCHDOG is

    def run(self, *benches, background=()) -> None:
        """Simulate until every bench has returned; ``background`` benches may go on for ever."""
        run_block(self.port, *benches, background=[self.surroundings, *background])

    def result(self, lane: int, index: int) -> int:
        """What is read of an entry of RESULTS, or of CLIPS."""
        return random.Random(lane * 65536 + index).getrandbits(self.params.result_bits)

    async def surroundings(self, ctx):
        """Table memories, go, finished and strobes, cycle by cycle."""
        port, table = self.port, self.port.table
        strobes = {name: port.counts.by_name[name] for name, _ in COUNTERS}
        errors = [port.halt, *port.errors.by_name.values()]
        fetched: list[tuple[int, int]] = []
        starts, was_clear, was_running, failed = [0] * (self.go_delay - 1), 0, 0, False
        ctx.set(port.tile_id, 1)
        self.counts = dict.fromkeys(["CYCLES", *strobes], 0)
        while True:
            (_, _, reset_out, reset, error, start, go, clear, running, write, read, number, lane, index, data,
             *active) = await ctx.tick().sample(
                port.reset_out, port.reset, Cat(errors).any(), port.start, port.go, port.clear, port.running,
                table.write, port.results.read, Value.cast(table.table), table.lane, table.index, table.write_data,
                *strobes.values())
            assert not (write and read) and not ((write or read) and (running or go)), "table access in a batch"
            failed |= error or bool(running and self.limit and self.counts["CYCLES"] == self.limit)
            assert clear == (go and not running and not failed and not reset)
            failed &= not reset
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
            ctx.set(port.results.data, self.result(*fetched.pop()) if fetched else self.rng.getrandbits(64))
            if write:
                self.memory[number, lane, index] = data
            if read:
                assert Table(number) in READ_ONLY
                fetched.append((lane, index))
            starts.append(start)
            ctx.set(port.go, starts.pop(0) | self.outside_go)
            self.outside_go = 0
            ctx.set(port.reset, reset_out | self.outside_reset)
            ctx.set(port.quiet, self.quiet)
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

    async def write(self, ctx, address: int, value: int, strobes: int = 15, *,
                    delays: tuple[int, int, int] | None = None) -> bool:
        """Write; returns whether the response was OKAY.

        ``delays``: cycles until address and data are offered and the response is taken; None: drawn at random.
        """
        host = self.port.host
        address_after, data_after, ready_after = delays or (self._pause(), self._pause(), self._pause())
        pauses = {"aw": address_after, "w": data_after}
        cycle, response, bound = 0, None, BOUND_CYCLES + max(2 * self.delay, *(delays or (0,)))
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
            assert cycle <= bound, "hung"
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

    async def refused(self, ctx) -> tuple[Refusal, bool, str]:
        """What REFUSED says: code, whether it was a write, name of the register."""
        value = await self.get(ctx, "REFUSED")
        names = {register.offset: register.name for register in self.map.registers}
        return Refusal(value & 15), bool(value >> 8 & 1), names.get(value >> 16, hex(value >> 16))

    async def select(self, ctx, table: Table, lane: int, index: int) -> None:
        """Point TABLE_DATA at an entry."""
        await self.put(ctx, "TABLE_SELECT", table.value | lane << 8)
        await self.put(ctx, "TABLE_INDEX", index)


class Model:
    """What the registers should do: a dictionary, the table window in a few lines, reasons to refuse as a set."""

    def __init__(self, bench: Bench):
        self.bench, self.map = bench, bench.map
        self.at = {r.offset: r for r in self.map.registers}
        self.values = {r.name: r.reset for r in self.map.registers} | {"TILE_ID": 1}
        self.state: Refusal | None = None  #: why the tile is not idle
        self.words: list[int] = []
        self.memory: dict[tuple[int, int, int], int] = {}
        self.refusals: set[Refusal] = set()  #: all that have occurred

    def _window(self):
        chosen = self.values["TABLE_SELECT"]
        table = next((t for t in self.bench.tables if t.table.value == chosen & 7), None)
        return table, chosen >> 8, self.values["TABLE_INDEX"]

    def _entry(self, table, value: int) -> int:
        """The entry that is complete with this word."""
        entry = sum(word << 32 * number for number, word in enumerate([*self.words, value]))
        return entry & (1 << table.width) - 1

    def good_word(self) -> int:
        """What TABLE_DATA may take next."""
        table, lane, index = self._window()
        if table is None or table.read_only:
            return 0
        return random_entry(table, random.Random(lane * 65536 + index)) >> 32 * len(self.words) & 0xFFFFFFFF

    def _window_reasons(self, write: bool, value: int):
        """Why TABLE_DATA may be refused."""
        table, _, index = self._window()
        if table is None or index >= table.depth:
            yield Refusal.NO_ENTRY
        if table is not None and table.read_only and write:
            yield Refusal.READ_ONLY
        if table is not None and not table.read_only:
            if not write:
                yield Refusal.WRITE_ONLY
            elif len(self.words) + 1 == table.words and not legal_entry(table, self._entry(table, value)):
                yield Refusal.ENTRY_VALUE

    def _reasons(self, register, write: bool, value: int, strobes: int):
        """Why an access may be refused."""
        if register is None:
            yield Refusal.NO_REGISTER
            return
        if register.access is Access.WINDOW:
            yield from self._window_reasons(write, value)
        needs_idle = register.access is Access.WINDOW
        if write:
            needs_idle |= register.idle_only
            if not register.writable:
                yield Refusal.READ_ONLY
            if strobes != 15:
                yield Refusal.PARTIAL
            if value & ~register.mask or (register.name == "CONTROL" and value == 3):
                yield Refusal.VALUE
            for field in register.fields:
                part = (value & field.mask) >> field.low
                needs_idle |= field.idle_only and part != 0
                if not field.minimum <= part <= field.largest:
                    yield Refusal.VALUE
        if needs_idle and self.state is not None:
            yield self.state

    def _refused(self, address: int, write: bool, value: int = 0, strobes: int = 15) -> bool:
        reasons = set(self._reasons(self.at.get(address & ~3), write, value, strobes))
        if not reasons:
            return False
        code = min(reasons, key=lambda reason: reason.value)
        self.refusals.add(code)
        self.values["REFUSED"] = code.value | write << 8 | (address & ~3) << 16
        self.values["IRQ_STATUS"] |= 4
        return True

    def _next(self, table) -> None:
        if len(self.words) == table.words:
            self.words = []
            self.values["TABLE_INDEX"] += 1

    def write(self, address: int, value: int, strobes: int) -> bool:
        """Whether the write is legal; does it if so."""
        if self._refused(address, True, value, strobes):
            return False
        register = self.at[address & ~3]
        if register.access is Access.WINDOW:
            table, lane, index = self._window()
            self.words.append(value)
            if len(self.words) == table.words:
                self.words.pop()
                self.memory[table.table.value, lane, index] = self._entry(table, value)
                self.words.append(value)
            self._next(table)
        elif register.access is Access.W1C:
            self.values[register.name] &= ~value
        elif register.access is Access.WO:
            if value:
                self.words = []
                self.state, self.values["STATUS"] = (Refusal.BUSY, 1) if value == 1 else (None, 0)
            if value == 2:
                self.values |= {"ERROR": 0, "IRQ_STATUS": self.values["IRQ_STATUS"] & 4}
        else:
            self.values[register.name] = value
            if register.name.startswith("TABLE_"):
                self.words = []
        return True

    def read(self, address: int) -> tuple[bool, int]:
        """Whether the read is legal, and its value."""
        if self._refused(address, False):
            return False, 0
        register = self.at[address & ~3]
        if register.access is not Access.WINDOW:
            return True, self.values[register.name]
        table, lane, index = self._window()
        word = self.bench.result(lane, index) >> 32 * len(self.words) & 0xFFFFFFFF
        self.words.append(word)
        self._next(table)
        return True, word

    def finish(self) -> None:
        """The batch has finished."""
        self.state = None
        self.values |= {"STATUS": 2, "IRQ_STATUS": self.values["IRQ_STATUS"] | 1} | self.bench.counts

    def fail(self, error: int) -> None:
        """An error has occurred."""
        self.values["STATUS"] = self.values["STATUS"] & 6 | 8
        if self.state is not Refusal.FAILED:
            self.values["IRQ_STATUS"] |= 2
        self.state = Refusal.FAILED
        self.values["ERROR"] |= error
        self.values |= self.bench.counts


def random_entry(table: TableMemory, rng: random.Random) -> int:
    """A legal entry of a table, every field of every element drawn."""
    entry = 0
    for element in range(table.elements):
        parts = {f.name: rng.randint(f.minimum, f.largest) for f in table.fields}
        for limit in table.sums:
            first, *others = limit.fields
            parts[first] = rng.randint(0, limit.maximum - sum(parts[name] for name in others))
        entry |= sum(parts[f.name] << f.low for f in table.fields) << element * table.stride_bits
    return entry


def legal_entry(table: TableMemory, entry: int) -> bool:
    """Whether every element of a table entry keeps to the description."""
    for element in range(table.elements):
        parts = {f.name: entry >> element * table.stride_bits + f.low & (1 << f.width) - 1 for f in table.fields}
        for field in table.fields:
            looked_at = field.only_if is None or parts[field.only_if]
            if looked_at and not field.minimum <= parts[field.name] <= field.largest:
                return False
        if any(parts[limit.only_if] and sum(parts[name] for name in limit.fields) > limit.maximum for limit in table.sums):
            return False
    return True
