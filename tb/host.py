"""The host: programs tiles over AXI4-Lite, starts a batch, reads results and counters."""

import random
from collections.abc import Sequence

from cocotb.handle import SimHandleBase
from cocotb.triggers import RisingEdge

from hw.host.axi import Response
from hw.host.regmap import ROUTE_BITS, ROUTE_TILES, RegisterMap
from hw.params import Table
from tb.program import TileImage

#: an access takes a few cycles; more than this is a hang
PATIENCE_CYCLES = 1000


class HostError(AssertionError):
    """A tile refused an access or did not answer."""


class TileHost:
    """One tile's host port. ``rng`` makes the manager hesitate at random on every channel; without, it is always ready."""

    def __init__(self, top: SimHandleBase, tile: int, registers: RegisterMap, rng: random.Random | None = None):
        self.tile, self.map, self.rng = tile, registers, rng
        self.clock = RisingEdge(top.clk)
        for name in ("awaddr", "awvalid", "awready", "wdata", "wstrb", "wvalid", "wready", "bresp", "bvalid", "bready",
                     "araddr", "arvalid", "arready", "rdata", "rresp", "rvalid", "rready"):
            setattr(self, name, getattr(top, f"host_{tile}_{name}"))

    def quiet(self) -> None:
        """Ask for nothing."""
        for name in ("awaddr", "awvalid", "wdata", "wvalid", "bready", "araddr", "arvalid", "rready"):
            getattr(self, name).value = 0
        self.wstrb.value = 15

    async def _pause(self) -> None:
        while self.rng is not None and self.rng.random() < 0.5:
            await self.clock

    async def _until(self, signal: SimHandleBase) -> None:
        """Wait for the clock edge at which ``signal`` is high."""
        for _ in range(PATIENCE_CYCLES):
            await self.clock
            if signal.value:
                return
        raise HostError(f"tile {self.tile}: no {signal._name} in {PATIENCE_CYCLES} cycles")

    async def write(self, address: int, value: int) -> int:
        """Write a register; returns the response."""
        self.awaddr.value, self.wdata.value = address, value
        if self.rng is None or self.rng.random() < 0.5:
            self.awvalid.value = self.wvalid.value = 1
            await self._until(self.awready)  # the port takes both at the same time
            self.awvalid.value = self.wvalid.value = 0
        else:
            halves = [(self.awvalid, self.awready), (self.wvalid, self.wready)]
            self.rng.shuffle(halves)
            for valid, ready in halves:
                await self._pause()
                valid.value = 1
                await self._until(ready)
                valid.value = 0
        await self._pause()
        self.bready.value = 1
        await self._until(self.bvalid)
        self.bready.value = 0
        return int(self.bresp.value)

    async def read(self, address: int) -> tuple[int, int]:
        """Read a register; returns response and value."""
        await self._pause()
        self.araddr.value = address
        self.arvalid.value = 1
        await self._until(self.arready)
        self.arvalid.value = 0
        await self._pause()
        self.rready.value = 1
        await self._until(self.rvalid)
        self.rready.value = 0
        return int(self.rresp.value), int(self.rdata.value)

    async def put(self, name: str, value: int) -> None:
        """Write a register by name; it must be accepted."""
        if await self.write(self.map[name].offset, value) != Response.OKAY.value:
            raise HostError(f"tile {self.tile}: {name} refused {value:#x}")

    async def get(self, name: str) -> int:
        """Read a register by name; it must be accepted."""
        response, value = await self.read(self.map[name].offset)
        if response != Response.OKAY.value:
            raise HostError(f"tile {self.tile}: {name} refused a read")
        return value

    async def select(self, table: Table, lane: int, index: int = 0) -> None:
        """Point the window at an entry."""
        lane_field = self.map["TABLE_SELECT"].field("LANE")
        await self.put("TABLE_SELECT", table.value | lane << lane_field.low)
        await self.put("TABLE_INDEX", index)

    async def program(self, image: TileImage) -> None:
        """Write settings, routes and tables, and enable the interrupt."""
        for name, value in image.settings.items():
            await self.put(name, value)
        for first in range(0, len(image.route), ROUTE_TILES):
            await self.put(f"ROUTE_{first // ROUTE_TILES}", sum(
                port << ROUTE_BITS * number for number, port in enumerate(image.route[first:first + ROUTE_TILES])))
        for (table, lane), entries in image.tables.items():
            words = self.map.tables[table].words
            await self.select(table, lane)
            for entry in entries:
                for number in range(words):
                    await self.put("TABLE_DATA", entry >> 32 * number & 0xFFFFFFFF)
        await self.put("IRQ_ENABLE", 1)

    async def results(self, lane: int, tokens: int) -> list[int]:
        """RESULTS of a lane's first tokens as 32-bit words, lowest first; the unused last entry of an odd stride as zero."""
        params, words = self.map.params, self.map.tables[Table.RESULTS].words
        groups, stride = params.config.down_groups, params.result_stride
        await self.select(Table.RESULTS, lane)
        values = []
        for token in range(tokens):
            values += [await self.get("TABLE_DATA") for _ in range(groups * words)] + [0] * (stride - groups) * words
            if stride != groups and token + 1 < tokens:
                await self.put("TABLE_INDEX", (token + 1) * stride)
        return values

    async def counters(self, names: Sequence[str]) -> dict[str, int]:
        """Values of some registers."""
        return {name: await self.get(name) for name in names}
