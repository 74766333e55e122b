"""The compute unit on slices and tokens drawn at random: results and clips bit for bit, timing to the cycle."""

import numpy as np
import pytest

from tests.support.blocks import run_block
from tests.support.configurations import small
from tests.support.memory_bench import open_srams
from tests.support.wild import wild
from trajectile.hw.compute import clip_counter, lane_memory
from trajectile.hw.compute.unit import ComputeUnit
from trajectile.hw.host.layouts import Table
from trajectile.hw.params import Params
from trajectile.sw_model.latencies import COMPUTE_DRAIN_CYCLES, compute_early_cycles
from trajectile.sw_model.numerics import image
from trajectile.sw_model.numerics.image import slice_parameters
from trajectile.sw_model.numerics.integer import integer_layer
from trajectile.sw_model.schedule.scheduler import schedule
from trajectile.sw_model.timeline.compute import compute_cycles
from trajectile.tb.program import gather_clips, gather_results, tile_image

#: one word a segment
TINY = {"layer__d_model": 2, "layer__d_ff": 3, "tile__mac_k": 2, "tile__mac_n": 2, "link__beat_bytes": 4, "tile__mac_t": 1}
#: changes of the smoke configuration; they cover odd and single groups, more values than inputs, parameters of several words
SHAPES = [
    {},
    {"tile__mac_t": 1, "tile__mac_n": 2, "tile__multiplier": "shared"},
    TINY,
    TINY | {"layer__experts": 2, "layer__top_k": 1, "tile__tokens": 12, "tile__weights": "int4", "tile__protect": "parity"},
    {"layer__d_model": 4, "layer__d_ff": 3, "tile__mac_n": 2, "tile__protect": "parity", "layer__activation": "gelu"},
    {"layer__d_model": 3, "layer__d_ff": 3, "tile__mac_k": 2, "tile__mac_n": 2, "ddr__bytes_per_cycle": 1,
     "link__beat_bytes": 4, "tile__weights": "mxfp4"},
    {"layer__d_model": 5, "tile__mac_k": 2, "tile__mac_n": 2, "link__beat_bytes": 6, "tile__protect": "secded",
     "tile__scale_mantissa": 3},  # odd groups
    {"layer__d_model": 20, "layer__d_ff": 21, "tile__slices": 1, "tile__mac_n": 6, "tile__mac_t": 3,
     "layer__activation": "quick_gelu"},
    {"layer__d_model": 1, "layer__d_ff": 1, "tile__slices": 1, "tile__mac_k": 2, "tile__mac_n": 2, "link__beat_bytes": 1},
    {"layer__d_model": 9, "layer__d_ff": 2, "tile__slices": 2, "tile__mac_k": 8, "tile__mac_n": 4, "tile__tokens": 12,
     "tile__weights": "int4", "ddr__bytes_per_cycle": 4},
    # groups of one word, few words a segment: the last two down segments would meet in a result bank
    {"layer__d_model": 9, "layer__d_ff": 9, "tile__slices": 9, "tile__mac_k": 4, "tile__mac_n": 6, "tile__mac_t": 1},
    {"layer__d_model": 6, "layer__d_ff": 9, "tile__slices": 1, "tile__mac_k": 4, "tile__mac_n": 2, "link__beat_bytes": 6},
    {"layer__bias": True, "layer__activation": "gelu_tanh"},
    {"layer__bias": True, "layer__d_model": 5, "tile__mac_k": 2, "tile__mac_n": 6, "tile__weights": "mxfp4",
     "tile__scale_mantissa": 3, "ddr__bytes_per_cycle": 4},
    # two blocks of inputs in a word, a slice of one and a half blocks
    {"layer__d_model": 40, "layer__d_ff": 48, "tile__slices": 1, "tile__mac_k": 64, "tile__mac_n": 2, "tile__tokens": 2,
     "tile__weights": "mxfp4", "ddr__bytes_per_cycle": 4, "layer__experts": 2},
]


def slot_words(config, layer, expert, index):
    """A slice as it lies in a slot, a number for each word; what follows the parameters can be anything."""
    size = config.tile.word_bytes
    head = slice_parameters(layer, expert).ljust(config.parameter_words * size, b"\xA5")
    found = head + image.slice_words(config, layer, expert, index).tobytes()
    return [int.from_bytes(found[low:low + size], "little") for low in range(0, len(found), size)]


@pytest.mark.parametrize("changes", SHAPES, ids=str)
@pytest.mark.parametrize("seed", [1, 2])
def test_slices_meet_tokens(changes, seed, monkeypatch):
    print(f"seed {seed}")
    open_srams(monkeypatch, lane_memory, clip_counter)
    config = small(**changes)
    rng = np.random.default_rng(seed)
    tokens = int(rng.integers(1, config.token_capacity + 1))
    ids = np.stack([rng.choice(config.layer.experts, config.layer.top_k, replace=False) for _ in range(tokens)])
    layer, batch = wild(config, ids, rng)
    plan = schedule(config, ids)
    params = Params(config)
    unit = ComputeUnit(params)
    program = tile_image(params, plan, 0, batch)
    visits = [(expert, index) for expert in plan.expert_order if plan.passes[0, expert]
              for index in range(config.tile.slices)]
    rng.shuffle(visits)
    words = {visit: slot_words(config, layer, *visit) for visit in visits}
    starts, ends, idle = [], [], []

    async def weights(ctx):
        while True:
            _, _, enabled, slot, address = await ctx.tick().sample(unit.weights.en, unit.weights.slot, unit.weights.addr)
            if enabled:
                visit = visits[next(n for n in reversed(range(len(starts))) if n % config.tile.slots == slot)]
                ctx.set(unit.weights.data, words[visit][address])
            else:
                ctx.set(unit.weights.data, int(rng.integers(2**8)))

    async def bench(ctx):
        for (table, lane), entries in program.tables.items():
            ctx.set(unit.table.table, table)
            ctx.set(unit.table.lane, lane)
            ctx.set(unit.table.write, 1)
            for index, entry in enumerate(entries):
                ctx.set(unit.table.index, index)
                ctx.set(unit.table.write_data, entry)
                await ctx.tick()
        ctx.set(unit.table.write, 0)
        for _ in range(2):  # the second batch must not add to what the first left
            for log in (starts, ends, idle):
                log.clear()
            ctx.set(unit.clear, 1)
            await ctx.tick()
            ctx.set(unit.clear, 0)
            cycle = 0
            while len(ends) < len(visits) or ctx.get(unit.busy):
                assert cycle < 100_000, "hung"
                fire = len(starts) < len(visits) and ctx.get(unit.compute.ready) and rng.random() < (0.3 if seed == 2 else 1)
                ctx.set(unit.compute.start, fire)
                if fire:
                    ctx.set(unit.compute.slot, len(starts) % config.tile.slots)
                    ctx.set(unit.compute.expert, int(visits[len(starts)][0]))
                    starts.append(cycle)
                if ctx.get(unit.compute.done):
                    assert ctx.get(unit.compute.done_slot) == len(ends) % config.tile.slots
                    ends.append(cycle)
                await ctx.tick()
                cycle += 1
                if config.tile.protect != "none":
                    assert not ctx.get(unit.corrected) and not ctx.get(unit.error)
            idle.append(cycle)
        for lane in range(config.tile.mac_t):
            ctx.set(unit.table.lane, lane)
            got[0, lane] = np.stack([
                np.frombuffer((await read(ctx, Table.RESULTS, index)).to_bytes(params.result_bits // 8, "little"), "<i4")
                for index in range(params.result_depth)])
            clips[0, lane] = [await read(ctx, Table.CLIPS, index) for index in range(config.tile.lane_tokens)]

    async def read(ctx, table, index):
        ctx.set(unit.table.table, table)
        ctx.set(unit.table.index, index)
        ctx.set(unit.results.read, 1)
        await ctx.tick()
        ctx.set(unit.results.read, 0)
        await ctx.tick()
        return ctx.get(unit.results.data)

    got, clips = {}, {}
    run_block(unit, bench, background=[weights])
    mine = plan.placement[:, 0] == 0
    golden = integer_layer(config, layer, batch)
    none = np.zeros((params.result_depth, config.tile.mac_n), np.int32)
    other = [(tile, lane) for tile in range(1, config.array.tiles) for lane in range(config.tile.mac_t)]
    assert (gather_results(params, plan, dict.fromkeys(other, none) | got)[mine] == golden.y[mine]).all()
    assert (gather_clips(plan, dict.fromkeys(other, [0] * config.tile.lane_tokens) | clips)[mine] == golden.clips[mine]).all()
    # Entries of no token, and those that pad an odd number of groups, read as zero whatever the SRAM held at first.
    for (_, lane), entries in got.items():
        entry = np.arange(params.result_depth)
        used = entry // params.result_stride < len(plan.tiles[0].lanes[lane])
        assert not any(clips[0, lane][len(plan.tiles[0].lanes[lane]):])
        assert not entries[~used | (entry % params.result_stride >= config.down_groups)].any()
    # timing
    passes = [int(plan.passes[0, expert]) for expert, _ in visits]
    assert [end - start for start, end in zip(starts, ends, strict=True)] == [compute_cycles(config, p) for p in passes]
    assert idle == [ends[-1] + COMPUTE_DRAIN_CYCLES]
    if seed == 1:
        assert starts[1:] == [end - compute_early_cycles(config) for end in ends[:-1]]
