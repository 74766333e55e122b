"""Token records: by hand, and there and back."""

import numpy as np
import pytest

from tests.support.configurations import random_config, small
from trajectile.sw_model.batch.records import blank_batch, heads, read_records, record_region, rows
from trajectile.sw_model.config import Config
from trajectile.sw_model.numerics.integer import QuantisedBatch


def drawn(config: Config, tokens: int, seed: int) -> QuantisedBatch:
    """A batch of any numbers that fit their fields, wrong experts among them."""
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    layer = config.layer
    ids = rng.integers(-1, layer.experts + 3, (tokens, layer.top_k))
    return QuantisedBatch(
        rng.integers(-127, 128, (tokens, layer.d_model)).astype(np.int8),
        rng.integers(0, 4, (tokens, -(-layer.d_model // 32))).astype(np.uint8), rng.integers(-128, 128, tokens),
        ids, rng.integers(0, 1 << 16, ids.shape))


def test_a_head_by_hand():
    """Exponent -2; expert 5 with a weight of 0xD000; no choice, whose weight means nothing; padded to beats of 4 bytes."""
    config = small(layer__top_k=2)
    batch = QuantisedBatch(np.zeros((2, 12), np.int8), np.zeros((2, 1), np.uint8), np.array([0, -2]),
                           np.array([[0, 0], [5, -1]]), np.array([[0, 0], [0xD000, 0x1234]]))
    assert heads(config, batch, [1]).tobytes() == bytes([0xFE, 0, 0, 0, 5, 0, 0, 0xD0, 0xFF, 0xFF, 0x34, 0x12])
    assert heads(small(layer__top_k=2, io__bytes_per_cycle=8), batch, [1]).shape == (1, 16)


def test_a_row_by_hand():
    """70 inputs: shifts of three blocks in a beat of their own, then the codes, padded to words and beats."""
    config = small(layer__d_model=70, io__bytes_per_cycle=8)
    x = np.arange(70, dtype=np.int8)[None] - 35
    batch = QuantisedBatch(x, np.array([[1, 2, 3]], np.uint8), np.array([0]), np.array([[0, 1]]), np.array([[0, 0]]))
    row = rows(config, batch, [0])[0]
    assert config.shift_bytes == 8 and len(row) == config.row_bytes == 8 + 72
    assert row[0] == 1 | 2 << 2 | 3 << 4 and not row[1:8].any()
    assert np.array_equal(row[8:78].view(np.int8), x[0]) and not row[78:].any()


@pytest.mark.parametrize("seed", range(12))
def test_there_and_back(seed):
    """What is laid down is read again, in the order of the records; heads come first."""
    config = random_config(seed)
    batch = drawn(config, 9, seed)
    order = np.random.default_rng(seed).permutation(9)[:5].tolist()
    region = record_region(config, batch, order)
    assert len(region) == config.records_bytes(5) == 5 * (config.head_bytes + config.row_bytes)
    assert len(region) % config.io.bytes_per_cycle == 0
    found = read_records(config, region, 5)
    for one, other in zip((found.x, found.shift, found.exponent, found.topk_ids, found.weight),
                          (batch.x, batch.shift, batch.exponent, batch.topk_ids, batch.weight), strict=True):
        assert np.array_equal(one, other[order])


def test_no_tokens_and_blank_ones():
    """Nothing takes no memory; a batch of choices alone has everything else zero."""
    config = small()
    batch = blank_batch(config, np.array([[0, 1], [-1, 3]]))
    assert len(record_region(config, batch, [])) == 0
    found = read_records(config, record_region(config, batch, [1, 0]), 2)
    assert found.topk_ids.tolist() == [[-1, 3], [0, 1]]
    assert not (found.x.any() or found.shift.any() or found.exponent.any() or found.weight.any())


@pytest.mark.parametrize("expert", [-2, 1 << 16])
def test_an_expert_that_no_item_holds(expert):
    """A number of more than 16 bits would become the weight's."""
    config = small()
    with pytest.raises(ValueError, match=r"topk_ids holds .*; legal: -1 to 65535"):
        heads(config, blank_batch(config, np.array([[0, expert]])), [0])
