"""Weights in the formats of docs/numerics.md: codes, a scale for each output and block of 32 inputs, a unit per matrix.

A matrix of all experts is [experts, outputs, inputs]; its blocks begin again every ``period`` inputs.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from trajectile.sw_model.config import BLOCK_INPUTS, SCALE_SHIFT_MAX, WEIGHTS, TileConfig, ceil_div

Float32 = NDArray[np.float32]
Int8 = NDArray[np.int8]
UInt8 = NDArray[np.uint8]
Int64 = NDArray[np.int64]

#: magnitudes of an mxfp4 code, twice those of E2M1, by its low three bits
MXFP4_MAGNITUDES = (0, 1, 2, 3, 4, 6, 8, 12)
#: exponent of zeros, far below all others
NO_EXPONENT = -(2**14)
#: bits of a unit
UNIT_MIN, UNIT_MAX = -128, 127
#: mantissas of a scale: 8 + m
MANTISSA_STEPS = 8
#: scales below the one that holds a block which are tried for less error: powers of two, steps of the mantissa
TRIED_SHIFTS, TRIED_MANTISSAS = 1, 5
#: with a scale mantissa, codes that a block's largest weight is tried as, so that a scale without error is found
TRIED_CODES = {"mxfp4": (8,), "int4": (6, 5, 4)}


@dataclass(frozen=True)
class WeightFormat:
    """A weight format: ``mx8``, ``mxfp4`` or ``int4``, with or without a scale mantissa of three bits."""

    name: str
    mantissa: bool = False

    def __post_init__(self) -> None:
        if self.name not in WEIGHTS:
            raise ValueError(f"weights = {self.name!r} is not legal; legal values: {', '.join(WEIGHTS)}")

    @classmethod
    def of(cls, tile: TileConfig) -> "WeightFormat":
        """That of a configuration's tiles."""
        return cls(tile.weights, tile.scale_mantissa > 0)

    @property
    def mantissa_bits(self) -> int:
        """``tile.scale_mantissa``."""
        return 3 if self.mantissa else 0

    @property
    def bits(self) -> int:
        """Bits of a code."""
        return WEIGHTS[self.name][0]

    @property
    def largest(self) -> int:
        """Largest code; the least is its negative, but -8 for int4."""
        return 7 if self.name == "int4" else WEIGHTS[self.name][1]

    def nearest(self, values: Float32) -> Int8:
        """The codes nearest to ``values`` in units of a block's scale, ties to even; what is too large takes the largest."""
        if self.name != "mxfp4":
            lowest = -8 if self.name == "int4" else -self.largest
            return np.clip(np.rint(values), lowest, self.largest).astype(np.int8)
        size = np.abs(values)
        # up to 4 steps of 1, up to 8 steps of 2, above steps of 4: that of E2M1
        step = np.where(size < 4, np.float32(1), np.where(size < 8, np.float32(2), np.float32(4)))
        return np.asarray(np.clip(np.rint(values / step) * step, -self.largest, self.largest)).astype(np.int8)

    def pattern(self, codes: Int8) -> UInt8:
        """Bits of the codes as a weight word has them, one code in each uint8."""
        if self.name == "mxfp4":
            magnitudes = np.zeros(self.largest + 1, dtype=np.uint8)
            magnitudes[list(MXFP4_MAGNITUDES)] = np.arange(len(MXFP4_MAGNITUDES))
            return np.asarray(magnitudes[np.abs(codes)] | (codes < 0).astype(np.uint8) << 3, dtype=np.uint8)
        return codes.view(np.uint8) & np.uint8(2**self.bits - 1)

    def packed(self, patterns: UInt8) -> UInt8:
        """Bytes of the patterns [..., inputs]: of 4-bit codes two a byte, the even input's in the low bits."""
        return patterns if self.bits == 8 else np.asarray(patterns[..., 0::2] | patterns[..., 1::2] << 4, dtype=np.uint8)

    def codes(self, patterns: UInt8) -> Int8:
        """The inverse of :meth:`pattern`: -128 of mx8, which is no code, and the other zero of mxfp4 come out as they are."""
        if self.name == "mxfp4":
            values = np.array([*MXFP4_MAGNITUDES, *(-size for size in MXFP4_MAGNITUDES)], dtype=np.int8)
        else:
            values = np.roll(np.arange(-2**(self.bits - 1), 2**(self.bits - 1)), 2**(self.bits - 1)).astype(np.int8)
        return np.asarray(values[patterns])


@lru_cache
def block_of(inputs: int, period: int) -> Int64:
    """Block of each input, int64 [inputs], when blocks begin again every ``period`` inputs."""
    number = np.arange(inputs)
    return np.asarray(number // period * ceil_div(period, BLOCK_INPUTS) + number % period // BLOCK_INPUTS)


@dataclass(frozen=True)
class Matrices:
    """One matrix of each expert: ``real = code * factor * 2^unit``, with a factor of ``2^shift``, or ``(8 + m) 2^shift``."""

    #: int8 [experts, outputs, inputs]
    codes: Int8
    #: shift and mantissa of each block, uint8 [experts, outputs, blocks]; no mantissa: None
    shifts: UInt8
    mantissas: UInt8 | None
    #: int64 [experts]
    units: Int64
    #: inputs after which blocks begin again
    period: int

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, experts: slice) -> "Matrices":
        """Those of some experts."""
        return Matrices(self.codes[experts], self.shifts[experts],
                        None if self.mantissas is None else self.mantissas[experts], self.units[experts], self.period)

    def factors(self, expert: int) -> Int64:
        """Factor of each block of an expert, int64 [outputs, blocks]."""
        shifts = self.shifts[expert].astype(np.int64)
        if self.mantissas is None:
            return np.asarray(np.int64(1) << shifts)
        return np.asarray((MANTISSA_STEPS + self.mantissas[expert].astype(np.int64)) << shifts)

    def integers(self, expert: int) -> NDArray[np.float64]:
        """``W`` of docs/numerics.md, exactly, as float64 [outputs, inputs]: sums of products with int8 stay below 2^53."""
        blocks = block_of(self.codes.shape[2], self.period)
        return np.asarray(self.codes[expert].astype(np.float64) * self.factors(expert).astype(np.float64)[:, blocks])

    def real(self) -> Float32:
        """The weights that the integers stand for, float32 [experts, outputs, inputs]."""
        return np.stack([np.ldexp(self.integers(expert), int(self.units[expert])).astype(np.float32)
                         for expert in range(len(self))])

    def refined(self, period: int) -> "Matrices":
        """The same weights with the blocks of another period.

        Raises:
            ValueError: if a new block would need two scales.
        """
        if period == self.period:
            return self
        inputs = self.codes.shape[2]
        old, new = block_of(inputs, self.period), block_of(inputs, period)
        first = np.searchsorted(new, np.arange(new[-1] + 1))
        if (old[first][new] != old).any():
            raise ValueError(f"slices of {period} columns cut blocks of {BLOCK_INPUTS} in which the weights are scaled; "
                             f"legal values of tile.slices: those that leave whole blocks, or whole parts of one")
        return Matrices(self.codes, self.shifts[..., old[first]],
                        None if self.mantissas is None else self.mantissas[..., old[first]], self.units, period)


def joined(parts: list[Matrices]) -> Matrices:
    """The matrices of several layers' experts as those of one."""
    mantissas = [part.mantissas for part in parts if part.mantissas is not None]
    return Matrices(np.concatenate([part.codes for part in parts]), np.concatenate([part.shifts for part in parts]),
                    np.concatenate(mantissas) if mantissas else None, np.concatenate([part.units for part in parts]),
                    parts[0].period)


def _blocks(values: Float32, period: int) -> Float32:
    """[outputs, inputs] as [outputs, blocks, 32], zero padded."""
    outputs, inputs = values.shape
    periods, width = ceil_div(inputs, period), ceil_div(period, BLOCK_INPUTS) * BLOCK_INPUTS
    padded = np.zeros((outputs, periods * period), dtype=np.float32)
    padded[:, :inputs] = values
    wide = np.zeros((outputs, periods, width), dtype=np.float32)
    wide[:, :, :period] = padded.reshape(outputs, periods, period)
    blocks = wide.reshape(outputs, -1, BLOCK_INPUTS)
    return blocks[:, :int(block_of(inputs, period)[-1]) + 1]


def _unblocked(blocks: Int8, inputs: int, period: int) -> Int8:
    """The inverse of :func:`_blocks`."""
    place = block_of(inputs, period) * BLOCK_INPUTS + np.arange(inputs) % period % BLOCK_INPUTS
    return np.ascontiguousarray(blocks.reshape(len(blocks), -1)[:, place])


def smallest_exponent(largest: Float32, limit: int) -> Int64:
    """Smallest ``k`` with ``largest <= limit * 2^k``, int64; that of zero is ``NO_EXPONENT``."""
    wide = largest.astype(np.float64)  # a quotient of the smallest float32 is none
    _, exponent = np.frexp(wide / limit)
    exact = np.ldexp(float(limit), exponent - 1) >= wide
    return np.asarray(np.where(largest > 0, exponent - exact, NO_EXPONENT), dtype=np.int64)


def _scale(steps: Int64, mantissa: bool) -> NDArray[np.float64]:
    """A scale by its number: ``2^number``, or with a mantissa ``(8 + number % 8) * 2^(number // 8)``."""
    if not mantissa:
        return np.asarray(np.ldexp(1.0, np.maximum(steps, -1000).astype(np.int32)))
    k, m = np.divmod(steps, MANTISSA_STEPS)
    return np.asarray(np.ldexp(MANTISSA_STEPS + m.astype(np.float64), np.maximum(k, -1000).astype(np.int32)))


def _first_scale(largest: Float32, limit: int, mantissa: bool) -> Int64:
    """Number of the smallest scale that holds each block's largest magnitude."""
    k = smallest_exponent(largest, limit)
    if not mantissa:
        return k
    # (8 + m) 2^j with j = k - 4: from just above half the power of two up to it
    candidates = np.stack([(k - 4) * MANTISSA_STEPS + m for m in range(MANTISSA_STEPS + 1)])
    holds = _scale(candidates, True) * limit >= largest
    return np.asarray(np.take_along_axis(candidates, holds.argmax(axis=0)[None], axis=0)[0])


def _error(blocks: Float32, scale: NDArray[np.float64], kind: WeightFormat) -> NDArray[np.float64]:
    """Square error of each block with a scale, [outputs, blocks]."""
    # that of a block of zeros is 0
    smallest = float(np.finfo(np.float32).smallest_subnormal)
    steps = np.asarray(blocks / np.maximum(scale[..., None], smallest).astype(np.float32), dtype=np.float32)
    return np.asarray(np.square(steps - kind.nearest(steps), dtype=np.float32).sum(axis=-1, dtype=np.float64) * scale**2)


def _tried(largest: Float32, kind: WeightFormat) -> Int64:
    """Numbers of the scales that blocks of these largest magnitudes are tried with, the smallest first, [tried, ...]."""
    first = _first_scale(largest, kind.largest, kind.mantissa)
    if kind.name == "mx8":
        return first[None]
    below = range(TRIED_MANTISSAS if kind.mantissa else TRIED_SHIFTS, 0, -1)
    above = TRIED_CODES[kind.name] if kind.mantissa else ()
    return np.stack([*(first - step for step in below), first, *(_first_scale(largest, code, True) for code in above)])


def _least(tried: Int64, errors: NDArray[np.float64]) -> Int64:
    """Of the scales of each block the one of least error, the smallest of several."""
    return np.asarray(np.take_along_axis(tried, errors.argmin(axis=0)[None], axis=0)[0])


def quantise_matrix(values: Float32, kind: WeightFormat, period: int) -> tuple[Int8, UInt8, UInt8 | None, int]:
    """Codes, shifts, mantissas and unit of one matrix [outputs, inputs]: docs/numerics.md, "Choosing the scales".

    Raises:
        ValueError: for weights that are not finite or too large for a unit.
    """
    if not np.isfinite(values).all():
        raise ValueError("weights must be finite")
    blocks = _blocks(values, period)
    per = MANTISSA_STEPS if kind.mantissa else 1
    tried = _tried(np.abs(blocks).max(axis=-1), kind)
    errors = np.zeros(tried.shape) if len(tried) == 1 else np.stack(
        [_error(blocks, _scale(each, kind.mantissa), kind) for each in tried])
    largest = int(_least(tried, errors).max()) // per
    if largest - SCALE_SHIFT_MAX > UNIT_MAX:
        raise ValueError(f"a weight of {np.abs(values).max():g} is not legal; legal values: below 2^{UNIT_MAX}")
    unit = max(largest - SCALE_SHIFT_MAX, UNIT_MIN) if blocks.any() else 0
    if len(tried) > 1 and (tried < unit * per).any():
        # the least scale of the unit takes the place of those below it
        at_unit = _error(blocks, _scale(np.full(tried.shape[1:], unit * per), kind.mantissa), kind)
        errors = np.where(tried < unit * per, at_unit, errors)
    number = _least(np.maximum(tried, unit * per), errors)
    codes = kind.nearest(blocks / _scale(number, kind.mantissa).astype(np.float32)[..., None])
    shifts = (number // per - unit).astype(np.uint8)
    mantissas = (number % per).astype(np.uint8) if kind.mantissa else None
    return _unblocked(codes, values.shape[1], period), shifts, mantissas, unit


def quantise(values: Float32, kind: WeightFormat, period: int | None = None) -> Matrices:
    """A matrix of each expert, float32 [experts, outputs, inputs], in a format.

    Args:
        values: the weights.
        kind: the format.
        period: inputs after which blocks begin again; None: never.

    Raises:
        ValueError: for weights that are not finite or too large.
    """
    period = period or values.shape[2]
    parts = [quantise_matrix(each, kind, period) for each in values]
    return Matrices(np.stack([part[0] for part in parts]), np.stack([part[1] for part in parts]),
                    np.stack([part[2] for part in parts if part[2] is not None]) if kind.mantissa else None,
                    np.array([part[3] for part in parts], dtype=np.int64), period)


def scale_bytes(matrices: Matrices, expert: int) -> UInt8:
    """Scale byte of each block of an expert, uint8 [outputs, blocks]."""
    mantissas = 0 if matrices.mantissas is None else matrices.mantissas[expert] << 3
    return np.asarray(matrices.shifts[expert] | mantissas, dtype=np.uint8)
