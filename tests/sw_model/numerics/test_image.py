"""DDR images: every weight, scale, bias and parameter at the byte that docs/numerics.md and docs/architecture.md say."""

import struct
from dataclasses import replace

import numpy as np
import pytest

from tests.support.configurations import random_config, small
from trajectile.sw_model.config import load
from trajectile.sw_model.numerics import image
from trajectile.sw_model.numerics import integer as numerics
from trajectile.sw_model.numerics.activation import VALUE_MAX
from trajectile.sw_model.numerics.layers import random_layer
from trajectile.sw_model.numerics.weights import WeightFormat

E2M1 = [0, 1, 2, 3, 4, 6, 8, 12]


def code_bits(name, code):
    """Bits of a code by the page."""
    if name == "mxfp4":
        return E2M1.index(abs(code)) | (8 if code < 0 else 0)
    return code % (256 if name == "mx8" else 16)


def drawn(config, seed=1):
    """A layer with a format's every part: units that differ, limits, biases where there are any."""
    rng = np.random.default_rng(seed)
    layer = numerics.quantise_layer(random_layer(config.layer, rng), WeightFormat.of(config.tile), period=config.slice_ff)
    for matrices in (layer.gate, layer.up, layer.down):
        matrices.units[:] += rng.integers(-3, 4, config.layer.experts)
    return replace(layer, function=numerics.Function(config.layer.activation, 1792, VALUE_MAX, -256))


CONFIGS = [load("smoke"), small(layer__bias=True, tile__weights="int4", tile__scale_mantissa=3), load("demo"),
           *(random_config(seed) for seed in range(12))]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
def test_every_part_has_its_byte(config):
    """Taken from the image by the formulas of the pages it is the layer; nothing else is in the image."""
    shape, tile, width = config.layer, config.tile, config.slice_ff
    layer, word = drawn(config), config.tile.word_bytes
    images = [image.channel_image(config, layer, channel).copy() for channel in range(config.array.channels)]
    k, n = tile.mac_k, tile.mac_n
    bits, together = (8 if tile.weights == "mx8" else 4), min(k, 32)
    head = -(-10 // word) * word if word < 10 else -(-10 // config.ddr.bytes_per_cycle) * config.ddr.bytes_per_cycle
    gate_up_words = -(-shape.d_model // k) + shape.bias
    wanted = [np.zeros_like(each) for each in images]

    def start(e, index):
        number = e * tile.slices + index
        return wanted[number % config.array.channels], number // config.array.channels * config.slice_pitch_bytes

    def put(e, index, where, output, place, matrices, row, column):
        """A weight: its code and its block's scale in word ``where`` of a slice."""
        content, base = start(e, index)
        base += head + where * word
        bit = (output * k + place) * bits
        content[base + bit // 8] |= code_bits(tile.weights, int(matrices.codes[e, row, column])) << bit % 8
        period = matrices.period
        block = column // period * -(-period // 32) + column % period // 32
        mantissa = 0 if matrices.mantissas is None else int(matrices.mantissas[e, row, block])
        at = base + n * k * bits // 8 + output * (k // together) + place // together
        content[at] = int(matrices.shifts[e, row, block]) | mantissa << 3

    for e in range(shape.experts):
        for index in range(tile.slices):
            content, base = start(e, index)
            content[base:base + 10] = list(struct.pack(
                "<bbBbhhh", layer.gate.units[e], layer.up.units[e], 52 - layer.down.units[e] - layer.fraction,
                -layer.fraction, 1792, VALUE_MAX, -256))
        for f in range(shape.d_ff):
            index, column = divmod(f, width)
            group, pair = divmod(column, n // 2)
            for d in range(shape.d_model):
                where = group * gate_up_words + d // k
                put(e, index, where, 2 * pair, d % k, layer.gate, f, d)
                put(e, index, where, 2 * pair + 1, d % k, layer.up, f, d)
                where = -(-2 * width // n) * gate_up_words + d // n * -(-width // k) + column // k
                put(e, index, where, d % n, column % k, layer.down, d, f)
            if shape.bias:
                content, base = start(e, index)
                base += head + (group * gate_up_words + gate_up_words - 1) * word + 4 * pair
                content[base:base + 4] = list(struct.pack("<hh", layer.gate_bias[e, f], layer.up_bias[e, f]))
    for found, expected in zip(images, wanted, strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("change", "named"), [
    ({"layer__d_ff": 24}, "layer.d_ff = 24 is not legal; legal values: 18"),
    ({"tile__weights": "int4"}, "tile.weights = 'int4'"),
    ({"tile__scale_mantissa": 3}, "tile.scale_mantissa = 3"), ({"layer__activation": "gelu"}, "layer.activation = 'gelu'"),
    ({"layer__d_model": 13}, "layer.d_model = 13"), ({"layer__experts": 5}, "layer.experts = 5")])
def test_a_layer_of_another_configuration(change, named):
    """Field, value, and what the layer has."""
    layer = drawn(small())
    with pytest.raises(ValueError, match=named.replace("(", r"\(")):
        image.channel_image(small(**change), layer, 0)


def test_biases_and_their_words():
    """A layer without biases has words of zeros where the hardware has them; one with biases needs such hardware."""
    layer = drawn(small())
    assert image.slice_words(small(layer__bias=True), layer, 0, 0).shape == (small(layer__bias=True).pass_words, 20)
    with pytest.raises(ValueError, match=r"layer\.bias = False is not legal; legal values: True"):
        image.check_layer(small(), drawn(small(layer__bias=True)))


def test_hex_file(tmp_path):
    """A beat per line, its lowest byte last."""
    image.write_hex(tmp_path / "a.hex", np.array([1, 2, 3, 0xAB], dtype=np.uint8), 2)
    assert (tmp_path / "a.hex").read_text() == "0201\nab03\n"
