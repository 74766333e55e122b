"""DDR images: every weight at the byte that docs/architecture.md says."""

import numpy as np
import pytest

from tests.support.configurations import random_config
from trajectile.sw_model.config import load
from trajectile.sw_model.numerics import image
from trajectile.sw_model.numerics import integer as numerics


@pytest.mark.parametrize("config", [load("smoke"), *(random_config(seed) for seed in range(8))], ids=lambda c: c.name)
def test_every_weight_has_its_byte(config):
    """Reading the image back by the formulas of the page gives the layer; everything else is zero."""
    layer, tile = config.layer, config.tile
    weights = numerics.quantise_layer(numerics.random_layer(layer, np.random.default_rng(1)))
    images = [image.channel_image(config, weights, channel).view(np.int8).copy() for channel in range(config.array.channels)]
    k, n = tile.mac_k, tile.mac_n

    def take(expert, index, word, output, chunk_input):
        number = expert * tile.slices + index
        place = number // config.array.channels * config.slice_pitch_bytes + (word * n + output) * k + chunk_input
        value, images[number % config.array.channels][place] = images[number % config.array.channels][place], 0
        return value

    for e in range(layer.experts):
        for f in range(layer.d_ff):
            index, column = divmod(f, config.slice_ff)
            for d in range(layer.d_model):
                group, pair = divmod(column, n // 2)
                word = group * config.gate_up_chunks + d // k
                assert take(e, index, word, 2 * pair, d % k) == weights.w_gate[e, f, d]
                assert take(e, index, word, 2 * pair + 1, d % k) == weights.w_up[e, f, d]
                word = config.gate_up_words + d // n * config.down_chunks + column // k
                assert take(e, index, word, d % n, column % k) == weights.w_down[e, d, f]
    assert not any(left.any() for left in images)


def test_hex_file(tmp_path):
    """A beat per line, its lowest byte last."""
    image.write_hex(tmp_path / "a.hex", np.array([1, 2, 3, 0xAB], dtype=np.uint8), 2)
    assert (tmp_path / "a.hex").read_text() == "0201\nab03\n"
