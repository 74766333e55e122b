"""The training of a link: every step of the handshake, what counts, what is concluded and when; two ends over bad pins."""

import random
from collections import deque
from itertools import product

import pytest
from amaranth.hdl import Module

from tests.support.blocks import run_block
from tests.support.configurations import small
from trajectile.hw.d2d.layouts import LinkState
from trajectile.hw.d2d.training import LinkTraining
from trajectile.hw.params import Params

NEW, CLOSED, HEARD, OPEN = LinkState
#: the table of docs/clocks.md: where a link is, what is heard, where it is then
STEPS = {(CLOSED, CLOSED): HEARD, (CLOSED, HEARD): OPEN, (CLOSED, OPEN): CLOSED,
         (HEARD, CLOSED): HEARD, (HEARD, HEARD): OPEN, (HEARD, OPEN): OPEN,
         (OPEN, CLOSED): OPEN, (OPEN, HEARD): OPEN, (OPEN, OPEN): OPEN}
#: an epoch, and what is heard on the way to each state in it
EPOCH = 5
WAY = {CLOSED: (), HEARD: (CLOSED,), OPEN: (HEARD,)}


def training() -> LinkTraining:
    """The block of a small tile, with a short window."""
    return LinkTraining(Params(small(link__crc_bits=16, array__clocks="independent")))


class End:
    """A training whose tile is awake and in its epoch, and what is done to it."""

    def __init__(self, ctx, block: LinkTraining):
        self.ctx, self.block = ctx, block
        self.tile(awake=1, known=1, epoch=EPOCH, restart=0)

    def tile(self, **values: int) -> None:
        """What the tile says of itself from now on."""
        for name, value in values.items():
            self.ctx.set(getattr(self.block.epochs, name), value)

    def get(self, name: str) -> int:
        """A signal of the tile's side."""
        return self.ctx.get(getattr(self.block.epochs, name))

    @property
    def state(self) -> LinkState:
        """What goes to the far end."""
        return LinkState(self.ctx.get(self.block.state))

    def offer(self, state: LinkState | None, epoch: int = EPOCH, **news: int) -> None:
        """A frame of the far end in this cycle, or none."""
        self.ctx.set(self.block.comes, state is not None)
        self.ctx.set(self.block.news, {"state": state or NEW, "epoch": epoch, **news})

    async def hear(self, *states: LinkState | None, **news: int) -> None:
        """A cycle for each of these frames; nothing comes after them."""
        for state in states:
            self.offer(state, **news)
            await self.ctx.tick()
        self.offer(None)

    async def begin(self, state: LinkState) -> None:
        """From a reset of the tile to a state of the link."""
        self.tile(restart=1)
        await self.hear(None)
        self.tile(restart=0)
        await self.hear(*WAY[state])
        assert self.state == state


@pytest.mark.parametrize("restart", [0, 1])
def test_every_step(restart):
    """In the cycle after the frame, not in its own; a frame counts if the far end has heard this one and it is not CLOSED.
    Nothing counts in a reset, and the link is closed.
    """
    block = training()

    async def bench(ctx):
        end = End(ctx, block)
        for (at, heard), then in STEPS.items():
            await end.begin(at)
            end.tile(restart=restart)
            end.offer(heard)
            here = CLOSED if restart else at
            assert end.state == here and ctx.get(block.is_open) == end.get("is_open") == (here == OPEN)
            assert ctx.get(block.counts) == (not restart and at != CLOSED and heard in (HEARD, OPEN)), (at, heard)
            await ctx.tick().repeat(block.latency_cycles)
            end.tile(restart=0)
            assert end.state == (CLOSED if restart else then), (at, heard)

    run_block(block, bench)


@pytest.mark.parametrize("why", ["no frame", "other epoch", "far end new", "asleep", "tile new"])
def test_what_does_not_count(why):
    """Whatever the frame says, the link stays where it is."""
    block = training()

    async def bench(ctx):
        end = End(ctx, block)
        for at, heard in STEPS:
            await end.begin(at)
            end.tile(awake=why != "asleep", known=why != "tile new")
            end.offer(NEW if why == "far end new" else heard, EPOCH ^ (1 if why == "other epoch" else 0), halt=1, ready=1)
            ctx.set(block.comes, why != "no frame")
            assert not ctx.get(block.counts) and not end.get("halted")
            assert end.get("speaks") == (why not in ("no frame", "asleep"))
            assert end.state == (NEW if why == "tile new" else at)
            await ctx.tick()
            end.tile(awake=1, known=1)
            assert end.state == at and not end.get("ready")

    run_block(block, bench)


def test_what_the_tile_hears():
    """Who speaks and of which epoch, at once; a failure in this epoch; readiness, which holds until a reset."""
    block = training()

    async def bench(ctx):
        end = End(ctx, block)
        for state, epoch, halt in product(LinkState, (EPOCH, EPOCH + 1), (0, 1)):
            end.offer(state, epoch, halt=halt)
            same = state != NEW and epoch == EPOCH
            assert end.get("speaks") and end.get("is_new") == (state == NEW) and end.get("far_epoch") == epoch
            assert end.get("halted") == (halt and same)
        end.offer(OPEN, ready=1)
        await ctx.tick()
        end.offer(OPEN, EPOCH + 1, ready=0)
        await ctx.tick().repeat(3)
        assert end.get("ready") == 1
        end.offer(OPEN, ready=1, halt=1)
        end.tile(restart=1)
        assert not end.get("halted")
        await ctx.tick()
        assert not end.get("ready")

    run_block(block, bench)


@pytest.mark.parametrize("says", [CLOSED, NEW])
def test_a_far_end_that_begins_anew(says):
    """It is believed when nothing can be a frame of the handshake any more, and only if the link was open."""
    block = training()

    async def bench(ctx):
        end = End(ctx, block)
        await end.begin(OPEN)  # since this cycle
        for _ in range(block.settle_cycles):
            end.offer(says)
            assert not end.get("restarted")
            await ctx.tick()
        for state, epoch, restarted in ((says, EPOCH, 1), (CLOSED, EPOCH + 1, 0), (HEARD, EPOCH, 0), (OPEN, EPOCH, 0)):
            end.offer(state, epoch)
            assert end.get("restarted") == restarted
        end.offer(says)
        ctx.set(block.comes, 0)
        assert not end.get("restarted")
        end.offer(says)
        end.tile(restart=1)
        assert not end.get("restarted")
        await end.begin(OPEN)  # and anew
        end.offer(says)
        assert not end.get("restarted")
        await end.begin(HEARD)
        await end.hear(*[None] * (2 * block.settle_cycles))
        end.offer(says)
        assert not end.get("restarted")

    run_block(block, bench)


def test_silence():
    """Nothing valid for ``settle_cycles``; any frame of a tile that is awake ends it, of whatever epoch."""
    block = training()

    async def bench(ctx):
        end = End(ctx, block)
        assert end.get("silent")
        for state, epoch, awake in product((NEW, OPEN), (EPOCH, EPOCH + 3), (0, 1)):
            end.tile(awake=awake)
            await end.hear(state, epoch=epoch)
            for _ in range(block.settle_cycles):
                assert end.get("silent") == (not awake)
                await ctx.tick()
            assert end.get("silent")

    run_block(block, bench)


@pytest.mark.parametrize("seed", range(4))
def test_two_ends(seed):
    """Over pins that lose frames and repeat others of the last window, with resets of random length: both open in every
    epoch, and nobody believes that the other has begun anew.
    """
    print(f"seed {seed}")
    rng = random.Random(seed)
    m, blocks = Module(), [training(), training()]
    m.submodules += blocks
    window = blocks[0].settle_cycles // 4
    flight, opened = rng.randint(1, window // 2), 0

    async def bench(ctx):
        nonlocal opened
        ends = [End(ctx, block) for block in blocks]
        for epoch in range(12):
            begins = [rng.randrange(2 * window) for _ in ends]  # the cycle in which each enters the epoch
            awake = [begin + rng.randrange(2 * window) for begin in begins]
            pins = [deque([None] * flight) for _ in ends]
            old: list[list[tuple[LinkState, int] | None]] = [[None], [None]]
            for cycle in range(200 * window):
                for number, end in enumerate(ends):
                    if cycle >= begins[number]:
                        end.tile(epoch=epoch % 16, restart=cycle < awake[number])
                    said = end.state, epoch % 16 if cycle >= begins[number] else (epoch - 1) % 16
                    old[number] = [*old[number][-window + flight:], said]
                    fault = rng.random()
                    pins[number].append(None if fault < 0.5 else rng.choice(old[number]) if fault < 0.7 else said)
                for number, end in enumerate(ends):
                    come = pins[1 - number].popleft()
                    end.offer(*(come or (None,)))
                    assert not end.get("restarted")
                await ctx.tick()
                if all(end.state == OPEN for end in ends) and cycle > max(awake) + 2 * window:
                    opened += 1
                    break

    run_block(m, bench)
    assert opened == 12
