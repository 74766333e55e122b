"""Latencies of the compute unit and of what it is made of, from event to event: what each block states is what it takes."""

import numpy as np
import pytest
from amaranth.hdl import Cat

from tests.support.blocks import run_block
from tests.support.compute_bench import ComputeBench
from tests.support.configurations import random_config, small
from tests.support.memory_bench import open_srams
from tests.support.watch import Watch, keep_made, pulse
from trajectile.hw.compute import clip_counter, lane_memory, unit
from trajectile.hw.compute.hidden_buffer import HiddenBuffer
from trajectile.hw.compute.lane_memory import LaneMemory
from trajectile.hw.params import Params
from trajectile.sw_model.batch.records import blank_batch

CONFIGS = {
    "smoke": small(),
    "one word": small(layer__d_model=2, layer__d_ff=3, tile__mac_k=2, tile__mac_n=2, tile__protect="parity",
                      link__beat_bytes=4),
    "bias": small(layer__bias=True),
    "registered products": small(tile__register_products=True),
    "registered products, bias": small(layer__bias=True, layer__d_model=16, tile__register_products=True),
    "registered operands": small(tile__register_operands=True),
    "registered operands and products, bias": small(layer__bias=True, layer__d_model=20, tile__register_operands=True,
                                                    tile__register_products=True),
    "registered starts": small(tile__register_starts=True),
    "registered starts, one word": small(layer__d_model=2, layer__d_ff=3, tile__mac_k=2, tile__mac_n=2, link__beat_bytes=4,
                                         tile__register_starts=True),
    "registered slots": small(tile__register_slots=True),
    "one word, both registered": small(layer__d_model=2, layer__d_ff=3, tile__mac_k=2, tile__mac_n=2, link__beat_bytes=4,
                                       tile__register_slots=True, tile__register_products=True),
    "two words": small(layer__d_model=8, layer__d_ff=3, tile__slices=3, tile__mac_k=4, tile__mac_n=4, tile__mac_t=1),
    "wide": small(layer__d_model=20, layer__d_ff=21, tile__slices=1, tile__mac_n=8, tile__mac_t=3, tile__mac_part=2),
    **{f"random {seed}": random_config(seed) for seed in (1, 4, 6)},
}


def one_pass(bench):
    """A slice of expert 0 that every lane's token 0 meets, and then the same again as soon as the unit is ready."""
    compute = bench.unit.compute

    async def run(ctx):
        await bench.form(ctx, 0, blank_batch(bench.config, np.zeros((bench.config.tile.mac_t, 1), np.int64)))
        await pulse(ctx, bench.unit.clear, compute.start, rest=0)
        while not ctx.get(compute.ready):
            await ctx.tick()
        await pulse(ctx, compute.start, rest=0)
        await ctx.tick().until(bench.unit.busy == 0)
    return run


@pytest.mark.parametrize("name", CONFIGS)
def test_a_slice(name, monkeypatch):
    """From start to first word, from gate-up to down, from the last word to the last result, from slice to slice."""
    config = CONFIGS[name]
    srams, hidden = open_srams(monkeypatch, lane_memory, clip_counter), keep_made(monkeypatch, unit, "HiddenBuffer")
    sequencer, lanes = keep_made(monkeypatch, unit, "MacSequencer"), keep_made(monkeypatch, unit, "LaneMemory")
    bench = ComputeBench(config)
    block = bench.unit
    before_down = config.parameter_words + config.gate_up_words
    down = block.weights.addr >= before_down
    watch = Watch(start=block.compute.start, ready=block.compute.ready, done=block.compute.done, busy=block.busy,
                  gate_up=block.issuing & ~down, down=block.issuing & down)

    async def watching(ctx):
        # a lane, each for every batch in flight: clips, activations, two banks of results
        batches = config.tile.batches
        clips, results = ([sram for number, sram in enumerate(srams) if number // batches % 4 in kinds]
                          for kinds in ([0], [2, 3]))
        watch.signals |= {"hidden": hidden[0].write} | {
            name: Cat(sram.en & sram.we.any() for sram in some).any()
            for name, some in (("result", results), ("clips", clips))}
        await watch.run(ctx)

    run_block(bench.module, one_pass(bench), background=[watching])
    # the first slice
    start, first, last = watch["start"][0], watch["gate_up"][0], watch["done"][0]
    gate_up_ends, down_begins = watch["gate_up"][before_down - 1], watch["down"][0]
    assert first == start + block.latency_cycles
    assert down_begins == gate_up_ends + sequencer[0].swiglu_cycles
    # hidden values are addressed with the word, and the last of them was written just before
    columns = config.gate_up_groups * config.tile.mac_n // 2
    assert down_begins == watch["hidden"][columns - 1] + HiddenBuffer.latency_cycles
    # the second: it may start so early that, if the last segment is that long, no cycle is lost
    assert watch["start"][1] == next(cycle for cycle in watch["ready"] if cycle >= first) == last - sequencer[0].early_cycles
    assert watch["gate_up"][before_down] == watch["start"][1] + block.latency_cycles
    if config.down_words >= block.latency_cycles:
        assert watch["gate_up"][before_down] == last + 1
    # written in one cycle, there in the next
    assert watch["result"][-1] + 1 == watch["done"][1] + lanes[0].stored_cycles
    # a count of clips does not have to wait for another here, which takes two cycles more; then the unit is not busy
    assert watch["clips"][-1] + 1 + 2 == watch["busy"][-1] + 1 == watch["done"][1] + block.drain_cycles


def test_fill_and_read(monkeypatch):
    """From activations that are filled in to their place, from a read of results or clips to what it shows."""
    srams = open_srams(monkeypatch, lane_memory, clip_counter)
    bench, value = ComputeBench(small(tile__mac_t=1)), 0x1234
    unit = bench.unit
    watch = Watch(fill=unit.fill.write, read=unit.read.read, results=unit.read.results == value,
                  clips=unit.read.clips == value)

    async def watching(ctx):
        watch.signals |= {"there": srams[1].word(1) == value}
        await watch.run(ctx)

    async def run(ctx):
        await one_pass(bench)(ctx)
        ctx.set(unit.filled, 0)
        ctx.set(unit.fill.index, 1)
        ctx.set(unit.fill.word.as_value(), value)
        await pulse(ctx, unit.fill.write)
        for of_clips, sram in enumerate((srams[2], srams[0])):
            ctx.set(sram.word(0), value)
            ctx.set(unit.read.of_clips, of_clips)
            await pulse(ctx, unit.read.read)
            ctx.set(unit.read.token, 1)  # has met nothing
            await pulse(ctx, unit.read.read)
            ctx.set(unit.read.token, 0)

    run_block(bench.module, run, background=[watching])
    assert watch["there"][0] == watch["fill"][-1] + unit.fill_cycles
    for number, kind in enumerate(("results", "clips")):
        read, other = watch["read"][2 * number:2 * number + 2]
        assert watch[kind] == [*range(read + unit.read_cycles, other + unit.read_cycles)]  # it holds


@pytest.mark.parametrize("protect", ["none", "secded"])
def test_lane_memory(protect, monkeypatch):
    """One sum: when its word is read, which totals are added, when it is written, and when it is there."""
    srams = open_srams(monkeypatch, lane_memory)
    lane = LaneMemory(Params(small(tile__protect=protect)))  # nothing is shifted
    seen, watch = [], Watch(add=lane.add)

    async def watching(ctx):
        bank = srams[1]
        watch.signals |= {"read": bank.en & ~bank.we.any(), "write": bank.en & bank.we.any()}
        await watch.run(ctx)

    async def bench(ctx):
        ctx.set(lane.finish, 1)
        for cycle in range(16):
            ctx.set(lane.add, cycle == 0)
            ctx.set(lane.totals, 1000 + cycle)
            await ctx.tick()
            seen.append(ctx.get(srams[1].word(0)) % 2**32 - 1000)

    run_block(lane, bench, background=[watching])
    assert watch.between("add", "read") == {lane.result_read_cycles}
    assert watch.between("add", "write") == {lane.result_write_cycles}
    # the totals of one cycle were taken; the word is there in the cycle after that whose end is the first to show their term
    assert seen.index(lane.totals_cycles) + 1 == lane.stored_cycles


def test_activations(monkeypatch):
    """From a read to its word, and to what is said of a bit in it that has flipped."""
    srams = open_srams(monkeypatch, lane_memory)
    lane = LaneMemory(Params(small(tile__protect="secded")))
    watch = Watch(read=lane.read, shown=lane.activations == 0x55, flag=lane.corrected)

    async def bench(ctx):
        ctx.set(lane.fill_word, 0x55)
        await pulse(ctx, lane.fill)
        ctx.set(lane.filled, 1)
        await pulse(ctx, lane.read)
        stored = srams[0].word(0)
        ctx.set(stored, ctx.get(stored) ^ 1)
        await pulse(ctx, lane.read)

    run_block(lane, bench, background=[watch.run])
    sound, flipped = watch["read"]
    assert watch["shown"][0] == sound + lane.latency_cycles
    assert watch["flag"] == [flipped + lane.flag_cycles]
