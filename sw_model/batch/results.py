"""Results as a tile writes them into memory: docs/batch.md, "Results"; as int32 with their unit, or as bf16."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trajectile.sw_model.config import BF16_BYTES, INT32_BYTES, Config
from trajectile.sw_model.numerics.integer import Float32, Int64, QuantisedLayer, Results, bit_length
from trajectile.sw_model.schedule.scheduler import Schedule

Bytes = NDArray[np.uint8]
Int32 = NDArray[np.int32]
UInt16 = NDArray[np.uint16]

#: significant bits of a bf16 value, bits of its fraction, what its exponent field has above the exponent, the largest field
BF16_SIGNIFICANT, BF16_FRACTION, BF16_BIAS, BF16_FIELD_MAX = 8, 7, 127, 255


class TileResults(NamedTuple):
    """Results of a tile's tokens, in the order of their records."""

    #: int32 [tokens, d_model], or with ``bf16`` the bits of bf16 values, uint16
    y: Int32 | UInt16
    #: clips of each token, int64 [tokens]
    clips: Int64
    #: binary exponent of a step of int32 results, as each token says it, int64 [tokens]
    unit: Int64


def bf16(y: Int32, unit: int) -> UInt16:
    """Bits of ``y * 2^unit`` as bf16, rounded once, to the nearest, ties to even.

    Beyond the largest bf16 value it is infinity. What is below the smallest normal one after rounding is zero, with the sign
    of ``y``.
    """
    size = np.abs(y.astype(np.int64))
    bits = bit_length(size)
    drop = bits - BF16_SIGNIFICANT
    down = np.maximum(drop, 0)
    kept = (size >> down) << np.maximum(-drop, 0)
    lost, half = size & (np.int64(1) << down) - 1, (np.int64(1) << down) >> 1
    kept += (down > 0) & ((lost > half) | (lost == half) & (kept & 1 == 1))
    over = kept >> BF16_SIGNIFICANT  # rounded up to the next power of two, whose fraction is zero
    field = bits - 1 + over + unit + BF16_BIAS
    value = field << BF16_FRACTION | kept & (1 << BF16_FRACTION) - 1
    value = np.where(field >= BF16_FIELD_MAX, BF16_FIELD_MAX << BF16_FRACTION, np.where((field <= 0) | (size == 0), 0, value))
    return np.asarray(value | (y < 0).astype(np.int64) << 15, dtype=np.uint16)


def bf16_real(bits: UInt16) -> Float32:
    """Values of bf16 bits, exactly, as float32."""
    return np.asarray(bits.astype(np.uint32) << 16).view(np.float32)


def _sizes(config: Config, *, as_bf16: bool) -> tuple[int, int, int]:
    """Bytes of a result, of a group as it is stored, and of a token."""
    size = BF16_BYTES if as_bf16 else INT32_BYTES
    return size, config.group_bytes(size), config.result_bytes(size)


def result_region(config: Config, results: Results, unit: int, *, as_bf16: bool = False) -> Bytes:
    """What a tile writes for the results of its tokens, uint8 [tokens * result_bytes]; the completion record comes before it.

    Args:
        config: the accelerator.
        results: of the tile's tokens, in the order of their records.
        unit: of the layer; 0 for a tile that has computed no slice.
        as_bf16: bf16 instead of int32.
    """
    tokens, n = len(results.y), config.tile.mac_n
    size, group_bytes, token_bytes = _sizes(config, as_bf16=as_bf16)
    y = np.zeros((tokens, config.down_groups * n), dtype=np.int32)
    y[:, :config.layer.d_model] = results.y
    values = bf16(y, unit).astype("<u2") if as_bf16 else y.astype("<i4")
    groups = np.zeros((tokens, config.down_groups, group_bytes), dtype=np.uint8)
    groups[:, :, :n * size] = values.view(np.uint8).reshape(tokens, config.down_groups, n * size)
    region = np.zeros((tokens, token_bytes), dtype=np.uint8)
    region[:, :config.down_groups * group_bytes] = groups.reshape(tokens, config.down_groups * group_bytes)
    last = token_bytes - config.io.bytes_per_cycle
    region[:, last:last + 2] = results.clips.astype("<u2")[:, None].view(np.uint8)
    region[:, last + 2] = unit & 0xFF
    return region.ravel()


def read_results(config: Config, region: Bytes, tokens: int, *, as_bf16: bool = False) -> TileResults:
    """Results of a tile's tokens from its memory, behind the completion record."""
    size, group_bytes, token_bytes = _sizes(config, as_bf16=as_bf16)
    lines = region[:tokens * token_bytes].reshape(tokens, token_bytes)
    groups = lines[:, :config.down_groups * group_bytes].reshape(tokens, config.down_groups, group_bytes)
    values = groups[:, :, :config.tile.mac_n * size].copy().view("<u2" if as_bf16 else "<i4")
    y = values.reshape(tokens, config.down_groups * config.tile.mac_n)[:, :config.layer.d_model]
    last = token_bytes - config.io.bytes_per_cycle
    clips = lines[:, last:last + 2].copy().view("<u2")[:, 0].astype(np.int64)
    return TileResults(y, clips, lines[:, last + 2].copy().view(np.int8).astype(np.int64))


def unit_of(plan: Schedule, tile: int, layer: QuantisedLayer) -> int:
    """The unit that a tile writes: it has it of the slices that it computes, and says 0 if there was none.

    In a shared batch every tile that has tokens of its own learns it from the sums that come to it; one without says 0.
    """
    if plan.shared:
        return layer.unit if plan.tiles[tile].records and plan.expert_order else 0
    return layer.unit if plan.passes[tile].any() else 0


def tile_region(plan: Schedule, tile: int, results: Results, unit: int, *, as_bf16: bool = False) -> Bytes:
    """What ``tile`` writes behind its completion record, of the results of a whole batch."""
    tokens = list(plan.tiles[tile].records)
    return result_region(plan.config, Results(results.y[tokens], results.clips[tokens]), unit, as_bf16=as_bf16)


def gathered(plan: Schedule, tiles: list[TileResults]) -> tuple[NDArray[np.int32 | np.uint16], Int64]:
    """Results and clips of all tokens of a batch, [tokens, d_model] and [tokens], of those of all tiles."""
    order = np.argsort([token for tile in plan.tiles for token in tile.records], kind="stable")
    return np.concatenate([tile.y for tile in tiles])[order], np.concatenate([tile.clips for tile in tiles])[order]
