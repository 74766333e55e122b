"""Configurations and overrides: every file is accepted or refused with its name and the field's."""

import json
import re

import numpy as np
import pytest
from hypothesis import strategies as st

from tests.support.configurations import minimal_configs, random_config
from tests.support.fuzzing import cases, fuzz, mutated, run, weighted
from trajectile.sw_model.config import ConfigError, load
from trajectile.sw_model.config.sections import ACTIVATIONS, BLOCK_INPUTS, MULTIPLIERS, PROTECTIONS, WEIGHTS
from trajectile.sw_model.gates.workloads import synthetic_gate
from trajectile.sw_model.schedule.scheduler import schedule
from trajectile.sw_model.timeline.model import simulate

FIELDS = {name: table for name, table in load("smoke").as_dict.items() if isinstance(table, dict)}
SECTIONS = list(FIELDS)
NAMES = [f"{section}.{key}" for section, table in FIELDS.items() for key in table]
TEXT = "".join(f"[{name}]\n" + "".join(f"{key} = {json.dumps(list(value) if isinstance(value, tuple) else value)}\n"
                                       for key, value in table.items()) for name, table in FIELDS.items())

#: TOML of every kind of value; some is none
plausible = st.sampled_from([1, 2, 3, 4, 6, 8, 12, 16, 18, 32, 64]).map(str)
odd = st.one_of(
    st.integers(-2, 40).map(str), st.integers().map(str),
    st.sampled_from([str(10**30), "0x" + "f" * 4000, "1e400", "-0", "+5", "0b11", "1_000", "4.0", "nan", "inf"]),
    st.sampled_from(["[]", "[0]", "[0, 1]", "[1, 0]", "[0, 0]", "[0.0]", "[[0]]", "{}", "{a = 1}", "true", "", "=", "#"]),
    st.sampled_from(['""', '"4"', "'''4\n'''", "2026-01-01", "12:00:00", '"\\u0000"', '"\\n"', '"none"', '"parity"']),
    st.sampled_from(['"mx8"', '"mxfp4"', '"int4"', '"int8"', '"silu"', '"gelu"', '"gelu_tanh"', '"quick_gelu"', "false"]),
    st.sampled_from(["9" * 4400, "[" * 50 + "]" * 50, "[" * 3000 + "]" * 3000, '"' + "x" * 5000 + '"']),
    plausible.map("{}.0".format),
    st.floats().map(repr), st.text(max_size=8).map(json.dumps), st.text(max_size=8))
values = weighted((1, plausible), (1, odd))


@st.composite
def edited(draw):
    """The smoke configuration with a few lines changed, left out, doubled, renamed or added."""
    lines = TEXT.splitlines()
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3]))):
        place = draw(st.integers(0, len(lines) - 1))
        key = lines[place].partition(" =")[0]
        others = ["float", "float", "remove", "double", "rename", "section", "add", "nest"]
        kind = draw(st.sampled_from(["value"] * 9 + others))
        if kind == "float":
            lines[place] += ".0"
        elif kind == "value" and not key.startswith("["):
            lines[place] = f"{key} = {draw(values)}"
        elif kind == "remove" and len(lines) > 1:
            del lines[place]
        elif kind == "double":
            lines.insert(place, lines[place])
        elif kind == "rename":
            name = draw(st.sampled_from(["slots", "x", "layer", '"a.b"', '"\\n"', "a.b", "é"]))
            lines[place] = lines[place].replace(key, name)
        elif kind == "section":
            headers = ["[layer]", "[x]", "[[tile]]", "[tile.x]", "[]", "[", "tile = 3", "ddr = {}"]
            lines.insert(place, draw(st.sampled_from(headers)))
        elif kind == "add":
            lines.insert(place, draw(st.text(max_size=12)))
        else:
            lines.insert(place, f"[{'.'.join(['a'] * draw(st.sampled_from([2, 30, 1500])))}]")
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def small(config):
    """Whether a batch of it is played in no time."""
    return config.layer.experts <= 32 and config.slice_words < 10**6 and config.tile.slices <= 32 and config.tile.slots <= 64


@cases(400, 3000)
@pytest.mark.timeout(800)
def test_files(tmp_path, number, request):
    """Edited in structure, spoilt in bytes, or anything at all."""
    path = tmp_path / "my.toml"

    def check(content):
        path.write_bytes(content)
        code, text = run(["buffer", str(path), "--tokens", "0"])
        assert code == 2
        if "--tokens = 0" in text:  # what the command refuses once the configuration is accepted
            config = load(path)
            for name in dir(type(config)):
                getattr(config, name)
            for field in NAMES:
                section, _, key = field.partition(".")
                assert type(getattr(getattr(config, section), key)) is type(FIELDS[section][key]), field
            if small(config):
                gate = synthetic_gate(config.layer.experts, config.layer.top_k, 1, 0.2, np.random.default_rng(1))
                assert simulate(schedule(config, gate.topk_ids, "balanced"), record=False).cycles > 0
            return True
        place = re.match(r"trajectile buffer: .*my\.toml(?::(\d+))?: (\S+) = ", text)
        assert place, text
        assert place[1] is None or 1 <= int(place[1]) <= content.count(b"\n") + 1
        # a field that the file has is shown with its line
        if place[2] in NAMES and " = None " not in text and f"[{place[2].partition('.')[0]}]\n".encode() in content:
            assert place[1], text
        return False

    everything = weighted((6, edited()), (2, mutated(TEXT.encode())), (1, st.binary(max_size=60)))
    fuzz(number, request, everything, check)


@cases(200, 1500)
@pytest.mark.timeout(400)
def test_overrides(number, request):
    """``--set`` with any field and value."""
    def check(texts):
        arguments = [argument for text in texts for argument in ("--set", text)]
        code, text = run(["buffer", "smoke", *arguments, "--tokens", "0"])
        assert code == 2
        if "--tokens = 0" in text or text.startswith("usage: "):
            return True
        assert re.match(r"trajectile buffer: (\S*configs/smoke.toml:\d+: )?\S.* = ", text), text
        return False

    fields = st.sampled_from(NAMES * 4 + ["layer", "tile.", ".x", "x.y", "tile.a.b", "tile.é"]) | st.text(max_size=8)
    signs = st.sampled_from(["="] * 6 + ["", " = "])
    one = st.tuples(fields, signs, values).map("".join).filter(lambda text: "\0" not in text)
    fuzz(number, request, st.lists(one, min_size=1, max_size=2), check)


def test_what_is_accepted_can_be_loaded_again():
    """The text above is the smoke preset's."""
    with pytest.raises(ConfigError):
        load("smoke", ["tile.slots=1"])
    assert run(["buffer", "smoke", "--tokens", "0"])[1].count("--tokens = 0") == 1


def test_what_is_drawn_for_simulations():
    """Every value of the fields with few; words of less and more than a block, parameters of several words."""
    drawn = [random_config(seed) for seed in range(150)]
    for section, field, legal in (("layer", "activation", ACTIVATIONS), ("layer", "bias", (False, True)),
                                  ("tile", "weights", WEIGHTS), ("tile", "scale_mantissa", (0, 3)),
                                  ("tile", "protect", PROTECTIONS), ("tile", "multiplier", MULTIPLIERS),
                                  ("tile", "mac_k", (2, 4, 8, 16, 32, 64))):
        assert {getattr(getattr(config, section), field) for config in drawn} == set(legal), field
    assert {config.tile.word_scales for config in drawn} == {1, 2} and {config.parameter_words for config in drawn} >= {1, 2}
    assert max(config.layer.d_model for config in drawn) > 2 * BLOCK_INPUTS
    assert max(config.slice_ff for config in drawn) > BLOCK_INPUTS
    assert any(config.tile.mac_k < BLOCK_INPUTS < config.layer.d_model for config in drawn)  # scales repeat
    assert len({config.name for config in minimal_configs()}) == len(minimal_configs())
