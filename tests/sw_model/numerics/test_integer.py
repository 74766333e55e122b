"""The integer layer against docs/numerics.md, written out in plain Python integers."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import pair_arithmetic as page
from tests.support.configurations import random_config, small
from tests.support.wild import wild
from trajectile.sw_model.config import load
from trajectile.sw_model.numerics import fidelity
from trajectile.sw_model.numerics import integer as numerics
from trajectile.sw_model.numerics.activation import VALUE_MAX
from trajectile.sw_model.numerics.layers import FloatLayer, GluFunction, float_layer, random_layer
from trajectile.sw_model.numerics.weights import WeightFormat, joined

FORMATS = [WeightFormat("mx8"), WeightFormat("mxfp4"), WeightFormat("int4"), WeightFormat("int4", True)]


def plain_weight(matrices, expert, output, place):
    """``W`` of one weight: its code with the scale of its block; blocks begin again every ``period`` inputs."""
    period = matrices.period
    block = place // period * -(-period // 32) + place % period // 32
    factor = 1 if matrices.mantissas is None else 8 + int(matrices.mantissas[expert, output, block])
    return (int(matrices.codes[expert, output, place]) * factor) << int(matrices.shifts[expert, output, block])


def plain_layer(config, layer, batch, rng):
    """docs/numerics.md, one number at a time; the slices of all tokens in an order of chance."""
    tokens, d_model = batch.x.shape
    width, pairs = config.slice_ff, config.tile.mac_n
    limit = 2 ** (31 - math.ceil(math.log2(config.layer.top_k * config.tile.slices))) - 1
    y, clips = [[0] * d_model for _ in range(tokens)], [0] * tokens
    visits = [(t, rank, part) for t in range(tokens) for rank in range(batch.topk_ids.shape[1])
              for part in range(config.tile.slices) if batch.topk_ids[t, rank] >= 0]
    for number in rng.permutation(len(visits)):
        t, rank, part = visits[number]
        e, xe = int(batch.topk_ids[t, rank]), int(batch.exponent[t])
        x = [int(v) << int(batch.shift[t, d // 32]) for d, v in enumerate(batch.x[t])]
        given = page.Slice(int(layer.gate.units[e]), int(layer.up.units[e]), layer.function.gate_max, layer.function.up_max,
                           layer.function.up_offset)
        code = int(batch.weight[t, rank])
        hidden = []
        for f in range(part * width, (part + 1) * width):
            sums = [sum(v * plain_weight(matrices, e, f, d) for d, v in enumerate(x)) for matrices in (layer.gate, layer.up)]
            biases = [0 if bias is None else int(bias[e, f]) for bias in (layer.gate_bias, layer.up_bias)]
            hidden.append(page.pair(layer.function.activation, given, tuple(sums), tuple(biases), xe,
                                    (code >> 11, code % 2048)))
        clips[t] += sum(one.clipped for one in hidden)
        top = max(one.exponent for one in hidden)
        values = [page.aligned(one.magnitude, one.exponent, one.negative, top) for one in hidden]
        out = [False] * d_model
        for d in range(d_model):
            total = sum(value * plain_weight(layer.down, e, d, part * width + f) for f, value in enumerate(values))
            n = 52 - int(layer.down.units[e]) - layer.fraction - top
            term = page.rounding(total, min(max(n, -8), 55))
            out[d] = abs(term) > limit or (n < -8 and total != 0)
            y[t][d] += min(max(term, -limit), limit)
        clips[t] += sum(any(out[d:d + pairs]) for d in range(0, d_model, pairs))
    return np.array(y, dtype=np.int64).reshape(tokens, d_model), np.minimum(clips, 65535).astype(np.int64)


def chosen(config, tokens, rng):
    """Experts of some tokens; one choice in eight is none."""
    ids = np.array([rng.permutation(config.layer.experts)[:config.layer.top_k] for _ in range(tokens)], dtype=np.int64)
    ids = ids.reshape(tokens, config.layer.top_k)
    return np.where(rng.random(ids.shape) < 1 / 8, -1, ids)


@pytest.mark.parametrize("seed", range(40))
def test_layer_equals_plain_python(seed):
    """Bit for bit and clip for clip, in odd shapes, every format, with limits, offsets, biases and shifts out of range."""
    config, rng = random_config(seed), np.random.default_rng(seed)
    layer, batch = wild(config, chosen(config, 4, rng), rng)
    y, clips = plain_layer(config, layer, batch, rng)
    found = numerics.integer_layer(config, layer, batch)
    np.testing.assert_array_equal(found.y, y)
    np.testing.assert_array_equal(found.clips, clips)
    assert found.y.dtype == np.int32


def batch_of(config, layer, seed=1, tokens=32):
    """A float layer's batch: activations, choices, their weights."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((tokens, config.layer.d_model)).astype(np.float32)
    ids = np.array([rng.permutation(config.layer.experts)[:config.layer.top_k] for _ in range(tokens)])
    weights = rng.dirichlet(np.ones(config.layer.top_k), tokens)
    return x, ids, weights.astype(np.float32), float_layer(layer, x, ids, weights)


def computed(config, layer, kind, x, ids, weights):
    """Real results of the integer layer, and clips."""
    batch = numerics.quantise_batch(x, ids, weights)
    whole = numerics.calibrated(config, numerics.quantise_layer(layer, kind, period=config.slice_ff), batch)
    found = numerics.integer_layer(config, whole, batch)
    return numerics.dequantise(found.y, whole), found.clips


WIDE = load("demo", ["layer.d_ff=96", "layer.experts=8", "layer.top_k=2", "tile.slices=3", "layer.bias=true"])


@pytest.mark.parametrize(("kind", "cosine"), list(zip(FORMATS, (0.9995, 0.975, 0.975, 0.98), strict=True)), ids=str)
def test_layer_is_near_float(kind, cosine):
    """Every token keeps the direction of float32 as far as its weights allow, and none clips."""
    layer = random_layer(WIDE.layer, np.random.default_rng(1))
    x, ids, weights, reference = batch_of(WIDE, layer)
    found, clips = computed(WIDE, layer, kind, x, ids, weights)
    near = fidelity.fidelity(found, reference)
    assert near.cosine_median > cosine and near.cosine_worst > cosine - 0.06 and not clips.any()
    stored = numerics.quantise_layer(layer, kind, period=WIDE.slice_ff).real()
    assert fidelity.fidelity(found, float_layer(stored, x, ids, weights)).cosine_worst > 0.999


@pytest.mark.parametrize("function", [
    GluFunction("quick_gelu", 7.0, 7.0, 1.0), GluFunction("silu", 10.0, 10.0), GluFunction("gelu"), GluFunction("gelu_tanh")])
def test_functions_of_models(function):
    """gpt-oss', DeepSeek-V4's, others: large gate and up values meet the limits and are no clips."""
    config = small(layer__activation=function.activation)
    layer = replace(random_layer(config.layer, np.random.default_rng(2)), function=function)
    x, ids, weights, _ = batch_of(config, layer)
    found, clips = computed(config, layer, FORMATS[0], 8 * x, ids, weights)
    assert fidelity.fidelity(found, float_layer(layer, 8 * x, ids, weights)).cosine_worst > 0.99 and not clips.any()


def test_a_spike_is_alone():
    """One token a thousand times the others, and one expert likewise, leave the other tokens' results as they are."""
    config = small()
    layer = random_layer(config.layer, np.random.default_rng(3))
    x, ids, weights, _ = batch_of(config, layer)
    batch = numerics.quantise_batch(x, ids, weights)
    whole = numerics.calibrated(config, numerics.quantise_layer(layer), batch)
    spiked = np.array(x)
    spiked[5] *= 1000
    before, after = (numerics.integer_layer(config, whole, each).y for each in (
        batch, numerics.quantise_batch(spiked, ids, weights)))
    others = np.arange(len(x)) != 5
    np.testing.assert_array_equal(after[others], before[others])
    layer.w_down[0] *= 1000
    found, _ = computed(config, layer, FORMATS[0], x, ids, weights)
    near = fidelity.fidelity(found, float_layer(layer, x, ids, weights))
    assert near.cosine_worst > 0.98 and not near.zeroed


def test_calibration_leaves_three_bits():
    """Seven times the gate weights clip nothing, forty times clip; of long sums the largest is just below C / 8."""
    for config in (small(tile__slices=1, layer__top_k=1), small(tile__slices=18, layer__top_k=1, tile__weights="int4"),
                   load("demo", ["layer.top_k=1", "layer.experts=4", "layer.d_ff=256", "tile.slices=1",
                                 "tile.scale_mantissa=3"])):
        layer = random_layer(config.layer, np.random.default_rng(4))
        x, ids, weights, _ = batch_of(config, layer)
        batch = numerics.quantise_batch(x, ids, weights)
        kind = WeightFormat.of(config.tile)
        whole = numerics.calibrated(config, numerics.quantise_layer(layer, kind, period=config.slice_ff), batch)

        def found(factor, config=config, whole=whole, x=x, ids=ids, weights=weights):
            return numerics.integer_layer(config, whole, numerics.quantise_batch(x, ids, factor * weights))
        assert not found(7).clips.any() and found(40).clips.any()
        largest, limit = np.abs(found(1).y.astype(np.int64)).max(), 2**config.term_bits - 1
        assert largest <= limit / 8 or config.tile.slices > 1
        assert config.layer.d_ff < 256 or largest > limit / 16
        nothing = numerics.quantise_batch(0 * x, ids, weights)
        assert numerics.calibrated(config, whole, nothing) is whole


def test_rounding():
    """Half up, for every small operand."""
    for a in range(-70, 71):
        for n in range(-8, 9):
            assert int(numerics.rounded(np.array([a]), np.array([n]))[0]) == page.rounding(a, n) == math.floor(a / 2**n + 0.5)


def real_weight(code):
    """What a choice's weight stands for."""
    return (2048 + code % 2048) * 2.0 ** ((code >> 11) - 37) if code >> 11 else 0.0


def test_every_weight_of_a_choice():
    """All 65,536 codes: what they stand for is coded as themselves; zero has many codes and one is written."""
    codes = np.arange(2**16)
    real = np.array([real_weight(code) for code in range(2**16)])
    np.testing.assert_array_equal(numerics.choice_weight(real), np.where(codes >> 11 == 0, 0, codes))


@given(st.floats(0, 63.9))
def test_weight_of_a_choice(weight):
    """The nearest value that there is; below the least of them zero."""
    code = int(numerics.choice_weight(np.array([weight]))[0])
    real = real_weight(code)
    if weight < 2.0**-25:
        assert real in (0.0, 2.0**-25)
    else:
        # half a step of the binade, or beyond the largest value
        assert abs(real - weight) <= 2.0 ** (math.frexp(weight)[1] - 13) or code == 65535


WIDTHS = st.floats(-2.0**127, 2.0**127, width=32)


@given(st.lists(st.lists(WIDTHS, min_size=1, max_size=5), min_size=1, max_size=3))
def test_activations(values):
    """A block's scale is the smallest that holds its largest, but no less than an eighth of the token's largest scale; each
    is within half a step.
    """
    x = np.zeros((1, 32 * len(values) - 7), dtype=np.float32)
    for block, some in enumerate(values):
        x[0, 32 * block:32 * block + len(some)] = some
    batch = numerics.quantise_batch(x, np.zeros((1, 1)), np.ones((1, 1)))
    exponent, shifts = int(batch.exponent[0]), batch.shift[0].astype(int)
    assert -128 <= exponent <= 127 and batch.x.min() >= -127 and shifts.max() <= 3
    assert not x.any() or exponent == -128 or shifts.max() == 3
    for block, shift in enumerate(shifts):
        part, step = x[0, 32 * block:32 * block + 32].astype(np.float64), 2.0 ** (exponent + shift)
        assert np.abs(part).max() <= 127 * step
        assert not part.any() or not shift or np.abs(part).max() > 127 * step / 2
        assert (np.abs(batch.x[0, 32 * block:32 * block + 32] * step - part) <= step / 2).all()


@pytest.mark.parametrize(("x", "weight", "named"), [
    (np.nan, 1, "x must be finite"), (np.inf, 1, "x must be finite"), (1, np.inf, "gate weights must be finite"),
    (1, -1, "not negative"), (1, 64, "below 64")])
def test_wrong_batches_are_refused(x, weight, named):
    with pytest.raises(ValueError, match=named):
        numerics.quantise_batch(np.full((1, 3), x, np.float32), np.zeros((1, 1)), np.full((1, 1), weight))


@pytest.mark.parametrize(("function", "named"), [
    (GluFunction("silu", 1 / 3), "gate limit"), (GluFunction("silu", None, 128.0), "up limit"),
    (GluFunction("silu", 0.0), "gate limit"), (GluFunction("silu", None, 0.0), "up limit"),
    (GluFunction("silu", None, None, -1.0), "up offset")])
def test_limits_that_the_hardware_has_not(function, named):
    layer = replace(random_layer(small().layer, np.random.default_rng(1)), function=function)
    with pytest.raises(ValueError, match=f"{named} = .* legal values: multiples of 1/256"):
        numerics.quantise_layer(layer)


@pytest.mark.parametrize("value", [128, -1000, np.nan])
def test_biases_that_do_not_fit(value):
    """They are refused and not clipped: that would be another function."""
    layer = random_layer(small(layer__bias=True).layer, np.random.default_rng(1))
    layer.up_bias[1, 2] = value
    with pytest.raises(ValueError, match=r"up bias of .* is not legal; legal values: up to 127\.996"):
        numerics.quantise_layer(layer)


def test_what_a_layer_cannot_be():
    """A bias of down, slices that cut blocks, a unit of results that no shift reaches."""
    config = load("demo", ["layer.d_ff=96", "tile.slices=2"])
    layer = random_layer(config.layer, np.random.default_rng(1))
    with pytest.raises(ValueError, match="down_bias"):
        numerics.quantise_layer(replace(layer, down_bias=np.zeros((64, 64), np.float32)))
    whole = numerics.quantise_layer(layer)
    with pytest.raises(ValueError, match=r"slices of 48 columns .* tile\.slices"):
        whole.sliced(config.slice_ff)
    assert numerics.quantise_layer(layer, period=48).sliced(48).down.period == 48
    with pytest.raises(ValueError, match=r"result_shift = -\d+ of expert 1"):
        replace(whole, fraction=100).result_shift(1)
    for fraction in (-127, 128):
        assert replace(whole, fraction=fraction).unit == -fraction
    for fraction in (-128, 129):
        with pytest.raises(ValueError, match=f"unit = {-fraction} of the results .*: -128 to 127"):
            _ = replace(whole, fraction=fraction).unit


@pytest.mark.parametrize(("scale", "unit"), [(1e-36, -128), (1e-30, -123), (1e30, None)])
def test_the_unit_of_tiny_and_huge_results(scale, unit):
    """Calibration goes as far as the byte of the unit, and no further than a result's shift."""
    config = small(layer__top_k=1)
    layer = random_layer(config.layer, np.random.default_rng(4))
    x, ids, weights, _ = batch_of(config, layer)
    layer = replace(layer, w_down=np.float32(scale) * layer.w_down)
    whole = numerics.prepared(config, layer, numerics.quantise_batch(x, ids, weights))
    assert unit is None or whole.unit == unit
    assert all(0 <= whole.result_shift(expert) <= 255 for expert in range(config.layer.experts))


def test_experts_by_themselves():
    """A layer quantised expert by expert is the layer quantised at once."""
    config = small(layer__bias=True, tile__weights="int4", tile__scale_mantissa=3)
    layer, kind = random_layer(config.layer, np.random.default_rng(1)), WeightFormat.of(config.tile)
    whole = numerics.quantise_layer(layer, kind)
    parts = [numerics.quantise_layer(FloatLayer(*(getattr(layer, name)[e:e + 1] for name in (
        "w_gate", "w_up", "w_down", "gate_bias", "up_bias"))), kind) for e in range(6)]
    again = numerics.with_experts(parts)
    for name in ("gate", "up", "down"):
        for part in ("codes", "shifts", "mantissas", "units"):
            np.testing.assert_array_equal(getattr(getattr(again, name), part), getattr(getattr(whole, name), part))
    np.testing.assert_array_equal(again.up_bias, whole.up_bias)
    assert len(joined([whole.gate, whole.gate])) == 12 and len(whole.gate[1:3]) == 2


def test_the_layer_that_the_integers_stand_for():
    """Weights, biases to 1/256, limits; quantised again it is the same layer."""
    function = GluFunction("quick_gelu", 7.0, 7.0, 1.0)
    layer = replace(random_layer(small(layer__bias=True).layer, np.random.default_rng(1)), function=function)
    layer.gate_bias[0, 0] = VALUE_MAX / 256  # the format's end
    whole = numerics.quantise_layer(layer, FORMATS[3])
    real = whole.real()
    assert real.function == function and real.gate_bias[0, 0] == VALUE_MAX / 256
    assert np.abs(real.up_bias - layer.up_bias).max() <= 1 / 512
    again = numerics.quantise_layer(real, FORMATS[3])
    np.testing.assert_array_equal(again.real().w_down, real.w_down)
    np.testing.assert_array_equal(again.gate_bias, whole.gate_bias)
