"""Memories of a tile against the hardware's widths and depths."""

import pytest

from tests.support.configurations import minimal_configs, random_config, small
from trajectile.hw.params import Params
from trajectile.sw_model.config import load
from trajectile.sw_model.config.memory import tile_memory


@pytest.mark.parametrize("config", [*map(random_config, range(20)), *minimal_configs(), load("demo"), load("qwen3-30b-a3b")],
                         ids=lambda config: config.name)
def test_it_is_what_the_hardware_has(config):
    """By purpose, in bits, from the hardware's own numbers."""
    params, found, lanes = Params(config), tile_memory(config), config.tile.batches * config.tile.mac_t
    assert found.slots == config.tile.slots * config.slice_bytes * 8
    assert found.activations == lanes * params.activation_depth * params.activation_bits
    assert found.results == lanes * params.result_depth * params.result_bits
    assert found.clips == lanes * config.tile.lane_tokens * 16
    assert found.lists == lanes * (config.layer.experts * params.list_head_layout.size
                                   + params.node_depth * params.node_layout.size)
    assert found.total == found.slots + found.tokens + found.counts


def test_by_hand():
    """smoke: 6 tokens of 12 inputs, 3 words of 4 codes with a shift each; 4 rows of 4 results; clips; lists; counts."""
    found = tile_memory(small())
    assert (found.slots, found.activations, found.results, found.clips) == (3 * 310 * 8, 6 * 3 * 34, 6 * 4 * 128, 96)
    # 2 lanes of 6 heads of 2 + 3 bits, and of 3 tokens with 2 nodes: 2 bits of token, 24 of weight and exponent, 3, 1
    assert found.lists == 2 * 6 * 5 + 6 * 2 * 30
    assert found.counts == 2 * 2 * 4 * 2 * 2  # two banks of two words of four counts of two tiles, two bits each


def test_a_second_batch_doubles_what_belongs_to_tokens():
    """Slots and counts stay."""
    one, two = (tile_memory(load("qwen3-30b-a3b", [f"tile.batches={batches}"])) for batches in (1, 2))
    assert two.tokens == 2 * one.tokens and (two.slots, two.counts) == (one.slots, one.counts)
