"""A host port with everything around it in Python, and a model of what its registers should do."""

import random
from collections.abc import Iterator
from typing import Any

from tests.support.blocks import run_block
from trajectile.hw.batch.ports import QUEUE_DEPTH
from trajectile.hw.host.codes import Refusal
from trajectile.hw.host.port import HostPort
from trajectile.hw.host.regmap import COUNTERS, Access
from trajectile.hw.params import Params
from trajectile.sw_model.config import Config

#: longest time an access may take if the manager is always ready
BOUND_CYCLES = 10
#: bits of STATUS
BUSY, FAILED, RESETTING = 1, 8, 16
#: what a doorbell is told: lowest bit of each part
TOKENS, ORDER, BF16, SHARED, TAG = 0, 16, 18, 19, 24


class Bench:
    """A host port; manager, queue, batch control and the rest of the tile are Python."""

    def __init__(self, config, *, seed=1, delay=0, timing_only=False):
        print(f"seed {seed}")
        self.port = HostPort(Params(config, timing_only=timing_only))
        self.map, self.params = self.port.map, self.port.params
        self.rng, self.delay = random.Random(seed), delay
        self.counts = {name: 0 for name, _ in COUNTERS}  #: what the counters should be
        self.pushed: list[dict[str, int]] = []  #: every descriptor that was pushed
        self.waiting = 0  #: descriptors that wait
        self.now = 0  #: number of this cycle
        self.resets = 0  #: wishes for a reset

    def run(self, *benches, background=()) -> None:
        """Simulate until every bench has returned; ``background`` benches may go on for ever."""
        run_block(self.port, *benches, background=[self.surroundings, *background])

    async def surroundings(self, ctx):
        """Queue and strobes, cycle by cycle."""
        port, layout = self.port, self.params.descriptor_layout
        strobes = {name: port.counts.by_name[name] for name, _ in COUNTERS}
        ctx.set(port.tile_id, 1)
        while True:
            _, _, push, descriptor, reset, now, *active = await ctx.tick().sample(
                port.doorbell.push, port.doorbell.descriptor.as_value(), port.batches.ask_reset, port.now, *strobes.values())
            assert now == self.now
            self.now += 1
            self.resets += reset
            if push:
                assert self.waiting < QUEUE_DEPTH, "pushed into a full queue"
                self.waiting += 1
                self.pushed.append({str(name): descriptor >> f.offset & (1 << f.width) - 1 for name, f in layout})
                assert self.pushed[-1]["rung"] == now
            ctx.set(port.doorbell.level, self.waiting)
            for name, strobe in zip(strobes, active, strict=True):
                self.counts[name] += strobe
                ctx.set(strobes[name], self.rng.random() < 0.5)

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

    async def point(self, ctx, layer: int, records: int, results: int) -> None:
        """Write where a batch finds its layer, its records and the place for its results."""
        for name, address in (("LAYER", layer), ("RECORDS", records), ("RESULTS", results)):
            await self.put(ctx, f"BATCH_{name}", address & 0xFFFF_FFFF)
        await self.put(ctx, "BATCH_HIGH", layer >> 32 | records >> 32 << 8 | results >> 32 << 16)

    async def ring(self, ctx, tokens: int = 0, *, order: int = 0, bf16: int = 0, tag: int = 0) -> Refusal:
        """The doorbell; why it was refused."""
        if await self.write(ctx, self.map["DOORBELL"].offset, tokens | order << ORDER | bf16 << BF16 | tag << TAG):
            return Refusal.NONE
        code, write, name = await self.refused(ctx)
        assert (write, name) == (True, "DOORBELL")
        return code


def regions(config: Config, tokens: int, bf16: int) -> tuple[int, int]:
    """Bytes that a batch reads, and that it writes."""
    return tokens * (config.head_bytes + config.row_bytes), config.completion_bytes + tokens * config.result_bytes(4 >> bf16)


def doorbell_reasons(config: Config, values: dict[str, int], tokens: int, bf16: int) -> Iterator[Refusal]:
    """Why such a batch may not be queued; ``values`` of registers by name."""
    high = values["BATCH_HIGH"]
    layer, records, results = (values[f"BATCH_{name}"] + ((high >> 8 * n & 255) << 32)
                               for n, name in enumerate(("LAYER", "RECORDS", "RESULTS")))
    beat = config.io.bytes_per_cycle
    if layer % 4096 or records % beat or results % beat:
        yield Refusal.ALIGNMENT
    if layer + config.channel_slices * config.slice_pitch_bytes > 2**40:
        yield Refusal.LAYER
    for name, begin, size, code in zip(("READ", "WRITE"), (records, results), regions(config, tokens, bf16),
                                       (Refusal.READ_WINDOW, Refusal.WRITE_WINDOW), strict=True):
        base = 4096 * values[f"IO_{name}_BASE"]
        end = min(base + 4096 * values[f"IO_{name}_SIZE"], 2**40)
        # unaligned addresses are cut; they are refused for that
        begin -= begin % beat
        if not (base <= begin and begin + size <= end):
            yield code


class Model:
    """What the registers should do: a dictionary, and reasons to refuse as a set."""

    def __init__(self, bench: Bench):
        self.bench, self.map, self.config = bench, bench.map, bench.params.config
        self.at = {r.offset: r for r in self.map.registers}
        self.values = {r.name: r.reset for r in self.map.registers} | {"TILE_ID": 1}
        self.running = 0
        self.failed = self.resetting = False
        self.refusals: set[Refusal] = set()  #: all that have occurred

    @property
    def idle(self) -> bool:
        """No descriptor waits, no batch runs."""
        return not (self.bench.waiting or self.running)

    def _reasons(self, register, write: bool, value: int, strobes: int) -> Iterator[Refusal]:
        """Why an access may be refused."""
        if register is None:
            yield Refusal.NO_REGISTER
            return
        if not write:
            return
        if not register.writable:
            yield Refusal.READ_ONLY
        if strobes != 15:
            yield Refusal.PARTIAL
        if value & ~register.mask:
            yield Refusal.VALUE
        parts = {field.name: (value & field.mask) >> field.low for field in register.fields}
        if any(not field.minimum <= parts[field.name] <= field.largest for field in register.fields):
            yield Refusal.VALUE
        if register.lockable and self.values["IO_LOCK"]:
            yield Refusal.LOCKED
        rings = register.name == "DOORBELL"
        if rings or register.idle_only:
            if self.resetting:
                yield Refusal.RESETTING
            if self.failed:
                yield Refusal.FAILED
        if register.idle_only and not self.idle:
            yield Refusal.BUSY
        if rings:
            if self.bench.waiting == QUEUE_DEPTH:
                yield Refusal.FULL
            yield from doorbell_reasons(self.config, self.values, parts["TOKENS"], parts["BF16"])

    def _refused(self, address: int, write: bool, value: int = 0, strobes: int = 15) -> bool:
        reasons = set(self._reasons(self.at.get(address & ~3), write, value, strobes))
        if not reasons:
            return False
        code = min(reasons, key=lambda reason: reason.value)
        self.refusals.add(code)
        self.values["REFUSED"] = code.value | write << 8 | (address & ~3) << 16
        self.values["IRQ_STATUS"] |= 4
        return True

    def write(self, address: int, value: int, strobes: int) -> bool:
        """Whether the write is legal; does it if so. To be asked before the write is made."""
        if self._refused(address, True, value, strobes):
            return False
        register = self.at[address & ~3]
        if register.access is Access.W1C:
            self.values[register.name] &= ~value
        elif register.access is Access.W1S:
            self.values[register.name] |= value
        elif register.access is not Access.WO:
            self.values[register.name] = value
        return True

    def read(self, address: int) -> tuple[bool, int]:
        """Whether the read is legal, and its value."""
        if self._refused(address, False):
            return False, 0
        self.values |= {
            "STATUS": (not self.idle) * BUSY | self.failed * FAILED | self.resetting * RESETTING,
            "QUEUE": self.bench.waiting | self.running << 8,
        }
        return True, self.values[self.at[address & ~3].name]

    def descriptor(self, doorbell: int) -> dict[str, Any]:
        """What is pushed for a legal write of DOORBELL, but for the time."""
        high, low = self.values["BATCH_HIGH"], self.bench.params.io_low_bits
        return {
            "layer": self.values["BATCH_LAYER"] >> 12 | (high & 255) << 20,
            "records": (self.values["BATCH_RECORDS"] | (high >> 8 & 255) << 32) >> low,
            "results": (self.values["BATCH_RESULTS"] | (high >> 16 & 255) << 32) >> low,
            "tokens": doorbell & 0xFFFF, "order": doorbell >> ORDER & 3, "bf16": doorbell >> BF16 & 1, "tag": doorbell >> TAG,
            **({"shared": doorbell >> SHARED & 1} if self.config.array.shares else {}),
        }
