"""Epochs: declared latency; on grids, that a reset, a failure or a die that begins anew reaches everybody and ends."""

import random
from collections.abc import Callable

import pytest
from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator

from tests.support.blocks import run_block
from tests.support.configurations import small
from tests.support.epoch_grid import FLIGHT, EpochGrid
from trajectile.hw.d2d import epochs as module
from trajectile.hw.d2d.epochs import Epochs, later
from trajectile.hw.d2d.layouts import EPOCH_BITS
from trajectile.hw.params import Params

TURN = 2**EPOCH_BITS
#: cycles from a frame to one that it causes, from tile to tile
HOP = FLIGHT + Epochs.latency_cycles
#: rows and columns
GRIDS = [(1, 2), (1, 3), (2, 2)]


class Hosts:
    """What is done to a grid of tiles, and what must become of it."""

    def __init__(self, ctx, grid: EpochGrid):
        self.ctx, self.grid, self.tiles = ctx, grid, grid.tiles
        #: resets of each tile so far, ``rst`` not among them
        self.resets = [0 for _ in self.tiles]
        self._before = [0 for _ in self.tiles]

    def get(self, name: str) -> list[int]:
        """An output of each tile's epochs."""
        return [self.ctx.get(getattr(epochs, name)) for epochs in self.grid.epochs]

    async def cycles(self, number: int) -> None:
        """Let so many go."""
        for _ in range(number):
            await self.ctx.tick()
            now = [self.ctx.get(restart) for restart in self.grid.restart]
            self.resets = [count + (new and not old) for count, new, old in zip(self.resets, now, self._before, strict=True)]
            self._before = now

    async def pulse(self, *signals: Signal) -> None:
        """All of them for one cycle."""
        for signal in signals:
            self.ctx.set(signal, 1)
        await self.cycles(1)
        for signal in signals:
            self.ctx.set(signal, 0)

    async def until(self, holds: Callable[[], bool], most: int = 400) -> int:
        """How many cycles it takes."""
        for cycle in range(most):
            if holds():
                return cycle
            await self.cycles(1)
        raise AssertionError(f"not in {most} cycles; epochs {self.get('epoch')}, settling {self.get('settling')}")

    async def settled(self, most: int = 400) -> int:
        """No tile waits any more: then all are ready, in the same epoch."""
        taken = await self.until(lambda: not any(self.get("settling")) and all(self.get("known")), most)
        assert len(set(self.get("epoch"))) == 1 and not any(map(self.ctx.get, self.grid.restart))
        return taken

    async def power_up(self) -> None:
        """All at once, and until everybody is ready."""
        await self.until(lambda: all(ready == self.grid.params.ready_hops for ready in self.get("ready")))
        assert self.get("epoch") == self.resets == [0 for _ in self.tiles]

    def cut(self, between: Callable[[int, int], bool]) -> None:
        """The links from one tile to another that are cut from now on; the others are not."""
        for link, cut in zip(self.grid.links, self.grid.cut, strict=True):
            self.ctx.set(cut, between(link.tile, link.peer))


def on_grid(rows: int, cols: int, bench: Callable) -> None:
    """Simulate ``bench(hosts)``."""
    grid = EpochGrid(rows, cols)

    async def run(ctx):
        await bench(Hosts(ctx, grid))

    run_block(grid, run)


def test_latency():
    """A wish, a later epoch and a neighbour that has begun anew: the epoch is there in the next cycle."""
    block = Epochs(Params(small(link__crc_bits=16, array__clocks="independent")))
    east = block.links[1]

    async def bench(ctx):
        ctx.set(east.speaks, 1)
        ctx.set(east.is_new, 1)
        await ctx.tick()
        expected = 0
        for signal in (block.ask, east.restarted, None):
            ctx.set(east.is_new, signal is not None)
            ctx.set(east.far_epoch, expected + 1)
            if signal is not None:
                ctx.set(signal, 1)
            assert ctx.get(block.begins) and ctx.get(block.epoch) == expected and ctx.get(block.known)
            await ctx.tick()
            expected += 1
            if signal is not None:
                ctx.set(signal, 0)
            for _ in range(block.latency_cycles):
                assert ctx.get(block.epoch) == expected and not ctx.get(block.begins) and ctx.get(block.settling)
        ctx.set(east.halted, 1)
        assert not ctx.get(block.halt)
        await ctx.tick()
        assert ctx.get(block.halt)

    run_block(block, bench)
    assert block.latency_cycles == 1


def test_of_two_epochs_one_is_later():
    """Never both, never none, and the next ones are later than this one up to half a turn."""
    m, one, other, is_later = Module(), Signal(EPOCH_BITS), Signal(EPOCH_BITS), Signal()
    m.d.comb += is_later.eq(later(one, other))

    async def bench(ctx):
        async def ahead(first: int, second: int) -> int:
            ctx.set(one, first % TURN)
            ctx.set(other, second % TURN)
            return ctx.get(is_later)

        for first in range(TURN):
            assert not await ahead(first, first)
            for distance in (1, 2, 3, TURN // 2 - 1):
                assert await ahead(first + distance, first) and not await ahead(first, first + distance)
            assert await ahead(first, first + TURN // 2) == (first >= TURN // 2)

    simulator = Simulator(m)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize("grid", GRIDS)
def test_power_up(grid):
    """Dies are switched on one after the other: nobody is reset, and all are in epoch 0."""
    async def bench(hosts):
        ctx, rng = hosts.ctx, random.Random(3)
        for rst in hosts.grid.rst:
            ctx.set(rst, 1)
        for tile in rng.sample(hosts.tiles, len(hosts.tiles)):
            await hosts.cycles(rng.randrange(150))
            ctx.set(hosts.grid.rst[tile], 0)
        await hosts.power_up()

    on_grid(*grid, bench)


@pytest.mark.parametrize("grid", GRIDS)
def test_a_reset_reaches_everybody(grid):
    """From each tile, each of the others is the slowest once: all are reset once, in a flight a hop, and the host who has
    asked is told when the last one has come out of it, some hops after that.
    """
    async def bench(hosts):
        ctx, rows, cols = hosts.ctx, *grid
        await hosts.power_up()
        number = 0
        for tile in hosts.tiles:
            for slow in hosts.tiles:
                ctx.set(hosts.grid.busy[slow], 1)
                await hosts.pulse(hosts.grid.ask[tile])
                number += 1
                assert hosts.get("epoch")[tile] == number and ctx.get(hosts.grid.restart[tile])
                await hosts.cycles((rows + cols - 2) * HOP)
                assert hosts.get("epoch") == hosts.resets == [number for _ in hosts.tiles]
                await hosts.cycles(50)
                assert all(hosts.get("settling")) and not any(
                    ready == hosts.grid.params.ready_hops for ready in hosts.get("ready"))
                ctx.set(hosts.grid.busy[slow], 0)
                # the link opens: CLOSED, HEARD, OPEN; then the wave, hop by hop, and back
                assert await hosts.settled() <= (3 + 2 * hosts.grid.params.ready_hops) * HOP
        assert hosts.resets == [number for _ in hosts.tiles]

    on_grid(*grid, bench)


@pytest.mark.parametrize("seed", range(6))
def test_resets_at_once(seed):
    """Several hosts ask, at the same time or while another's reset is on its way: one epoch in the end, and all are ready."""
    print(f"seed {seed}")
    rng = random.Random(seed)

    async def bench(hosts):
        await hosts.power_up()
        for _ in range(6):
            before = hosts.resets
            for _ in range(rng.randint(2, 5)):
                await hosts.pulse(*(hosts.grid.ask[tile] for tile in rng.sample(hosts.tiles, rng.randint(1, 2))))
                await hosts.cycles(rng.randrange(2 * HOP))
            await hosts.settled()
            assert all(now > then for now, then in zip(hosts.resets, before, strict=True))

    on_grid(*GRIDS[seed % len(GRIDS)], bench)


def test_two_hosts_in_one_cycle():
    """Begin the same epoch, and so does who asks while the tile is in its reset."""
    async def bench(hosts):
        await hosts.power_up()
        await hosts.pulse(*hosts.grid.ask)
        await hosts.settled()
        assert hosts.get("epoch") == hosts.resets == [1, 1]
        hosts.ctx.set(hosts.grid.busy[0], 1)
        await hosts.pulse(hosts.grid.ask[0])
        await hosts.cycles(20)
        await hosts.pulse(hosts.grid.ask[0])
        hosts.ctx.set(hosts.grid.busy[0], 0)
        await hosts.settled()
        assert hosts.get("epoch") == hosts.resets == [2, 2]

    on_grid(1, 2, bench)


def test_numbers_come_again():
    """More resets than there are numbers, each waited for: every one of them reaches both tiles."""
    async def bench(hosts):
        await hosts.power_up()
        for number in range(1, TURN + 20):
            await hosts.pulse(hosts.grid.ask[number % 2])
            await hosts.settled()
            assert hosts.get("epoch") == [number % TURN] * 2 and hosts.resets == [number] * 2

    on_grid(1, 2, bench)


@pytest.mark.parametrize("grid", GRIDS)
def test_rst_of_one_die(grid):
    """It takes over the others' epoch, and they begin another, which resets them, once."""
    async def bench(hosts):
        await hosts.power_up()
        for number, tile in enumerate([*hosts.tiles, 0], start=1):
            before = hosts.resets
            hosts.ctx.set(hosts.grid.rst[tile], 1)
            await hosts.cycles(random.Random(number).choice((1, 30)))
            hosts.ctx.set(hosts.grid.rst[tile], 0)
            assert not hosts.get("known")[tile]
            await hosts.until(lambda tile=tile: hosts.get("known")[tile])
            await hosts.settled()
            assert hosts.get("epoch") == [number for _ in hosts.tiles]
            assert all(now == then + 1 for other, (now, then) in enumerate(zip(hosts.resets, before, strict=True))
                       if other != tile)

    on_grid(*grid, bench)


def test_who_wakes_hears_nothing_of_before():
    """For ``wake_cycles``: then nothing that was on its way, or comes again, is left."""
    async def bench(hosts):
        await hosts.power_up()
        for _ in range(3):
            await hosts.pulse(hosts.grid.ask[0])
            await hosts.settled()
        await hosts.pulse(hosts.grid.rst[1])
        waited = await hosts.until(lambda: hosts.get("known")[1])
        assert waited == hosts.grid.epochs[1].wake_cycles + 1 and hosts.get("epoch")[1] >= 3

    on_grid(1, 2, bench)


def test_a_failure_is_heard():
    """By the neighbours, a flight later; by nobody who is in another epoch."""
    async def bench(hosts):
        await hosts.power_up()
        hosts.ctx.set(hosts.grid.failed[0], 1)
        await hosts.cycles(FLIGHT)
        assert not any(hosts.get("halt"))
        await hosts.cycles(1)
        assert hosts.get("halt") == [0, 1, 0]
        await hosts.pulse(hosts.grid.ask[1])
        await hosts.cycles(1)
        assert hosts.get("halt") == [0, 0, 0]
        hosts.ctx.set(hosts.grid.failed[0], 0)
        await hosts.settled()

    on_grid(1, 3, bench)


def test_a_link_that_is_dead(monkeypatch):
    """A die that is off holds up nobody for long; who hears only one way of a link waits, and then does not wait any more."""
    monkeypatch.setattr(module, "PATIENCE_CYCLES", 300)

    async def bench(hosts):
        await hosts.power_up()
        hosts.cut(lambda one, other: 2 in (one, other))  # tile 2 is off
        await hosts.pulse(hosts.grid.ask[0])
        silence = hosts.grid.epochs[0].wake_cycles
        taken = await hosts.until(lambda: not any(hosts.get("settling")[:2]))
        assert silence - HOP <= taken <= silence + 10 * HOP and hosts.get("epoch") == [1, 1, 0]
        hosts.cut(lambda one, other: (one, other) == (1, 2))  # tile 1 hears tile 2, which does not hear it
        await hosts.cycles(2 * silence)
        await hosts.pulse(hosts.grid.ask[0])
        taken = await hosts.until(lambda: not hosts.get("settling")[0])
        assert 300 - 2 * HOP <= taken <= 300 + 2 * HOP
        hosts.cut(lambda one, other: True)  # a tile that nobody hears is ready when its reset is over, and not before
        hosts.ctx.set(hosts.grid.busy[0], 1)
        await hosts.pulse(hosts.grid.ask[0])
        await hosts.cycles(2 * silence)
        assert hosts.get("settling")[0] and not hosts.get("ready")[0]
        hosts.ctx.set(hosts.grid.busy[0], 0)
        assert await hosts.until(lambda: not hosts.get("settling")[0]) <= HOP
        hosts.cut(lambda one, other: False)
        await hosts.pulse(hosts.grid.ask[2])
        await hosts.settled()

    on_grid(1, 3, bench)


@pytest.mark.parametrize(("grid", "resets"), [((1, 2), (9, 0)), ((1, 3), (0, 6, 11)), ((2, 2), (0, 4, 12, 8)),
                                              ((1, 3), (120, 0, 60))])
def test_parts_come_together_again(grid, resets):
    """Tiles that were reset apart, while nothing came from the others: of their epochs one is the last, and all take it over.

    With numbers modulo 16 each of 0, 6 and 11 is later than another one. Then tiles would take over each other's for ever.
    """
    async def bench(hosts):
        await hosts.power_up()
        hosts.cut(lambda one, other: True)
        await hosts.cycles(2 * hosts.grid.epochs[0].wake_cycles)
        for _ in range(max(resets)):
            await hosts.pulse(*(ask for ask, number, done in zip(hosts.grid.ask, resets, hosts.resets, strict=True)
                                if number > done))
            await hosts.cycles(2)
        assert hosts.get("epoch") == list(resets)
        hosts.cut(lambda one, other: False)
        await hosts.cycles(FLIGHT + 2)
        await hosts.settled()
        assert hosts.get("epoch")[0] == max(resets)

    on_grid(*grid, bench)
