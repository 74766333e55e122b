"""Placement of tokens on tiles and lanes."""

import numpy as np
import pytest

from tests.support.choices import draw
from tests.support.configurations import random_config, small
from trajectile.sw_model.config import load
from trajectile.sw_model.schedule.placement import dealt, in_blocks, place_shared, place_tokens, positions


@pytest.mark.parametrize("seed", range(12))
def test_every_token_has_one_place(seed):
    """Tiles, and the lanes of each, get the same number of tokens but for one; within what a tile holds."""
    config = random_config(seed)
    tokens = int(np.random.default_rng(seed).integers(0, config.token_capacity + 1))
    ids = draw(config, tokens, seed)
    for records in (place_tokens(config, ids), place_shared(config, ids), dealt(config, tokens), in_blocks(config, tokens)):
        check(config, tokens, records)


def check(config, tokens, records):
    assert sorted(token for held in records for token in held) == list(range(tokens))
    sizes = [len(held) for held in records]
    assert max(sizes) - min(sizes) <= 1 and max(sizes) <= config.tile.tokens
    where = positions(config, records)
    assert len({tuple(place) for place in where.tolist()}) == tokens
    assert (where[:, 1] < config.tile.mac_t).all() and (where[:, 2] < config.tile.lane_tokens).all()
    for tile, held in enumerate(records):
        for number, token in enumerate(held):
            assert where[token].tolist() == [tile, number % config.tile.mac_t, number // config.tile.mac_t]


def test_lanes_share_experts():
    """Eight tokens, four experts of four tokens each: on each tile two tokens for each, which take one pass in two lanes."""
    ids = np.array([[0, 1], [0, 1], [2, 3], [2, 3], [0, 1], [0, 1], [2, 3], [2, 3]])
    for records in place_tokens(small(), ids):
        assert [sorted(ids[token][0] for token in records[lane::2]) for lane in range(2)] == [[0, 2], [0, 2]]


def test_lanes_of_a_shared_batch_share_experts():
    """Those of all tiles together, in the order of the ring."""
    ids = np.array([[0, 1], [0, 1], [0, 1], [2, 3], [2, 3], [0, 1], [2, 3]])
    records = place_shared(small(array__rows=2, array__cols=2), ids)
    held = [token for tile in (0, 1, 3, 2) for token in records[tile]]
    lanes = [[ids[token][0] for token in held[lane::2]] for lane in range(2)]
    assert [(lane.count(0), lane.count(2)) for lane in lanes] == [(2, 2), (2, 1)]
    assert [len(tile) for tile in records] == [2, 2, 1, 2]


def test_placements_of_others():
    """By hand, with a rest."""
    config = load("demo")
    assert dealt(config, 6) == ((0, 4), (1, 5), (2,), (3,))
    assert in_blocks(config, 6) == ((0, 1), (2,), (3, 4), (5,))
    assert in_blocks(config, 8) == ((0, 1), (2, 3), (4, 5), (6, 7))


def test_even_work():
    """An expert's tokens are spread: no tile has more than one more pass than the mean, on a batch that permits it."""
    config = load("demo")
    ids = np.repeat(np.arange(48).reshape(8, 6), 16, axis=0)
    where = positions(config, place_tokens(config, ids))
    for group in range(8):
        assert np.bincount(where[16 * group:16 * group + 16, 0], minlength=4).tolist() == [4, 4, 4, 4]
