"""The DDR loader when something is wrong: responses, a tile without DDR, and a tile that is stopped."""

import random

import pytest

from tests.support.blocks import run_block
from tests.support.configurations import small
from trajectile.hw.ddr.loader import DdrLoader
from trajectile.hw.params import Params

#: five experts, three slices, three tiles: every field of an entry has more bits than values
CONFIG = small(layer__experts=5, array__cols=3, array__ddr_tiles=(0, 1, 2))


class Surroundings:
    """Entries, engine and DDR channel of a loader; bursts in order, random delays on all sides."""

    def __init__(self, config, seed: int, entries: int):
        print(f"seed {seed}")
        self.config, self.rng = config, random.Random(seed)
        self.loader = DdrLoader(Params(config))
        self.entries = entries  #: so many are to be fetched
        self.answers: list[int] = []  #: last beat of its burst or not, beat by beat, of what was asked for
        self.asked = self.taken = self.loads = self.loaded = 0
        self.offer = True  #: DDR answers
        self.runs = True  #: rule 1 fires
        self.respond = lambda beat: 0  #: response by number of the beat

    async def cycle(self, ctx) -> None:
        """One cycle: whatever can happen happens, or not. An address that is asked for stays."""
        loader, ddr = self.loader, self.loader.ddr
        ctx.set(loader.load.start, 0)
        left = self.loads < self.entries
        ctx.set(loader.entries.valid, left and (ctx.get(loader.entries.valid) or self.rng.random() < 0.5))
        ctx.set(loader.entries.payload, {"row": self.loads % 5, "here": 1})
        fire = self.runs and ctx.get(loader.load.valid) and self.rng.random() < 0.7
        ctx.set(loader.load.start, fire)
        ctx.set(loader.load.slot, self.loads % self.config.tile.slots)
        self.loads += fire
        ready = self.rng.random() < 0.4
        ctx.set(ddr.arready, ready)
        address = ctx.get(ddr.arvalid) and (ctx.get(ddr.araddr), ctx.get(ddr.arlen))
        if address and ready:
            self.asked += 1
            self.answers += [0] * address[1] + [1]
        valid = self.offer and bool(self.answers) and self.rng.random() < 0.6
        ctx.set(ddr.rvalid, valid)
        ctx.set(ddr.rresp, self.respond(self.taken) if valid else 3)
        assert ctx.get(ddr.rready)
        assert ctx.get(loader.bad_response) == bool(valid and self.respond(self.taken))
        if valid:
            self.answers.pop(0)
            self.taken += 1
        self.loaded += ctx.get(loader.load.done)
        await ctx.tick()
        if fire:  # the next entry may come with the next cycle
            ctx.set(loader.entries.valid, 0)
            ctx.set(loader.load.start, 0)
        if address and not ready:
            assert ctx.get(ddr.arvalid) and (ctx.get(ddr.araddr), ctx.get(ddr.arlen)) == address


@pytest.mark.parametrize("response", [1, 2, 3])
def test_every_other_response_is_an_error(response):
    """In the cycle of the beat, wherever in the slice it is; the slice comes to its end all the same."""
    surroundings = Surroundings(CONFIG, response, 3)
    beats = CONFIG.slice_beats
    wrong = {0, 1, beats - 1, beats, 2 * beats + 3}
    surroundings.respond = lambda beat: response if beat in wrong else 0

    async def bench(ctx):
        for _ in range(20 * beats):
            await surroundings.cycle(ctx)
        assert surroundings.taken == 3 * beats and surroundings.loaded == 3 and ctx.get(surroundings.loader.quiet)

    run_block(surroundings.loader, bench)


@pytest.mark.parametrize("changes", [{}, {"ddr__latency_cycles": 400}, {"layer__d_model": 300, "ddr__bytes_per_cycle": 4}],
                         ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_a_tile_that_is_stopped(changes, seed):
    """No address is withdrawn and no beat refused; what was asked for comes, nothing else is asked; then all works again.

    DDR may be silent for long: the loader is not ``quiet`` before it has everything.
    """
    config = small(layer__experts=5, array__cols=3, array__ddr_tiles=(0, 1, 2), **changes)
    surroundings = Surroundings(config, seed, 4)
    loader, rng = surroundings.loader, surroundings.rng

    async def bench(ctx):
        for _ in range(rng.randrange(1, 3 * config.slice_beats)):
            await surroundings.cycle(ctx)
        ctx.set(loader.load.start, 0)
        loads = surroundings.loads
        surroundings.runs = False
        surroundings.offer = False
        for _ in range(rng.randrange(300)):
            await surroundings.cycle(ctx)
            assert ctx.get(loader.quiet) == (surroundings.loaded == loads)
        surroundings.offer = True
        waited = 0
        while not ctx.get(loader.quiet):
            await surroundings.cycle(ctx)
            waited += 1
            assert waited < 50 * config.slice_beats, "hung"
        assert surroundings.loads == loads == surroundings.loaded
        assert surroundings.taken == loads * config.slice_beats and not surroundings.answers
        assert surroundings.asked == loads * config.slice_bursts and not ctx.get(loader.ddr.arvalid)
        surroundings.entries, surroundings.runs = loads + 4, True
        while surroundings.loads < loads + 4 or not ctx.get(loader.quiet):
            await surroundings.cycle(ctx)
        assert surroundings.loaded == loads + 4

    run_block(loader, bench)
