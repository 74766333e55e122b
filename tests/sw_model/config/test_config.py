"""Configurations: presets, overrides, derived sizes, and what is refused."""

import pytest

from trajectile.sw_model.config import Config, ConfigError, from_dict, load, presets

#: override -> the field that the message must name, if it is another
ILLEGAL = {
    "layer.d_model=0": "", "layer.d_model=-4": "", "layer.d_model=20000": "", "layer.d_model=2.5": "",
    "layer.d_model=true": "", 'layer.d_model="64"': "", "layer.d_ff=0": "", "layer.d_ff=70000": "",
    "layer.d_ff=19": "tile.slices", "layer.experts=0": "", "layer.experts=2000": "", "layer.top_k=0": "",
    "layer.top_k=7": "", "layer.width=3": "", "array.rows=0": "", "array.rows=5": "", "array.cols=1": "",
    "array.cols=9": "", "array.ddr_tiles=[]": "", "array.ddr_tiles=[2]": "", "array.ddr_tiles=[1,0]": "",
    "array.ddr_tiles=[0,0]": "", "array.ddr_tiles=a": "", "array.ddr_tiles=[0.5]": "", "tile.mac_k=0": "",
    "tile.mac_k=65": "", "tile.mac_n=1": "", "tile.mac_n=3": "", "tile.mac_n=8": "", "tile.mac_n=66": "",
    "tile.mac_t=0": "", "tile.mac_t=100": "", "tile.slices=0": "", "tile.slices=4": "", "tile.slices=300": "",
    "tile.protect=ecc": "", "tile.protect=1": "", "tile.protect=[1]": "", 'tile.protect=""': "",
    "tile.multiplier=wallace": "", "tile.multiplier=2": "", "tile.mac_part=0": "", "tile.mac_part=65": "",
    "tile.slots=1": "", "tile.slots=65": "", "tile.tokens=0": "", "tile.tokens=5000": "", "link.beat_bytes=0": "",
    "link.beat_bytes=17": "", "link.latency_cycles=0": "", "link.latency_cycles=65": "", "ddr.bytes_per_cycle=3": "",
    "link.crc_bits=8": "", "link.crc_bits=true": "", "link.crc_bits=-16": "", "link.retries=0": "", "link.retries=65536": "",
    "ddr.bytes_per_cycle=32": "", "ddr.bytes_per_cycle=256": "", "ddr.latency_cycles=0": "",
    "ddr.latency_cycles=5000": "", "dram.size=3": "--set", "layer": "--set", "layer.d_model": "--set",
    "layer.d_model=": "", "layer.d_model=a b": "", "layer.d_model=a": "",
}


@pytest.mark.parametrize("override", ILLEGAL)
def test_illegal_values_are_refused(override):
    """The message names the field, its value and the legal values."""
    with pytest.raises(ConfigError) as error:
        load("smoke", [override])
    field = ILLEGAL[override] or override.partition("=")[0]
    place = "configs/smoke.toml:17: " if field != override.partition("=")[0].strip() and field != "--set" else ""
    assert str(error.value).startswith(f"{place}{field} = ") and "; legal values: " in str(error.value)
    assert error.value.legal


@pytest.mark.parametrize(("change", "field"), [
    (lambda v: v["layer"].update(d_ff=32768, top_k=6), "layer.d_ff"),  # int32 accumulators
    (lambda v: v["layer"].update(d_model=16384, d_ff=65536, experts=1024, top_k=1), "layer.experts"),  # 32 address bits
    (lambda v: v["tile"].pop("slots"), "tile.slots"),
    (lambda v: v.pop("ddr"), "ddr"),
    (lambda v: v.update(ddr=3), "ddr"),
    (lambda v: v.update(dram={}), "dram"),
])
def test_illegal_combinations_are_refused(change, field):
    """Combinations of fields, missing fields and sections."""
    values = {name: dict(table) for name, table in load("smoke").as_dict.items() if isinstance(table, dict)}
    values["tile"]["slices"] = 1
    from_dict(values)
    change(values)
    with pytest.raises(ConfigError) as error:
        from_dict(values)
    assert error.value.field == field


def test_fields_with_defaults_may_be_missing():
    """A file without the link layer's fields means none."""
    values = {name: dict(table) for name, table in load("smoke").as_dict.items() if isinstance(table, dict)}
    for field in ("crc_bits", "retries"):
        values["link"].pop(field)
    assert from_dict(values, "smoke") == load("smoke") and load("smoke").link.crc_bits == 0


@pytest.mark.parametrize("latency", [1, 2, 3, 4, 5, 12, 13, 64])
@pytest.mark.parametrize("crc_bits", [0, 16, 32])
def test_link_layer_sizes(latency, crc_bits):
    """The window is the smallest power of two that holds a round trip; the timeout is longer than a round trip."""
    config = load("smoke", [f"link.latency_cycles={latency}", f"link.crc_bits={crc_bits}"])
    assert config.link_flight_cycles == latency + (4 if crc_bits else 0)
    assert config.link_window & (config.link_window - 1) == 0
    assert config.link_window // 2 < 2 * config.link_flight_cycles <= config.link_window
    assert config.link_timeout_cycles > 2 * config.link_flight_cycles


@pytest.mark.parametrize("source", ["nothing", "configs"])
def test_a_source_that_is_no_file(source):
    """The presets are named."""
    with pytest.raises(ConfigError, match=r"a preset: .*demo, .*paper, .*smoke"):
        load(source)


@pytest.mark.parametrize("content", [b"[layer", b"\xff\xfe", b"layer = 3"])
def test_a_file_that_is_no_configuration(tmp_path, content):
    """Bad TOML, bad text, and a table that is none."""
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="legal values"):
        load(path)


@pytest.mark.parametrize("preset", presets())
def test_presets_round_trip(preset):
    """A preset survives the way through a dictionary."""
    config = load(preset)
    assert isinstance(config, Config) and config.name == preset
    assert from_dict({k: v for k, v in config.as_dict.items() if k != "name"}, preset) == config


def test_overrides_are_applied_in_order():
    """The last one wins; other fields stay."""
    config = load("smoke", ["tile.slots=4", "tile.slots=5", "array.ddr_tiles=[1]"])
    assert config.tile.slots == 5 and config.array.ddr_tiles == (1,) and config.tile.tokens == 6


def test_fields_with_a_default_may_be_missing():
    """The presets do not name ``tile.protect``; a word needs no quotes on the command line."""
    assert load("smoke").tile.protect == "none"
    for override in ("tile.protect=secded", 'tile.protect="secded"', "tile.protect = 'secded'"):
        assert load("smoke", [override]).tile.protect == "secded"


def test_paper_preset_is_the_papers_hardware():
    """2,048 MACs, 32 B of DDR a cycle, 360 B of link a cycle, 16 slices, 12 slots (arXiv 2603.27624)."""
    config = load("paper")
    assert config.tile.macs == 2048 and config.ddr.bytes_per_cycle == 32 and config.link.beat_bytes == 360
    assert (config.tile.slices, config.tile.slots, config.array.tiles) == (16, 12, 4)


def test_sizes_by_hand():
    """Smoke: slices of 6 columns, words of 4 x 4, d_model 12."""
    config = load("smoke")
    assert (config.slice_ff, config.gate_up_chunks, config.gate_up_groups) == (6, 3, 3)
    assert (config.down_chunks, config.down_groups, config.slice_words) == (2, 3, 15)
    assert (config.slice_bytes, config.slice_weight_bytes, config.slice_beats) == (240, 216, 120)
    # bursts of at most 256 beats of 2 bytes
    assert (config.slice_bursts, config.slice_pitch_bytes, config.channel_slices) == (1, 512, 9)
    assert (config.word_flits, config.slice_flits, config.token_capacity) == (2, 30, 12)
    assert config.home(1, 1) == (0, 2) and config.home(1, 2) == (1, 2)
