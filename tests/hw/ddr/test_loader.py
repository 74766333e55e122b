"""The DDR loader against a stream of slices and a bus that stalls: addresses, bursts, words, latencies."""

import random

import pytest

from tests.support.blocks import run_block
from tests.support.configurations import small
from tests.support.slices import FIRST_WORDS, places
from trajectile.hw.batch.layouts import PAGE_BITS
from trajectile.hw.ddr.loader import DdrLoader
from trajectile.hw.params import Params
from trajectile.sw_model.config import load


def memory_byte(address: int) -> int:
    """What the model of the memory holds."""
    return (address * 167 + (address >> 8)) & 0xFF


def drive(config, rows, stall, seed, late=False, bases=(0,)):
    """Fetch ``rows`` as fast as the loader takes them, or ``late``: each in the cycle in which the one before is written.
    They belong to a batch each in turn, whose layers begin at ``bases``.

    Returns the cycles of loads, first addresses, ends and loadeds, and the loader.
    """
    loader = DdrLoader(Params(config))
    rng = random.Random(seed)
    size, latency = config.ddr.bytes_per_cycle, config.ddr.latency_cycles
    log = {"load": [], "address": [], "last": [], "loaded": [], "loader": loader}
    written = {}

    async def bench(ctx):
        for batch, base in enumerate(bases):
            ctx.set(loader.pages[batch], base >> PAGE_BITS)
        beats, cycle, slots = [], 0, []  # beats: (ready cycle, data) in order
        while len(log["loaded"]) < len(rows) or not ctx.get(loader.quiet):
            assert cycle < 20_000, "hung"
            ctx.set(loader.load.start, 0)
            number = len(log["load"])
            ctx.set(loader.entries.valid, number < len(rows))
            if number < len(rows):
                ctx.set(loader.entries.payload, {"row": rows[number], "batch": number % len(bases)})
            await ctx.delay(0)
            fire = ctx.get(loader.load.valid) and not (stall and rng.random() < 0.5)
            if late:
                fire = fire and (len(log["load"]) == len(log["loaded"]) or ctx.get(loader.load.done))
            ctx.set(loader.load.start, fire)
            assert fire or not ctx.get(loader.entries.ready)
            if fire:
                slots.append(len(log["load"]) % config.tile.slots)
                ctx.set(loader.load.slot, slots[-1])
                assert ctx.get(loader.load.entry.row) == rows[len(log["load"])]
                assert ctx.get(loader.entries.ready)
                log["load"].append(cycle)
            ctx.set(loader.ddr.arready, not (stall and rng.random() < 0.5))
            if ctx.get(loader.ddr.arvalid) and ctx.get(loader.ddr.arready):
                address, count = ctx.get(loader.ddr.araddr), ctx.get(loader.ddr.arlen) + 1
                assert address // 4096 == (address + count * size - 1) // 4096, "burst crosses a 4 KiB line"
                assert ctx.get(loader.ddr.arburst) == 1 and 1 << ctx.get(loader.ddr.arsize) == size
                log["address"].append((cycle, address, count))
                beats += [(cycle + latency, int.from_bytes(bytes(memory_byte(address + b * size + i)
                                                                 for i in range(size)), "little"))
                          for b in range(count)]
            valid = bool(beats) and beats[0][0] <= cycle and not (stall and rng.random() < 0.3)
            ctx.set(loader.ddr.rvalid, valid)
            if valid:
                ctx.set(loader.ddr.rdata, beats.pop(0)[1])
                assert ctx.get(loader.ddr.rready)
                log["last"].append(cycle)
            if ctx.get(loader.write.en):
                written.setdefault(len(log["loaded"]), []).append(
                    tuple(ctx.get(getattr(loader.write, name)) for name in ("slot", "addr", "piece", "data")))
            if ctx.get(loader.load.done):
                assert ctx.get(loader.load.done_slot) == slots[len(log["loaded"])]
                log["loaded"].append(cycle)
            await ctx.tick()
            cycle += 1

    run_block(loader, bench)
    for number, row in enumerate(rows):
        start = bases[number % len(bases)] + row * config.slice_pitch_bytes
        beats = [int.from_bytes(bytes(memory_byte(start + beat * size + i) for i in range(size)), "little")
                 for beat in range(config.slice_beats)]
        assert written[number] == [(number % config.tile.slots, *place, beat)
                                   for place, beat in zip(places(config, size), beats, strict=True)]
    log["last"] = log["last"][config.slice_beats - 1::config.slice_beats]
    return log


@pytest.mark.parametrize("changes", [*FIRST_WORDS.values(), {"ddr__bytes_per_cycle": 4}, {"ddr__bytes_per_cycle": 1},
                                     {"ddr__latency_cycles": 300}], ids=str)
def test_latency(changes):
    """Loads as early as possible, beats without a gap, `loaded` the cycle after the last beat."""
    config = small(tile__slots=8, **changes)
    log = drive(config, [2, 0, 5, 1, 3], stall=False, seed=0)
    end, loader = -1, log["loader"]
    for number, (load_at, last, loaded) in enumerate(zip(log["load"], log["last"], log["loaded"], strict=True)):
        address = log["address"][number * config.slice_bursts][0]
        assert address == load_at + loader.latency_cycles
        end = max(address + config.ddr.latency_cycles, end + 1) + config.slice_beats - 1
        assert last == end
        assert loaded == last + loader.write_cycles
    # prefetch hides the latency: from the second slice on beats follow each other
    assert log["last"][-1] - log["last"][0] == 4 * config.slice_beats


def test_beyond_4_gib():
    """A layer above 4 GiB, and one below with a slice across that line, between others; the last pages of the channel."""
    config = small(ddr__bytes_per_cycle=1, layer__d_model=24)
    assert config.slice_pitch_bytes == 3 * 256
    for base in (0x12_3456_7000, (1 << 32) - 4096, (1 << 40) - 2 * 4096):
        log = drive(config, [4, 5, 6], stall=False, seed=0, bases=(base,))
        assert [at for _, at, _ in log["address"]] == [base + 3072 + 256 * number for number in range(9)]


@pytest.mark.parametrize("latency", [1, 30])
def test_turn(latency):
    """One slice in flight: the next load waits for the last beat of the one before."""
    config = small(ddr__latency_cycles=latency)
    config.__dict__["loads_in_flight"] = 1  # a cached property: no legal configuration has so few
    log = drive(config, [2, 0, 5], stall=False, seed=0)
    addresses = [cycle for cycle, _, _ in log["address"][::config.slice_bursts]]
    turns = [address - last for last, address in zip(log["last"], addresses[1:], strict=False)]
    assert turns == 2 * [log["loader"].turn_cycles]


def test_several_bursts():
    """A slice of more than 256 beats takes full-length bursts and a shorter last one."""
    config = load("demo", ["ddr.bytes_per_cycle=2", "layer.d_model=40"])
    beats = config.slice_beats
    assert beats % 256 and config.slice_bursts > 1
    log = drive(config, [7, 1], stall=False, seed=0)
    assert [count for _, _, count in log["address"]] == 2 * ([256] * (config.slice_bursts - 1) + [beats % 256])
    assert [at - log["load"][0] for at, _, _ in log["address"][:config.slice_bursts]] == \
        list(range(1, 1 + config.slice_bursts))


@pytest.mark.parametrize("seed", range(3))
def test_stalls_lose_nothing(seed):
    """Random stalls of every channel."""
    print(f"seed {seed}")
    drive(small(ddr__bytes_per_cycle=4), [4, 3, 2, 6], stall=True, seed=seed)


def test_a_load_in_the_cycle_in_which_one_ends():
    """The slot of the new one goes to the right place of the queue."""
    log = drive(small(), [4, 3, 2, 5], stall=False, seed=0, late=True)
    assert log["load"][1:] == log["loaded"][:-1]


@pytest.mark.parametrize("seed", range(2))
def test_two_batches(seed):
    """Each has its own layer; one follows the other without a gap."""
    print(f"seed {seed}")
    config = small(tile__batches=2, tile__slots=8)
    bases = (0x40_0000_0000, 0x7000)
    drive(config, [4, 3, 2, 6, 0, 1], stall=True, seed=seed, bases=bases)
    log = drive(config, [4, 3, 2, 6, 0, 1], stall=False, seed=seed, bases=bases)
    assert log["last"][-1] - log["last"][0] == 5 * config.slice_beats
