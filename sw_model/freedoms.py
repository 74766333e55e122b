"""Streaming with two freedoms that the array does not have, played on the timeline: a slice is loaded into any tile, and the
slices of an expert stay in a group of tiles.

*Any tile* (:func:`loaded_anywhere`): a slice is loaded by a tile that is a stop of its expert, as if every channel had a copy
of all weights, or reached every tile. A tile still loads at the rate of its own channel. Everything else is the array's.

*Groups* (:func:`in_groups`): neighbours on the ring are arrays of their own, each with a share of the experts, whose slices
lie in its channels. Each group reads the records of all tokens, and writes the sums of its own experts; who adds these up is
left out.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from trajectile.sw_model.config import Config
from trajectile.sw_model.config.topology import ring
from trajectile.sw_model.schedule.scheduler import Load, Schedule, ScheduleError, schedule


def _check(config: Config) -> None:
    """Every tile has a channel: where some have none, a freedom would come with channels that are not there."""
    if config.array.channels != config.array.tiles:
        raise ScheduleError(f"array.ddr_tiles = {list(config.array.ddr_tiles)} is not legal here; legal: a channel at each "
                            "tile")


def _hops(order: Sequence[int], stops: set[int], first: int) -> int:
    """Ring edges from a tile to the last of the stops."""
    return max((order.index(stop) - order.index(first)) % len(order) for stop in stops)


def loaded_anywhere(plan: Schedule, lead: int) -> Schedule:
    """The same batch with each slice loaded at one of its stops: that from which the way is shortest, of equals the one that
    has loaded the least.

    Args:
        plan: of a spread batch.
        lead: slices that a tile may have loaded more than another; one that is further ahead takes none. If no stop is left,
            the tile that has loaded the least takes the slice.

    Raises:
        ScheduleError: if a tile has no DDR channel.
    """
    config = plan.config
    _check(config)
    order, tiles = ring(config.array), config.array.tiles
    loads: list[list[Load]] = [[] for _ in range(tiles)]
    arrivals = [0] * tiles
    for expert in plan.expert_order:
        stops = {tile for tile in range(tiles) if plan.passes[tile, expert]}
        for index in range(config.tile.slices):
            least = min(map(len, loads))
            may = [tile for tile in stops if len(loads[tile]) - least <= lead]
            if may:
                first = min(may, key=lambda tile: (_hops(order, stops, tile), len(loads[tile]), tile))
            else:
                first = min(range(tiles), key=lambda tile: (len(loads[tile]), _hops(order, stops, tile), tile))
            after = [order[(order.index(first) + 1 + step) % tiles] for step in range(tiles - 1)]
            ahead = sum((tile in stops) << step for step, tile in enumerate(after))
            loads[first].append(Load(expert, index, len(loads[first]), first in stops, ahead))
            for tile in after[:ahead.bit_length()]:
                arrivals[tile] += 1
    return replace(plan, tiles=tuple(replace(tile, loads=tuple(mine), arrivals=coming)
                                     for tile, mine, coming in zip(plan.tiles, loads, arrivals, strict=True)))


def in_groups(config: Config, topk_ids: NDArray[np.int64], size: int, order: str) -> list[Schedule]:
    """A batch for each group of so many tiles: expert ``e`` belongs to group ``e % groups``.

    Raises:
        ScheduleError: if the array cannot be cut so, or a tile has no DDR channel.
    """
    _check(config)
    count, rest = divmod(config.array.tiles, size)
    if size < 2 or rest or size > 4 or config.layer.experts % count:
        raise ScheduleError(f"groups of {size} tiles are not legal; legal: 2 to 4, a divisor of {config.array.tiles}")
    array = replace(config.array, rows=1, cols=size, ddr_tiles=tuple(range(size)))
    part = replace(config, array=array, layer=replace(config.layer, experts=config.layer.experts // count),
                   tile=replace(config.tile, tokens=min(config.tile.tokens * count, 4096)))
    return [schedule(part, np.where((topk_ids >= 0) & (topk_ids % count == number), topk_ids // count, -1), order)
            for number in range(count)]
