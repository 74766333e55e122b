"""From a batch's gate decisions to what the tiles are programmed with.

Token placement, each tile's token lists, rule table entries and the order of loads (design: docs/architecture.md). The
scheduler sees only which expert each token chose; weights and activations never matter to it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trajectile.sw_model.config import Config
from trajectile.sw_model.config.topology import ring_distance, ring_next

ORDERS = ("index", "paired", "balanced")

IntArray = NDArray[np.int64]


class ScheduleError(ValueError):
    """A batch that the configuration cannot hold. The message names what, its value and the legal values."""


@dataclass(frozen=True)
class Load:
    """One entry of a tile's load list."""

    expert: int
    index: int
    #: row of the slice in the tile's DDR channel
    row: int
    #: this tile holds tokens for the expert
    here: bool
    #: the ring-next tile holds tokens for the expert
    next_here: bool
    #: stops left after this tile
    left: int


@dataclass(frozen=True)
class TileProgram:
    """What one tile is told for a batch."""

    #: tokens of the batch held here, by lane and index in the lane
    lanes: tuple[tuple[int, ...], ...]
    #: passes of each expert, [experts]
    passes: IntArray
    #: first token list entry of each expert, [experts]
    first: IntArray
    #: token list: batch token of each pass and lane or -1, [entries, mac_t]
    list_tokens: IntArray
    #: which of the token's top_k choices that is, [entries, mac_t]
    list_ranks: IntArray
    loads: tuple[Load, ...]
    #: slices that will arrive from the ring-previous tile, whether they stop here or pass
    arrivals: int


@dataclass(frozen=True)
class Schedule:
    """The programs of all tiles for one batch."""

    config: Config
    #: chosen experts, [tokens, top_k]; -1 is no choice
    topk_ids: IntArray
    order: str
    #: active experts in the order of loading
    expert_order: tuple[int, ...]
    tiles: tuple[TileProgram, ...]
    #: tile, lane and index in the lane of each token, [tokens, 3]
    placement: IntArray
    #: slices skip tiles that hold no token for their expert (the RTL always does)
    skip: bool = True

    @property
    def passes(self) -> IntArray:
        """Passes of each expert on each tile, [tiles, experts]."""
        return np.stack([tile.passes for tile in self.tiles])

    @property
    def stops(self) -> NDArray[np.bool_]:
        """Tiles that an expert's slices have to visit, [tiles, experts]."""
        return stops_of(self.passes, skip=self.skip)

    @property
    def tokens(self) -> int:
        """Tokens of the batch."""
        return len(self.topk_ids)


def stops_of(passes: IntArray, *, skip: bool) -> NDArray[np.bool_]:
    """Tiles with tokens for each expert; without ``skip`` every tile, for each expert that has any. [tiles, experts]."""
    here = passes > 0
    return here if skip else np.broadcast_to(here.any(axis=0), here.shape)


def place_tokens(config: Config, topk_ids: IntArray, *, dealt: bool = False) -> IntArray:
    """Tile, lane and index in the lane of each token, [tokens, 3].

    All tiles but the last few get the same number. One after the other the tokens go to the tile, of those with room, that
    has the fewest tokens for their experts so far, so that a slice has about the same work at each stop. On a tile a token
    goes to the lane where it adds the fewest passes: an expert takes as many passes as its fullest lane has tokens. With
    ``dealt`` the tiles take turns instead.
    """
    tiles, lanes, depth = config.array.tiles, config.tile.mac_t, config.tile.lane_tokens
    count = np.zeros((tiles, lanes, config.layer.experts), dtype=np.int64)
    held = np.zeros((tiles, lanes), dtype=np.int64)
    room = np.array([len(range(tile, len(topk_ids), tiles)) for tile in range(tiles)])
    placement = np.zeros((len(topk_ids), 3), dtype=np.int64)
    for token, choices in enumerate(topk_ids):
        chosen = choices[choices >= 0]
        met, full = count[:, :, chosen].sum(axis=(1, 2)), held.sum(axis=1)
        tile = token % tiles if dealt else int(np.lexsort((full, met, full >= room))[0])
        here = count[tile][:, chosen]
        added = (here + 1 > here.max(axis=0)).sum(axis=1) + np.where(held[tile] < depth, 0, len(chosen) + 1)
        # fewest new passes, then the lane with the fewest tokens, then the lowest
        lane = int(np.lexsort((held[tile], added))[0])
        placement[token] = tile, lane, held[tile, lane]
        held[tile, lane] += 1
        count[tile, lane, chosen] += 1
    return placement


def order_experts(passes: IntArray, load: IntArray, order: str) -> tuple[int, ...]:
    """Active experts in loading order.

    Args:
        passes: compute passes, [tiles, experts].
        load: tokens of each expert, [experts].
        order: ``index`` (as numbered), ``paired`` (the paper's: most tokens, least, second most, second least, ...) or
            ``balanced`` (greedy: each tile's accumulated compute stays closest to the mean pace).

    Raises:
        ScheduleError: for any other order.
    """
    active = [int(e) for e in np.flatnonzero(load)]
    if order == "index":
        return tuple(active)
    if order == "paired":
        ranked = sorted(active, key=lambda e: (-load[e], e))
        half = (len(ranked) + 1) // 2
        hot, cold = ranked[:half], ranked[half:][::-1]
        return tuple(e for k in range(half) for e in (hot[k], *cold[k:k + 1]))
    if order == "balanced":
        cost = passes[:, active].astype(np.float64)
        pace = cost.sum(axis=1, keepdims=True) / max(len(active), 1)
        done = np.zeros((len(passes), 1))
        left = np.ones(len(active), dtype=bool)
        chosen = []
        for k in range(len(active)):
            miss = ((done + cost - pace * (k + 1)) ** 2).sum(axis=0)
            best = int(np.argmin(np.where(left, miss, np.inf)))
            left[best] = False
            done += cost[:, best:best + 1]
            chosen.append(active[best])
        return tuple(chosen)
    raise ScheduleError(f"order = {order!r} is not legal; legal values: {', '.join(ORDERS)}")


def _token_list(config: Config, topk_ids: IntArray, lanes: Sequence[Sequence[int]]) -> dict[str, IntArray]:
    """Passes, first entries and token list of one tile."""
    experts, width = config.layer.experts, config.tile.mac_t
    members: list[list[list[tuple[int, int]]]] = [[[] for _ in range(width)] for _ in range(experts)]
    for lane, tokens in enumerate(lanes):
        for token in tokens:
            for rank in np.flatnonzero(topk_ids[token] >= 0).tolist():
                expert = topk_ids[token, rank]
                members[expert][lane].append((token, rank))
    passes = np.array([max(map(len, by_lane)) for by_lane in members], dtype=np.int64)
    first = np.concatenate(([0], np.cumsum(passes)[:-1])).astype(np.int64)
    tokens_of = np.full((int(passes.sum()), width), -1, dtype=np.int64)
    ranks_of = np.zeros_like(tokens_of)
    for expert, by_lane in enumerate(members):
        for lane, pairs in enumerate(by_lane):
            for k, (token, rank) in enumerate(pairs):
                tokens_of[first[expert] + k, lane], ranks_of[first[expert] + k, lane] = token, rank
    return {"passes": passes, "first": first, "list_tokens": tokens_of, "list_ranks": ranks_of}


def schedule(config: Config, topk_ids: NDArray[Any], order: str = "balanced", *, skip: bool = True,
             dealt: bool = False) -> Schedule:
    """Program the array for one batch.

    Args:
        config: the accelerator.
        topk_ids: chosen experts, [tokens, top_k]; -1 is no choice.
        order: one of ``ORDERS``.
        skip: slices skip tiles without tokens for their expert; without it they go round the whole ring, as in the paper.
        dealt: deal the tokens to the tiles in turn, to see what their placement is worth.

    Raises:
        ScheduleError: if the batch does not fit the configuration.
    """
    ids = np.asarray(topk_ids, dtype=np.int64)
    if ids.ndim != 2 or ids.shape[1] != config.layer.top_k:
        raise ScheduleError(f"topk_ids has shape {list(ids.shape)}; legal: [tokens, {config.layer.top_k}]")
    capacity = config.token_capacity
    if len(ids) > capacity:
        raise ScheduleError(f"tokens = {len(ids)} is not legal; legal values: 0 to {capacity} "
                            f"({config.array.tiles} tiles of tile.tokens = {config.tile.tokens})")
    if ids.size and not (ids.min() >= -1 and ids.max() < config.layer.experts):
        raise ScheduleError(f"topk_ids holds {ids.min()} to {ids.max()}; legal: 0 to {config.layer.experts - 1}, or -1 for "
                            "no choice")
    placement = place_tokens(config, ids, dealt=dealt)
    lanes = [tuple(tuple(int(t) for t in np.flatnonzero((placement[:, 0] == tile) & (placement[:, 1] == lane)))
                   for lane in range(config.tile.mac_t)) for tile in range(config.array.tiles)]
    lists = [_token_list(config, ids, tile_lanes) for tile_lanes in lanes]
    passes = np.stack([entry["passes"] for entry in lists])
    load = np.bincount(ids[ids >= 0], minlength=config.layer.experts)
    expert_order = order_experts(passes, load, order)

    here, stop = passes > 0, stops_of(passes, skip=skip)
    stops = stop.sum(axis=0)
    loads: list[list[Load]] = [[] for _ in lists]
    arrivals = [0] * len(lists)
    ahead = [[(ring_distance(config.array, tile, other), other) for other in range(config.array.tiles)]
             for tile in range(config.array.tiles)]
    for expert in expert_order:
        reach = [max(distance for distance, other in ahead[tile] if stop[other, expert])
                 for tile in range(config.array.tiles)]
        for index in range(config.tile.slices):
            tile, row = config.home(expert, index)
            loads[tile].append(Load(
                expert, index, row, bool(here[tile, expert]), bool(stop[ring_next(config.array, tile), expert]),
                int(stops[expert]) - int(stop[tile, expert])))
            for distance, other in ahead[tile]:
                arrivals[other] += 0 < distance <= reach[tile]
    programs = tuple(TileProgram(lanes=lanes[tile], loads=tuple(loads[tile]), arrivals=arrivals[tile], **lists[tile])
                     for tile in range(config.array.tiles))
    return Schedule(config, ids, order, expert_order, programs, placement, skip)


@dataclass(frozen=True)
class Roofline:
    """Cycles below which no schedule of this batch can go, by resource."""

    ddr: float
    mac: float
    d2d: float

    @property
    def cycles(self) -> int:
        """The largest, rounded up."""
        return int(np.ceil(max(self.ddr, self.mac, self.d2d)))


def roofline(plan: Schedule) -> Roofline:
    """Roofline of a batch: bytes of the active experts over the DDR rate, MACs of the fullest tile over the MAC rate, and
    bytes over the busiest ring edge over the link rate. Weights count without padding.
    """
    config = plan.config
    active = len(plan.expert_order)
    channel_rate = config.array.channels * config.ddr.bytes_per_cycle
    weight_bytes = active * config.tile.slices * config.slice_weight_bytes
    met = np.bincount(plan.placement[:, 0], (plan.topk_ids >= 0).sum(axis=1), config.array.tiles).max(initial=0)
    macs = int(met) * 3 * config.layer.d_model * config.layer.d_ff
    arrivals = max(tile.arrivals for tile in plan.tiles)
    return Roofline(weight_bytes / channel_rate, macs / config.tile.macs,
                    arrivals * config.slice_weight_bytes / config.link.beat_bytes)
