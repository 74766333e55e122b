"""The baselines to compare with: expert parallelism (EP) on the same hardware, and Hydra's mapping of experts.

EP gives every expert a home tile. Its weights stream from the home's own DDR channel, and are used only there. The tokens
that chose the expert travel to its home over the links, and their results travel back. It is a strong EP: weights are loaded
ahead as far as the buffer permits, and the next expert's tokens are fetched while this one is computed. The constants are
those of the streaming tile: the same slices, DDR timing, MAC timing, link rate and latency.

The way in and out is that of the streaming tile, too: a doorbell, token records that a tile reads over its io port, results
and a completion record that it writes there. Which experts have tokens is known once all choices have been read, and every
tile has told each home with one message; the order of experts takes no time.

Hydra differs only in the mapping: experts go to tiles by their popularity on earlier tokens, so that the tiles have about the
same load.
"""

import heapq
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from trajectile.sw_model import latencies
from trajectile.sw_model.config import INT32_BYTES, Config, ceil_div
from trajectile.sw_model.config.topology import grid_path
from trajectile.sw_model.schedule.scheduler import ScheduleError
from trajectile.sw_model.timeline.compute import compute_cycles
from trajectile.sw_model.timeline.counters import Counters
from trajectile.sw_model.timeline.ddr import DdrChannel
from trajectile.sw_model.timeline.ingest import ingest
from trajectile.sw_model.timeline.results import write_results

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class BaselineRun:
    """What a batch takes."""

    #: cycles from the doorbell, which all tiles get at once, to the last completion record
    cycles: int
    #: of these, cycles from the first load to the last result that is back where its token is
    streaming_cycles: int
    #: cycles from the doorbell to the first DDR address; 0 if nothing is loaded
    first_load_cycles: int
    #: beats read from DDR, by tile
    ddr_beats: tuple[int, ...]
    #: cycles with a weight word, by tile
    mac_busy: tuple[int, ...]
    #: flits over all links
    flits: int
    #: beats read and written by the io port, by tile
    io_beats: tuple[int, ...]
    #: tokens of the expert with the most, on any tile
    most_tokens: int


def index_homes(config: Config) -> IntArray:
    """Home tile of each expert, dealt to the tiles with a DDR channel in turn, int64 [experts]."""
    tiles = config.array.ddr_tiles
    return np.array([tiles[expert % len(tiles)] for expert in range(config.layer.experts)], dtype=np.int64)


def hydra_homes(config: Config, popularity: IntArray) -> IntArray:
    """Home tile of each expert, int64 [experts]: the most popular first, each to the tile with the least so far.

    Args:
        config: the accelerator.
        popularity: tokens of each expert in earlier batches, [experts].

    Raises:
        ScheduleError: if there is not one number per expert.
    """
    if popularity.shape != (config.layer.experts,):
        raise ScheduleError(f"popularity has shape {list(popularity.shape)}; legal: [{config.layer.experts}]")
    tiles = config.array.ddr_tiles
    # a little for every expert, so that those never seen are spread as well
    load, homes = dict.fromkeys(tiles, 0.0), np.zeros(config.layer.experts, dtype=np.int64)
    floor = max(float(popularity.mean()) / 100, 1e-9)
    for expert in np.lexsort((np.arange(len(popularity)), -popularity)):
        home = min(tiles, key=lambda tile: (load[tile], tile))
        homes[expert] = home
        load[home] += float(popularity[expert]) + floor
    return homes


class _Links:
    """Directed links of the grid, each busy with one message at a time, in the order of asking."""

    def __init__(self, config: Config):
        self.config = config
        self.free: dict[tuple[int, int], int] = {}
        self.flits = 0

    def send(self, now: int, source: int, end: int, payload: int) -> int:
        """Cycle in which the last of ``payload`` bytes has arrived; cut-through at the tiles between."""
        if source == end or not payload:
            return now
        flits = 1 + ceil_div(payload, self.config.link.beat_bytes)
        head = now
        path = grid_path(self.config.array, source, end)
        for link in pairwise(path):
            head = max(head, self.free.get(link, 0))
            self.free[link] = head + flits
            head += latencies.hop_cycles(self.config)
            self.flits += flits
        return head + flits


class _Home:
    """Loader and MAC array of one tile: slices one after the other."""

    def __init__(self, config: Config, buffers: int, begin: int):
        self.config = config
        self.channel = DdrChannel(config)
        #: slices that were loaded; they lie in the channel in the order in which they are needed
        self.loaded = 0
        self.mac_free = self.last = 0
        #: when each of the buffer's places is free again, oldest first; nothing is loaded before ``begin``
        self.places = [begin] * buffers

    def expert(self, ready: int, passes: int) -> tuple[int, int]:
        """Compute all slices of an expert whose tokens are there from ``ready`` on; first cycle and end."""
        config, first = self.config, None
        for _ in range(config.tile.slices):
            asked = self.places.pop(0)
            last_beat = self.channel.last_beat(asked + latencies.ADDRESS_CYCLES, self.loaded)
            self.loaded += 1
            filled = last_beat + latencies.LOADED_CYCLES + latencies.STATE_CYCLES
            start = max(filled, ready, self.mac_free)
            self.last = start + compute_cycles(config, passes)
            self.mac_free = self.last - latencies.compute_early_cycles(config)
            self.places.append(self.last + latencies.STATE_CYCLES)
            first = start if first is None else first
        assert first is not None
        return first, self.last + latencies.compute_drain_cycles(self.config)

    def whole_expert(self) -> None:
        """Free the places of the last expert only now, all at once: buffers of whole experts."""
        slices = self.config.tile.slices
        self.places[-slices:] = [self.places[-1]] * slices


class _Records:
    """The way in: when each tile has read its token records, and each home knows what is to do. Doorbells are in cycle 0."""

    def __init__(self, config: Config, tokens: int):
        tiles = range(config.array.tiles)
        #: tokens of each tile
        self.held = [len(range(tile, tokens, len(tiles))) for tile in tiles]
        reads = [ingest(config, 0, held) for held in self.held]
        lists = [latencies.QUEUE_CYCLES + read.lists for read in reads]
        #: cycle in which the activations of each tile's tokens are there
        self.rows = [latencies.QUEUE_CYCLES + read.rows for read in reads]
        #: first cycle in which each tile may load: all tiles have said which experts they have tokens for
        self.known = [max(lists[source] + self._message_cycles(config, source, tile) for source in tiles) for tile in tiles]
        self.beats = [read.beats for read in reads]

    @staticmethod
    def _message_cycles(config: Config, source: int, end: int) -> int:
        hops = len(grid_path(config.array, source, end)) - 1
        return latencies.control_cycles(config, hops) if hops else latencies.PHASE_CYCLES


def simulate_ep(config: Config, topk_ids: IntArray, homes: IntArray, *, whole_experts: bool = False,
                result_bytes: int = INT32_BYTES) -> BaselineRun:
    """Play a batch under expert parallelism.

    Args:
        config: the accelerator; ``tile.slots`` is the depth of the weight buffer.
        topk_ids: chosen experts, [tokens, top_k]; token ``t`` lives on tile ``t % tiles``.
        homes: home tile of each expert, [experts].
        whole_experts: two buffers of a whole expert instead of ``tile.slots`` of a slice.
        result_bytes: bytes of a result as it is written: 4 (int32) or 2 (bf16).

    Raises:
        ScheduleError: if a home has no DDR channel.
    """
    tiles, layer = config.array.tiles, config.layer
    if not set(homes.tolist()) <= set(config.array.ddr_tiles):
        raise ScheduleError(f"homes = {sorted(set(homes.tolist()))} is not legal; legal values: {config.array.ddr_tiles}")
    counts = np.zeros((layer.experts, tiles), dtype=np.int64)
    for token, chosen in enumerate(topk_ids):
        counts[chosen[chosen >= 0], token % tiles] += 1
    total = counts.sum(axis=1)
    # the experts with the most tokens first, so that the last one is short
    work: list[list[int]] = [[] for _ in range(tiles)]
    for expert in np.lexsort((np.arange(layer.experts), -total)):
        if total[expert]:
            work[int(homes[expert])].append(int(expert))
    links, records = _Links(config), _Records(config, len(topk_ids))
    home = [_Home(config, 2 * config.tile.slices if whole_experts else config.tile.slots, begin) for begin in records.known]
    mac_busy, back = [0] * tiles, list(records.rows)  # cycle in which all results of a tile's tokens are there
    # (cycle, tile, 0 = fetch the tokens of the expert with that number in the tile's list, 1 = bring its results back)
    queue: list[tuple[int, int, int, int]] = []
    sources = [[tile for tile in range(tiles) if counts[expert, tile]] for expert in range(layer.experts)]

    def fetch(now: int, tile: int, number: int) -> None:
        """The tokens of an expert travel as soon as their records have been read."""
        there = max(records.rows[source] for source in sources[work[tile][number]])
        heapq.heappush(queue, (max(now, there), tile, 0, number))

    loading = [tile for tile in range(tiles) if work[tile]]
    for tile in loading:
        fetch(records.known[tile], tile, 0)
    while queue:
        now, tile, kind, number = heapq.heappop(queue)
        expert = work[tile][number]
        if kind == 1:  # int32 results of each of its tokens
            for source in sources[expert]:
                payload = int(counts[expert, source]) * layer.d_model * INT32_BYTES
                back[source] = max(back[source], now, links.send(now, tile, source, payload))
            continue
        ready = max(links.send(now, source, tile, int(counts[expert, source]) * layer.d_model) for source in sources[expert])
        passes = ceil_div(int(total[expert]), config.tile.mac_t)
        first, done = home[tile].expert(ready, passes)
        if whole_experts:
            home[tile].whole_expert()
        mac_busy[tile] += passes * config.pass_words * config.tile.slices
        heapq.heappush(queue, (done, tile, 1, number))
        if number + 1 < len(work[tile]):
            fetch(first, tile, number + 1)
    beats = tuple(len(experts) * config.tile.slices * config.slice_beats for experts in work)
    out = [write_results(config, 0, held, result_bytes) for held in records.held]
    finish = latencies.STATE_CYCLES + latencies.PHASE_CYCLES
    first_load = min((records.known[tile] for tile in loading), default=0)
    return BaselineRun(
        cycles=max(cycle + finish + written.complete for cycle, written in zip(back, out, strict=True)),
        streaming_cycles=max(back) - first_load if loading else 0,
        first_load_cycles=first_load + latencies.ADDRESS_CYCLES if loading else 0,
        ddr_beats=beats, mac_busy=tuple(mac_busy), flits=links.flits,
        io_beats=tuple(read + written.beats for read, written in zip(records.beats, out, strict=True)),
        most_tokens=int(total.max(initial=0)))


def ep_counters(config: Config, topk_ids: IntArray, run: BaselineRun) -> Counters:
    """What a batch did. Each slice that was loaded is computed once. Tokens that are fetched, and results that come back, are
    counted on the links and not in the buffers.
    """
    weight_words, loaded = sum(run.mac_busy), sum(run.ddr_beats) // config.slice_beats
    passes, choices = weight_words // config.pass_words, np.asarray(topk_ids)
    return Counters(
        cycles=run.cycles, tokens=len(topk_ids), words=weight_words + loaded * config.parameter_words,
        weight_words=weight_words, gate_up_words=weight_words - passes * config.down_words, beats=sum(run.ddr_beats),
        flits=run.flits, slice_flits=0, records=0, summed=0, flits_passed=0, passes=passes, slices_loaded=loaded,
        slices_sent=0, computes=loaded, io_beats=sum(run.io_beats), choices=int((choices >= 0).sum()),
        picks=loaded // config.tile.slices)


def tokens_of(config: Config, tokens: int) -> int:
    """Tokens of the fullest tile when a batch is dealt to the tiles in turn."""
    return ceil_div(tokens, config.array.tiles)


def streaming_memory(config: Config, tokens: int, *, shared: bool = False) -> dict[str, int]:
    """Bytes on a tile under expert streaming: slots; activations and int32 accumulators of its own tokens, or of all tokens
    in a shared batch, of each batch in flight. Check bits (``tile.protect``), clips and token lists are not counted, neither
    here nor for EP, which would need as many a byte (:func:`trajectile.sw_model.config.memory.tile_memory` has everything).
    """
    return {"weights": config.tile.slots * config.slice_bytes,
            "tokens": config.tile.batches * (tokens if shared else tokens_of(config, tokens)) * _own(config)}


def ep_memory(config: Config, tokens: int, most_tokens: int, *, whole_experts: bool = False) -> dict[str, int]:
    """Bytes on a tile under EP: slots, or two whole experts; its own tokens' activations and accumulators, of each batch in
    flight; activations and int32 results of two experts' tokens, the one that is computed and the one that is fetched or
    sent back.
    """
    weights = (2 * config.tile.slices if whole_experts else config.tile.slots) * config.slice_bytes
    own = config.tile.batches * tokens_of(config, tokens)
    return {"weights": weights, "tokens": (own + 2 * most_tokens) * _own(config)}


def _own(config: Config) -> int:
    """Bytes of one token: int8 activations, int32 results."""
    return (1 + INT32_BYTES) * config.layer.d_model


def popularity_of(topk_ids: IntArray, experts: int) -> IntArray:
    """Tokens of each expert, [experts]."""
    ids = np.asarray(topk_ids, dtype=np.int64)
    return np.bincount(ids[ids >= 0], minlength=experts)
