"""From a batch's gate decisions and its placement to what the batch former of each tile makes of them (docs/batch.md).

Token lists, passes, the order of experts, loads and expected arrivals, in the same integers as the hardware computes them:
every tile does so for itself, from its own records and the passes of all tiles. Only the placement is software's
(:mod:`trajectile.sw_model.schedule.placement`). Weights and activations never matter here.

A batch has one of two dataflows. *Spread*: each tile holds its own tokens, and slices travel to them. *Shared*: every tile
holds all tokens of the batch, one tile's after the other's in the order of the ring, and computes the slices of its own DDR
channel; what travels are records, and sums of results back to the tile whose host gave the token.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trajectile.sw_model.config import COMPLETION_BYTES, INT32_BYTES, Config
from trajectile.sw_model.config.topology import ring, ring_distance, ring_next
from trajectile.sw_model.schedule.placement import Records, place_shared, place_tokens, places_on, positions
from trajectile.sw_model.schedule.token_lists import NO_CHOICE, DroppedChoice, dropped_choices, token_list

#: orders of loading; the place of each is its code in a descriptor
ORDERS = ("index", "paired", "balanced")
#: whether slices travel to the tiles that hold tokens, or every tile holds all tokens; likewise
DATAFLOWS = ("spread", "shared")

IntArray = NDArray[np.int64]


class ScheduleError(ValueError):
    """A batch that the configuration cannot hold. The message names what, its value and the legal values."""


@dataclass(frozen=True)
class Load:
    """A slice that a tile loads."""

    expert: int
    index: int
    #: row of the slice in the tile's DDR channel
    row: int
    #: this tile is a stop
    here: bool
    #: bit i: the tile i + 1 further along the ring is a stop
    ahead: int


@dataclass(frozen=True)
class TilePlan:
    """What one tile makes of a batch."""

    #: tokens whose host is that of this tile, in the order of their records: it reads them, and writes their results
    records: tuple[int, ...]
    #: tokens in this tile's lists, in the order in which lanes take them: its own; all of a shared batch
    held: tuple[int, ...]
    #: passes of each expert, [experts]
    passes: IntArray
    #: first entry of each expert in ``list_tokens``, [experts]
    first: IntArray
    #: token lists: batch token of each pass and lane or -1, [entries, mac_t]; a lane's last record comes first
    list_tokens: IntArray
    #: which of the token's top_k choices that is, [entries, mac_t]
    list_ranks: IntArray
    #: wrong choices, in the order in which they are read
    dropped: tuple[DroppedChoice, ...]
    #: what the tile's own DDR channel supplies, in order
    loads: tuple[Load, ...]
    #: slices that will arrive from the ring-previous tile, whether they stop here or pass
    arrivals: int


@dataclass(frozen=True)
class Schedule:
    """What all tiles make of one batch."""

    config: Config
    #: chosen experts as the token lists have them, [tokens, top_k]; -1 is no choice, or one that was dropped
    topk_ids: IntArray
    order: str
    #: active experts in the order of loading
    expert_order: tuple[int, ...]
    tiles: tuple[TilePlan, ...]
    #: slices skip tiles that hold no token for their expert (the RTL always does)
    skip: bool = True
    #: one of ``DATAFLOWS``
    dataflow: str = "spread"

    @cached_property
    def placement(self) -> IntArray:
        """Where the result of each token is written from: its tile, and lane and index in the lane there, [tokens, 3].

        In a shared batch lane and index are those of the token in every tile.
        """
        found = positions(self.config, [tile.records for tile in self.tiles])
        if self.shared:
            held = self.tiles[0].held
            found[list(held), 1:] = places_on(self.config, held)
        return found

    @property
    def shared(self) -> bool:
        """Whether every tile holds all tokens."""
        return self.dataflow == "shared"

    @cached_property
    def passes(self) -> IntArray:
        """Passes of each expert on each tile, [tiles, experts]."""
        return np.stack([tile.passes for tile in self.tiles])

    @cached_property
    def stops(self) -> NDArray[np.bool_]:
        """Tiles that an expert's slices have to visit, [tiles, experts]; in a shared batch those that load any of them."""
        if not self.shared:
            return stops_of(self.passes, skip=self.skip)
        stops = np.zeros(self.passes.shape, dtype=np.bool_)
        for number, tile in enumerate(self.tiles):
            stops[number, [load.expert for load in tile.loads]] = True
        return stops

    @property
    def tokens(self) -> int:
        """Tokens of the batch."""
        return len(self.topk_ids)


def stops_of(passes: IntArray, *, skip: bool) -> NDArray[np.bool_]:
    """Tiles with tokens for each expert; without ``skip`` every tile, for each expert that has any. [tiles, experts]."""
    here = passes > 0
    return here if skip else np.broadcast_to(here.any(axis=0), here.shape)


def order_experts(passes: IntArray, order: str) -> tuple[int, ...]:
    """Active experts in loading order, in exact integers.

    Let c[t, e] be the passes of expert e on tile t, P[t] their sum over all experts, and A the number of active experts.

    Args:
        passes: c, [tiles, experts].
        order: ``index``: as numbered. ``paired``: the paper's; most passes over all tiles (the lowest of equals), least (the
            highest of equals), second most, second least, ... ``balanced``: greedy, so that each tile's accumulated compute
            stays close to the mean pace: always that with the least sum over t of ``|D[t] + A c[t, e] - P[t]|`` (the
            lowest of equals), where D, which begins with 0, is what the absolute value was taken of for the one before.

    Raises:
        ScheduleError: for any other order.
    """
    if order not in ORDERS:
        raise ScheduleError(f"order = {order!r} is not legal; legal values: {', '.join(ORDERS)}")
    load = passes.sum(axis=0)
    active = np.flatnonzero(load)
    if order == "index":
        return tuple(active.tolist())
    if order == "paired":
        ranked = sorted(active.tolist(), key=lambda e: (-int(load[e]), e))
        half = (len(ranked) + 1) // 2
        hot, cold = ranked[:half], ranked[half:][::-1]
        return tuple(e for k in range(half) for e in (hot[k], *cold[k:k + 1]))
    step = len(active) * passes[:, active] - passes.sum(axis=1, keepdims=True)
    ahead = np.zeros((len(passes), 1), dtype=np.int64)
    left = np.ones(len(active), dtype=bool)
    chosen = []
    for _ in active:
        miss = np.abs(ahead + step).sum(axis=0)
        best = int(np.argmin(np.where(left, miss, np.iinfo(np.int64).max)))
        left[best] = False
        ahead += step[:, best:best + 1]
        chosen.append(int(active[best]))
    return tuple(chosen)


def _loads(config: Config, passes: IntArray, expert_order: Sequence[int], *,
           skip: bool) -> tuple[list[list[Load]], list[int]]:
    """Loads of each tile, and slices that arrive there."""
    here, stop, tiles = passes > 0, stops_of(passes, skip=skip), config.array.tiles
    order = ring(config.array)
    loads: list[list[Load]] = [[] for _ in range(tiles)]
    arrivals = [0] * tiles
    for expert in expert_order:
        ahead = [sum(int(stop[order[(place + 1 + i) % tiles], expert]) << i for i in range(tiles - 1))
                 for place in map(order.index, range(tiles))]
        for index in range(config.tile.slices):
            tile, row = config.home(expert, index)
            loads[tile].append(Load(expert, index, row, bool(here[tile, expert]), ahead[tile]))
            for other in range(tiles):
                arrivals[other] += 0 < ring_distance(config.array, tile, other) <= ahead[tile].bit_length()
    return loads, arrivals


def _own_loads(config: Config, expert_order: Sequence[int]) -> list[list[Load]]:
    """Loads of each tile of a shared batch: no slice leaves it."""
    loads: list[list[Load]] = [[] for _ in range(config.array.tiles)]
    for expert in expert_order:
        for index in range(config.tile.slices):
            tile, row = config.home(expert, index)
            loads[tile].append(Load(expert, index, row, here=True, ahead=0))
    return loads


def _check_shared(config: Config, tokens: int) -> None:
    """A shared batch of so many tokens can be."""
    if not config.array.shares:
        raise ScheduleError(f"dataflow = 'shared' is not legal with array.dataflows = {config.array.dataflows!r}; legal "
                            "values: spread (shared needs array.dataflows = 'both')")
    if tokens > config.tile.tokens:
        raise ScheduleError(f"tokens = {tokens} is not legal with dataflow = 'shared'; legal values: 0 to "
                            f"{config.tile.tokens} (tile.tokens: every tile holds all tokens)")


def _checked(config: Config, topk_ids: NDArray[Any], *, strict: bool) -> IntArray:
    """Choices that can stand in records; with ``strict`` those of a batch without a mistake."""
    ids, experts = np.asarray(topk_ids, dtype=np.int64), config.layer.experts
    if ids.ndim != 2 or ids.shape[1] != config.layer.top_k:
        raise ScheduleError(f"topk_ids has shape {list(ids.shape)}; legal: [tokens, {config.layer.top_k}]")
    if len(ids) > config.token_capacity:
        raise ScheduleError(f"tokens = {len(ids)} is not legal; legal values: 0 to {config.token_capacity} "
                            f"({config.array.tiles} tiles of tile.tokens = {config.tile.tokens})")
    high = experts - 1 if strict else NO_CHOICE
    if ids.size and not (ids.min() >= -1 and ids.max() <= high):
        raise ScheduleError(f"topk_ids holds {ids.min()} to {ids.max()}; legal: 0 to {high}, or -1 for no choice")
    if strict:
        wrong = dropped_choices(config, ids, range(len(ids)))
        if wrong:
            raise ScheduleError(f"topk_ids has expert {wrong[0].expert} twice for token {wrong[0].token}; legal: once")
    return ids


def _checked_records(config: Config, records: Sequence[Sequence[int]], tokens: int) -> Records:
    """A placement that holds every token once."""
    if len(records) != config.array.tiles:
        raise ScheduleError(f"records of {len(records)} tiles are not legal; legal values: {config.array.tiles}")
    for tile, held in enumerate(records):
        if len(held) > config.tile.tokens:
            raise ScheduleError(f"records of {len(held)} tokens on tile {tile} are not legal; legal values: 0 to "
                                f"{config.tile.tokens} (tile.tokens)")
    if sorted(token for held in records for token in held) != list(range(tokens)):
        raise ScheduleError(f"records must hold each token from 0 to {tokens - 1} once")
    return tuple(tuple(int(token) for token in held) for held in records)


def schedule(config: Config, topk_ids: NDArray[Any], order: str = "balanced", *, dataflow: str = "spread",
             records: Sequence[Sequence[int]] | None = None, skip: bool = True, strict: bool = True) -> Schedule:
    """What the array makes of one batch.

    Args:
        config: the accelerator.
        topk_ids: chosen experts, [tokens, top_k]; -1 is no choice.
        order: one of ``ORDERS``.
        dataflow: one of ``DATAFLOWS``.
        records: the placement: of each tile its tokens in the order of their records. None: as :func:`place_tokens` does it,
            or :func:`place_shared`.
        skip: slices skip tiles without tokens for their expert; without it they go round the whole ring, as in the paper.
            In a shared batch no slice moves.
        strict: refuse choices that are wrong; without, drop them as the hardware does.

    Raises:
        ScheduleError: if the batch does not fit the configuration.
    """
    if dataflow not in DATAFLOWS:
        raise ScheduleError(f"dataflow = {dataflow!r} is not legal; legal values: {', '.join(DATAFLOWS)}")
    shared = dataflow == "shared"
    given = _checked(config, topk_ids, strict=strict)
    if shared:
        _check_shared(config, len(given))
    if records is None:
        placed = place_shared(config, given) if shared else place_tokens(config, given)
    else:
        placed = _checked_records(config, records, len(given))
    held = (tuple(token for tile in ring(config.array) for token in placed[tile]),) if shared else placed
    dropped = [dropped_choices(config, given, tokens) for tokens in held]
    ids = np.where(given == NO_CHOICE, -1, given)
    for choice in (choice for tile in dropped for choice in tile):
        ids[choice.token, choice.rank] = -1
    lists = [token_list(config, ids, tokens) for tokens in held]
    if shared:  # the same in every tile
        held, dropped, lists = held * config.array.tiles, dropped * config.array.tiles, lists * config.array.tiles
    passes = np.stack([entry["passes"] for entry in lists])
    expert_order = order_experts(passes, order)
    if shared:
        loads, arrivals = _own_loads(config, expert_order), [0] * config.array.tiles
    else:
        loads, arrivals = _loads(config, passes, expert_order, skip=skip)
    tiles = tuple(TilePlan(records=placed[tile], held=held[tile], dropped=dropped[tile], loads=tuple(loads[tile]),
                           arrivals=arrivals[tile], **lists[tile]) for tile in range(config.array.tiles))
    return Schedule(config, ids, order, expert_order, tiles, skip, dataflow)


@dataclass(frozen=True)
class Roofline:
    """Cycles below which no schedule of this batch can go, by resource."""

    ddr: float
    mac: float
    d2d: float
    io: float

    @property
    def cycles(self) -> int:
        """The largest, rounded up."""
        return int(np.ceil(max(self.ddr, self.mac, self.d2d, self.io)))


def refreshed(config: Config, bound: Roofline) -> Roofline:
    """The roofline whose DDR channels do nothing but deliver at their pins' peak, or refresh (``[ddr]``); where they do not
    refresh, the same.
    """
    interval, pause = config.ddr.refresh_interval_cycles, config.ddr.refresh_cycles
    return replace(bound, ddr=bound.ddr * interval / (interval - pause)) if pause else bound


def _most_macs(plan: Schedule) -> int:
    """MACs of the tile with most: its tokens meet all slices of their experts, or all tokens those slices that it loads."""
    config = plan.config
    if not plan.shared:
        met = np.bincount(plan.placement[:, 0], (plan.topk_ids >= 0).sum(axis=1), config.array.tiles).max(initial=0)
        return int(met) * 3 * config.layer.d_model * config.layer.d_ff
    chosen = np.bincount(plan.topk_ids[plan.topk_ids >= 0], minlength=config.layer.experts)
    met = max(sum(int(chosen[load.expert]) for load in tile.loads) for tile in plan.tiles)
    return int(met) * 3 * config.layer.d_model * config.slice_ff


def _most_link_bytes(plan: Schedule) -> int:
    """Bytes over the busiest ring edge: slices; or records of all tokens but those of the tile where it ends, and sums of all
    tokens but those of the tile where it begins.
    """
    config = plan.config
    if not plan.shared:
        return max(tile.arrivals for tile in plan.tiles) * config.slice_weight_bytes
    own = [len(tile.records) for tile in plan.tiles]
    record, sums = config.token_record_bytes, config.token_result_bytes(INT32_BYTES)
    return max((plan.tokens - own[ring_next(config.array, tile)]) * record + (plan.tokens - own[tile]) * sums
               for tile in range(config.array.tiles))


def roofline(plan: Schedule, *, result_bytes: int = INT32_BYTES) -> Roofline:
    """Roofline of a batch: bytes of the active experts over the DDR rate, MACs of the fullest tile over the MAC rate, bytes
    over the busiest ring edge over the link rate, and bytes of the fullest tile over the rate of its io port, which reads and
    writes at the same time. Nothing counts with padding.

    Args:
        plan: the batch.
        result_bytes: of one result: 4 (int32) or 2 (bf16).
    """
    config = plan.config
    active = len(plan.expert_order)
    channel_rate = config.array.channels * config.ddr.bytes_per_cycle
    weight_bytes = active * config.tile.slices * config.slice_weight_bytes
    own = max(len(tile.records) for tile in plan.tiles)
    written = COMPLETION_BYTES + own * config.token_result_bytes(result_bytes)
    return Roofline(weight_bytes / channel_rate, _most_macs(plan) / config.tile.macs,
                    _most_link_bytes(plan) / config.link.beat_bytes,
                    max(own * config.token_record_bytes, written) / config.io.bytes_per_cycle)
