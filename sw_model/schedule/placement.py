"""Placement: which tile holds which tokens, and in which order its records stand.

The hardware takes the records as they lie: token ``i`` of a tile is in lane ``i % mac_t``, at index ``i // mac_t`` there
(docs/batch.md). So an order of records is a placement, and it is the host's choice: any one is correct.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trajectile.sw_model.config import Config

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
    tiles, lanes, experts = config.array.tiles, config.tile.mac_t, config.layer.experts
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
    return tuple(tuple(members[tile][number % lanes][number // lanes] for number in range(int(held[tile].sum())))
                 for tile in range(tiles))


def dealt(config: Config, tokens: int) -> Records:
    """Tokens as they are where tiles take turns in getting one."""
    tiles = config.array.tiles
    return tuple(tuple(range(tile, tokens, tiles)) for tile in range(tiles))


def in_blocks(config: Config, tokens: int) -> Records:
    """Tokens as they are where each tile has its own part of a text: tokens that follow each other."""
    tiles = config.array.tiles
    ends = [(tokens * tile + tiles - 1) // tiles for tile in range(tiles + 1)]
    return tuple(tuple(range(ends[tile], ends[tile + 1])) for tile in range(tiles))


def positions(config: Config, records: Sequence[Sequence[int]]) -> IntArray:
    """Tile, lane and index in the lane of each token, [tokens, 3], of records that hold every token once."""
    where = np.zeros((sum(map(len, records)), 3), dtype=np.int64)
    for tile, tokens in enumerate(records):
        for number, token in enumerate(tokens):
            where[token] = tile, number % config.tile.mac_t, number // config.tile.mac_t
    return where
