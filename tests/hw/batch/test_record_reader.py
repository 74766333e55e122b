"""Records from memory: every choice and every word at its place, in the cycles of the golden model; errors; stops."""

import random

import pytest

from tests.support.blocks import run_block
from tests.support.configurations import small
from tests.support.io_memory import IoMemory
from tests.support.token_records import Puts, Records
from tests.support.watch import Watch
from trajectile.hw.batch.layouts import NO_EXPERT
from trajectile.hw.batch.record_reader import RecordReader
from trajectile.hw.params import Params
from trajectile.sw_model.timeline.ingest import ingest

#: beats smaller than, as large as, and larger than a word of activations; heads of one and several beats; odd sizes
SHAPES = {
    "word is a beat": {"io__bytes_per_cycle": 4, "tile__mac_k": 4, "tile__mac_n": 4},
    "words in a beat": {"io__bytes_per_cycle": 32, "tile__mac_k": 4, "tile__mac_n": 8, "layer__d_model": 38},
    "all in a beat": {"io__bytes_per_cycle": 128, "tile__mac_k": 2, "tile__mac_n": 2, "layer__d_model": 7},
    "beats of a word": {"io__bytes_per_cycle": 8, "tile__mac_k": 32, "layer__d_model": 100},
    "blocks of a word": {"io__bytes_per_cycle": 16, "tile__mac_k": 64, "layer__d_model": 161},
    "beats of shifts": {"io__bytes_per_cycle": 4, "tile__mac_k": 32, "layer__d_model": 32 * 37},
    "the paper's": {"io__bytes_per_cycle": 32, "tile__mac_k": 32, "layer__d_model": 96, "layer__experts": 9,
                    "layer__top_k": 8},
    "lanes": {"io__bytes_per_cycle": 8, "tile__mac_k": 8, "tile__mac_t": 3, "tile__tokens": 7, "layer__d_model": 12},
    "one expert": {"io__bytes_per_cycle": 4, "layer__experts": 1, "layer__top_k": 1},
}
#: a batch may be shared in those whose beats are no longer than a weight word; a spread batch is the same there
BUILDS = [*((name, "spread") for name in SHAPES), *((name, "both") for name in SHAPES if name != "all in a beat")]


def config_of(name, dataflows="spread", **changes):
    """One of the shapes."""
    usual = {"tile__tokens": 6, "tile__mac_t": 2, "tile__mac_n": 2, "link__beat_bytes": 1, "ddr__bytes_per_cycle": 1}
    if dataflows == "both":
        usual |= {"link__beat_bytes": SHAPES[name]["io__bytes_per_cycle"], "array__dataflows": "both"}
    return small(**(usual | SHAPES[name] | changes))


class Bench:
    """A reader with its memory, and what it has put where."""

    def __init__(self, config, *, stall=0.0, seed=0, timing_only=False, base=0, contents=b""):
        self.params = Params(config, timing_only=timing_only)
        self.reader = reader = RecordReader(self.params)
        self.memory = IoMemory(config.io.bytes_per_cycle, read=reader.io, latency=config.io.latency_cycles, stall=stall,
                               seed=seed, base=base, contents=contents)
        self.puts = Puts(reader)
        begin = reader.begin
        self.watch = Watch(start=begin.start, lists=begin.lists_done, rows=begin.rows_done, expert=begin.bad_expert,
                           twice=begin.twice, response=begin.bad_response)
        self.ring = Watch()
        if config.array.shares:
            self.ring = Watch(come=reader.come.ready, go=reader.go.valid, share=begin.share.as_value() != 0,
                              many=begin.too_many)

    async def begin(self, ctx, address, tokens, batch=0):
        """The strobe, with values that hold for it only; ends in the cycle after it."""
        begin = self.reader.begin
        if self.ring.signals:
            ctx.set(self.reader.come.valid, 1)  # of a shared batch that is next, or there is no room
            ctx.set(self.reader.go.ready, batch)
        ctx.set(begin.start, 1)
        ctx.set(begin.batch, batch)
        ctx.set(begin.records, address // self.params.config.io.bytes_per_cycle)
        ctx.set(begin.tokens, tokens)
        await ctx.tick()
        ctx.set(begin.start, 0)
        ctx.set(begin.batch, 1 - batch)
        ctx.set(begin.records, 0)
        ctx.set(begin.tokens, 0)

    def run(self, *benches):
        watches = [self.watch.run, self.ring.run] if self.ring.signals else [self.watch.run]
        run_block(self.reader, *benches, background=[self.memory.run, *watches, *self.puts.benches])
        assert not self.ring.cycles, "a spread batch has nothing to do with the ring"

    async def until_rows(self, ctx):
        count = len(self.watch["rows"])
        for _ in range(100_000):
            if len(self.watch["rows"]) > count:
                return
            await ctx.tick()
        raise AssertionError("hung")


@pytest.mark.parametrize("stall", [0, 0.3])
@pytest.mark.parametrize(("name", "dataflows"), BUILDS)
def test_records(name, dataflows, stall):
    """Several batches with random contents and delays: each choice once, each word once, in order, at its place."""
    config = config_of(name, dataflows)
    rng = random.Random(name)
    beat = config.io.bytes_per_cycle
    batches = [Records(config, rng, tokens, wrong=True) for tokens in (config.tile.tokens, 1, 0, config.tile.tokens - 1)]
    base = 4096 * 5 - 3 * beat
    bench = Bench(config, stall=stall, seed=len(name), base=base, contents=b"".join(batch.bytes for batch in batches))

    async def main(ctx):
        address = base
        for number, records in enumerate(batches):
            bench.puts.clear()
            for kept in bench.watch.cycles.values():
                kept.clear()
            await bench.begin(ctx, address, records.tokens, number % 2)
            await bench.until_rows(ctx)
            await ctx.tick().repeat(2)
            assert ctx.get(bench.reader.quiet)
            address += len(records.bytes)
            first = {}
            for insert in records.inserts():
                first.setdefault((insert[0], insert[1], insert[3]), insert)
            assert bench.puts.inserts == [(number % 2, *insert) for insert in first.values()]
            assert bench.puts.fills == [(number % 2, *fill) for fill in records.fills()]
            wrong = sum(config.layer.experts <= expert != NO_EXPERT for choices in records.choices for expert, _ in choices)
            assert len(bench.watch["expert"]) == wrong
            assert len(bench.watch["twice"]) == len(records.inserts()) - len(first)
            assert len(bench.watch["lists"]) == len(bench.watch["rows"]) == 1 and not bench.watch["response"]

    bench.run(main)


@pytest.mark.parametrize("timing_only", [False, True])
@pytest.mark.parametrize("latency", [pytest.param(1, marks=pytest.mark.regress), 30])
@pytest.mark.parametrize(("name", "dataflows"), BUILDS)
def test_latency(name, dataflows, latency, timing_only):
    """The cycles of the golden model, also where bursts wait for others; without tokens one cycle."""
    config = config_of(name, dataflows, io__latency_cycles=latency, tile__tokens=12)
    rng = random.Random(name)
    beat = config.io.bytes_per_cycle
    records = Records(config, rng, 12)
    base = 4096 * 5 - 3 * beat
    bench = Bench(config, base=base, contents=records.bytes, timing_only=timing_only)

    async def main(ctx):
        await ctx.tick().repeat(2)
        for tokens in (12, 0):
            await bench.begin(ctx, base, tokens)
            await bench.until_rows(ctx)

    bench.run(main)
    watch = bench.watch
    for number, tokens in enumerate((12, 0)):
        expected = ingest(config, base, tokens)
        assert watch["lists"][number] - watch["start"][number] == expected.lists
        assert watch["rows"][number] - watch["start"][number] == expected.rows
    assert bench.memory.reads[0][0] - watch["start"][0] == bench.reader.latency_cycles
    assert len(bench.puts.inserts) == len({(lane, token, expert) for lane, token, _, expert, *_ in records.inserts()})


@pytest.mark.parametrize(("name", "dataflows"), BUILDS)
def test_beats_with_errors(name, dataflows):
    """Choices that came with an error are dropped, and those of a token whose exponent did; each bad beat is reported."""
    config = config_of(name, dataflows)
    rng = random.Random(name)
    records = Records(config, rng, config.tile.tokens)
    heads = records.tokens * config.head_bytes // config.io.bytes_per_cycle
    beats = len(records.bytes) // config.io.bytes_per_cycle
    bench = Bench(config, contents=records.bytes)
    bench.memory.bad_beats = {*rng.sample(range(heads), max(heads // 4, 1)), beats - 1}

    async def main(ctx):
        await bench.begin(ctx, 0, records.tokens)
        await bench.until_rows(ctx)

    bench.run(main)
    good = records.inserts(bench.memory.bad_beats)
    assert {(lane, token, expert) for _, lane, token, _, expert, *_ in bench.puts.inserts} == \
        {(lane, token, expert) for lane, token, _, expert, *_ in good}
    assert len(bench.watch["response"]) == len(bench.memory.bad_beats) and not bench.watch["expert"]
    assert bench.puts.fills == [(0, *fill) for fill in records.fills()]


@pytest.mark.parametrize("seed", range(8))
def test_a_stop_ends_everything(seed):
    """Whenever it comes: the port comes to rest, nothing is put anywhere, and the next batch is whole."""
    print(f"seed {seed}")
    rng = random.Random(seed)
    config = config_of(*rng.choice(BUILDS))
    records = Records(config, rng, config.tile.tokens)
    bench = Bench(config, stall=rng.choice([0, 0.3]), seed=seed, contents=records.bytes)
    reader = bench.reader

    async def main(ctx):
        for _ in range(5):
            await bench.begin(ctx, 0, records.tokens)
            for _ in range(rng.randrange(rng.choice([8, 40, 400]))):
                await ctx.tick()
                if len(bench.watch["rows"]):
                    break
            ctx.set(reader.stop, 1)
            await ctx.tick().repeat(3)
            kept = len(bench.puts.inserts), len(bench.puts.fills)
            while not ctx.get(reader.quiet):
                await ctx.tick()
            assert kept == (len(bench.puts.inserts), len(bench.puts.fills))
            ctx.set(reader.stop, 0)
            bench.puts.clear()
            for seen in bench.watch.cycles.values():
                seen.clear()
        await bench.begin(ctx, 0, records.tokens, 1)
        await bench.until_rows(ctx)

    bench.run(main)
    assert bench.puts.fills == [(1, *fill) for fill in records.fills()]
    assert len(bench.watch["lists"]) == 1
