"""Where cycles went: nothing is left over, nothing counted twice, and reasons are true of the tiles' state."""

from itertools import pairwise

import pytest

from tests.support.choices import draw
from trajectile.sw_model.config import load
from trajectile.sw_model.schedule.scheduler import schedule
from trajectile.sw_model.timeline.activity import busy_between, busy_spans
from trajectile.sw_model.timeline.model import simulate
from trajectile.sw_model.timeline.rules import Tile
from trajectile.sw_model.timeline.stalls import DDR_REASONS, MAC_REASONS, _Way, ddr_account, mac_account, over_time, totals
from trajectile.sw_model.timeline.visits import visits

CASES = {
    "smoke": ("smoke", (), (9,)),
    "two slots": ("demo", ("tile.slots=2", "layer.experts=16"), (6,)),
    "3x3": ("demo", ("array.rows=3", "array.cols=3", "array.ddr_tiles=[0,2,6,8]"), (10,)),
    "line": ("demo", ("array.rows=1", "array.cols=4", "array.ddr_tiles=[1]", "tile.slots=3", "tile.slices=4"), (7,)),
    "crc": ("smoke", ("link.crc_bits=16", "tile.slots=2"), (12,)),
    "one after the other": ("smoke", (), (9, 4, 2)),
    "two in flight": ("demo", ("tile.batches=2", "layer.experts=16"), (6, 20, 9)),
    "activations late": ("smoke", ("layer.d_model=800", "tile.slices=18", "ddr.bytes_per_cycle=4", "tile.slots=6",
                                   "tile.tokens=20"), (40,)),
    "shared and spread": ("demo", ("tile.batches=2", "layer.experts=16", "array.dataflows=both"), (9, 20, 6)),
}


@pytest.fixture(scope="module", params=CASES)
def batch(request):
    """A timeline, and when each request for a slot was made: tile, slice, cycle."""
    name, overrides, tokens = CASES[request.param]
    config = load(name, overrides)
    asked = []
    original = Tile.rule_request

    def spy(tile, now):
        if fired := original(tile, now):
            asked.append((tile.number, tile.wanted.batch, tile.wanted.expert, tile.wanted.index, now))
        return fired
    Tile.rule_request = spy
    try:
        line = simulate([schedule(
            config, draw(config, number, 3),
            dataflow="shared" if config.array.shares and number % 2 and number <= config.tile.tokens else "spread")
            for number in tokens])
    finally:
        Tile.rule_request = original
    return line, asked


def test_every_cycle_has_one_reason(batch):
    """Spans of a tile, of a channel: from 0 to the end, without gap or overlap; sums are the batch's cycles."""
    line, _ = batch
    for account, reasons in ((mac_account(line.config, line.events, line.cycles), MAC_REASONS),
                             (ddr_account(line.config, line.events, line.cycles).values(), DDR_REASONS)):
        for spans in account:
            assert spans[0][1] == 0 and spans[-1][2] == line.cycles
            assert all(a[2] == b[1] and a[0] != b[0] for a, b in pairwise(spans)) and all(a < b for _, a, b in spans)
            assert sum(totals(spans, list(reasons)).values()) == line.cycles


def test_busy_cycles_are_those_of_the_resources(batch):
    """``compute`` and ``beat`` are the busy spans and nothing else; the model's own counts bound or equal them."""
    line, _ = batch
    ddr = ddr_account(line.config, line.events, line.cycles)
    for tile, spans in enumerate(mac_account(line.config, line.events, line.cycles)):
        busy = busy_spans(line.config, line.events, tile)
        assert totals(spans, list(MAC_REASONS))["compute"] == sum(length for _, length in busy["MAC"]) >= line.mac_busy[tile]
        if tile in ddr:
            assert totals(ddr[tile], list(DDR_REASONS))["beat"] == line.ddr_beats[tile]
            (first, _, load), (second, _, beat) = ddr[tile][:2]
            assert (first, second, beat - load) == ("form", "latency", 1 + line.config.ddr.latency_cycles)


def test_requests_follow_from_events(batch):
    """When a slot was asked for, derived from the sends before it, is when the model asked."""
    line, asked = batch
    way = _Way(line.config, line.events)
    sends = sorted((v for v in visits(line.events) if v.send is not None), key=lambda v: (v.tile, v.send))
    assert [(v.tile, v.batch, v.expert, v.index, way.asked_at(v)) for v in sends] == sorted(asked, key=lambda a: (a[0], a[4]))


def test_waiting_for_a_slot_means_that_none_is_free(batch):
    """A DDR channel that waits for slots has fewer than two free ones in each of those cycles, one that waits for a batch
    to be formed has two.
    """
    line, _ = batch
    waited = 0
    for tile, spans in ddr_account(line.config, line.events, line.cycles).items():
        stays = [v for v in visits(line.events) if v.tile == tile]
        grants = {v.begin for v in stays if v.from_link}
        for reason, first, end in spans:
            for cycle in range(first, end if reason in ("slot", "form") else first):
                used = sum(v.begin < cycle <= v.release for v in stays)
                assert (line.config.tile.slots - used < 2 or cycle in grants) == (reason == "slot"), (tile, cycle)
                waited += reason == "slot"
    assert waited > 0 or line.config.tile.slots > 2


def test_shares_over_time_are_one(batch):
    """In each part of a batch, whatever its borders; weighted by the parts they are the totals."""
    line, _ = batch
    accounts = mac_account(line.config, line.events, line.cycles)
    edges = [line.cycles * k // 7 for k in range(8)]
    shares = over_time(accounts, list(MAC_REASONS), edges)
    assert [sum(parts) for parts in zip(*shares.values(), strict=True)] == pytest.approx([1] * 7)
    for reason, parts in shares.items():
        whole = sum(part * (b - a) for part, (a, b) in zip(parts, pairwise(edges), strict=True)) * len(accounts)
        assert whole == pytest.approx(sum(totals(spans, list(MAC_REASONS))[reason] for spans in accounts))


def test_busy_between():
    """Spans across borders are split, and amounts spread over them."""
    assert busy_between([(8, 4), (0, 2), (12, 1)], [0, 4, 10, 20]).tolist() == [2, 2, 3]
    assert busy_between([(0, 10)], [0, 5, 10, 11], [4]).tolist() == [2, 2, 0]
    assert busy_between([], [0, 3]).tolist() == [0]
