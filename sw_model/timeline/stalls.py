"""Where a batch's cycles went: every cycle of every MAC array and of every DDR channel has one reason.

Events of the RTL and of the model give the same reasons. A MAC array that reads no weights waits for the slice that it
computes next. So the reason is what that slice waits for in that cycle, wherever it is on its way. The reasons are exact for
batches without random stalls: the cycle in which a slot was requested is not an event, and is computed from the events
(docs/architecture.md, "Latencies").
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from trajectile.sw_model.config import Config
from trajectile.sw_model.config.topology import edge_hops
from trajectile.sw_model.latencies import COMPUTE_SETUP_CYCLES, STATE_CYCLES, control_cycles
from trajectile.sw_model.timeline.activity import busy_between, busy_spans
from trajectile.sw_model.timeline.model import Event
from trajectile.sw_model.timeline.visits import Visit, journeys, visits

#: what a MAC array does, or its next slice waits for
MAC_REASONS = {
    "compute": "a slice is in the MAC array",
    "start": "its first weight word is on the way from the slot",
    "port": "the one port of its slot is in use: it is sent on from here, or computed at the tile before",
    "ddr": "its DDR channel still reads it, or slices before it",
    "link": "it travels, or waits for a link's sender, request or grant",
    "slot": "the tile that it must enter has no slot for it",
    "done": "nothing is left to compute here; other tiles are at work",
}
#: what a DDR channel does
DDR_REASONS = {
    "beat": "a beat is on the bus",
    "latency": "slices are requested, no beat has come yet",
    "slot": "fewer than two slots are free: no slice may be requested",
    "done": "the load list is finished",
}

#: reason, first cycle, cycle after the last
Span = tuple[str, int, int]


class _Spans:
    """Spans that follow each other from a first cycle on."""

    def __init__(self, first: int) -> None:
        self.end, self.spans = first, list[Span]()

    def until(self, end: int, reason: str) -> None:
        """Up to ``end``, if that is not past, it is ``reason``."""
        if end > self.end:
            if self.spans and self.spans[-1][0] == reason:
                self.spans[-1] = (reason, self.spans[-1][1], end)
            else:
                self.spans.append((reason, self.end, end))
            self.end = end


def _asked(events: Sequence[Event], tiles: int) -> list[list[tuple[int, int]]]:
    """By tile: ``(first, end)`` of the times in which its channel owes it a slice."""
    flights: list[list[tuple[int, int]]] = [[] for _ in range(tiles)]
    for visit in visits(events):
        if not visit.from_link and visit.filled is not None:
            mine = flights[visit.tile]
            if mine and mine[-1][1] >= visit.begin:
                mine[-1] = (mine[-1][0], max(mine[-1][1], visit.filled + 1))
            else:
                mine.append((visit.begin, visit.filled + 1))
    return flights


def ddr_account(config: Config, events: Sequence[Event], cycles: int) -> dict[int, list[Span]]:
    """What each DDR channel did, by tile; the spans of a channel follow each other from cycle 0 to ``cycles``."""
    asked = _asked(events, config.array.tiles)
    account = {}
    for tile in config.array.ddr_tiles:
        spans, beats = _Spans(0), busy_spans(config, events, tile)["DDR"]
        owed = iter([*asked[tile], (cycles, cycles)])
        first, end = next(owed)
        for beat, length in beats:
            while end <= beat:
                spans.until(first, "slot")
                spans.until(end, "latency")
                first, end = next(owed)
            spans.until(first, "slot")
            spans.until(beat, "latency")
            spans.until(beat + length, "beat")
        spans.until(cycles, "done")
        account[tile] = spans.spans
    return account


class _Way:
    """What a slice waits for until it is computed at a stop."""

    def __init__(self, config: Config, events: Sequence[Event]) -> None:
        stays = visits(events)
        self.config = config
        self.ways = journeys(stays)
        self.asked = _asked(events, config.array.tiles)
        self.computes = sorted((visit for visit in stays if visit.compute is not None), key=_compute)
        #: cycle of the send before each send of a tile
        self.before: dict[tuple[int, int], int] = {}
        last: dict[int, int] = {}
        for event in events:
            if event.kind == "send":
                self.before[event.tile, event.cycle] = last.get(event.tile, -1)
                last[event.tile] = event.cycle

    def asked_at(self, visit: Visit) -> int:
        """Cycle in which the ring-next tile is asked for a slot: one request at a time, in the order of the sends."""
        assert visit.send is not None
        ready = visit.begin + STATE_CYCLES if visit.from_link else _filled(visit)
        return max(ready, self.before[visit.tile, visit.send] + STATE_CYCLES)

    def waits(self, here: Visit, first: int, end: int) -> Iterator[Span]:
        """From ``first`` to ``end``, the cycle of its first weight word at ``here``."""
        spans = _Spans(0)
        way = self.ways[here.expert, here.index]
        source = way[0]
        for begin, finish in self.asked[source.tile]:
            if begin < source.begin:
                spans.until(begin, "slot")
                spans.until(min(finish, source.begin), "ddr")
        spans.until(source.begin, "slot")
        spans.until(_filled(source), "ddr")
        for visit, following in pairwise(way[:way.index(here) + 1]):
            self._hop(spans, visit, following)
        if here.send is not None and here.sent is not None and here.send < _compute(here):
            spans.until(here.send, "start")
            spans.until(min(here.sent + 1, _compute(here)), "port")
        spans.until(end, "start")
        for reason, begin, finish in spans.spans:
            if max(begin, first) < min(finish, end):
                yield reason, max(begin, first), min(finish, end)

    def _hop(self, spans: _Spans, visit: Visit, following: Visit) -> None:
        """From one tile to the ring-next; the first may still be coming there (cut-through)."""
        assert visit.send is not None  # it has a following visit
        control = control_cycles(self.config, edge_hops(self.config.array, visit.tile))
        spans.until(min(self.asked_at(visit) + control, following.begin), "link")
        spans.until(following.begin, "slot")
        spans.until(following.begin + control, "link")
        if visit.computed is not None and visit.compute is not None and visit.computed < visit.send:
            spans.until(visit.compute, "link")
            spans.until(visit.computed + 1, "port")
        spans.until(_filled(following), "link")


def _compute(visit: Visit) -> int:
    assert visit.compute is not None
    return visit.compute


def _filled(visit: Visit) -> int:
    """First cycle in which the slot shows the whole slice."""
    assert visit.filled is not None
    return visit.filled + STATE_CYCLES


def mac_account(config: Config, events: Sequence[Event], cycles: int) -> list[list[Span]]:
    """What each tile's MAC array did or waited for; the spans of a tile follow each other from cycle 0 to ``cycles``."""
    way = _Way(config, events)
    tiles = [_Spans(0) for _ in range(config.array.tiles)]
    for visit in way.computes:
        spans, first = tiles[visit.tile], _compute(visit) + COMPUTE_SETUP_CYCLES
        for reason, _, end in way.waits(visit, spans.end, first):
            spans.until(end, reason)
        assert visit.computed is not None
        spans.until(visit.computed + 1, "compute")
    for spans in tiles:
        spans.until(cycles, "done")
    return [spans.spans for spans in tiles]


def totals(spans: Sequence[Span], reasons: Sequence[str]) -> dict[str, int]:
    """Cycles by reason."""
    sums = dict.fromkeys(reasons, 0)
    for reason, first, end in spans:
        sums[reason] += end - first
    return sums


def over_time(accounts: Sequence[Sequence[Span]], reasons: Sequence[str], edges: Sequence[int]) -> dict[str, list[float]]:
    """Share of each reason from each of the ascending cycles ``edges`` to the next, over all accounts: they sum to one."""
    widths = np.diff(edges) * max(len(accounts), 1)
    return {reason: (sum(busy_between([(first, end - first) for what, first, end in spans if what == reason], edges)
                         for spans in accounts) / widths).tolist() for reason in reasons}
