"""Shared batches in the timeline: records and sums against all tiles played cycle by cycle, and a batch added up by hand."""

from collections import Counter
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest

from tests.support.choices import draw
from tests.support.configurations import small
from tests.support.naive_sharing import Array
from trajectile.sw_model.config import Config, load
from trajectile.sw_model.schedule.scheduler import roofline, schedule
from trajectile.sw_model.timeline.control import Batch
from trajectile.sw_model.timeline.model import Timeline, simulate

GRIDS = ((1, 2), (1, 3), (3, 1), (2, 2), (1, 4), (2, 3))
SEEDS = range(48)


@dataclass(frozen=True)
class Run:
    config: Config
    batches: list[Batch]
    line: Timeline
    naive: Array


@cache
def run(seed: int) -> Run:
    """Batches of both kinds on a small array, and the same played cycle by cycle."""
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    rows, cols = GRIDS[seed % len(GRIDS)]
    tiles = rows * cols
    mac_k, mac_n = int(rng.choice([2, 4, 8])), int(rng.choice([2, 4, 6, 8]))
    word_bytes = mac_n * (mac_k + 1)
    width = int(rng.choice([width for width in (4, 8, 16) if width <= word_bytes]))
    config = small(
        layer__d_model=int(rng.integers(mac_k * mac_n // 2, 40)), layer__d_ff=12, array__rows=rows, array__cols=cols,
        array__dataflows="both", array__ddr_tiles=tuple(range(int(rng.integers(1, tiles + 1)))),
        tile__slices=int(rng.choice([1, 4, 12])), tile__mac_k=mac_k, tile__mac_n=mac_n,
        tile__mac_t=int(rng.integers(1, 3)), tile__tokens=12, tile__slots=int(rng.integers(2, 6)),
        tile__batches=2 - seed % 5 // 4, io__bytes_per_cycle=width, io__latency_cycles=int(rng.choice([3, 10, 60])),
        link__beat_bytes=int(rng.integers(width, min(2 * width, word_bytes) + 1)),
        link__latency_cycles=int(rng.integers(1, 7)), link__crc_bits=int(rng.choice([0, 16])),
        ddr__bytes_per_cycle=2, ddr__latency_cycles=5)
    batches = []
    for number in range(5):
        tokens = int(rng.integers(0, 13))
        ids = draw(config, tokens, 100 * seed + number)
        shared = bool(rng.integers(3))
        records: list[list[int]] = [[] for _ in range(tiles)]
        holders = rng.choice(tiles, size=int(rng.integers(1, tiles + 1)), replace=False)  # the others have no token
        for token in rng.permutation(tokens).tolist():
            records[int(rng.choice(holders))].append(token)
        plan = schedule(config, ids, dataflow="shared" if shared else "spread", records=records)
        rung = np.full(tiles, 40 * number) + rng.integers(0, int(rng.choice([2, 300, 2000])), tiles)
        batches.append(Batch(plan, rung.tolist(), (rng.integers(0, 512, tiles) * width).tolist(), (0,) * tiles))
    line = simulate(batches)
    naive = Array(line, batches)
    naive.run()
    return Run(config, batches, line, naive)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_cycle(seed):
    """Lists and rows complete, sums added up, and every flit of records and sums in its cycle."""
    done = run(seed)
    shared = done.naive.shared
    for name in ("lists", "rows", "summed"):
        assert getattr(done.naive, name) == {(number, tile): getattr(done.line.batches[number][tile], name)
                                             for number in shared for tile in range(done.config.array.tiles)}
    assert [list(flits) for flits in done.line.token_flits] == done.naive.flits


@pytest.mark.parametrize("seed", SEEDS)
def test_every_word_goes_once(seed):
    """Each tile's part is once in the sums of each token at the tile whose host gave it; flits are those of the roofline's
    bytes: records of all tokens but those of the ring-next tile, sums of all but its own.
    """
    done = run(seed)
    config, naive = done.config, done.naive
    tiles = config.array.tiles
    for number in naive.shared:
        for tile, part in enumerate(done.batches[number].plan.tiles):
            for token in part.records:
                for word in range(config.down_groups + 1):
                    assert naive.words[number, tile, token, word] == sum(1 << 4 * other for other in range(tiles))
    for tile in range(tiles):
        flits = 0
        for number in naive.shared:
            plan = done.batches[number].plan
            received = plan.tokens - len(plan.tiles[naive.beyond(tile)].records)
            flits += 2 * (tiles - 1) + received * config.record_bytes // config.io.bytes_per_cycle
            flits += (plan.tokens - len(plan.tiles[tile].records)) * (config.down_groups * config.sum_flits + 1)
        assert len(done.line.token_flits[tile]) == flits
        sends = sum(event.kind == "send" and event.tile == tile for event in done.line.events)
        assert done.line.flits[tile] == flits + sends * (1 + config.slice_flits)


def test_everything_that_can_wait_has_waited():
    """Each guard of records and sums held something up in some run; but no word waits to be written, as words come no closer
    than every other cycle where no link stands still.
    """
    waits: Counter[str] = Counter()
    for seed in SEEDS:
        waits += run(seed).naive.waits
    assert set(waits) == {"record: credit", "record: slice", "record: sums", "item: place", "item: register", "sums: slice",
                          "read: ahead", "read: arrival", "read: bank", "read: again"}


@pytest.mark.parametrize("seed", SEEDS)
def test_steps_of_batches(seed):
    """Every batch does its work, in its order; a shared one is added up when the one before is complete."""
    done = run(seed)
    line, config = done.line, done.config
    computed: Counter[tuple[int, int]] = Counter((event.tile, event.kind) for event in line.events)  # type: ignore[misc]
    for tile in range(config.array.tiles):
        plans = [batch.plan for batch in done.batches]
        loads = sum(len(plan.tiles[tile].loads) for plan in plans)
        assert computed[tile, "load"] == loads
        assert computed[tile, "grant"] == sum(plan.tiles[tile].arrivals for plan in plans)
        assert computed[tile, "summed"] == sum(plan.shared for plan in plans)
        before = 0
        for batch, by_tile in zip(done.batches, line.batches, strict=True):
            times = by_tile[tile]
            if batch.plan.shared:
                assert times.reduce == max(times.finished, before) + 1 and times.summed > times.reduce
            else:
                assert times.reduce is None and times.summed is None
            start = times.summed + 1 if batch.plan.shared else max(times.finished, before) + 1
            assert times.record == start + 1 if times.written is None else times.record > times.written > start
            assert times.finished > times.made and times.exchange > times.lists and times.begin > times.doorbell
            before = times.complete
        beats = config.record_bytes * sum(len(plan.tiles[tile].records) for plan in plans)
        written = sum(config.results_bytes(len(plan.tiles[tile].records), 4) for plan in plans)
        assert line.io_beats[tile] == (beats + written) // config.io.bytes_per_cycle


def test_no_cycle_of_a_spread_batch_changes():
    """An array that may share does what one that may not does."""
    lines = []
    for flows in ("spread", "both"):
        config = small(array__dataflows=flows, tile__batches=2)
        lines.append(simulate([schedule(config, draw(config, tokens, tokens)) for tokens in (6, 0, 9)]))
    assert lines[0].events == lines[1].events


def test_one_token_by_hand():
    """Two tiles, a token on each, one slice, loaded and computed at tile 0: every latency, added up by hand."""
    config = small(layer__top_k=1, layer__experts=1, tile__slices=1, array__ddr_tiles=(0,), tile__mac_t=1,
                   array__dataflows="both")
    plan = schedule(config, np.array([[0], [0]]), "index", dataflow="shared")
    assert (config.sum_flits, config.down_groups) == (2, 3)
    hop = config.link.latency_cycles + 1
    control = 2 + hop
    queue = hop + 2  # a flit to the head of the queue
    # in: both begin in cycle 1. Tile 0 has its header first, from 2 on. Then comes a beat with the exponent, and one with the
    # choice, which takes two cycles; each is worked on, and is a flit, in the cycle after it was taken
    head_0 = [2, 1 + 1 + 10, 1 + 1 + 10 + 1]
    head_0_there = [cycle + 1 + queue for cycle in head_0]
    # tile 1 takes its own, which has been waiting: the header when the exponent has left its place, the exponent when the
    # choice has, the choice when the header has
    head_1 = [head_0_there[2] + step for step in (1, 3, 4)]
    head_1_there = [cycle + 1 + queue for cycle in head_1]
    lists = head_1_there[2] + 2, head_1[2] + 2
    # rows, a header, a beat of shifts and three words, follow each other in every cycle: tile 0's, the second of them when
    # the choice has left its place, then tile 1's
    row_0 = [head_1_there[2] + step for step in (1, 3, 4, 5, 6)]
    row_1 = [row_0[4] + 1 + queue + 1 + step for step in range(5)]
    rows = row_1[4] + 1 + queue + 1, row_1[4] + 1
    line = simulate(plan)
    times = line.batches[0]
    assert [(one.lists, one.rows) for one in times] == list(zip(lists, rows, strict=True))
    records = [[cycle + 1 for cycle in items] for items in (head_0 + row_0, head_1 + row_1)]
    # out: tile 0 is done when its slice has met both tokens, tile 1 when it has looked for slices and found none
    computed = next(event.cycle for event in line.events if event.kind == "computed")
    assert [one.finished for one in times] == [computed + 14, times[1].made + 1]
    reduce = [one.finished + 1 for one in times]
    # each tile sends the other's token: three groups of two flits and a closing flit, from the cycle after the first read on;
    # each further word is read while the last flit of the one before goes
    first = [max(reduce[0] + 1, reduce[1] + 1 + control), max(reduce[1] + 1, reduce[0] + 1 + control)]
    sums = [[u + 1 + flit for flit in range(3 * 2 + 1)] for u in first]
    # the first word of tile 0 is there when tile 1 would read its own, so that reads it in the next cycle; the last one when
    # it would read its third; and in the cycle after that the sum of the third is written to the bank of that
    assert [sums[0][flit] + hop for flit in (1, 6)] == [first[1], first[1] + 1 + 4]
    sums[1] = [cycle + (1 if number < 4 else 3) for number, cycle in enumerate(sums[1])]
    assert [list(flits) for flits in line.token_flits] == [records[tile] + sums[tile] for tile in range(2)]
    summed = [max(sums[tile][-1], sums[1 - tile][-1] + hop + 2) + 1 for tile in range(2)]
    assert [one.summed for one in times] == summed
    # three groups of four results, each a beat, and one that closes the token
    assert [one.written for one in times] == [cycle + 1 + 2 + 13 for cycle in summed]


def test_a_shared_batch_without_tokens():
    """Headers go round, nothing is added up."""
    config = small(array__dataflows="both", array__cols=3)
    line = simulate(schedule(config, np.zeros((0, 2), dtype=int), dataflow="shared"))
    for times in line.batches[0]:
        assert times.summed == times.reduce + 1 and times.written is None
    assert [len(flits) for flits in line.token_flits] == [4, 4, 4]
    assert {event.kind for event in line.events} == {"doorbell", "begin", "lists", "rows", "count", "formed", "finished",
                                                     "summed", "complete"}


@pytest.mark.parametrize("tokens", [1, 16, 256])
def test_a_real_layer(tokens):
    """Nothing travels but records and sums, all that has to be done is, and not faster than it can be."""
    config = load("qwen3-30b-a3b", ["array.dataflows=both", "tile.weights=mxfp4"])
    plan = schedule(config, draw(config, tokens, tokens), dataflow="shared")
    line = simulate(plan)
    assert roofline(plan).cycles <= line.cycles
    kinds = Counter(event.kind for event in line.events)
    assert kinds["load"] == kinds["compute"] == kinds["release"] == len(plan.expert_order) * config.tile.slices
    assert kinds["send"] == kinds["grant"] == 0 and line.flits == tuple(map(len, line.token_flits))
    assert sum(line.mac_busy) == sum(int(plan.passes[0, expert]) * config.pass_words + config.parameter_words
                                     for expert in plan.expert_order) * config.tile.slices
