"""The host: programs tiles over AXI4-Lite, starts a batch, reads results and counters."""

import random
from collections.abc import Iterable

from cocotb.handle import LogicObject
from cocotb.triggers import RisingEdge

from trajectile.hw.host.axi import Response
from trajectile.hw.host.regmap import RegisterMap
from trajectile.tb.handles import Pins, Top, each
from trajectile.tb.host_ops import Op

#: an access takes a few cycles; more than this is a hang
PATIENCE_CYCLES = 1000


class HostError(AssertionError):
    """A tile refused an access or did not answer."""


class TileHost(Pins):
    """One tile's host port. ``rng`` makes the manager hesitate at random on every channel; without, it is always ready."""

    def __init__(self, top: Top, tile: int, registers: RegisterMap, rng: random.Random | None = None):
        super().__init__(top, tile)
        self.tile, self.map, self.rng = tile, registers, rng
        clocks = each(top, "clk")
        self.clock = RisingEdge(clocks[tile % len(clocks)])

    def quiet(self) -> None:
        """Ask for nothing."""
        for name in ("awaddr", "awvalid", "wdata", "wvalid", "bready", "araddr", "arvalid", "rready"):
            getattr(self, name).value = 0
        self.wstrb.value = 15

    async def _pause(self) -> None:
        while self.rng is not None and self.rng.random() < 0.5:
            await self.clock

    async def _until(self, signal: LogicObject) -> None:
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

    async def do(self, ops: Iterable[Op]) -> list[int]:
        """Accesses one after the other, each of which must be accepted; returns what was read."""
        values = []
        for op in ops:
            if op.value is None:
                response, value = await self.read(op.address)
                values.append(value)
            else:
                response = await self.write(op.address, op.value)
            if response != Response.OKAY.value:
                raise HostError(f"tile {self.tile}: address {op.address:#x} refused")
        return values
