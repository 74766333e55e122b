"""Both halves of the io port against a memory: every beat once, in order, AXI's rules, latencies, coming to rest."""

import random

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import Out, connect, flipped

from tests.support.blocks import run_block
from tests.support.configurations import small
from tests.support.io_memory import IoMemory
from tests.support.watch import Watch
from trajectile.hw.host.axi import Axi4
from trajectile.hw.io.ports import IO_BURSTS
from trajectile.hw.io.reader import IoReader
from trajectile.hw.io.writer import IoWriter
from trajectile.hw.params import Params

BEAT_BYTES = (4, 8, 16, 32, 64, 128)


def config_of(beat_bytes):
    """Small, with regions of some thousand beats."""
    return small(io__bytes_per_cycle=beat_bytes, tile__tokens=600, layer__d_model=64, tile__mac_k=4, tile__mac_n=4)


def some_regions(rng, beat_bytes, count):
    """Address in beats and number of beats: short, long, at lines, across them."""
    line = min(4096, 256 * beat_bytes) // beat_bytes
    for _ in range(count):
        address = rng.choice([0, line, rng.randrange(3 * line), 2 * line - 1, rng.randrange(line)])
        yield address, rng.choice([1, 2, line, line + 1, rng.randrange(1, 6 * line), 5 * line])


def expected_bursts(address, beats, beat_bytes):
    """Cut at lines."""
    line = min(4096, 256 * beat_bytes) // beat_bytes
    found = []
    while beats:
        count = min(beats, line - address % line)
        found.append((address * beat_bytes, count))
        address, beats = address + count, beats - count
    return found


def reader_and(stall, seed, beat_bytes, latency=7):
    """A reader with its memory."""
    reader = IoReader(Params(config_of(beat_bytes)))
    contents = random.Random(seed).randbytes(10 * 4096)
    memory = IoMemory(beat_bytes, read=reader.read, latency=latency, stall=stall, seed=seed, contents=contents)
    return reader, memory


async def start(ctx, region, address, beats):
    """The strobe; ends in the cycle after it."""
    ctx.set(region.start, 1)
    ctx.set(region.address, address)
    ctx.set(region.beats, beats)
    await ctx.tick()
    ctx.set(region.start, 0)


@pytest.mark.parametrize("stall", [0, 0.4])
@pytest.mark.parametrize("beat_bytes", BEAT_BYTES)
def test_reads(beat_bytes, stall):
    """Regions of any place and size, with random delays of memory and user."""
    print(f"seed {beat_bytes}")
    rng = random.Random(beat_bytes)
    reader, memory = reader_and(stall, beat_bytes, beat_bytes)

    async def bench(ctx):
        for address, beats in some_regions(rng, beat_bytes, 5):
            assert ctx.get(reader.quiet)
            first = len(memory.reads)
            memory.bad_beats = {sum(count for _, _, count in memory.reads) + rng.randrange(beats)}
            number = sum(count for _, _, count in memory.reads)
            await start(ctx, reader.region, address, beats)
            for beat in range(beats):
                ready = False
                while not ready:
                    ready = rng.random() >= stall
                    ctx.set(reader.beats.ready, ready)
                    _, _, valid, data, error = await ctx.tick().sample(
                        reader.beats.valid, reader.beats.payload.data, reader.beats.payload.error)
                    ready &= bool(valid)
                at = (address + beat) * beat_bytes
                assert data == int.from_bytes(memory.contents[at:at + beat_bytes], "little")
                assert error == (number + beat in memory.bad_beats)
            ctx.set(reader.beats.ready, 0)
            assert [(at, count) for _, at, count in memory.reads[first:]] == expected_bursts(address, beats, beat_bytes)
            assert ctx.get(reader.quiet)
            await ctx.tick().repeat(3)
            assert not ctx.get(reader.read.arvalid)

    run_block(reader, bench, background=[memory.run])


@pytest.mark.parametrize("latency", [1, 3, 400])
def test_read_cycles(latency):
    """The first address, one per cycle while fewer than IO_BURSTS wait, the next in the cycle after a burst is complete."""
    reader, memory = reader_and(0, 1, 32, latency)
    watch = Watch(start=reader.region.start, ask=reader.read.arvalid & reader.read.arready, quiet=reader.quiet,
                  last=reader.read.rvalid & reader.read.rready & reader.read.rlast)

    async def bench(ctx):
        await ctx.tick().repeat(2)
        ctx.set(reader.beats.ready, 1)
        await start(ctx, reader.region, 0, 8 * 128)
        await ctx.tick().until(reader.quiet)
        await ctx.tick().repeat(2)

    run_block(reader, bench, background=[memory.run, watch.run])
    first = watch["start"][0] + reader.latency_cycles
    asks = [first + number for number in range(IO_BURSTS)]
    lasts, free = [], 0
    for number in range(8):
        if number >= IO_BURSTS:
            asks.append(max(asks[-1], lasts[number - IO_BURSTS]) + 1)
        free = max(asks[number] + latency, free) + 128
        lasts.append(free - 1)
    assert watch["ask"] == asks and watch["last"] == lasts
    assert watch["quiet"][watch["quiet"].index(watch["start"][0]) + 1] == lasts[-1] + 1


@pytest.mark.parametrize("stall", [0, 0.4])
@pytest.mark.parametrize("beat_bytes", BEAT_BYTES)
def test_writes(beat_bytes, stall):
    """Regions of any place and size, with random delays of memory and user; every byte of them once and no other."""
    print(f"seed {beat_bytes}")
    rng = random.Random(beat_bytes)
    writer = IoWriter(Params(config_of(beat_bytes)))
    user = writer.user
    memory = IoMemory(beat_bytes, write=writer.write, latency=7, stall=stall, seed=beat_bytes)
    watch = Watch(bad=user.bad_response)

    async def bench(ctx):
        for address, beats in some_regions(rng, beat_bytes, 5):
            assert ctx.get(user.quiet)
            bursts, written = len(memory.writes), len(memory.written)
            memory.bad_bursts = {bursts}
            data = [rng.getrandbits(8 * beat_bytes) for _ in range(beats)]
            await start(ctx, user.region, address, beats)
            for beat in data:
                while rng.random() < stall:
                    await ctx.tick()
                ctx.set(user.beats.valid, 1)
                ctx.set(user.beats.payload, beat)
                await ctx.tick().until(user.beats.ready)
                ctx.set(user.beats.valid, 0)
            while not ctx.get(user.quiet):
                await ctx.tick()
            assert [(at, count) for _, at, count in memory.writes[bursts:]] == expected_bursts(address, beats, beat_bytes)
            assert [beat[1:] for beat in memory.written[written:]] == \
                [((address + number) * beat_bytes, beat, (1 << beat_bytes) - 1) for number, beat in enumerate(data)]
            assert len(memory.answers) == len(memory.writes)
            await ctx.tick().repeat(2)
            assert not ctx.get(writer.write.awvalid) and not ctx.get(writer.write.wvalid)

    run_block(writer, bench, background=[memory.run, watch.run])
    assert len(watch["bad"]) == 5


@pytest.mark.parametrize("latency", [1, 400])
def test_write_cycles(latency):
    """Address and first beat in the cycle after the start, a beat per cycle, rest in the cycle after the last answer."""
    writer = IoWriter(Params(config_of(32)))
    user, write = writer.user, writer.write
    memory = IoMemory(32, write=write, latency=latency)
    watch = Watch(start=user.region.start, ask=write.awvalid & write.awready, beat=write.wvalid & write.wready,
                  quiet=user.quiet)

    async def bench(ctx):
        ctx.set(user.beats.valid, 1)
        await ctx.tick().repeat(2)
        await start(ctx, user.region, 0, 8 * 128)
        await ctx.tick().until(user.quiet)
        await ctx.tick().repeat(2)

    run_block(writer, bench, background=[memory.run, watch.run])
    first = watch["start"][0] + writer.latency_cycles
    asks, beats = [], []
    for number in range(8):
        asks.append(asks[-1] + 1 if asks else first)
        if number >= IO_BURSTS:
            asks[-1] = max(asks[-1], memory.answers[number - IO_BURSTS] + 1)
        begin = max(asks[-1], beats[-1] + 1 if beats else 0)
        beats += range(begin, begin + 128)
    assert watch["ask"] == asks and watch["beat"] == beats
    assert memory.answers[-1] == beats[-1] + latency
    assert watch["quiet"][watch["quiet"].index(watch["start"][0]) + 1] == memory.answers[-1] + writer.answer_cycles


@pytest.mark.parametrize("slow", ["awready", "wready"])
def test_a_write_waits_for_neither_ready(slow):
    """Address and beat are both offered while the memory takes one of them only when it has seen the other."""
    writer = IoWriter(Params(config_of(128)))
    user, write = writer.user, writer.write
    other = {"awready": write.wvalid, "wready": write.awvalid}[slow]

    async def bench(ctx):
        ctx.set(user.beats.valid, 1)
        await start(ctx, user.region, 0, 3)
        await ctx.tick().repeat(3)
        assert ctx.get(write.awvalid) and ctx.get(write.wvalid) and ctx.get(other)
        ctx.set(write.wready if slow == "awready" else write.awready, 1)
        await ctx.tick().repeat(5)
        # all beats go before the address, or the address goes before any beat; then the other
        assert ctx.get(write.awvalid) == (slow == "awready") and ctx.get(write.wvalid) == (slow == "wready")

    run_block(writer, bench)


@pytest.mark.parametrize("seed", range(12))
def test_a_stopped_read_comes_to_rest(seed):
    """What was asked for is dropped without its user; nothing else is asked for; the next region is read as usual."""
    print(f"seed {seed}")
    rng = random.Random(seed)
    stall = rng.choice([0, 0.3])
    reader, memory = reader_and(stall, seed, 16, latency=rng.choice([1, 20]))

    async def bench(ctx):
        for _ in range(6):
            await start(ctx, reader.region, rng.randrange(100), rng.randrange(1, 9 * 256))
            for _ in range(rng.choice([0, 1, 2, 5, 300, 700])):
                ctx.set(reader.beats.ready, rng.random() >= stall)
                await ctx.tick()
            ctx.set(reader.beats.ready, 0)
            ctx.set(reader.stop, 1)
            waits = ctx.get(reader.read.arvalid)
            asked = len(memory.reads)
            await ctx.tick()
            ctx.set(reader.stop, rng.random() < 0.5)  # a level, or a strobe
            while not ctx.get(reader.quiet):
                assert not ctx.get(reader.beats.valid)
                await ctx.tick()
            ctx.set(reader.stop, 0)
            assert len(memory.reads) <= asked + waits
            assert len(memory.beats) == sum(count for _, _, count in memory.reads)
            await ctx.tick().repeat(3)
            assert ctx.get(reader.quiet)
        await start(ctx, reader.region, 5, 3)
        ctx.set(reader.beats.ready, 1)
        for beat in range(5, 8):
            data, = await ctx.tick().sample(reader.beats.payload.data).until(reader.beats.valid)
            assert data == int.from_bytes(memory.contents[16 * beat:16 * beat + 16], "little")

    run_block(reader, bench, background=[memory.run])


@pytest.mark.parametrize("seed", range(12))
def test_a_stopped_write_comes_to_rest(seed):
    """Bursts that have begun end without another byte; the next region is written as usual."""
    print(f"seed {seed}")
    rng = random.Random(seed)
    stall = rng.choice([0, 0.3])
    writer = IoWriter(Params(config_of(16)))
    user = writer.user
    memory = IoMemory(16, write=writer.write, latency=rng.choice([1, 20]), stall=stall, seed=seed)

    async def bench(ctx):
        for _ in range(6):
            await start(ctx, user.region, rng.randrange(100), rng.randrange(1, 9 * 256))
            begun, number = len(memory.written), 0
            for _ in range(rng.choice([0, 1, 2, 5, 300, 700])):
                if not ctx.get(user.beats.valid):
                    ctx.set(user.beats.valid, rng.random() >= stall)
                ctx.set(user.beats.payload, number)
                _, _, taken = await ctx.tick().sample(user.beats.valid & user.beats.ready)
                if taken:
                    number += 1
                    ctx.set(user.beats.valid, 0)
                if ctx.get(user.quiet):
                    break
            if not ctx.get(user.beats.valid):
                ctx.set(user.beats.valid, 1)  # may never be taken, or dropped
                ctx.set(user.beats.payload, number)
            ctx.set(user.stop, 1)
            waits = ctx.get(writer.write.awvalid)
            asked = len(memory.writes)
            await ctx.tick()
            ctx.set(user.stop, rng.random() < 0.5)
            while not ctx.get(user.quiet):
                await ctx.tick()
            ctx.set(user.stop, 0)
            ctx.set(user.beats.valid, 0)
            assert len(memory.writes) <= asked + waits
            assert len(memory.answers) == len(memory.writes)
            beats = memory.written[begun:]
            real = [beat for _, _, beat, enabled in beats if enabled]
            assert real[:number] == list(range(number)) and set(real[number:]) <= {number}
            assert all(enabled == 0 for _, _, _, enabled in beats[len(real):])
            await ctx.tick().repeat(3)
            assert ctx.get(user.quiet) and not ctx.get(writer.write.wvalid)
        await start(ctx, user.region, 5, 3)
        ctx.set(user.beats.valid, 1)
        await ctx.tick().until(user.quiet)
        assert [(at, enabled) for _, at, _, enabled in memory.written[-3:]] == [(80, 0xFFFF), (96, 0xFFFF), (112, 0xFFFF)]

    run_block(writer, bench, background=[memory.run])


class Both(wiring.Component):
    """Reader and writer on one port, joined by its halves."""

    def __init__(self, params):
        self.reader, self.writer = IoReader(params), IoWriter(params)
        super().__init__({"io": Out(Axi4(params.address_bits, params.io_bits))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.reader, m.submodules.writer = self.reader, self.writer
        connect(m, self.reader.read, flipped(self.io.read))
        connect(m, self.writer.write, flipped(self.io.write))
        return m


def test_both_halves_of_one_port():
    """``Axi4`` has all signals of both; its halves are the same signals."""
    both = Both(Params(config_of(8)))
    memory = IoMemory(8, read=both.io.read, write=both.io.write, contents=bytes(range(64)))

    async def bench(ctx):
        await start(ctx, both.reader.region, 2, 1)
        await start(ctx, both.writer.user.region, 3, 1)
        ctx.set(both.reader.beats.ready, 1)
        ctx.set(both.writer.user.beats.valid, 1)
        ctx.set(both.writer.user.beats.payload, 77)
        await ctx.tick().until(both.writer.user.quiet & both.reader.quiet)

    run_block(both, bench, background=[memory.run])
    assert memory.reads[0][1:] == (16, 1) and memory.written[0][1:] == (24, 77, 255)
