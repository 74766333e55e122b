"""Records of shared batches: every cycle is that of a reference, and all tiles put the same tokens at the same places."""

import random

import numpy as np
import pytest

from tests.support.blocks import run_block
from tests.support.configurations import small
from tests.support.io_memory import IoMemory
from tests.support.record_ring import Batch, ReaderInStep, ReaderRing
from tests.support.watch import Watch
from trajectile.hw.batch.record_parser import RecordParser
from trajectile.hw.batch.record_reader import RecordReader
from trajectile.hw.batch.record_ring import RecordRing
from trajectile.hw.params import Params
from trajectile.sw_model.config.topology import edge_hops, ring
from trajectile.sw_model.schedule.scheduler import schedule
from trajectile.sw_model.timeline.control import Batch as TimelineBatch
from trajectile.sw_model.timeline.model import simulate

#: beats smaller than, as large as, and larger than a word of activations; heads of one and several beats; odd sizes
SHAPES = {
    "word is a beat": {"io__bytes_per_cycle": 4, "tile__mac_k": 4, "tile__mac_n": 4},
    "words in a beat": {"io__bytes_per_cycle": 32, "tile__mac_k": 4, "tile__mac_n": 8, "layer__d_model": 38},
    "all in a beat": {"io__bytes_per_cycle": 16, "tile__mac_k": 2, "tile__mac_n": 6, "layer__d_model": 7},
    "beats of a word": {"io__bytes_per_cycle": 8, "tile__mac_k": 32, "layer__d_model": 100},
    "blocks of a word": {"io__bytes_per_cycle": 16, "tile__mac_k": 64, "layer__d_model": 161},
    "beats of shifts": {"io__bytes_per_cycle": 4, "tile__mac_k": 32, "layer__d_model": 32 * 17, "tile__tokens": 3},
    "the paper's": {"io__bytes_per_cycle": 32, "tile__mac_k": 32, "layer__d_model": 96, "layer__experts": 9,
                    "layer__top_k": 8},
    "lanes": {"io__bytes_per_cycle": 8, "tile__mac_k": 8, "tile__mac_n": 4, "tile__mac_t": 3, "tile__tokens": 7},
    "one expert": {"io__bytes_per_cycle": 4, "tile__mac_k": 4, "tile__mac_n": 4, "layer__experts": 1, "layer__top_k": 1},
    "one token": {"io__bytes_per_cycle": 8, "tile__mac_k": 8, "tile__mac_n": 4, "tile__mac_t": 1, "tile__tokens": 1},
}
#: rows and columns of 2 to 6 tiles
ARRAYS = {2: (1, 2), 3: (1, 3), 4: (2, 2), 6: (2, 3)}


def config_of(name, tiles, **changes):
    """One of the shapes, with so many tiles."""
    rows, cols = ARRAYS[tiles]
    usual = {"tile__tokens": 6, "tile__mac_t": 2, "tile__mac_n": 2, "ddr__bytes_per_cycle": 1, "array__dataflows": "both",
             "array__rows": rows, "array__cols": cols, "array__ddr_tiles": (0,),
             "link__beat_bytes": SHAPES[name]["io__bytes_per_cycle"]}
    return small(**(usual | SHAPES[name] | changes))


def random_batch(config, rng, shared=None):
    """Tokens of all tiles are what a tile holds, or fewer; some tiles have none."""
    tiles, most = config.array.tiles, config.tile.tokens
    shared = rng.random() < 0.8 if shared is None else shared
    if shared:
        ends = sorted(rng.randint(0, rng.choice([0, 1, most, most])) for _ in range(tiles))
        ends[-1] = rng.choice([ends[-1], most])
        tokens = [end - begin for begin, end in zip([0, *ends], ends, strict=False)]
        rng.shuffle(tokens)
    else:
        tokens = [rng.choice([0, 1, most, rng.randint(0, most)]) for _ in range(tiles)]
    return Batch(config, rng, tokens, shared, wrong=True)


class OneTile:
    """A reader with its memory, and a ring that is late at random."""

    def __init__(self, config, position, batches, rng, *, timing_only=False, stalls=(0.0, 0.0, 0.0)):
        self.config, self.position, self.batches, self.rng = config, position, batches, rng
        self.params = Params(config, timing_only=timing_only)
        self.reader = RecordReader(self.params)
        #: how likely it is that in a cycle nothing comes from memory, or from the ring, or goes on
        self.stall_io, self.stall_come, self.stall_go = stalls
        self.memory = IoMemory(
            config.io.bytes_per_cycle, read=self.reader.io, latency=config.io.latency_cycles, stall=self.stall_io,
            seed=rng.randrange(1000), contents=b"".join(batch.records[position].bytes for batch in batches))
        self.tile = ReaderInStep(self.params, self.reader, position)
        tiles = config.array.tiles
        #: whose sections come from the ring, and whose go on
        self.coming = [source for source in range(tiles) if source != position]
        self.going = [source for source in range(tiles) if source != (position + 1) % tiles]
        self.feed = [item for batch in batches if batch.shared for item in batch.items(self.coming)]
        self.offered = self.full = False

    async def cycle(self, ctx):
        """One cycle; what the reader does in it."""
        reader, rng = self.reader, self.rng
        self.offered = self.offered or (bool(self.feed) and rng.random() >= self.stall_come)
        ctx.set(reader.come.valid, self.offered)
        head, error, payload = self.feed[0] if self.offered else (1, 1, rng.getrandbits(self.params.io_bits))
        ctx.set(reader.come.payload.as_value(), head | error << 1 | payload << 2)
        room = not self.full or rng.random() >= self.stall_go
        ctx.set(reader.go.ready, room)
        ctx.set(reader.position, self.position)
        _, _, *sampled = await ctx.tick().sample(*self.tile.signals.values())
        did = self.tile.look(sampled)
        if "come" in did:
            self.feed.pop(0)
            self.offered = False
        if room:
            self.full = "go" in did
        return did

    async def begin(self, ctx, number):
        """The cycle in which a batch begins."""
        before = sum(len(batch.records[self.position].bytes) for batch in self.batches[:number])
        self.tile.begin(ctx, self.batches[number], number % 2, before)
        did = await self.cycle(ctx)
        self.tile.begin(ctx)
        return did

    def run(self, *benches):
        run_block(self.reader, *benches, background=[self.memory.run, *self.tile.puts.benches])


@pytest.mark.parametrize("seed", [*range(18), *(pytest.param(seed, marks=pytest.mark.regress) for seed in range(18, 72))])
def test_a_tile_of_a_ring(seed):
    """Every cycle, at any place in the ring, with random delays of memory and ring, errors, spread batches between."""
    print(f"seed {seed}")
    rng = random.Random(seed)
    tiles, timing_only = rng.choice(list(ARRAYS)), rng.random() < 0.2
    config = config_of(list(SHAPES)[seed % len(SHAPES)], tiles, io__latency_cycles=rng.choice([1, 4, 20]))
    position = rng.randrange(tiles)
    batches = [random_batch(config, rng) for _ in range(4)]
    spoils = rng.random() < 0.5
    bad = [batch.spoil(rng, source) if spoils else [] for batch in batches for source in range(tiles)][position::tiles]
    bench = OneTile(config, position, batches, rng, timing_only=timing_only,
                    stalls=[rng.choice([0, 0.3, 0.8]) for _ in range(3)])
    beats = [len(batch.records[position].bytes) // config.io.bytes_per_cycle for batch in batches]
    bench.memory.bad_beats = {sum(beats[:number]) + beat for number, some in enumerate(bad) for beat in some}
    went, puts = [], bench.tile.puts

    async def main(ctx):
        for number, batch in enumerate(batches):
            for _ in range(rng.choice([0, 0, 1, 7])):
                await bench.cycle(ctx)
            puts.clear()
            did = await bench.begin(ctx, number)
            while "rows" not in did:
                did = await bench.cycle(ctx)
                assert bench.tile.cycles < 100_000, "hung"
            await bench.cycle(ctx)
            assert puts.inserts == batch.inserts(position, number % 2)
            assert timing_only or puts.fills == batch.fills(position, number % 2)
            if batch.shared:
                went.extend(batch.items(bench.going))
        for _ in range(8):
            await bench.cycle(ctx)
        assert ctx.get(bench.reader.quiet) and not bench.feed

    bench.run(main)
    assert bench.tile.gone == went
    assert {name: len(bench.tile.seen[name]) for name in ("lists", "rows")} == {"lists": 4, "rows": 4}


@pytest.mark.parametrize("position", range(3))
def test_more_tokens_than_a_tile_holds(position):
    """Found with the header of the section that has them, as soon as the parser has it; all that fit are no error."""
    config = config_of("word is a beat", 3)
    most = config.tile.tokens
    rng = random.Random(position)
    for tokens, header in ([most, 1, 0], 1), ([1, most - 1, 1], 2), ([0, most, most], 2), ([most, 0, 0], None):
        batch = Batch(config, rng, tokens, True)
        bench = OneTile(config, position, [batch], rng)
        reader, seen = bench.reader, bench.tile.seen

        async def main(ctx, bench=bench, reader=reader):
            did = await bench.begin(ctx, 0)
            while not {"many", "rows"} & set(did):
                did = await bench.cycle(ctx)
            ctx.set(reader.stop, 1)  # as batch control does
            await bench.cycle(ctx)
            while not ctx.get(reader.quiet):
                await bench.cycle(ctx)

        bench.run(main)
        if header is None:
            assert "many" not in seen and len(seen["rows"]) == 1
            continue
        assert len(seen["many"]) == 1 and "lists" not in seen
        before = sum(tokens[:header])
        beats = config.head_bytes // config.io.bytes_per_cycle

        def items(sources, tokens=tokens, header=header, beats=beats):
            """Those of the sections before the header."""
            return sum(1 + tokens[source] * beats for source in sources if source < header)
        if header in bench.coming:
            taken = seen["come"][items(bench.coming)]
            assert seen["many"][0] >= taken + reader.item_cycles
        if header in bench.going:
            assert bench.tile.gone[items(bench.going)] == (1, 0, tokens[header])
        assert bench.tile.puts.inserts == [insert for insert in batch.inserts(position, 0)
                                           if insert[2] * config.tile.mac_t + insert[1] < before]


@pytest.mark.parametrize("seed", range(12))
def test_a_stop_ends_everything(seed):
    """Whenever it comes: nothing is put anywhere, nothing is taken from the ring or goes on, the io port comes to rest; the
    next batch is whole.
    """
    print(f"seed {seed}")
    rng = random.Random(seed)
    tiles = rng.choice(list(ARRAYS))
    config = config_of(rng.choice(list(SHAPES)), tiles)
    position = rng.randrange(tiles)
    batch = random_batch(config, rng, shared=True)
    bench = OneTile(config, position, [batch], rng, stalls=[rng.choice([0, 0.4]) for _ in range(3)])
    reader, tile = bench.reader, bench.tile
    stopped = set()

    async def main(ctx):
        for _ in range(8):
            bench.feed, bench.offered, bench.full = batch.items(bench.coming), False, False
            tile.seen.clear()
            did = await bench.begin(ctx, 0)
            for _ in range(rng.randrange(rng.choice([8, 40, 400]))):
                if "rows" in did:
                    break
                did = await bench.cycle(ctx)
            stopped.add("rows" if "rows" in tile.seen else "lists" if "lists" in tile.seen else "begin")
            ctx.set(reader.stop, 1)
            for _ in range(3):
                await bench.cycle(ctx)
            kept = len(tile.puts.inserts), len(tile.puts.fills)
            while not ctx.get(reader.quiet):
                await bench.cycle(ctx)
            assert kept == (len(tile.puts.inserts), len(tile.puts.fills))
            ctx.set(reader.stop, 0)
            tile.puts.clear()
            tile.gone.clear()
        bench.feed, bench.offered, bench.full = batch.items(bench.coming), False, False
        did = await bench.begin(ctx, 0)
        while "rows" not in did:
            did = await bench.cycle(ctx)
        await bench.cycle(ctx)

    bench.run(main)
    print(f"stopped after {stopped}")
    assert tile.puts.inserts == batch.inserts(position, 0) and tile.puts.fills == batch.fills(position, 0)
    assert tile.gone == batch.items(bench.going) and not bench.feed


@pytest.mark.parametrize("position", range(2))
def test_latency(position):
    """The first header goes in the cycle after the start; the places take two items, then one as each is worked off, and a
    header takes a cycle.
    """
    config = config_of("word is a beat", 2, layer__top_k=1)
    batch = Batch(config, random.Random(position), [1, 2], True)
    bench = OneTile(config, position, [batch], random.Random(0))
    watch = Watch(start=bench.reader.begin.start, come=bench.reader.come.valid & bench.reader.come.ready,
                  go=bench.reader.go.valid)

    async def main(ctx):
        await bench.cycle(ctx)
        did = await bench.begin(ctx, 0)
        while "rows" not in did:
            did = await bench.cycle(ctx)

    run_block(bench.reader, main, background=[bench.memory.run, watch.run, *bench.tile.puts.benches])
    (start,), header = watch["start"], watch["go" if position == 0 else "come"][0]
    assert header == start + RecordRing.latency_cycles
    if position == 1:  # all of tile 0 is there: a header, an exponent, a choice, and this tile's header goes
        worked = header + bench.reader.item_cycles  # on the header
        assert watch["come"][1:3] == [header + 1, worked + RecordParser.section_cycles]
        assert watch["go"][0] == worked + RecordParser.section_cycles + 1  # the exponent's place


@pytest.mark.parametrize("seed", [
    pytest.param(seed, marks=[] if 0 < seed < 5 else pytest.mark.regress) for seed in range(24)])
def test_a_ring(seed):
    """Tiles that begin when they like, links and memories that are late: all put the same at the same places, in one order.
    And again after a stop in the middle.
    """
    print(f"seed {seed}")
    rng = random.Random(seed)
    tiles, timing_only = rng.choice(list(ARRAYS)), rng.random() < 0.2
    config = config_of(list(SHAPES)[seed % len(SHAPES)], tiles, io__latency_cycles=rng.choice([1, 20]))
    batches = [random_batch(config, rng, shared) for shared in (True, None)]
    dut = ReaderRing(Params(config, timing_only=timing_only), [rng.choice([1, 2, 7]) for _ in range(tiles)])
    stall, stall_link, late = rng.choice([0, 0.3]), rng.choice([0, 0.2, 0.7]), rng.choice([1, 30, 300])
    memories = [IoMemory(config.io.bytes_per_cycle, read=reader.io, latency=config.io.latency_cycles, stall=stall,
                         seed=seed + place, contents=b"".join(batch.records[place].bytes for batch in batches))
                for place, reader in enumerate(dut.readers)]
    steps = [ReaderInStep(reader.params, reader, place) for place, reader in enumerate(dut.readers)]
    sizes = [len(step.signals) for step in steps]
    stop_at = rng.choice([None, rng.randrange(40), rng.randrange(600)])

    async def main(ctx):
        number, stops = [0] * tiles, False
        waits = [rng.randrange(late) for _ in steps]  # cycles to the start; below 0: the batch goes on
        while min(number) < len(batches):
            cycle = steps[0].cycles
            assert cycle < 100_000, "hung"
            stops = cycle == stop_at or (stops and not (
                cycle > stop_at + 30 and all(ctx.get(reader.quiet) for reader in dut.readers)))
            ctx.set(dut.stop, stops)
            ctx.set(dut.free, sum((rng.random() >= stall_link) << place for place in range(tiles)))
            for place, step in enumerate(steps):
                step.begin(ctx)
                if not stops and waits[place] == 0 and number[place] < len(batches):
                    before = sum(len(batch.records[place].bytes) for batch in batches[:number[place]])
                    step.begin(ctx, batches[number[place]], number[place] % 2, before)
                waits[place] -= 1
            _, _, *sampled = await ctx.tick().sample(*(signal for step in steps for signal in step.signals.values()))
            dids = [step.look(sampled[sum(sizes[:place]):][:sizes[place]]) for place, step in enumerate(steps)]
            if stops:  # begin anew with the first batch that is not complete everywhere
                number, waits = [min(number)] * tiles, [rng.randrange(late) for _ in steps]
                for step in steps:
                    step.puts.clear()
                continue
            for place, (step, did) in enumerate(zip(steps, dids, strict=True)):
                if "rows" in did:
                    batch, bit = batches[number[place]], number[place] % 2
                    assert step.puts.inserts == batch.inserts(place, bit)
                    assert timing_only or step.puts.fills == batch.fills(place, bit)
                    step.puts.clear()
                    number[place], waits[place] = number[place] + 1, rng.randrange(late)
        assert not any(ctx.get(port.come.valid) for port in dut.ports)

    run_block(dut, main, background=[
        *(memory.run for memory in memories), *(bench for step in steps for bench in step.puts.benches)])


@pytest.mark.parametrize("seed", range(8))
def test_cycles_of_the_timeline(seed):
    """Lists, rows and every flit come in the cycle in which the golden model has them, in all tiles."""
    print(f"seed {seed}")
    rng = random.Random(seed)
    tiles = rng.choice(list(ARRAYS))
    config = config_of(list(SHAPES)[(3 * seed) % len(SHAPES)], tiles, io__latency_cycles=rng.choice([1, 10, 40]),
                       link__latency_cycles=rng.choice([1, 3, 8]), link__crc_bits=rng.choice([0, 16]))
    batch, beat_bytes = random_batch(config, rng, shared=True), config.io.bytes_per_cycle
    order, address = ring(config.array), 4096 - beat_bytes * rng.randrange(8)
    tokens, records = iter(range(sum(batch.tokens))), [[] for _ in order]
    for tile, number in zip(order, batch.tokens, strict=True):
        records[tile] = [next(tokens) for _ in range(number)]
    ids = np.tile(np.arange(config.layer.top_k), (sum(batch.tokens), 1))
    rung = [rng.randrange(rng.choice([1, 100])) for _ in order]
    line = simulate([TimelineBatch(schedule(config, ids, dataflow="shared", records=records), rung, [address] * tiles,
                                   [0] * tiles)])
    begins = [line.batches[0][tile].begin for tile in order]
    dut = ReaderRing(Params(config), [edge_hops(config.array, tile) * (config.link_flight_cycles + 1) for tile in order])
    memories = [IoMemory(beat_bytes, read=reader.io, latency=config.io.latency_cycles, base=address,
                         contents=batch.records[place].bytes) for place, reader in enumerate(dut.readers)]
    watches = [Watch(lists=reader.begin.lists_done, rows=reader.begin.rows_done, flits=port.flits.valid & port.flits.ready)
               for reader, port in zip(dut.readers, dut.ports, strict=True)]

    async def main(ctx):
        ctx.set(dut.free, ~0)
        for cycle in range(max(one.rows for one in line.batches[0]) + 100):
            for place, reader in enumerate(dut.readers):
                begin = reader.begin
                ctx.set(begin.start, cycle == begins[place])
                ctx.set(begin.shared, 1)
                ctx.set(begin.tokens, batch.tokens[place])
                ctx.set(begin.records, address // beat_bytes)
            await ctx.tick()

    run_block(dut, main, background=[*(memory.run for memory in memories), *(watch.run for watch in watches)])
    for place, (tile, watch) in enumerate(zip(order, watches, strict=True)):
        going = len(batch.items([source for source in range(tiles) if source != (place + 1) % tiles]))
        assert watch["lists"] == [line.batches[0][tile].lists] and watch["rows"] == [line.batches[0][tile].rows]
        assert watch["flits"] == list(line.token_flits[tile])[:going]
