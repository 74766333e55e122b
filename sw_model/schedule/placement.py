"""Placement: which tile holds which tokens, and in which order its records stand.

The hardware takes the records as they lie: token ``i`` of a tile is in lane ``i % mac_t``, at index ``i // mac_t`` there
(docs/batch.md). So an order of records is a placement, and it is the host's choice: any one is correct. In a shared batch
every tile takes the records of all tiles, one tile's after the other's in the order of the ring.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trajectile.sw_model.config import Config
from trajectile.sw_model.config.topology import ring

IntArray = NDArray[np.int64]
#: of each tile the tokens of the batch in the order of its records
Records = tuple[tuple[int, ...], ...]


def place_tokens(config: Config, topk_ids: IntArray) -> Records:
    """What a host may do that is free to place tokens: few passes, and about the same work on each tile.

    All tiles but the last few get the same number. One after the other the tokens go to the tile, of those with room, that
    has the fewest tokens for their experts so far, so that a slice has about the same work at each stop. On a tile a token
    goes to the lane where it adds the fewest passes: an expert takes as many passes as its fullest lane has tokens. The lanes
    of a tile end up with the same number of tokens, but for one more in the first ones.

    Args:
        config: the accelerator.
        topk_ids: chosen experts, [tokens, top_k]; what is no expert of the layer counts for nothing.
    """
    return tuple(map(_in_turn, _dealt_well(config, topk_ids, config.array.tiles)))


def place_shared(config: Config, topk_ids: IntArray) -> Records:
    """The same for a shared batch, whose tokens are in the same lanes of all tiles: few passes, and each tile has the same
    number of tokens to read and to write, but for one more in some.

    Args:
        config: the accelerator.
        topk_ids: chosen experts, [tokens, top_k]; what is no expert of the layer counts for nothing.
    """
    order, around = _in_turn(_dealt_well(config, topk_ids, 1)[0]), ring(config.array)
    parts = dict(zip(around, _blocks(len(order), len(around)), strict=True))
    return tuple(tuple(order[number] for number in parts[tile]) for tile in range(len(around)))


def _in_turn(lanes: list[list[int]]) -> tuple[int, ...]:
    """The records of a tile whose lanes hold these tokens."""
    return tuple(lanes[number % len(lanes)][number // len(lanes)] for number in range(sum(map(len, lanes))))


def _dealt_well(config: Config, topk_ids: IntArray, tiles: int) -> list[list[list[int]]]:
    """Tokens of each lane of so many tiles: one token after the other goes where :func:`place_tokens` says."""
    lanes, experts = config.tile.mac_t, config.layer.experts
    count = np.zeros((tiles, lanes, experts), dtype=np.int64)
    members: list[list[list[int]]] = [[[] for _ in range(lanes)] for _ in range(tiles)]
    held = np.zeros((tiles, lanes), dtype=np.int64)
    room = np.array([[len(range(tile + lane * tiles, len(topk_ids), tiles * lanes)) for lane in range(lanes)]
                     for tile in range(tiles)])
    for token, choices in enumerate(topk_ids):
        chosen = choices[(choices >= 0) & (choices < experts)]
        met, full = count[:, :, chosen].sum(axis=(1, 2)), held.sum(axis=1)
        tile = int(np.lexsort((full, met, full >= room.sum(axis=1)))[0])
        here = count[tile][:, chosen]
        added = (here + 1 > here.max(axis=0)).sum(axis=1)
        # of the lanes with room that with the fewest new passes, then the fewest tokens, then the lowest
        lane = int(np.lexsort((held[tile], added, held[tile] >= room[tile]))[0])
        members[tile][lane].append(token)
        held[tile, lane] += 1
        count[tile, lane, chosen] += 1
    return members


def dealt(config: Config, tokens: int) -> Records:
    """Tokens as they are where tiles take turns in getting one."""
    tiles = config.array.tiles
    return tuple(tuple(range(tile, tokens, tiles)) for tile in range(tiles))


def in_blocks(config: Config, tokens: int) -> Records:
    """Tokens as they are where each tile has its own part of a text: tokens that follow each other."""
    return tuple(map(tuple, _blocks(tokens, config.array.tiles)))


def _blocks(tokens: int, parts: int) -> list[range]:
    """So many parts of the tokens, in order and about equal."""
    ends = [(tokens * part + parts - 1) // parts for part in range(parts + 1)]
    return [range(*ends[part:part + 2]) for part in range(parts)]


def places_on(config: Config, tokens: Sequence[int]) -> IntArray:
    """Lane and index in the lane of each of the tokens that a tile takes in this order, [tokens, 2]."""
    numbers = np.arange(len(tokens))
    return np.stack([numbers % config.tile.mac_t, numbers // config.tile.mac_t], axis=1)


def positions(config: Config, records: Sequence[Sequence[int]]) -> IntArray:
    """Tile, lane and index in the lane of each token, [tokens, 3], of records that hold every token once."""
    where = np.zeros((sum(map(len, records)), 3), dtype=np.int64)
    for tile, tokens in enumerate(records):
        where[list(tokens), 0] = tile
        where[list(tokens), 1:] = places_on(config, tokens)
    return where
