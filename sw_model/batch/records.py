"""Token records as a host lays them down in memory: docs/batch.md, "Token records".

The region of a tile holds the heads of all its tokens, then the rows of all its tokens, in whole beats of the io port.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trajectile.sw_model.config import BLOCK_INPUTS, HEAD_ITEM_BYTES, Config, ceil_div
from trajectile.sw_model.numerics.integer import QuantisedBatch
from trajectile.sw_model.schedule.token_lists import NO_CHOICE

Bytes = NDArray[np.uint8]

#: bits of the shift of a block of activations, and blocks in a byte
SHIFT_BITS, BYTE_SHIFTS = 2, 4


def blank_batch(config: Config, topk_ids: NDArray[Any]) -> QuantisedBatch:
    """A batch for builds that compute nothing: choices without weights, activations that are zero.

    Args:
        config: the accelerator.
        topk_ids: chosen experts, [tokens, top_k]; -1 is no choice.
    """
    ids = np.asarray(topk_ids, dtype=np.int64)
    tokens = len(ids)
    return QuantisedBatch(np.zeros((tokens, config.layer.d_model), dtype=np.int8),
                          np.zeros((tokens, ceil_div(config.layer.d_model, BLOCK_INPUTS)), dtype=np.uint8),
                          np.zeros(tokens, dtype=np.int64), ids, np.zeros_like(ids))


def heads(config: Config, batch: QuantisedBatch, tokens: Sequence[int]) -> Bytes:
    """Heads of some tokens, uint8 [tokens, head_bytes]: exponent and choices, in items of 32 bits.

    Raises:
        ValueError: for an expert number that no item can hold.
    """
    held = np.asarray(tokens, dtype=np.int64)
    ids = np.where(batch.topk_ids[held] == -1, NO_CHOICE, batch.topk_ids[held])
    if ids.size and not (ids.min() >= 0 and ids.max() <= NO_CHOICE):
        raise ValueError(f"topk_ids holds {batch.topk_ids.min()} to {batch.topk_ids.max()}; legal: -1 to {NO_CHOICE}")
    items = np.zeros((len(held), config.head_bytes // HEAD_ITEM_BYTES), dtype="<u4")
    items[:, 0] = batch.exponent[held] & 0xFF
    items[:, 1:1 + ids.shape[1]] = ids | batch.weight[held] << 16
    return items.view(np.uint8).reshape(len(held), config.head_bytes)


def rows(config: Config, batch: QuantisedBatch, tokens: Sequence[int]) -> Bytes:
    """Rows of some tokens, uint8 [tokens, row_bytes]: the shifts of the blocks, then the activations."""
    held = np.asarray(tokens, dtype=np.int64)
    found = np.zeros((len(held), config.row_bytes), dtype=np.uint8)
    shifts = np.zeros((len(held), BYTE_SHIFTS * config.shift_bytes), dtype=np.uint8)
    shifts[:, :batch.shift.shape[1]] = batch.shift[held]
    for place in range(BYTE_SHIFTS):
        found[:, :config.shift_bytes] |= shifts[:, place::BYTE_SHIFTS] << place * SHIFT_BITS
    found[:, config.shift_bytes:config.shift_bytes + batch.x.shape[1]] = batch.x[held].view(np.uint8)
    return found


def record_region(config: Config, batch: QuantisedBatch, tokens: Sequence[int]) -> Bytes:
    """The records of a tile as they lie in memory, uint8 [records_bytes(tokens)].

    Args:
        config: the accelerator.
        batch: of the whole array; its choices may be wrong, as far as 16 bits hold them.
        tokens: those of this tile, in the order in which lanes take them.

    Raises:
        ValueError: for an expert number that no item can hold.
    """
    return np.concatenate([heads(config, batch, tokens).ravel(), rows(config, batch, tokens).ravel()])


def read_records(config: Config, region: Bytes, tokens: int) -> QuantisedBatch:
    """The batch that the records of a tile stand for, wrong choices as they are.

    Args:
        config: the accelerator.
        region: uint8, at least [records_bytes(tokens)].
        tokens: how many.
    """
    split = tokens * config.head_bytes
    items = region[:split].reshape(tokens, config.head_bytes).copy().view("<u4").astype(np.int64)
    choices = items[:, 1:1 + config.layer.top_k]
    ids = choices & NO_CHOICE
    lines = region[split:split + tokens * config.row_bytes].reshape(tokens, config.row_bytes)
    blocks = np.arange(ceil_div(config.layer.d_model, BLOCK_INPUTS))
    shift = lines[:, blocks // BYTE_SHIFTS] >> (blocks % BYTE_SHIFTS * SHIFT_BITS).astype(np.uint8) & 3
    x = lines[:, config.shift_bytes:config.shift_bytes + config.layer.d_model].copy().view(np.int8)
    exponent = (items[:, 0] & 0xFF ^ 0x80) - 0x80
    return QuantisedBatch(x, shift.astype(np.uint8), exponent, np.where(ids == NO_CHOICE, -1, ids), choices >> 16)
