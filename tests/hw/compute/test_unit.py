"""The compute unit on slices and tokens drawn at random: results bit for bit, timing to the cycle."""

import numpy as np
import pytest

from tests.support.blocks import run_block
from tests.support.configurations import small
from tests.support.memory_bench import open_srams
from trajectile.hw.compute import lane_memory
from trajectile.hw.compute.unit import ComputeUnit
from trajectile.hw.host.layouts import Table
from trajectile.hw.params import Params
from trajectile.sw_model.latencies import COMPUTE_DRAIN_CYCLES, compute_early_cycles
from trajectile.sw_model.numerics import image
from trajectile.sw_model.numerics import integer as numerics
from trajectile.sw_model.schedule.scheduler import schedule
from trajectile.sw_model.timeline.model import compute_cycles
from trajectile.tb.program import gather_results, tile_image

#: changes of the smoke configuration; they cover one word a segment, odd and single groups, more values than inputs
SHAPES = [
    {},
    {"tile__mac_t": 1, "tile__mac_n": 2, "tile__multiplier": "booth"},
    {"layer__d_model": 4, "layer__d_ff": 3, "tile__mac_n": 2, "tile__protect": "parity"},  # one word a segment
    {"layer__d_model": 3, "layer__d_ff": 3, "tile__mac_k": 2, "tile__mac_n": 2, "ddr__bytes_per_cycle": 1,
     "link__beat_bytes": 4},
    {"layer__d_model": 5, "tile__mac_k": 3, "tile__mac_n": 2, "link__beat_bytes": 6, "tile__protect": "secded"},  # odd groups
    {"layer__d_model": 20, "layer__d_ff": 21, "tile__slices": 1, "tile__mac_n": 6, "tile__mac_t": 3},
    {"layer__d_model": 1, "layer__d_ff": 1, "tile__slices": 1, "tile__mac_k": 1, "tile__mac_n": 2, "link__beat_bytes": 1},
    {"layer__d_model": 9, "layer__d_ff": 2, "tile__slices": 2, "tile__mac_k": 8, "tile__mac_n": 4, "tile__tokens": 12},
    # groups of one word, few words a segment: the last two down segments would meet in a result bank
    {"layer__d_model": 9, "layer__d_ff": 9, "tile__slices": 9, "tile__mac_k": 3, "tile__mac_n": 6, "tile__mac_t": 1},
    {"layer__d_model": 6, "layer__d_ff": 9, "tile__slices": 1, "tile__mac_k": 3, "tile__mac_n": 2, "link__beat_bytes": 6},
]


@pytest.mark.parametrize("changes", SHAPES, ids=str)
@pytest.mark.parametrize("seed", [1, 2])
def test_slices_meet_tokens(changes, seed, monkeypatch):
    print(f"seed {seed}")
    open_srams(monkeypatch, lane_memory)
    config = small(**changes)
    rng = np.random.default_rng(seed)
    layer = numerics.quantise_layer(numerics.random_layer(config.layer, rng))
    tokens = int(rng.integers(1, config.token_capacity + 1))
    ids = np.stack([rng.choice(config.layer.experts, config.layer.top_k, replace=False) for _ in range(tokens)])
    x = rng.standard_normal((tokens, config.layer.d_model)).astype(np.float32)
    batch = numerics.quantise_batch(layer, x, ids, rng.random(ids.shape).astype(np.float32))
    plan = schedule(config, ids)
    params = Params(config)
    unit = ComputeUnit(params)
    program = tile_image(params, plan, 0, batch)
    visits = [(expert, index) for expert in plan.expert_order if plan.passes[0, expert]
              for index in range(config.tile.slices)]
    rng.shuffle(visits)
    words = {visit: image.slice_words(config, layer, *visit) for visit in visits}
    starts, ends, idle = [], [], []

    async def weights(ctx):
        while True:
            _, _, enabled, slot, address = await ctx.tick().sample(unit.weights.en, unit.weights.slot, unit.weights.addr)
            if enabled:
                visit = visits[next(n for n in reversed(range(len(starts))) if n % config.tile.slots == slot)]
                ctx.set(unit.weights.data, int.from_bytes(words[visit][address].tobytes(), "little"))
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
        ctx.set(unit.token_shift, batch.token_shift)
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
        results = {}
        ctx.set(unit.table.table, Table.RESULTS)
        for lane in range(config.tile.mac_t):
            ctx.set(unit.table.lane, lane)
            read = []
            for index in range(params.result_depth):
                ctx.set(unit.table.index, index)
                ctx.set(unit.results.read, 1)
                await ctx.tick()
                ctx.set(unit.results.read, 0)
                await ctx.tick()
                read.append(np.frombuffer(ctx.get(unit.results.data).to_bytes(params.result_bits // 8, "little"), "<i4"))
            results[0, lane] = np.stack(read)
        got.update(results)

    got = {}
    run_block(unit, bench, background=[weights])
    empty = {(tile, lane): np.zeros((params.result_depth, config.tile.mac_n), np.int32)
             for tile in range(config.array.tiles) for lane in range(config.tile.mac_t)}
    y = gather_results(params, plan, empty | got)
    mine = plan.placement[:, 0] == 0
    assert (y[mine] == numerics.integer_layer(layer, batch)[mine]).all()
    # Entries of no token, and those that pad an odd number of groups, read as zero whatever the SRAM held at first.
    for (_, lane), entries in got.items():
        entry = np.arange(params.result_depth)
        used = entry // params.result_stride < len(plan.tiles[0].lanes[lane])
        assert not entries[~used | (entry % params.result_stride >= config.down_groups)].any()
    # timing
    passes = [int(plan.passes[0, expert]) for expert, _ in visits]
    assert [end - start for start, end in zip(starts, ends, strict=True)] == [compute_cycles(config, p) for p in passes]
    assert idle == [ends[-1] + COMPUTE_DRAIN_CYCLES]
    if seed == 1:
        assert starts[1:] == [end - compute_early_cycles(config) for end in ends[:-1]]
