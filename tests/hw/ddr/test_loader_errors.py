"""The DDR loader when something is wrong: responses, entries, and a batch that ends early."""

import random

import pytest

from tests.support.blocks import run_block
from tests.support.configurations import small
from trajectile.hw.ddr.loader import DdrLoader
from trajectile.hw.host.layouts import Table
from trajectile.hw.params import Params
from trajectile.tb.program import pack

#: five experts, three slices, five rows, three tiles: every entry field has more bits than values
CONFIG = small(layer__experts=5, array__cols=3, array__ddr_tiles=(0, 1, 2))


class Surroundings:
    """Engine and DDR channel of a loader; bursts in order, random delays on both sides."""

    def __init__(self, config, seed: int):
        print(f"seed {seed}")
        self.config, self.rng = config, random.Random(seed)
        self.loader, self.params = DdrLoader(Params(config)), Params(config)
        self.answers: list[int] = []  #: last beat of its burst or not, beat by beat, of what was asked for
        self.asked = self.taken = self.loads = self.loaded = 0
        self.offer = True  #: DDR answers
        self.respond = lambda beat: 0  #: response by number of the beat

    async def write(self, ctx, entries) -> None:
        """Write the load list, unchecked."""
        loader = self.loader
        ctx.set(loader.table.table, Table.LOADS)
        ctx.set(loader.table.write, 1)
        for number, entry in enumerate(entries):
            ctx.set(loader.table.index, number)
            ctx.set(loader.table.write_data, entry)
            await ctx.tick()
        ctx.set(loader.table.write, 0)
        ctx.set(loader.count, len(entries))
        ctx.set(loader.has_ddr, 1)

    async def begin(self, ctx) -> None:
        """Start a batch."""
        ctx.set(self.loader.clear, 1)
        await ctx.tick()
        ctx.set(self.loader.clear, 0)
        ctx.set(self.loader.running, 1)

    async def cycle(self, ctx) -> None:
        """One cycle: whatever can happen happens, or not. An address that is asked for stays."""
        loader, ddr = self.loader, self.loader.ddr
        ctx.set(loader.load.start, 0)
        fire = ctx.get(loader.load.valid) and self.rng.random() < 0.7
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
        if address and not ready:
            assert ctx.get(ddr.arvalid) and (ctx.get(ddr.araddr), ctx.get(ddr.arlen)) == address


def _entries(count: int, params: Params) -> list[int]:
    return [pack(params.load_layout, expert=0, index=0, row=row % 5, here=1, next=0, left=0) for row in range(count)]


@pytest.mark.parametrize("response", [1, 2, 3])
def test_every_other_response_is_an_error(response):
    """In the cycle of the beat, wherever in the slice it is; the slice comes to its end all the same."""
    surroundings = Surroundings(CONFIG, response)
    beats = CONFIG.slice_beats
    wrong = {0, 1, beats - 1, beats, 2 * beats + 3}
    surroundings.respond = lambda beat: response if beat in wrong else 0

    async def bench(ctx):
        await surroundings.write(ctx, _entries(3, surroundings.params))
        await surroundings.begin(ctx)
        for _ in range(20 * beats):
            await surroundings.cycle(ctx)
        assert surroundings.taken == 3 * beats and surroundings.loaded == 3 and ctx.get(surroundings.loader.done)

    run_block(surroundings.loader, bench)


@pytest.mark.parametrize("changes", [{}, {"ddr__latency_cycles": 400}, {"layer__d_model": 300, "ddr__bytes_per_cycle": 4}],
                         ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_a_batch_that_ends_early(changes, seed):
    """No address is withdrawn and no beat refused; what was asked for comes, nothing else is asked; then a new batch works.

    DDR may be silent for long: the loader is not ``quiet`` before it has everything.
    """
    config = small(layer__experts=5, array__cols=3, array__ddr_tiles=(0, 1, 2), **changes)
    surroundings = Surroundings(config, seed)
    loader, rng = surroundings.loader, surroundings.rng

    async def bench(ctx):
        await surroundings.write(ctx, _entries(4, surroundings.params))
        await surroundings.begin(ctx)
        for _ in range(rng.randrange(1, 3 * config.slice_beats)):
            await surroundings.cycle(ctx)
        ctx.set(loader.running, 0)
        ctx.set(loader.load.start, 0)
        loads = surroundings.loads
        assert not ctx.get(loader.load.valid)
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
        await surroundings.begin(ctx)
        while not ctx.get(loader.done):
            await surroundings.cycle(ctx)
        assert surroundings.loaded == loads + 4

    run_block(loader, bench)


@pytest.mark.parametrize("field", ["expert", "index", "row", "left"])
@pytest.mark.parametrize("place", [0, 2])
def test_an_entry_that_names_no_slice(field, place):
    """It is reported when its turn comes and not taken; those before it are."""
    surroundings = Surroundings(CONFIG, 1)
    loader, params = surroundings.loader, surroundings.params

    async def bench(ctx):
        entries = _entries(4, params)
        limit = params.load_maxima[field]
        for value, legal in ((limit, True), (limit + 1, False)):
            values = {"expert": 0, "index": 0, "row": 0, "here": 1, "next": 0, "left": 0} | {field: value}
            entries[place] = pack(params.load_layout, **values)
            await surroundings.write(ctx, entries)
            before = surroundings.loads
            await surroundings.begin(ctx)
            for _ in range(10 * CONFIG.slice_beats):
                await surroundings.cycle(ctx)
                assert not ctx.get(loader.bad_entry) or surroundings.loads == before + place
            assert ctx.get(loader.bad_entry) == (not legal) == (not ctx.get(loader.done))
            assert surroundings.loads == before + (4 if legal else place)
            ctx.set(loader.running, 0)
            await surroundings.cycle(ctx)
            assert not ctx.get(loader.bad_entry)

    run_block(loader, bench)


def test_loads_in_a_tile_without_ddr():
    """Any entry is wrong there."""
    surroundings = Surroundings(CONFIG, 1)
    loader = surroundings.loader

    async def bench(ctx):
        await surroundings.write(ctx, _entries(1, surroundings.params))
        ctx.set(loader.has_ddr, 0)
        await surroundings.begin(ctx)
        assert not ctx.get(loader.load.valid)
        await surroundings.cycle(ctx)
        assert ctx.get(loader.bad_entry) and not ctx.get(loader.load.valid)
        ctx.set(loader.count, 0)
        await surroundings.cycle(ctx)
        assert not ctx.get(loader.bad_entry) and ctx.get(loader.done)

    run_block(loader, bench)
