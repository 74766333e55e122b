"""Configurations: presets, overrides, derived sizes, and what is refused."""

import pytest

from trajectile.sw_model.config import Config, ConfigError, IoConfig, from_dict, load, presets

#: override -> the field that the message must name, if it is another
ILLEGAL = {
    "layer.d_model=0": "", "layer.d_model=-4": "", "layer.d_model=20000": "", "layer.d_model=2.5": "",
    "layer.d_model=true": "", 'layer.d_model="64"': "", "layer.d_ff=0": "", "layer.d_ff=70000": "",
    "layer.d_ff=19": "tile.slices", "layer.experts=0": "", "layer.experts=2000": "", "layer.top_k=0": "",
    "layer.top_k=7": "", "layer.width=3": "", "array.rows=0": "", "array.rows=5": "", "array.cols=1": "",
    "array.cols=9": "", "array.ddr_tiles=[]": "", "array.ddr_tiles=[2]": "", "array.ddr_tiles=[1,0]": "",
    "array.ddr_tiles=[0,0]": "", "array.ddr_tiles=a": "", "array.ddr_tiles=[0.5]": "", "tile.mac_k=0": "",
    "tile.mac_k=1": "", "tile.mac_k=3": "", "tile.mac_k=12": "", "tile.mac_k=65": "", "tile.mac_k=128": "",
    "tile.mac_n=1": "", "tile.mac_n=3": "", "tile.mac_n=8": "", "tile.mac_n=66": "",
    "tile.mac_t=0": "", "tile.mac_t=100": "", "tile.slices=0": "", "tile.slices=4": "", "tile.slices=300": "",
    "tile.protect=ecc": "", "tile.protect=1": "", "tile.protect=[1]": "", 'tile.protect=""': "",
    "tile.weights=int8": "", "tile.weights=MXFP4": "", "tile.weights=4": "", "tile.weights=[mx8]": "",
    "tile.scale_mantissa=1": "", "tile.scale_mantissa=4": "", "tile.scale_mantissa=true": "", "tile.scale_mantissa=3.0": "",
    "layer.activation=relu": "", "layer.activation=SiLU": "", "layer.activation=true": "", "layer.bias=1": "",
    "layer.bias=yes": "", "layer.bias=True": "", 'layer.bias="true"': "", "layer.bias=[true]": "",
    "tile.multiplier=wallace": "", "tile.multiplier=2": "", "tile.mac_part=0": "", "tile.mac_part=65": "",
    "tile.slots=1": "", "tile.slots=65": "", "tile.tokens=0": "", "tile.tokens=5000": "", "link.beat_bytes=0": "",
    "link.beat_bytes=21": "", "link.latency_cycles=0": "", "link.latency_cycles=65": "", "ddr.bytes_per_cycle=3": "",
    "link.crc_bits=8": "", "link.crc_bits=true": "", "link.crc_bits=-16": "", "link.retries=0": "", "link.retries=65536": "",
    "ddr.bytes_per_cycle=32": "", "ddr.bytes_per_cycle=256": "", "ddr.latency_cycles=0": "",
    "ddr.latency_cycles=5000": "", "tile.batches=0": "", "tile.batches=3": "", "tile.batches=true": "",
    "tile.batches=two": "", "io.bytes_per_cycle=2": "", "io.bytes_per_cycle=12": "", "io.bytes_per_cycle=256": "",
    "io.bytes_per_cycle=4.0": "", "io.latency_cycles=0": "", "io.latency_cycles=5000": "", "io.beats=3": "",
    "dram.size=3": "--set", "layer": "--set", "layer.d_model": "--set",
    "layer.d_model=": "", "layer.d_model=a b": "", "layer.d_model=a": "",
}


@pytest.mark.parametrize("override", ILLEGAL)
def test_illegal_values_are_refused(override):
    """The message names the field, its value and the legal values."""
    with pytest.raises(ConfigError) as error:
        load("smoke", [override])
    field = ILLEGAL[override] or override.partition("=")[0]
    place = "configs/smoke.toml:18: " if field != override.partition("=")[0].strip() and field != "--set" else ""
    assert str(error.value).startswith(f"{place}{field} = ") and "; legal values: " in str(error.value)
    assert error.value.legal


@pytest.mark.parametrize(("change", "field"), [
    (lambda v: v["layer"].update(d_model=16384, d_ff=65536, experts=1024, top_k=1), "layer.experts"),  # 40 address bits
    (lambda v: v["layer"].update(d_model=8, bias=True), "layer.bias"),  # two words of a group, and its bias
    (lambda v: v["tile"].update(weights="mxfp4", mac_n=2), "link.beat_bytes"),  # words of 6 bytes, flits of 8
    (lambda v: (v["tile"].update(weights="int4"), v["ddr"].update(bytes_per_cycle=8)), "ddr.bytes_per_cycle"),  # words of 12
    (lambda v: v["tile"].pop("slots"), "tile.slots"),
    (lambda v: v.pop("ddr"), "ddr"),
    (lambda v: v.update(ddr=3), "ddr"),
    (lambda v: v.update(io=[]), "io"),
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


@pytest.mark.parametrize(("override", "message"), [
    ("tile.mac_k=48", "tile.mac_k = 48 is not legal; legal values: one of 2, 4, 8, 16, 32, 64"),
    ("tile.weights=fp4", "tile.weights = 'fp4' is not legal; legal values: one of mx8, mxfp4, int4"),
    ("tile.scale_mantissa=2", "tile.scale_mantissa = 2 is not legal; legal values: one of 0, 3"),
    ("layer.activation=swish",
     "layer.activation = 'swish' is not legal; legal values: one of silu, gelu, gelu_tanh, quick_gelu"),
    ("layer.bias=0", "layer.bias = 0 is not legal; legal values: true or false"),
    ("tile.mac_n=8", "tile.mac_n = 8 is not legal; legal values: 1 to 6 (twice d_model / mac_k: the serial SwiGLU unit of a "
                     "lane must keep up with the MAC array)"),
    ("tile.batches=4", "tile.batches = 4 is not legal; legal values: one of 1, 2"),
    ("io.bytes_per_cycle=24", "io.bytes_per_cycle = 24 is not legal; legal values: one of 4, 8, 16, 32, 64, 128"),
    ("io.latency_cycles=0", "io.latency_cycles = 0 is not legal; legal values: an integer from 1 to 4096"),
    ("ddr.bytes_per_cycle=8", "ddr.bytes_per_cycle = 8 is not legal; legal values: a divisor of the weight word's 20 bytes "
                              "(mac_k * mac_n codes and their scales)"),
    ("link.beat_bytes=24", "link.beat_bytes = 24 is not legal; legal values: 1 to 20 (a slot delivers one weight word of so "
                           "many bytes per cycle)"),
])
def test_messages(override, message):
    """To the letter."""
    with pytest.raises(ConfigError) as error:
        load("smoke", [override])
    assert str(error.value) == message


def test_a_bias_that_comes_too_early_is_refused():
    """The message counts the words of a group; one word more, and it is accepted."""
    with pytest.raises(ConfigError, match=r"layer\.bias = True is not legal; .*: false with d_model / mac_k = 2 words \("):
        load("smoke", ["layer.bias=true", "layer.d_model=8"])
    assert load("smoke", ["layer.bias=true", "layer.d_model=9"]).gate_up_chunks == 3
    with pytest.raises(ConfigError, match=r"takes 4 words\)"):
        load("smoke", ["layer.bias=true", "layer.d_model=9", "tile.register_products=true"])
    assert load("smoke", ["layer.bias=true", "layer.d_model=13", "tile.register_products=true"]).gate_up_chunks == 4


def test_fields_with_defaults_may_be_missing():
    """A file without the link layer's fields means none; without those of the numbers it means int8 codes, SiLU, no bias."""
    values = {name: dict(table) for name, table in load("smoke").as_dict.items() if isinstance(table, dict)}
    for section, field in (("link", "crc_bits"), ("link", "retries"), ("layer", "activation"), ("layer", "bias"),
                           ("tile", "weights"), ("tile", "scale_mantissa")):
        values[section].pop(field)
    config = from_dict(values, "smoke")
    assert config == load("smoke") and config.link.crc_bits == 0
    assert (config.layer.activation, config.layer.bias) == ("silu", False)
    assert (config.tile.weights, config.tile.scale_mantissa) == ("mx8", 0)


def test_the_io_section_may_be_missing():
    """Then the port is as wide as a DDR channel of the paper; other sections must be there."""
    values = {name: dict(table) for name, table in load("smoke").as_dict.items() if isinstance(table, dict)}
    values.pop("io")
    values["array"] |= {"dataflows": "spread"}  # its beats are wider than the flits of smoke
    config = from_dict(values)
    assert config.io == IoConfig() and (config.io.bytes_per_cycle, config.io.latency_cycles) == (32, 80)
    assert config.tile.batches == 1
    assert load("paper").io == IoConfig()


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
    """2,048 MACs, 32 B of DDR a cycle, 360 B of link a cycle, 12 slots (arXiv 2603.27624); slices of a block of columns."""
    config = load("paper")
    assert config.tile.macs == 2048 and config.ddr.bytes_per_cycle == 32 and config.link.beat_bytes == 360
    assert (config.tile.slices, config.tile.slots, config.array.tiles) == (24, 12, 4)
    assert config.slice_ff == config.tile.mac_k == config.tile.word_inputs == 32


def test_sizes_by_hand():
    """Smoke: slices of 6 columns, words of 4 x 4 codes and 4 scales, d_model 12."""
    config = load("smoke")
    assert (config.slice_ff, config.gate_up_chunks, config.gate_up_groups) == (6, 3, 3)
    assert (config.down_chunks, config.down_groups, config.pass_words) == (2, 3, 15)
    assert (config.tile.word_bytes, config.parameter_words, config.slice_words) == (20, 1, 16)
    # parameters of 10 bytes take 5 beats of the first word's 10
    assert (config.word_beats, config.parameter_beats, config.slice_beats, config.slice_bytes) == (10, 5, 155, 310)
    # 216 codes; scales of 12 outputs of gate and up, and of 12 of down
    assert config.slice_weight_bytes == 216 + 12 + 12
    # bursts of at most 256 beats of 2 bytes
    assert (config.slice_bursts, config.slice_pitch_bytes, config.channel_slices) == (1, 512, 9)
    # three flits a word, the last of 4 bytes; parameters take two
    assert (config.word_flits, config.flit_bytes, config.lane_bytes) == (3, 8, 2)
    assert (config.parameter_flits, config.slice_flits, config.token_capacity) == (2, 2 + 45, 12)
    assert config.home(1, 1) == (0, 2) and config.home(1, 2) == (1, 2)


def test_records_and_results_by_hand():
    """Smoke, beats of 4 bytes: a head of exponent and two choices; a beat of shifts, 12 codes; 12 results, clips and unit."""
    config = load("smoke")
    assert (config.head_bytes, config.shift_bytes, config.row_bytes, config.record_bytes) == (12, 4, 16, 28)
    assert config.records_bytes(6) == 168
    assert (config.group_bytes(4), config.result_bytes(4), config.result_bytes(2)) == (16, 52, 28)
    assert (config.completion_bytes, config.results_bytes(6, 4), config.results_bytes(0, 2)) == (64, 376, 64)
    assert (config.count_bits, config.count_words) == (2, 2)  # up to 3 passes; 6 experts
    assert (config.io.burst_beats, load("paper").io.burst_beats) == (256, 128)


def test_records_of_a_model():
    """Qwen3-30B-A3B, beats of 32 bytes: 64 blocks take 16 bytes of shifts; 2,048 codes; groups of 64 results are 8 beats."""
    config = load("qwen3-30b-a3b")
    assert (config.head_bytes, config.shift_bytes, config.row_bytes) == (64, 32, 2080)
    assert (config.result_bytes(4), config.result_bytes(2)) == (8224, 4128)
    assert config.records_bytes(256) == 256 * 2144 and config.results_bytes(256, 4) == 64 + 256 * 8224
    assert (config.count_bits, config.count_words) == (9, 32)


def test_a_wide_port_pads():
    """Beats of 128 bytes: everything is whole ones."""
    config = load("smoke", ["array.dataflows=spread", "io.bytes_per_cycle=128", "tile.mac_n=6"])
    assert (config.head_bytes, config.row_bytes, config.completion_bytes) == (128, 256, 128)
    assert (config.group_bytes(4), config.result_bytes(4)) == (128, 2 * 128 + 128)
    assert config.io.burst_beats == 32


@pytest.mark.parametrize(("changes", "inputs", "scales", "word"), [
    ([], 4, 1, 4 * (4 + 1)), (["tile.weights=mxfp4"], 4, 1, 4 * (2 + 1)), (["tile.weights=int4"], 4, 1, 4 * (2 + 1)),
    (["tile.mac_k=2", "tile.weights=int4"], 2, 1, 4 * (1 + 1)), (["tile.mac_k=32", "tile.mac_n=2"], 32, 1, 2 * (32 + 1)),
    (["tile.mac_k=64", "tile.mac_n=2"], 32, 2, 2 * (64 + 2)),
    (["tile.mac_k=64", "tile.mac_n=2", "tile.weights=mxfp4", "tile.scale_mantissa=3"], 32, 2, 2 * (32 + 2))])
def test_words(changes, inputs, scales, word):
    """Codes of 8 or 4 bits, and a byte of scale for each output and 32 inputs, or for the inputs of a smaller word."""
    tile = load("smoke", changes).tile
    assert (tile.word_inputs, tile.word_scales, tile.word_bytes) == (inputs, scales, word)


def test_parameters_of_several_words():
    """Words of 4 bytes: 10 bytes of parameters take three of them, whole beats and flits, rest and all."""
    config = load("smoke", ["tile.mac_k=2", "tile.mac_n=2", "tile.weights=mxfp4", "link.beat_bytes=3",
                            "array.dataflows=spread"])
    assert (config.tile.word_bytes, config.parameter_words, config.slice_words) == (4, 3, 3 + config.pass_words)
    assert (config.word_beats, config.parameter_beats, config.word_flits, config.parameter_flits) == (2, 6, 2, 6)
    assert config.slice_beats == 2 * config.slice_words and config.slice_flits == 2 * config.slice_words


def test_biases_are_a_word_of_each_group():
    """Three groups of gate and up in a slice of smoke."""
    plain, bias = load("smoke"), load("smoke", ["layer.bias=true"])
    assert (plain.gate_up_group_words, bias.gate_up_group_words) == (3, 4)
    assert bias.pass_words == plain.pass_words + 3 and bias.slice_weight_bytes == plain.slice_weight_bytes


@pytest.mark.parametrize(("changes", "largest"), [
    ([], 12 * 127 * 127 << 10), (["tile.scale_mantissa=3"], 12 * 127 * 127 * 15 << 10),
    (["tile.weights=mxfp4"], 12 * 127 * 12 << 10), (["tile.weights=int4", "tile.scale_mantissa=3"], 12 * 127 * 8 * 15 << 10),
    (["layer.d_ff=300"], 100 * 127 * 127 << 7),  # slices of more than 8 times as many columns as a token has inputs
    (["layer.d_model=16384", "layer.d_ff=65536", "tile.slices=1", "tile.scale_mantissa=3"], 16384 * 127 * 127 * 15 << 10)])
def test_sums_fit(changes, largest):
    """The largest sum fits the accumulator, and no smaller one would do. No layer needs more than 43 bits.

    Weights are shifted by up to 7, activations by up to 3 more, hidden values not.
    """
    bits = load("smoke", changes).sum_bits
    assert 2 ** (bits - 2) <= largest < 2 ** (bits - 1) and bits <= 43


@pytest.mark.parametrize(("top_k", "slices"), [(1, 1), (1, 3), (2, 1), (2, 3), (3, 6), (6, 18)])
def test_terms_fit(top_k, slices):
    """As many terms as a result can have do not overflow int32."""
    bits = load("smoke", [f"layer.top_k={top_k}", f"tile.slices={slices}"]).term_bits
    assert top_k * slices * (2**bits - 1) < 2**31 <= top_k * slices * 2**(bits + 1)
