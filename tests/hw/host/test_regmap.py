"""The register map, and the page and the C header made from it."""

import re
import shutil
import subprocess

import pytest

from tests.support.configurations import small
from trajectile.hw.batch.layouts import COMPLETION_LAYOUT, Order
from trajectile.hw.host.axi import HOST_ADDRESS_BITS
from trajectile.hw.host.regmap import RegisterMap
from trajectile.hw.params import Params
from trajectile.scripts.soc.register_map import PREFIX, c_header, completion_fields, constants, markdown
from trajectile.sw_model.config import load, presets

#: every preset with and without payload, and one with all that is optional
BUILDS = [*(pytest.param(config, timing_only, id=f"{config.name}-{timing_only}")
            for config in map(load, presets()) for timing_only in (False, True)),
          pytest.param(load("smoke", ["link.crc_bits=16", "tile.protect=secded"]), False, id="all")]


@pytest.mark.parametrize(("config", "timing_only"), BUILDS)
def test_map_is_consistent(config, timing_only):
    """Offsets are words of their own, fields do not overlap, resets are legal."""
    params = Params(config, timing_only=timing_only)
    regmap = RegisterMap(params)
    offsets = [r.offset for r in regmap.registers]
    assert offsets == sorted(set(offsets)) and all(o % 4 == 0 and o < 1 << HOST_ADDRESS_BITS for o in offsets)
    assert len({r.name for r in regmap.registers}) == len(offsets)
    for register in regmap.registers:
        assert sum(f.mask for f in register.fields) < 1 << 32
        assert sum(f.mask.bit_count() for f in register.fields) == register.mask.bit_count()
        for field in register.fields:
            assert field.minimum <= field.reset <= field.largest < 1 << field.width
            assert field.width > 0 and field.meaning


def test_largest_arrays_fit():
    """Sixteen tiles of the widest kinds still have legal resets and free offsets."""
    regmap = RegisterMap(Params(small(array__rows=4, array__cols=4, array__ddr_tiles=(0, 15))))
    assert regmap["ROUTE_1"].field("TILE_15").low == 28
    assert regmap["ROUTE_1"].offset < regmap["BATCH_LAYER"].offset


@pytest.mark.parametrize(("config", "timing_only"), BUILDS)
def test_page_names_everything(config, timing_only):
    """Every register, field, and field of a completion record is on the page with its place."""
    regmap = RegisterMap(params := Params(config, timing_only=timing_only))
    page = markdown(params)
    for register in regmap.registers:
        assert f"| 0x{register.offset:03X} | {register.name} | " in page
        for field in register.fields:
            assert field.width == 32 or f"| {register.name} | {field.name} | " in page
    record = page.split("## Completion record", 1)[1]
    for name, word, low, width in completion_fields():
        assert f"| {word} | {low + width - 1}:{low} | {name} |" in record or f"| {word} | {low} | {name} |" in record


def test_completion_fields_cover_the_record():
    """No two overlap; what none has is named as zero, or is the first word again."""
    covered = 0
    for _, word, low, width in completion_fields():
        bits = ((1 << width) - 1) << 32 * word + low
        assert not covered & bits
        covered |= bits
    for name, field in COMPLETION_LAYOUT:
        bits = ((1 << field.width) - 1) << field.offset
        assert covered & bits == (0 if name.startswith("zero") else bits), name
    assert COMPLETION_LAYOUT.size == 512 and COMPLETION_LAYOUT["again"].offset == 480


@pytest.mark.parametrize(("config", "timing_only"), BUILDS)
def test_c_header_compiles_and_agrees(config, timing_only, tmp_path):
    """A C program that includes the header prints the description's own numbers."""
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("no gcc")
    params = Params(config, timing_only=timing_only)
    regmap, names = RegisterMap(params), list(constants(params))
    assert all(re.fullmatch(r"[A-Z][A-Z0-9_]*", name) for name in names)
    (tmp_path / "trajectile.h").write_text(c_header(params))
    prints = "\n".join(f'printf("{name} %u\\n", {PREFIX}{name});' for name in names)
    source = tmp_path / "main.c"
    source.write_text(f'#include "trajectile.h"\n#include "trajectile.h"\n#include <stdio.h>\n'
                      f"int main(void) {{\n{prints}\nreturn 0;\n}}\n")
    subprocess.run([compiler, "-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", source, "-o", tmp_path / "main"],
                   check=True)
    output = subprocess.run([tmp_path / "main"], check=True, capture_output=True, text=True).stdout
    values = {name: int(value) for name, value in (line.split() for line in output.splitlines())}
    assert set(values) == set(names)
    for register in regmap.registers:
        assert values[f"{register.name}_OFFSET"] == register.offset
        for field in register.fields:
            stem = f"{register.name}_{field.name}"
            assert values[f"{stem}_MASK"] == ((1 << field.width) - 1) << values[f"{stem}_SHIFT"] == field.mask
            assert values[f"{stem}_RESET"] == field.reset
    for order in Order:
        assert values[f"ORDER_{order.name}"] == order.value
    for name, word, low, _ in completion_fields():
        assert values[f"COMPLETION_{name.upper()}_WORD"] == word and values[f"COMPLETION_{name.upper()}_SHIFT"] == low
