"""The configuration of an accelerator: its sections, their checks, and the TOML file that it is read from."""

from trajectile.sw_model.config.accelerator import (
    BF16_BYTES,
    COMPLETION_BYTES,
    COUNTS_PER_WORD,
    DDR_ADDRESS_BITS,
    HEAD_ITEM_BYTES,
    INT32_BYTES,
    PARAMETER_BYTES,
    Config,
)
from trajectile.sw_model.config.checks import ConfigError
from trajectile.sw_model.config.loading import from_dict, load, presets
from trajectile.sw_model.config.overrides import parse_override, parse_variation
from trajectile.sw_model.config.sections import (
    ACTIVATIONS,
    AXI_BOUNDARY_BYTES,
    AXI_MAX_BURST_BEATS,
    BLOCK_INPUTS,
    INPUT_SHIFT_MAX,
    INT8_MAX,
    MULTIPLIERS,
    PROTECTIONS,
    SCALE_SHIFT_MAX,
    WEIGHTS,
    ArrayConfig,
    DdrConfig,
    IoConfig,
    LayerConfig,
    LinkConfig,
    TileConfig,
    ceil_div,
    divisors,
)

__all__ = [
    "ACTIVATIONS", "AXI_BOUNDARY_BYTES", "AXI_MAX_BURST_BEATS", "BF16_BYTES", "BLOCK_INPUTS", "COMPLETION_BYTES",
    "COUNTS_PER_WORD", "DDR_ADDRESS_BITS", "HEAD_ITEM_BYTES", "INPUT_SHIFT_MAX", "INT8_MAX", "INT32_BYTES", "MULTIPLIERS",
    "PARAMETER_BYTES", "PROTECTIONS", "SCALE_SHIFT_MAX", "WEIGHTS", "ArrayConfig", "Config", "ConfigError", "DdrConfig",
    "IoConfig", "LayerConfig", "LinkConfig", "TileConfig", "ceil_div", "divisors", "from_dict", "load", "parse_override",
    "parse_variation", "presets",
]
