"""Weight formats and how their scales are chosen."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.configurations import small
from trajectile.sw_model.numerics.weights import WeightFormat, block_of, quantise

KINDS = [WeightFormat(name, mantissa) for name, mantissa in itertools.product(("mx8", "mxfp4", "int4"), (False, True))]
CODES = {"mx8": range(-127, 128), "int4": range(-8, 8),
         "mxfp4": sorted({sign * size for size in (0, 1, 2, 3, 4, 6, 8, 12) for sign in (1, -1)})}


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_nearest_codes(kind):
    """Of every value in steps of 1/8 the nearest code, of two the one that E2M1 and int have even; and back from the bits."""
    values = np.arange(-140 * 8, 140 * 8 + 1, dtype=np.float32) / 8
    found = kind.nearest(values)
    legal = list(CODES[kind.name])
    for value, code in zip(values.tolist(), found.tolist(), strict=True):
        distance = min(abs(value - each) for each in legal)
        assert code in legal and abs(value - code) == distance
    codes = np.array(legal, dtype=np.int8)
    np.testing.assert_array_equal(kind.codes(kind.pattern(codes)), codes)
    assert kind.pattern(codes).max() < 2**kind.bits and len(set(kind.pattern(codes).tolist())) == len(legal)


def test_bits_of_codes():
    """E2M1 as the OCP specification has it; two's complement."""
    halves = [0, 0.5, 1, 1.5, 2, 3, 4, 6]
    codes = np.array([2 * value for value in halves] + [-2 * value for value in halves[1:]]).astype(np.int8)
    assert WeightFormat("mxfp4").pattern(codes).tolist() == [*range(8), *range(9, 16)]
    assert WeightFormat("mxfp4").codes(np.array([8], dtype=np.uint8)).tolist() == [0]  # the other zero
    assert WeightFormat("int4").pattern(np.array([0, 7, -8, -1], dtype=np.int8)).tolist() == [0, 7, 8, 15]
    assert WeightFormat("mx8").pattern(np.array([-1], dtype=np.int8)).tolist() == [255]


def test_format_of_a_configuration():
    kind = WeightFormat.of(small(tile__weights="int4", tile__scale_mantissa=3).tile)
    assert kind == WeightFormat("int4", True) and kind.mantissa_bits == 3
    with pytest.raises(ValueError, match="weights = 'int2' is not legal; legal values: mx8"):
        WeightFormat("int2")


def test_blocks():
    """They begin again with every period."""
    assert block_of(70, 70).tolist() == [0] * 32 + [1] * 32 + [2] * 6
    assert block_of(10, 4).tolist() == [0] * 4 + [1] * 4 + [2] * 2
    assert block_of(80, 40).tolist() == [0] * 32 + [1] * 8 + [2] * 32 + [3] * 8


@st.composite
def matrices(draw):
    """Weights of all sizes, perhaps whole numbers, perhaps with blocks of zeros."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    outputs, inputs = draw(st.integers(1, 5)), draw(st.integers(1, 100))
    values = rng.standard_normal((2, outputs, inputs)) * np.exp(rng.standard_normal((2, outputs, inputs)) * draw(
        st.integers(0, 5)))
    if draw(st.booleans()):
        values = np.rint(values)
    values[:, :, :draw(st.sampled_from([0, 0, 40]))] = 0
    return (values * 2.0 ** draw(st.integers(-100, 80))).astype(np.float32), draw(st.integers(1, inputs))


@pytest.mark.parametrize("kind", KINDS, ids=str)
@given(drawn=matrices())
def test_scales(kind, drawn):
    """Codes, shifts and mantissas are legal; what is stored is near; a scale for each block; what a format holds it keeps."""
    values, period = drawn
    found = quantise(values, kind, period)
    assert set(np.unique(found.codes).tolist()) <= set(CODES[kind.name])
    assert found.shifts.max() <= 7 and (found.mantissas is None) is not kind.mantissa
    assert kind.mantissa is False or found.mantissas.max() <= 7
    assert found.shifts.shape[2] == block_of(values.shape[2], period)[-1] + 1
    real = found.real()
    for expert in range(2):
        blocks = block_of(values.shape[2], period)
        steps = np.ldexp(found.factors(expert)[:, blocks].astype(np.float64), int(found.units[expert]))
        # half the largest step between codes, or as far beyond the largest code as the least error chose
        slack = {"mx8": 0.5, "mxfp4": 12, "int4": 7}[kind.name]
        assert (np.abs(values[expert].astype(np.float64) - real[expert]) <= slack * steps).all()
    if kind != WeightFormat("mx8", True):
        np.testing.assert_array_equal(quantise(real, kind, period).real(), real)


@given(st.integers(0, 2**32), st.integers(-80, 80))
def test_weights_of_a_checkpoint_are_kept(seed, unit):
    """Codes with a scale for each block of 32, whatever their largest is: bit for bit in their own format and in mx8."""
    rng = np.random.default_rng(seed)
    for name, mantissa in (("mxfp4", False), ("int4", False), ("int4", True)):
        codes = rng.choice([code for code in CODES[name] if abs(code) <= rng.choice([1, 2, 3, 4, 6, 8, 12])], (3, 70))
        factors = (8 + rng.integers(0, 8, (3, 3)) if mantissa else 1) * 2 ** rng.integers(0, 5, (3, 3))
        values = np.ldexp(codes * factors[:, block_of(70, 70)].astype(np.float64), unit).astype(np.float32)[None]
        kinds = [WeightFormat(name, mantissa)] + [WeightFormat("mx8")] * (not mantissa)
        for kind in kinds:
            np.testing.assert_array_equal(quantise(values, kind).real(), values)


@pytest.mark.parametrize(("kind", "share", "decibels"), [
    (KINDS[2], 1, 0), (KINDS[4], 1, 0), (KINDS[5], 0.97, 0.01), (KINDS[3], 0.7, 0.2)], ids=str)
def test_the_least_error(kind, share, decibels):
    """Of all powers of two none is better for a block; of all mantissas hardly any, and never by much."""
    values = np.random.default_rng(1).standard_normal((1, 500, 32)).astype(np.float32)
    found = np.square(quantise(values, kind).real()[0] - values[0]).sum(axis=1)
    scales = [(8 + m) * 2.0**k for k in range(-9, 2) for m in (range(8) if kind.mantissa else [0])]
    best = np.min([np.square(values[0] - kind.nearest(values[0] / np.float32(s)) * np.float32(s)).sum(axis=1)
                   for s in scales], axis=0)
    assert (found <= best * 1.001).mean() >= share
    assert 10 * np.log10(found.sum() / best.sum()) <= decibels + 1e-6


@pytest.mark.parametrize(("values", "named"), [
    ([[np.nan, 1]], "finite"), ([[np.inf, 1]], "finite"), ([[3e38, 1]], None)])
def test_weights_that_no_scale_holds(values, named):
    """Not finite; and the largest float32 is held."""
    matrix = np.array([values], dtype=np.float32)
    if named:
        with pytest.raises(ValueError, match=named):
            quantise(matrix, KINDS[0])
    else:
        np.testing.assert_allclose(quantise(matrix, KINDS[0]).real()[0, 0, 0], 3e38, rtol=0.01)


def test_another_period():
    """Blocks of 32 are those of slices of whole blocks, or of parts of one; others are refused."""
    values = np.random.default_rng(1).standard_normal((1, 3, 96)).astype(np.float32)
    whole = quantise(values, KINDS[5])
    for period in (96, 64, 32, 16, 1):
        cut = whole.refined(period)
        np.testing.assert_array_equal(cut.real(), whole.real())
        assert cut.shifts.shape[2] == block_of(96, period)[-1] + 1
    for period in (48, 24):
        with pytest.raises(ValueError, match=f"slices of {period} columns"):
            whole.refined(period)
