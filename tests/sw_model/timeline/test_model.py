"""The timeline model by itself: what must hold for any batch, and the latencies of docs/architecture.md."""

from collections import Counter

import numpy as np
import pytest

from tests.support.choices import draw
from tests.support.configurations import small
from trajectile.sw_model.config import load
from trajectile.sw_model.latencies import result_conflicts, swiglu_drain_cycles
from trajectile.sw_model.schedule.scheduler import ORDERS, roofline, schedule
from trajectile.sw_model.timeline.model import compute_cycles, simulate


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
    """One expert of one slice, one token on tile 1, loaded at tile 0: every latency of the table, added up by hand."""
    config = small(layer__top_k=1, layer__experts=1, tile__slices=1, array__ddr_tiles=(0,), tile__mac_t=1)
    plan = schedule(config, np.array([[0], [0]]), "index")
    # both tiles hold one token; the slice is loaded at tile 0 and sent on to tile 1
    # ten bytes of parameters, and words of 20; beats of 2, flits of 8
    words, link = config.slice_words - 1, config.link.latency_cycles
    beats, flits = 5 + words * 10, 2 + words * 3
    loaded = 1 + config.ddr.latency_cycles + beats - 1 + 1
    ready = loaded + 1
    request = ready
    grant = request + 2 + link + 1
    last = ready + 3 + 1 + config.gate_up_words - 1 + swiglu_drain_cycles(config) + config.down_words - 1
    send = max(grant + 2 + link + 1, last + 1)
    header = send + link + 1
    arrived = header + 1 + flits
    compute = arrived + 1
    last_1 = compute + last - ready
    line = simulate(plan)
    assert [(e.cycle, e.tile, e.kind) for e in line.events] == sorted([
        (0, 0, "load"), (loaded, 0, "loaded"), (ready, 0, "compute"), (last, 0, "computed"), (grant, 1, "grant"),
        (send, 0, "send"), (send + 1 + flits, 0, "sent"), (send + 2 + flits, 0, "release"), (arrived, 1, "arrived"),
        (compute, 1, "compute"), (last_1, 1, "computed"), (last_1 + 1, 1, "release")])
    assert line.tile_cycles == (max(send + 3 + flits, last + 14) + 1, last_1 + 14 + 1)


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


def test_an_empty_batch_ends_at_once():
    """No token: the tiles have nothing to do."""
    line = simulate(schedule(small(), np.zeros((0, 2), dtype=int), "index"))
    assert line.cycles == 1 and line.events == ()
