"""Results and completion records in memory: every byte, in the cycles of the golden model; stops at any time."""

import random

import numpy as np
import pytest

from tests.support.blocks import run_block
from tests.support.configurations import small
from tests.support.io_memory import IoMemory
from tests.support.watch import Watch
from trajectile.hw.batch.layouts import COMPLETION_LAYOUT, RECORD_COUNTERS
from trajectile.hw.batch.result_writer import ResultWriter
from trajectile.hw.params import Params
from trajectile.sw_model.batch.results import bf16
from trajectile.sw_model.config import ceil_div
from trajectile.sw_model.timeline.results import write_results

#: groups smaller than, as large as and larger than a beat; several in one, one in several, filled up; odd numbers
SHAPES = {
    "narrow": {"io__bytes_per_cycle": 4},
    "group is a beat": {"io__bytes_per_cycle": 16, "tile__mac_n": 4},
    "groups in a beat": {"io__bytes_per_cycle": 128, "tile__mac_n": 4, "layer__d_model": 51},
    "groups of bf16 in a beat": {"io__bytes_per_cycle": 32, "tile__mac_n": 4, "layer__d_model": 23, "tile__mac_t": 3},
    "beats of a group": {"io__bytes_per_cycle": 32, "tile__mac_n": 32, "layer__d_model": 96, "tile__mac_k": 4},
    "filled up": {"io__bytes_per_cycle": 16, "tile__mac_n": 6, "layer__d_model": 17},
    "short filled up": {"io__bytes_per_cycle": 64, "tile__mac_n": 6, "layer__d_model": 17},
    "beats filled up": {"io__bytes_per_cycle": 8, "tile__mac_n": 10, "layer__d_model": 27},
    "one group": {"io__bytes_per_cycle": 8, "tile__mac_n": 2, "layer__d_model": 2},
    "two batches": {"io__bytes_per_cycle": 64, "tile__mac_n": 8, "tile__batches": 2, "layer__d_model": 40},
}


def config_of(name, **changes):
    """One of the shapes."""
    usual = {"tile__tokens": 5, "tile__mac_t": 2, "tile__mac_k": 2, "link__beat_bytes": 1, "ddr__bytes_per_cycle": 1,
             "layer__d_model": 20, "tile__mac_n": 2}
    return small(**(usual | SHAPES[name] | changes))


class Bench:
    """A writer with its memory, and what it reads."""

    def __init__(self, config, *, stall=0.0, seed=0, timing_only=False):
        self.config, self.params = config, Params(config, timing_only=timing_only)
        self.writer = writer = ResultWriter(self.params)
        self.memory = IoMemory(config.io.bytes_per_cycle, write=writer.io, latency=config.io.latency_cycles, stall=stall,
                               seed=seed)
        rng = random.Random(seed)
        shape = (config.tile.batches, config.tile.tokens, config.down_groups * config.tile.mac_n)
        self.y = np.array([rng.getrandbits(32) >> rng.randrange(32) for _ in range(np.prod(shape))],
                          dtype=np.uint32).reshape(shape).view(np.int32)
        self.clips = [[rng.getrandbits(16) for _ in range(config.tile.tokens)] for _ in range(config.tile.batches)]
        self.units = [rng.randrange(-40, 3) for _ in range(config.tile.batches)]
        self.counters = [rng.getrandbits(32) for _ in range(RECORD_COUNTERS)]
        self.now = rng.getrandbits(32)
        result = writer.result
        self.watch = Watch(start=result.start, written=result.written, complete=result.complete, bad=result.bad_response,
                           idle=result.idle)
        self.rng = rng

    async def read_bench(self, ctx):
        """The token buffer: an answer a cycle later, which holds until the next read."""
        read, mac_n = self.writer.read, self.config.tile.mac_n
        while True:
            _, _, wanted, batch, lane, token, group, of_clips = await ctx.tick().sample(
                read.read, read.batch, read.lane, read.token, read.group_index, read.of_clips)
            if not wanted:
                continue
            number = token * self.config.tile.mac_t + lane
            # after a read of one kind the other output may be anything
            ctx.set(read.clips, self.rng.getrandbits(16))
            ctx.set(read.results, self.rng.getrandbits(32 * mac_n))
            if of_clips:
                ctx.set(read.clips, self.clips[batch][number])
            else:
                words = self.y[batch, number, group * mac_n:(group + 1) * mac_n]
                ctx.set(read.results, int.from_bytes(words.astype("<i4").tobytes(), "little"))

    async def time_bench(self, ctx):
        """The time of each cycle."""
        while True:
            ctx.set(self.writer.result.now, self.now + self.watch.cycle & 0xFFFFFFFF)
            await ctx.tick()

    def result_bytes(self, tokens, as_bf16, batch, first=0):
        """What is written for the results of so many tokens from one on, padding zero."""
        config, beat, n = self.config, self.config.io.bytes_per_cycle, self.config.tile.mac_n
        size = 2 if as_bf16 else 4
        found = b""
        for token in range(first, first + tokens):
            y = self.y[batch, token]
            values = bf16(y, self.units[batch]).astype("<u2") if as_bf16 else y.astype("<i4")
            row = b""
            for group in range(config.down_groups):
                part = values[group * n:(group + 1) * n].tobytes()
                row += part if beat % len(part) == 0 else part.ljust(ceil_div(len(part), beat) * beat, b"\0")
            row = row.ljust(ceil_div(len(row), beat) * beat, b"\0")
            last = self.clips[batch][token].to_bytes(2, "little") + (self.units[batch] & 0xFF).to_bytes(1, "little")
            row += last.ljust(beat, b"\0")
            assert len(row) == config.result_bytes(size)
            found += row
        return found

    async def start(self, ctx, *, address=0, tokens=0, as_bf16=False, batch=0, flush=False, tag=0, rung=0):
        """The strobe; ends in the cycle after it."""
        result = self.writer.result
        ctx.set(result.descriptor, {"results": address // self.config.io.bytes_per_cycle, "tokens": tokens, "bf16": as_bf16,
                                    "tag": tag, "rung": rung})
        ctx.set(result.flush, flush)
        ctx.set(result.batch, batch)
        ctx.set(result.start, 1)
        await ctx.tick()
        ctx.set(result.start, 0)
        ctx.set(result.flush, 1 - flush)
        ctx.set(result.batch, 1 - batch)

    async def set_up(self, ctx):
        if not self.params.timing_only:
            for batch, unit in enumerate(self.units):
                ctx.set(self.writer.unit[batch], unit)
        for number, value in enumerate(self.counters):
            ctx.set(self.writer.counters[number], value)

    async def until_complete(self, ctx):
        count = len(self.watch["complete"])
        for _ in range(100_000):
            if len(self.watch["complete"]) > count:
                return
            await ctx.tick()
        raise AssertionError("hung")

    def run(self, main, *background):
        others = [*background] if self.params.timing_only else [self.read_bench, *background]

        async def bench(ctx):
            await self.set_up(ctx)
            await main(ctx)

        run_block(self.writer, bench, background=[self.memory.run, self.watch.run, self.time_bench, *others])

    def record(self, address):
        """The completion record in memory."""
        written = self.memory.bytes_written()
        contents = bytes(written[address + place] for place in range(64))
        rest = self.config.completion_bytes - 64
        assert all(written[address + 64 + place] == 0 for place in range(rest))
        return COMPLETION_LAYOUT.from_bits(int.from_bytes(contents, "little"))


@pytest.mark.parametrize("stall", [0, 0.3])
@pytest.mark.parametrize("name", SHAPES)
def test_results(name, stall):
    """int32 and bf16, all tokens, one, none, with random delays: every byte, and no other."""
    config = config_of(name)
    bench = Bench(config, stall=stall, seed=len(name))
    result, rng = bench.writer.result, random.Random(name)
    beat, expected, records = config.io.bytes_per_cycle, {}, {}
    at = 4096 * 7 - 2 * beat

    async def main(ctx):
        nonlocal at
        for number, (tokens, as_bf16) in enumerate([(config.tile.tokens, False), (config.tile.tokens, True), (1, False),
                                                    (1, True), (0, False), (config.tile.tokens - 1, True)]):
            batch = number % config.tile.batches
            errors, first_load, streaming, rung = (rng.getrandbits(32) for _ in range(4))
            ctx.set(result.errors, errors)
            ctx.set(result.first_load, first_load)
            ctx.set(result.streaming, streaming)
            assert ctx.get(result.idle) and ctx.get(bench.writer.quiet)
            await bench.start(ctx, address=at, tokens=tokens, as_bf16=as_bf16, batch=batch, tag=number + 77, rung=rung)
            await bench.until_complete(ctx)
            assert ctx.get(result.idle)
            records[at] = (number + 77, tokens, errors, rung, first_load, streaming, batch)
            contents = bench.result_bytes(tokens, as_bf16, batch)
            expected.update(enumerate(contents, at + config.completion_bytes))
            at += config.completion_bytes + len(contents) + beat

    bench.run(main)
    written = bench.memory.bytes_written()
    for address, (tag, tokens, errors, rung, first_load, streaming, batch) in records.items():
        record = bench.record(address)
        assert (record.tag, record.valid, record.failed, record.tokens, record.errors) == (tag, 1, 0, tokens, errors)
        assert (record.first_load, record.streaming, record.unit) == (first_load, streaming, bench.units[batch])
        assert [record.counters[number] for number in range(RECORD_COUNTERS)] == bench.counters
        assert record.again == int.from_bytes(bytes(written[address + place] for place in range(4)), "little")
        assert (record.zero, record.zero_high) == (0, 0)
        sampled = record.cycles + rung - bench.now & 0xFFFFFFFF
        # in the cycle before its beat is offered
        taken = [cycle for cycle, place, *_ in bench.memory.written if place <= address + 8 < place + beat]
        assert sampled < taken[0] and (stall or sampled == taken[0] - 1)
        for place in range(config.completion_bytes):
            del written[address + place]
    assert written == expected
    assert len(bench.watch["written"]) == 5  # without tokens there are no results
    assert not bench.watch["bad"]


@pytest.mark.parametrize("lanes", [1, 2, 3])
def test_own_tokens(lanes):
    """Where a tile holds tokens of others too, its own are written, from whichever place on; of none there is no unit."""
    config = small(array__dataflows="both", io__bytes_per_cycle=8, tile__mac_t=lanes, tile__tokens=6, layer__d_model=20)
    bench, expected, records = Bench(config, seed=lanes), {}, {}
    pitch = 4096

    async def main(ctx):
        for number, (first, tokens) in enumerate([(0, 6), (1, 5), (2, 3), (5, 1), (3, 0), (4, 2)]):
            as_bf16 = number % 2 == 1
            ctx.set(bench.writer.result.first, {"lane": first % lanes, "token": first // lanes})
            await bench.start(ctx, address=number * pitch, tokens=tokens, as_bf16=as_bf16)
            ctx.set(bench.writer.result.first, {"lane": 0, "token": 1})
            await bench.until_complete(ctx)
            records[number * pitch] = tokens
            contents = bench.result_bytes(tokens, as_bf16, 0, first)
            expected.update(enumerate(contents, number * pitch + config.completion_bytes))

    bench.run(main)
    for address, tokens in records.items():
        assert bench.record(address).unit == (bench.units[0] if tokens else 0) and bench.units[0]
    written = bench.memory.bytes_written()
    assert {place: value for place, value in written.items() if place % pitch >= config.completion_bytes} == expected


@pytest.mark.parametrize("timing_only", [False, True])
@pytest.mark.parametrize("latency", [1, 30])
@pytest.mark.parametrize("name", SHAPES)
def test_latency(name, latency, timing_only):
    """The cycles of the golden model for results and records."""
    config = config_of(name, io__latency_cycles=latency)
    bench = Bench(config, timing_only=timing_only)
    writer, cases = bench.writer, [(5, False), (5, True), (1, False), (0, False), (2, True)]
    address = 4096 * 7 - 2 * config.io.bytes_per_cycle

    async def main(ctx):
        await ctx.tick().repeat(3)
        for tokens, as_bf16 in cases:
            await bench.start(ctx, address=address, tokens=tokens, as_bf16=as_bf16)
            await bench.until_complete(ctx)

    bench.run(main)
    starts, written = bench.watch["start"], iter(bench.watch["written"])
    for number, (tokens, as_bf16) in enumerate(cases):
        expected = write_results(config, address, tokens, 2 if as_bf16 else 4)
        if tokens:
            assert next(written) - starts[number] == expected.written, (tokens, as_bf16)
        assert bench.watch["complete"][number] - starts[number] == expected.complete, (tokens, as_bf16)
    assert bench.memory.writes[0][0] - starts[0] == 1
    assert bench.watch["complete"][-1] == bench.memory.answers[-1] + writer.answer_cycles


def test_a_beat_per_cycle():
    """int32 results without gaps."""
    config = config_of("beats of a group")
    bench = Bench(config)

    async def main(ctx):
        await bench.start(ctx, tokens=5)
        await bench.until_complete(ctx)

    bench.run(main)
    cycles = [cycle for cycle, *_ in bench.memory.written]
    beats = 5 * config.result_bytes(4) // 32
    assert cycles[:beats] == list(range(cycles[0], cycles[0] + beats))
    assert cycles[0] == bench.watch["start"][0] + 2 + bench.writer.beat_cycles


@pytest.mark.parametrize("seed", range(20))
def test_a_stop_gives_up_results(seed):
    """Whenever it comes: a record that says failed, if it was not complete, and the next batch is whole."""
    print(f"seed {seed}")
    rng = random.Random(seed)
    config = config_of(rng.choice(list(SHAPES)), io__latency_cycles=rng.choice([1, 9]))
    bench = Bench(config, stall=rng.choice([0, 0.3]), seed=seed)
    writer, pitch = bench.writer, config.completion_bytes + 6 * config.result_bytes(4)
    late = []

    async def main(ctx):
        for number in range(5):
            as_bf16, count = rng.random() < 0.5, len(bench.watch["complete"])
            await bench.start(ctx, address=number * pitch, tokens=5, as_bf16=as_bf16, tag=number)
            length = write_results(config, 0, 5, 2 if as_bf16 else 4).complete
            for _ in range(rng.randrange(length)):
                await ctx.tick()
                if len(bench.watch["complete"]) > count:
                    break
            ctx.set(writer.stop, 1)
            if len(bench.watch["complete"]) == count:
                await bench.until_complete(ctx)
                late.append(number)
            await ctx.tick().repeat(rng.randrange(1, 3))
            assert ctx.get(writer.quiet)
            if rng.random() < 0.5:  # of a descriptor that waited
                await bench.start(ctx, address=(10 + number) * pitch, tokens=5, flush=True, tag=10 + number)
                await bench.until_complete(ctx)
                assert bench.memory.written[-1][1] < (10 + number) * pitch + config.completion_bytes
                late.append(10 + number)
            ctx.set(writer.stop, 0)
        await bench.start(ctx, address=20 * pitch, tokens=5, tag=20)
        await bench.until_complete(ctx)

    bench.run(main)
    written = bench.memory.bytes_written()
    failed = [number for number in late if bench.record(number * pitch).failed]
    assert all(number in failed for number in late if number >= 10)
    for number in (*range(5), 20):
        record = bench.record(number * pitch)
        assert (record.tag, record.valid, record.tokens) == (number, 1, 5)
        if number < 10 and record.failed:
            continue
        # complete, as it was not stopped in time
        begin = number * pitch + config.completion_bytes
        contents = bytes(written[begin + place] for place in range(5 * config.result_bytes(2)))
        assert contents in (bench.result_bytes(5, True, 0), bench.result_bytes(5, False, 0)[:len(contents)])
    assert len(bench.watch["complete"]) == 6 + sum(number >= 10 for number in late)


@pytest.mark.parametrize("burst", [0, 1])
def test_answers_with_errors(burst):
    """Each is reported. Batch control stops all in the next cycle: the record says failed, also after the last answer."""
    bench = Bench(config_of("narrow"))
    writer, address = bench.writer, 4096 - 264  # results of 420 bytes from 4096 - 200 on
    bench.memory.bad_bursts = {burst}

    async def stop_bench(ctx):
        await ctx.tick().until(writer.result.bad_response)
        ctx.set(writer.stop, 1)
        while True:
            await ctx.tick()

    async def main(ctx):
        await bench.start(ctx, address=address, tokens=5)
        await bench.until_complete(ctx)

    bench.run(main, stop_bench)
    assert [at for _, at, _ in bench.memory.writes] == [address + 64, 4096, address]
    assert len(bench.watch["bad"]) == 1
    assert bench.record(address).failed
