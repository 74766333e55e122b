"""The timeline model by itself: what must hold for any batch, and the latencies of docs/architecture.md."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from tests.support.choices import draw
from tests.support.configurations import small
from trajectile.sw_model.config import load
from trajectile.sw_model.latencies import result_conflicts, swiglu_drain_cycles
from trajectile.sw_model.schedule.scheduler import ORDERS, roofline, schedule
from trajectile.sw_model.timeline.compute import compute_cycles
from trajectile.sw_model.timeline.control import Batch
from trajectile.sw_model.timeline.model import simulate


@pytest.mark.parametrize("slots", [2, 3, 5])
@pytest.mark.parametrize("grid", [(1, 2), (1, 3), (2, 2), (3, 3), (2, 4)], ids=str)
@pytest.mark.parametrize("order", ORDERS)
def test_every_slice_meets_every_stop_once(grid, slots, order):
    """Whatever the grid and the slots: computed once at every stop, loaded once, every slot freed."""
    config = small(array__rows=grid[0], array__cols=grid[1], tile__slots=slots,
                   array__ddr_tiles=(0,) if slots == 2 else (0, 1))
    ids = draw(config, 5, slots)
    plan = schedule(config, ids, order)
    line = simulate(plan)
    owner, computed, used = {}, Counter(), Counter()
    for event in line.events:
        at = event.tile, event.slot
        if event.kind in ("load", "grant"):
            assert at not in owner
            owner[at] = event.expert, event.slice_index
            used[event.tile] += 1
            assert used[event.tile] <= slots
            if event.kind == "load":
                assert used[event.tile] < slots  # the bubble
        elif event.kind == "compute":
            computed[event.tile, *owner[at]] += 1
        elif event.kind == "release":
            del owner[at]
            used[event.tile] -= 1
    assert not owner
    assert computed == {(tile, e, m): 1 for tile in range(config.array.tiles) for e in range(config.layer.experts)
                        if plan.passes[tile, e] for m in range(config.tile.slices)}
    assert line.cycles >= roofline(plan).cycles


def test_one_slice_by_hand():
    """One expert of one slice, one token on each tile, loaded at tile 0: every latency of the table, added up by hand."""
    config = small(layer__top_k=1, layer__experts=1, tile__slices=1, array__ddr_tiles=(0,), tile__mac_t=1)
    assert (config.io.bytes_per_cycle, config.io.latency_cycles) == (4, 10)
    plan = schedule(config, np.array([[0], [0]]), "index")
    link = config.link.latency_cycles
    # in: the address one cycle after the doorbell is taken; a cycle after its beat is taken the exponent, then choice, shifts
    # and three words of activations
    begin, first = 1, 1 + 1 + 10 + 1
    lists = first + 1 + 2 - 1
    rows = lists + 1 + 3
    # counts: order and tag at once, the word six cycles after the start, but then the other tile's order and tag come
    exchange = lists + 1
    assert exchange + 6 == exchange + 1 + 2 + link + 1
    counts = exchange + 1, exchange + 7
    formed = counts[1] + 2 + link + 1 + 1
    pick = formed + config.count_words + 1 + 3  # summed up, one expert looked at
    load = pick + 1 + 1
    # ten bytes of parameters, and words of 20; beats of 2, flits of 8
    words = config.slice_words - 1
    beats, flits = 5 + words * 10, 2 + words * 3
    loaded = load + 1 + config.ddr.latency_cycles + beats - 1 + 1
    ready = loaded + 1
    grant = ready + 2 + link + 1
    last = ready + 3 + 1 + config.gate_up_words - 1 + swiglu_drain_cycles(config) + config.down_words - 1
    send = max(grant + 2 + link + 1, last + 1)
    header = send + link + 1
    arrived = header + 1 + flits
    compute = arrived + 1
    last_1 = compute + last - ready
    finished = max(send + 3 + flits, last + 14), last_1 + 14
    line = simulate(plan)

    def both(cycle, kind):
        return [(cycle, 0, kind), (cycle, 1, kind)]

    def out(finished, tile):
        # three groups of four results, each a beat, and one that closes the token; then sixteen beats of the record
        written = finished + 1 + 2 + 13
        return [(finished, tile, "finished"), (written, tile, "written"), (written + 10 + 3 + 15 + 10 + 1, tile, "complete")]
    assert [(e.cycle, e.tile, e.kind) for e in line.events] == sorted([
        *both(0, "doorbell"), *both(begin, "begin"), *both(lists, "lists"), *both(rows, "rows"), *both(counts[0], "count"),
        *both(counts[1], "count"), *both(formed, "formed"), *both(pick, "pick"),
        (load, 0, "load"), (loaded, 0, "loaded"), (ready, 0, "compute"), (last, 0, "computed"), (grant, 1, "grant"),
        (send, 0, "send"), (send + 1 + flits, 0, "sent"), (send + 2 + flits, 0, "release"), (arrived, 1, "arrived"),
        (compute, 1, "compute"), (last_1, 1, "computed"), (last_1 + 1, 1, "release"),
        *out(finished[0], 0), *out(finished[1], 1)])
    assert line.tile_cycles == tuple(cycle + 16 + 39 for cycle in finished) and line.cycles == max(line.tile_cycles)
    assert (line.first_load_cycles, line.streaming_cycles) == (load + 1, last_1 + 1 - load)


def test_compute_cycles():
    """Segments in order, without gaps but for the SwiGLU drain of the last pass."""
    config = load("paper")
    g, d, gap = config.gate_up_words, config.down_words, swiglu_drain_cycles(config)
    before = 3 + config.parameter_words
    assert compute_cycles(config, 1) == before + g - 1 + gap + d - 1
    assert compute_cycles(config, 2) == before + 2 * g + 2 * d - 1
    assert compute_cycles(config, 5) == before + 5 * (g + d) - 1


@pytest.mark.parametrize("chunks", range(1, 6))
@pytest.mark.parametrize("groups", range(1, 8))
def test_result_conflicts(chunks, groups):
    """They are the distances at which a bank reads (2 cycles after a group's last word) and writes (5 after) at once."""
    config = small(layer__d_model=2 * groups, layer__d_ff=2 * chunks, tile__slices=1, tile__mac_n=2, tile__mac_k=2,
                   ddr__bytes_per_cycle=1, link__beat_bytes=6)
    assert (config.down_chunks, config.down_groups) == (chunks, groups)
    first = [(group % 2, group * chunks + chunks - 1) for group in range(groups)]

    def conflict(distance):
        begin = groups * chunks - 1 + distance
        both = [*first, *((bank, cycle + begin) for bank, cycle in first)]
        return bool({(bank, cycle + 2) for bank, cycle in both} & {(bank, cycle + 5) for bank, cycle in both})
    assert result_conflicts(config) == tuple(distance for distance in range(1, 30) if conflict(distance))


def test_two_runs_are_equal_and_recording_changes_nothing():
    """Deterministic."""
    config = load("demo")
    plan = schedule(config, draw(config, 40, 9), "balanced")
    first, second = simulate(plan), simulate(plan, record=False)
    assert first == simulate(plan)
    assert (first.cycles, first.mac_busy, first.flits) == (second.cycles, second.mac_busy, second.flits)


def test_an_empty_batch_loads_nothing():
    """No token: counts go round, and a completion record of its own is written by every tile."""
    line = simulate(schedule(small(), np.zeros((0, 2), dtype=int), "index"))
    assert {e.kind for e in line.events} == {"doorbell", "begin", "lists", "rows", "count", "formed", "finished", "complete"}
    assert (line.streaming_cycles, line.first_load_cycles) == (0, 0) and set(line.io_beats) == {16}


def rounds(batches, ids):
    """Such a configuration, and batches of different sizes."""
    config = small(tile__batches=batches, array__cols=3, array__ddr_tiles=(0, 1), tile__slots=2)
    return config, [schedule(config, draw(config, tokens, tokens), order) for tokens, order in ids]


SIZES = ((7, "balanced"), (1, "index"), (12, "paired"), (0, "index"), (5, "balanced"))


@pytest.mark.parametrize("batches", [1, 2])
def test_batches_follow_each_other(batches):
    """Every batch does its own work, whatever is in flight beside it, and steps of batches keep their order."""
    config, plans = rounds(batches, SIZES)
    line = simulate(plans)
    computed = Counter()
    slot = {}
    for event in line.events:
        if event.kind in ("load", "grant"):
            slot[event.tile, event.slot] = event
        elif event.kind == "compute":
            here = slot[event.tile, event.slot]
            computed[event.tile, here.expert, here.slice_index, here.flags] += 1
    wanted = Counter()
    for number, plan in enumerate(plans):
        for tile, expert in np.argwhere(plan.passes).tolist():
            wanted.update((tile, expert, index, number % batches) for index in range(config.tile.slices))
    assert computed == wanted
    for before, after in pairwise(line.batches):
        for a, b in zip(before, after, strict=True):
            assert all(getattr(a, step) < getattr(b, step) for step in
                       ("doorbell", "begin", "lists", "rows", "exchange", "formed", "made", "finished", "complete"))
            assert a.rows < b.begin and a.made < b.exchange
            assert (a.complete < b.begin) == (batches == 1)
    for before, after in zip(line.batches, line.batches[2:], strict=False):
        assert all(a.complete < b.begin and a.begin < b.doorbell for a, b in zip(before, after, strict=True))


def test_a_second_batch_in_flight_hides_what_is_not_streaming():
    """Two batches at a time take less than one after the other, by about what comes before and after the loads."""
    lines = [simulate(rounds(batches, SIZES[:1] * 4)[1]) for batches in (1, 2)]
    alone = lines[0].batches[0][0]
    assert lines[0].cycles - lines[1].cycles > 2 * alone.first_load


def test_a_batch_alone_is_the_same_with_room_for_two():
    """The bit of a batch, and nothing else, depends on how many may be in flight."""
    first, second = (simulate(rounds(batches, SIZES[:1])[1]) for batches in (1, 2))
    assert first.events == second.events


def test_rule_2_waits_for_activations():
    """A slice that is here before the activations of its batch are read is computed in the cycle after the last of them."""
    config = small(layer__d_model=800, tile__slices=18, ddr__bytes_per_cycle=4, tile__slots=6, tile__tokens=20)
    line = simulate(schedule(config, draw(config, 40, 1)))
    for tile, times in enumerate(line.batches[0]):
        mine = [event for event in line.events if event.tile == tile]
        filled = min(event.cycle for event in mine if event.kind in ("loaded", "arrived"))
        assert filled < times.rows
        assert min(event.cycle for event in mine if event.kind == "compute") == times.rows + 1


def test_a_late_tile_holds_up_the_others():
    """Nothing is loaded before every tile has sent its counts; cycle 0 is the first doorbell of all."""
    _, (plan,) = rounds(1, SIZES[:1])
    zeros = (0,) * 3
    at_once = simulate(plan)
    late = simulate([Batch(plan, (5, 5, 905), zeros, zeros)])
    assert at_once == simulate([Batch(plan, (7, 7, 7), zeros, zeros)])
    assert late.batches[0][0].rows == at_once.batches[0][0].rows and late.first_load_cycles > 900
    assert at_once.cycles + 890 < late.cycles < at_once.cycles + 910
