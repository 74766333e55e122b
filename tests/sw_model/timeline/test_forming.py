"""Counts, picks and load entries against a play of the hardware's registers, cycle by cycle."""

from collections import Counter

import pytest

from tests.support.choices import draw
from tests.support.configurations import small
from trajectile.sw_model.config.topology import edge_hops, ring_next
from trajectile.sw_model.schedule.scheduler import ORDERS, schedule
from trajectile.sw_model.timeline.control import Batch
from trajectile.sw_model.timeline.model import simulate

CASES = {
    "two tiles": {},
    "three, one edge passes over a tile": {"array__cols": 3, "array__ddr_tiles": (0, 1)},
    "eight, one channel": {"array__rows": 2, "array__cols": 4, "array__ddr_tiles": (5,)},
    "one expert": {"layer__experts": 1, "layer__top_k": 1},
    "experts fill no word": {"layer__experts": 17, "layer__top_k": 3, "array__rows": 2},
    "far apart": {"link__latency_cycles": 30, "layer__experts": 9, "array__rows": 2},
    "many slices": {"tile__slices": 18, "tile__slots": 2, "layer__experts": 9},
    "no channel waits": {"tile__slots": 9, "ddr__latency_cycles": 1, "ddr__bytes_per_cycle": 4, "tile__slices": 18},
    "link layer": {"link__crc_bits": 16, "array__rows": 2},
}


@pytest.fixture(scope="module", params=CASES)
def line(request):
    """Batches of different sizes, whose doorbells are late in other tiles each time."""
    config = small(**CASES[request.param], tile__batches=2)
    tiles = config.array.tiles
    plans = [schedule(config, draw(config, tokens, tokens), order)
             for tokens, order in zip((7, 3, 0, 12, 1), [*ORDERS, *ORDERS], strict=False)]
    zeros = [0] * tiles
    return plans, simulate([Batch(plan, [31 * (tile * 7 + number * 3) % 101 for tile in range(tiles)], zeros, zeros)
                            for number, plan in enumerate(plans)])


def cycles(line, kind, tile):
    """Of a kind of event."""
    return [event.cycle for event in line.events if event.kind == kind and event.tile == tile]


class Exchange:
    """The registers with which a tile sends its counts."""

    def __init__(self, words: int):
        self.words = words
        self.full, self.filled = False, 0  # there is a word; counts in it
        self.reading, self.come = 0, False  # counts to be read; one stands at the port

    def step(self, held: bool, start: bool) -> bool:
        """A cycle. Returns whether an own word goes."""
        goes = self.full and not held
        taken = self.come and (goes or not self.full)
        read = self.reading > 0 and (taken or not self.come)
        self.come = read or (self.come and not taken)
        self.reading -= read
        self.full = self.full and not goes
        self.filled += taken
        if self.filled == 4:
            self.full, self.filled = True, 0
        if start:
            self.full, self.reading = True, 4 * self.words
        return goes


def test_counts_go_once_around(line):
    """A word that came goes on, own words go between; each is written once everywhere."""
    _, line = line
    config = line.config
    tiles, words = range(config.array.tiles), -(-config.layer.experts // 4)
    flight = [2 + edge_hops(config.array, tile) * (config.link_flight_cycles + 1) for tile in tiles]
    starts = {(batch[tile].exchange, tile) for batch in line.batches for tile in tiles}
    exchanges = [Exchange(words) for _ in tiles]
    coming: dict[tuple[int, int], int] = {}  # by cycle and tile: the word's origin
    written = [Counter() for _ in tiles]
    sent, formed = [[] for _ in tiles], [[] for _ in tiles]
    for cycle in range(max(times.formed for batch in line.batches for times in batch) + 1):
        for tile in tiles:
            origin = coming.pop((cycle, tile), None)
            if exchanges[tile].step(origin is not None, (cycle, tile) in starts):
                origin = tile
                sent[tile].append(cycle)
            if origin is None:
                continue
            following = ring_next(config.array, tile)
            if following != origin:
                coming[cycle + flight[tile], following] = origin
            written[tile][origin] += 1
            if all(written[tile][other] == (len(formed[tile]) + 1) * (words + 1) for other in tiles):
                formed[tile].append(cycle + 1)
    assert [cycles(line, "count", tile) for tile in tiles] == sent
    assert [cycles(line, "formed", tile) for tile in tiles] == formed
    assert not coming


def test_picks_and_entries(line):
    """The position of the order, the slice that is looked at, a FIFO of four: picks come then, and loads find entries."""
    plans, line = line
    config = line.config
    words, experts = -(-config.layer.experts // 4), config.layer.experts
    for tile in range(config.array.tiles):
        loads, picks, level, pushed = cycles(line, "load", tile), [], 0, 0
        for plan, (times, *_), until in zip(plans, (batch[tile:] for batch in line.batches),
                                            [*(batch[tile].formed for batch in line.batches[1:]), line.cycles], strict=True):
            left, own = list(plan.expert_order), {(load.expert, load.index) for load in plan.tiles[tile].loads}
            at: tuple[int, int] | None = None  # expert and index that are looked at
            offered, made = times.formed + words + experts + 3, times.formed + words + 1
            for cycle in range(times.formed, until):
                take = at is None and left and cycle >= offered
                push = at in own and level < 4
                if cycle in loads:
                    assert level > 0, "rule 1 takes an entry that is not there"
                    level -= 1
                level, pushed = level + push, pushed + push
                if at is not None and (push or at not in own):
                    made = cycle
                    at = (at[0], at[1] + 1) if at[1] + 1 < config.tile.slices else None
                if take:
                    at, offered = (left.pop(0), 0), cycle + 1 + experts + 3
                    picks.append((cycle, at[0]))
            assert times.made == made and not left and at is None
        assert level == 0 and pushed == len(loads)
        assert picks == [(e.cycle, e.expert) for e in line.events if e.kind == "pick" and e.tile == tile]
