"""Rings of formers against the golden orders and loads, to the cycle: several batches in a row, tiles that are late."""

import random

import numpy as np
import pytest

from tests.support.blocks import run_block
from tests.support.configurations import small
from tests.support.forming import Ring, exchange_cycles, loads_of, random_passes
from trajectile.hw.batch.layouts import Order
from trajectile.sw_model.config.topology import ring
from trajectile.sw_model.schedule.scheduler import ORDERS, order_experts

#: 2 to 16 tiles; odd numbers of experts, slices and channels; a line, whose ring edge passes over tiles; one of everything
CONFIGS = [
    {"array__rows": 1, "array__cols": 2, "array__ddr_tiles": (1,), "layer__experts": 1, "layer__top_k": 1},
    {"array__rows": 1, "array__cols": 3, "array__ddr_tiles": (0, 1, 2), "layer__experts": 5, "layer__top_k": 2},
    {"array__rows": 2, "array__cols": 2, "array__ddr_tiles": (0, 1, 2, 3), "layer__experts": 13, "layer__top_k": 3},
    {"array__rows": 2, "array__cols": 3, "array__ddr_tiles": (0, 2, 3), "layer__experts": 8, "layer__top_k": 4,
     "array__dataflows": "both"},
    {"array__rows": 3, "array__cols": 3, "array__ddr_tiles": (8,), "layer__experts": 7, "layer__top_k": 3},
    pytest.param({"array__rows": 4, "array__cols": 4, "array__ddr_tiles": tuple(range(0, 16, 3)), "layer__experts": 10,
                  "layer__top_k": 4}, marks=pytest.mark.regress),
]
#: fields of a load entry that are compared
ENTRY = ("expert", "index", "row", "here", "ahead")


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("changes", CONFIGS, ids=lambda c: f"{c['array__rows']}x{c['array__cols']}")
def test_batches_in_a_row(changes, order):
    """Every word, pick and load entry, in its cycle; where some are shared, in turn with others."""
    seed = random.randrange(1 << 30)
    print("seed", seed)
    rng = np.random.default_rng(seed)
    config = small(**changes, tile__tokens=int(rng.integers(1, 9)), tile__slices=int(rng.choice([1, 2, 3, 6])),
                   tile__mac_t=2, layer__d_ff=6)
    tiles, experts, words = config.array.tiles, config.layer.experts, config.count_words
    edges = [int(rng.integers(3, 12)) for _ in range(tiles)]
    batches = [random_passes(config, rng) for _ in range(2 if tiles > 9 else 4)]
    shared = [config.array.shares and bool(number % 3) for number in range(len(batches))]
    batches = [np.tile(passes[:1], (tiles, 1)) if same else passes for passes, same in zip(batches, shared, strict=True)]
    dut = Ring(config, edges)
    # an idle time before each start: none, some, and now and then a tile that is late
    waits = [[int(rng.choice([0, 0, 3, 20, 150])) for _ in range(tiles)] for _ in batches]
    started: list[list[int]] = [[0] * tiles for _ in batches]
    sent: list[list[int]] = [[] for _ in range(tiles)]
    formed: list[list[int]] = [[] for _ in range(tiles)]

    def bench_of(position):
        former, lists, tile = dut.formers[position], dut.lists[position], ring(config.array)[position]
        stalls = random.Random(f"{seed} {position}")
        form, load = former.form, former.load

        async def bench(ctx):
            cycle, batch, state, start_in = 0, 0, "wait", waits[0][position]
            loads, arrivals, picks, offered = [], 0, [], False
            patient = stalls.random() < 0.5
            while True:
                assert cycle < 40_000, "hung"
                # inputs of this cycle
                start = state == "wait" and start_in == 0
                ctx.set(form.start, start)
                if start:
                    passes = batches[batch]
                    ctx.set(form.batch, batch % 2)
                    ctx.set(form.order, ORDERS.index(order))
                    ctx.set(form.tag, batch)
                    if config.array.shares:
                        ctx.set(form.shared, shared[batch])
                    for expert in range(experts):
                        ctx.set(lists.contents.data[batch % 2 * experts + expert], int(passes[tile, expert]))
                    started[batch][position] = cycle
                    picks = list(order_experts(passes, order))
                    arrivals, state = 0, "exchange"
                    for expert in picks:
                        own, come = loads_of(config, expert, passes[:, expert] > 0, tile, shared=shared[batch])
                        loads += own
                        arrivals += come
                elif state == "wait":
                    start_in -= 1
                ready = not patient or stalls.random() < 0.1
                ctx.set(load.ready, ready)
                *_, took, entry, count, is_formed, made, picked, expert, wrong, arriving = await ctx.tick().sample(
                    load.valid & load.ready, load.payload, former.count_sent, form.formed, form.made, former.picked,
                    former.picked_expert, form.disagree, former.arrivals)
                assert not wrong
                if count:
                    sent[position].append(cycle)
                if is_formed:
                    formed[position].append(cycle)
                    scan_begin = cycle + words
                    assert state == "exchange"
                    state = "loads"
                if picked:
                    assert state == "loads" and expert == picks.pop(0)
                    assert cycle >= scan_begin + experts + 3
                    # the first is always taken when it is offered
                    assert offered or cycle == scan_begin + experts + 3
                    offered, scan_begin = True, cycle + 1
                if took:
                    assert tuple(entry[name] for name in ENTRY) == loads.pop(0)
                if made:
                    assert state == "loads" and not picks and arriving == arrivals
                    assert offered or cycle == formed[position][-1] + words + 1
                    batch, state, offered = batch + 1, "wait", False
                    if batch == len(batches):
                        break
                    start_in = waits[batch][position]
                cycle += 1
            ctx.set(form.start, 0)
            ctx.set(load.ready, 1)
            while loads:  # entries that wait
                *_, took, entry = await ctx.tick().sample(load.valid & load.ready, load.payload)
                if took:
                    assert tuple(entry[name] for name in ENTRY) == loads.pop(0)
            await ctx.tick().repeat(300)  # others need this one to hand on their words

        return bench

    run_block(dut, *map(bench_of, range(tiles)))
    for batch in range(len(batches)):
        words_of, formed_of = exchange_cycles(config, edges, started[batch])
        assert [own[batch * (words + 1):(batch + 1) * (words + 1)] for own in sent] == words_of
        assert [own[batch] for own in formed] == formed_of
    assert [Order(number).name.lower() for number in range(len(ORDERS))] == list(ORDERS)
