"""Where the cycles of a run went: every cycle of every MAC array and of every DDR channel has one reason.

Events of the RTL and of the model give the same reasons. A MAC array that reads no weights waits for the slice that it
computes next. So the reason is what that slice waits for in that cycle, wherever it is on its way. The reasons are exact for
runs without random stalls: the cycle in which a slot was requested is not an event, and is computed from the events
(docs/architecture.md, "Latencies").
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from trajectile.sw_model.config import Config
from trajectile.sw_model.config.topology import edge_hops
from trajectile.sw_model.latencies import STATE_CYCLES, compute_setup_cycles, control_cycles
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
    "form": "its batch is being formed: records are read, counts go round, experts are picked",
    "done": "nothing is left to compute here; other tiles are at work",
}
#: what a DDR channel does
DDR_REASONS = {
    "beat": "a beat is on the bus",
    "latency": "slices are requested, no beat has come yet",
    "slot": "fewer than two slots are free: no slice may be requested",
    "form": "no slice is there to request: a batch is being formed",
    "done": "all slices have been read",
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


class _Channels:
    """What each tile's DDR channel could do."""

    def __init__(self, config: Config, stays: Sequence[Visit]) -> None:
        tiles = range(config.array.tiles)
        #: by tile: ``(first, end)`` of the times in which its channel owes it a slice
        self.asked: list[list[tuple[int, int]]] = [[] for _ in tiles]
        #: by tile: the times in which no slice may be asked for: fewer than two slots are free, or one is granted
        self.full: list[list[tuple[int, int]]] = []
        for visit in stays:
            if not visit.from_link and visit.filled is not None:
                _join(self.asked[visit.tile], visit.begin, visit.filled + 1)
        for tile in tiles:
            self.full.append([])
            changes: Counter[int] = Counter()
            granted = set()
            for visit in stays:
                if visit.tile == tile:
                    changes[visit.begin + STATE_CYCLES] += 1
                    if visit.release is not None:
                        changes[visit.release + STATE_CYCLES] -= 1
                    if visit.from_link:
                        granted.add(visit.begin)
            used, borders = 0, sorted(changes | dict.fromkeys(granted, 0) | {cycle + 1: 0 for cycle in granted})
            for first, end in pairwise([*borders, max(borders, default=0) + 1]):
                used += changes[first]
                if config.tile.slots - used < 2 or first in granted:
                    _join(self.full[tile], first, end)

    def wait(self, spans: _Spans, tile: int, end: int) -> None:
        """Up to ``end`` the channel is asked for nothing: there is no slot, or nothing to ask for."""
        full = self.full[tile]
        for begin, finish in full[bisect_right(full, spans.end, key=lambda span: span[1]):]:
            if begin >= end:
                break
            spans.until(begin, "form")
            spans.until(min(finish, end), "slot")
        spans.until(end, "form")

    def until(self, spans: _Spans, tile: int, end: int) -> None:
        """What a slice that is asked for in cycle ``end`` has waited for."""
        asked = self.asked[tile]
        for begin, finish in asked[bisect_right(asked, spans.end, key=lambda span: span[1]):]:
            if begin >= end:
                break
            self.wait(spans, tile, begin)
            spans.until(min(finish, end), "ddr")
        self.wait(spans, tile, end)


def _join(spans: list[tuple[int, int]], first: int, end: int) -> None:
    """Add a span that begins no earlier than the last, and join them if they touch."""
    if spans and spans[-1][1] >= first:
        spans[-1] = (spans[-1][0], max(spans[-1][1], end))
    else:
        spans.append((first, end))


def ddr_account(config: Config, events: Sequence[Event], cycles: int) -> dict[int, list[Span]]:
    """What each DDR channel did, by tile; the spans of a channel follow each other from cycle 0 to ``cycles``."""
    channels = _Channels(config, visits(events))
    account = {}
    for tile in config.array.ddr_tiles:
        spans, beats = _Spans(0), busy_spans(config, events, tile)["DDR"]
        owed = iter([*channels.asked[tile], (cycles, cycles)])
        first, end = next(owed)
        for beat, length in beats:
            while end <= beat:
                channels.wait(spans, tile, first)
                spans.until(end, "latency")
                first, end = next(owed)
            channels.wait(spans, tile, first)
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
        self.channels = _Channels(config, stays)
        self.computes = sorted((visit for visit in stays if visit.compute is not None), key=_compute)
        #: cycle of the send before each send of a tile
        self.before: dict[tuple[int, int], int] = {}
        last: dict[int, int] = {}
        for event in events:
            if event.kind == "send":
                self.before[event.tile, event.cycle] = last.get(event.tile, -1)
                last[event.tile] = event.cycle
        #: by tile and batch: first cycle in which rule 2 sees that its activations are there
        self.rows: dict[tuple[int, int], int] = {}
        batches: Counter[int] = Counter()
        for event in events:
            if event.kind == "rows":
                self.rows[event.tile, batches[event.tile]] = event.cycle + STATE_CYCLES
                batches[event.tile] += 1

    def asked_at(self, visit: Visit) -> int:
        """Cycle in which the ring-next tile is asked for a slot: one request at a time, in the order of the sends."""
        assert visit.send is not None
        ready = visit.begin + STATE_CYCLES if visit.from_link else _filled(visit)
        return max(ready, self.before[visit.tile, visit.send] + STATE_CYCLES)

    def waits(self, here: Visit, first: int, end: int) -> Iterator[Span]:
        """From ``first`` to ``end``, the cycle of its first weight word at ``here``."""
        spans = _Spans(first)
        way = self.ways[here.batch, here.expert, here.index]
        source = way[0]
        self.channels.until(spans, source.tile, source.begin)
        spans.until(_filled(source), "ddr")
        for visit, following in pairwise(way[:way.index(here) + 1]):
            self._hop(spans, visit, following)
        spans.until(self.rows.get((here.tile, here.batch), 0), "form")
        if here.send is not None and here.sent is not None and here.send < _compute(here):
            spans.until(here.send, "start")
            spans.until(min(here.sent + 1, _compute(here)), "port")
        spans.until(end, "start")
        for reason, begin, finish in spans.spans:
            if begin < min(finish, end):
                yield reason, begin, min(finish, end)

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
        spans, first = tiles[visit.tile], _compute(visit) + compute_setup_cycles(config)
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
