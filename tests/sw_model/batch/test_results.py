"""Results in memory: bf16 against a search among all its values, layouts by hand, there and back."""

import numpy as np
import pytest

from tests.support.choices import draw
from tests.support.configurations import random_config, small
from trajectile.sw_model.batch import results
from trajectile.sw_model.batch.results import bf16, bf16_real
from trajectile.sw_model.config import load
from trajectile.sw_model.numerics.integer import Results
from trajectile.sw_model.schedule.scheduler import schedule

#: every normal bf16 value that is positive, by its bits, and the border of infinity
NORMAL = np.arange(1 << 7, 255 << 7, dtype=np.uint16)
VALUES = np.append(bf16_real(NORMAL).astype(np.float64), 2.0**128)


def nearest(real: float) -> int:
    """Bits of the bf16 value next to a positive real, found among all of them; of two the one whose bits are even."""
    above = int(np.searchsorted(VALUES, real))
    if above == len(VALUES):
        return 255 << 7
    if above == 0:  # next to the smallest normal value, or zero: a value of 8 bits at the border counts as normal
        return 1 << 7 if real >= 2.0**-126 * (1 - 2.0**-9) else 0
    low, high = VALUES[above - 1], VALUES[above]
    bits = (1 << 7) + above
    if real - low != high - real:
        return bits if high - real < real - low else bits - 1
    return bits if bits % 2 == 0 else bits - 1


@pytest.mark.parametrize("unit", [-128, -127, -126, -30, 0, 96, 97, 98, 119, 120, 121, 127])
def test_bf16_is_the_nearest(unit):
    """Few bits, many bits, ties on both sides, both ends of int32, over and under the range."""
    rng = np.random.default_rng(unit + 128)
    ties = np.array([(0x80 + low << 8) + 128 + off << shift for low in (0, 1, 2, 126, 127) for off in (-1, 0, 1)
                     for shift in (0, 3, 14)])
    y = np.concatenate([np.arange(1, 700), ties, 2**np.arange(31), 2**np.arange(1, 32) - 1,
                        rng.integers(1, 2**31, 500) >> rng.integers(0, 31, 500)]).astype(np.int64)
    y = np.clip(y, 1, 2**31 - 1).astype(np.int32)
    found = bf16(y, unit)
    assert found.tolist() == [nearest(np.ldexp(float(value), unit)) for value in y]
    assert (bf16(-y, unit) == found + (1 << 15)).all()


def test_bf16_at_its_ends():
    """Zero has no sign; the least int32 is a power of two; infinity and zero beyond the range."""
    assert bf16(np.array([0, -2**31], np.int32), 5).tolist() == [0, 0x8000 | 31 + 5 + 127 << 7]
    assert bf16(np.array([255 << 23, 511 << 22], np.int32), 97).tolist() == [0x7F7F, 0x7F80]
    assert bf16(np.array([4, 3, -3, 2], np.int32), -128).tolist() == [1 << 7, 0, 0x8000, 0]


@pytest.mark.parametrize("unit", [-126, -16, 96])
def test_usual_units_lose_a_part_in_256_at_the_most(unit):
    """docs/numerics.md: nothing is infinite or zero that should not be."""
    y = np.unique(np.concatenate([np.arange(1, 2000), 2**31 - 1 - np.arange(2000), 2**np.arange(31)])).astype(np.int32)
    y = np.concatenate([y, -y, [-2**31]]).astype(np.int32)
    found, exact = bf16_real(bf16(y, unit)).astype(np.float64), np.ldexp(y.astype(np.float64), unit)
    assert np.isfinite(found).all() and (np.abs(found - exact) * 256 <= np.abs(exact)).all()


def test_int32_by_hand():
    """smoke: three groups of 4 results fill 12 beats of 4 bytes, and one ends the token; bf16 takes half."""
    config = small()
    y = np.arange(24, dtype=np.int32).reshape(2, 12) - 12
    done = Results(y, np.array([3, 65535]))
    region = results.result_region(config, done, -16)
    assert region.tobytes() == b"".join(
        y[token].astype("<i4").tobytes() + int(done.clips[token]).to_bytes(2, "little") + b"\xF0\0" for token in range(2))
    half = results.result_region(config, done, -16, as_bf16=True)
    assert len(half) == 2 * (24 + 4) and half[:24].tobytes() == bf16(y[0], -16).astype("<u2").tobytes()
    assert half[24:28].tolist() == [3, 0, 0xF0, 0]


@pytest.mark.parametrize(("mac_n", "beat", "as_bf16", "group", "row"), [
    (4, 32, False, 16, 64),  # two groups a beat; three of them are two beats
    (4, 4, True, 8, 24),  # two beats a group
    (6, 16, False, 32, 64),  # 24 bytes neither divide a beat nor are whole ones
    (6, 8, False, 24, 48), (6, 8, True, 16, 32),
    (2, 128, True, 4, 128),
])
def test_groups(mac_n, beat, as_bf16, group, row):
    """Dense where groups and beats fit, padded where they do not."""
    config = small(tile__mac_n=mac_n, io__bytes_per_cycle=beat, layer__d_model=12, ddr__bytes_per_cycle=1)
    size = 2 if as_bf16 else 4
    assert config.group_bytes(size) == group and config.result_bytes(size) == row + beat
    y = np.arange(1, 13, dtype=np.int32)[None]
    region = results.result_region(config, Results(y, np.array([1])), 0, as_bf16=as_bf16)
    for output in range(12):
        at = output // mac_n * group + output % mac_n * size
        value = int.from_bytes(region[at:at + size].tobytes(), "little")
        assert value == (int(bf16(y[0, output:output + 1], 0)[0]) if as_bf16 else output + 1)
        region[at:at + size] = 0
    assert region[row] == 1
    region[row] = 0
    assert not region.any()


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("as_bf16", [False, True])
def test_there_and_back(seed, as_bf16):
    """All tiles' regions give the batch back in its own order."""
    config = random_config(seed)
    rng = np.random.default_rng(seed)
    tokens = int(rng.integers(0, config.token_capacity + 1))
    plan = schedule(config, draw(config, tokens, seed))
    done = Results(rng.integers(-2**31, 2**31, (tokens, config.layer.d_model)).astype(np.int32),
                   rng.integers(0, 1 << 16, tokens))
    unit = int(rng.integers(-128, 128))
    found = []
    for tile, part in enumerate(plan.tiles):
        region = results.tile_region(plan, tile, done, unit, as_bf16=as_bf16)
        assert len(region) == config.results_bytes(len(part.records), 2 if as_bf16 else 4) - config.completion_bytes
        found.append(results.read_results(config, region, len(part.records), as_bf16=as_bf16))
        assert (found[-1].unit == unit).all()
    y, clips = results.gathered(plan, found)
    assert np.array_equal(y, bf16(done.y, unit) if as_bf16 else done.y) and np.array_equal(clips, done.clips)


def test_the_unit_of_a_tile_without_slices():
    """It has met no slice that says it."""
    class Layer:
        unit = -9
    plan = schedule(load("demo"), np.array([[0, 1, 2, 3, 4, 5], [-1] * 6]), records=[[0], [1], [], []])
    assert [results.unit_of(plan, tile, Layer()) for tile in range(4)] == [-9, 0, 0, 0]


def test_the_unit_of_a_shared_batch():
    """Sums say it to every tile that has tokens of its own, even to one without slices."""
    class Layer:
        unit = -9
    config = load("demo", ["array.dataflows=both", "array.ddr_tiles=[0]"])
    plan = schedule(config, np.array([[0, 1, 2, 3, 4, 5], [-1] * 6]), dataflow="shared", records=[[], [0], [1], []])
    assert [results.unit_of(plan, tile, Layer()) for tile in range(4)] == [0, -9, -9, 0]
    plan = schedule(config, np.full((2, 6), -1), dataflow="shared")
    assert [results.unit_of(plan, tile, Layer()) for tile in range(4)] == [0] * 4
