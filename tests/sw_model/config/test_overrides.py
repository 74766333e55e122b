"""Values as people type them: integers, words, lists; and what is refused shows how they are written."""

import pytest

from trajectile.sw_model.config import ConfigError, load, parse_override, parse_variation


@pytest.mark.parametrize(("text", "expected"), [
    ("tile.slots=4", 4), ("tile.slots = 4", 4), (" tile . slots =4 ", 4), ("tile.slots=0x10", 16), ("tile.slots=1_024", 1024),
    ("tile.slots=+4", 4), ("tile.slots=-4", -4), ("tile.slots=3,4", [3, 4]), ("tile.protect=secded", "secded"),
    ("tile.protect='secded'", "secded"), ('tile.protect="secded"', "secded"), ("tile.slots=true", True),
    ("array.ddr_tiles=0,3,12,15", [0, 3, 12, 15]), ("array.ddr_tiles=0, 3", [0, 3]), ("array.ddr_tiles=[0,3]", [0, 3]),
    ("array.ddr_tiles=[ 0, 3, ]", [0, 3]), ("array.ddr_tiles=3", [3]), ("array.ddr_tiles=3,", [3]),
    ("array.ddr_tiles=[]", [])])
def test_set(text, expected):
    """One field, one value; a field of lists has a list of one too."""
    assert parse_override(text)[2] == expected


def test_a_list_is_applied():
    """With commas, with brackets, of one tile."""
    for text, tiles in (("0,1", (0, 1)), ("[0, 1]", (0, 1)), ("1", (1,))):
        assert load("smoke", [f"array.ddr_tiles={text}"]).array.ddr_tiles == tiles


@pytest.mark.parametrize("text", [
    "tile.slots=", "tile.slots=08", "tile.slots=4 5", "array.ddr_tiles=(0,1)", "array.ddr_tiles=0 1", "array.ddr_tiles=0,,1",
    "array.ddr_tiles=[0,1", "array.ddr_tiles=[0],[1", "tile.multiplier=shared,plain", "tile.slots=4,tile.mac_k=2"])
def test_set_that_is_refused(text):
    """The message shows each kind of value."""
    with pytest.raises(ConfigError) as error:
        parse_override(text)
    assert text.partition("=")[0] in str(error.value) and "(0,3,12 or [0,3,12])" in str(error.value)


@pytest.mark.parametrize(("text", "expected"), [
    ("tile.slots=3", [3]), ("tile.slots = 3, 4", [3, 4]), ("tile.slots=0x4,6", [4, 6]),
    ("tile.multiplier=plain,shared", ["plain", "shared"]), ("array.ddr_tiles=[0]", [[0]]),
    ("array.ddr_tiles=[0],[0, 3],[1,2,3]", [[0], [0, 3], [1, 2, 3]])])
def test_vary(text, expected):
    """Commas outside of brackets separate variants."""
    assert parse_variation(text) == (text.partition("=")[0].strip(), expected)


@pytest.mark.parametrize("text", [
    "", "tile.slots", "slots=3", "tile.slots=", "tile.slots=3,,4", "tile.slots=3,", "tile.slots=3 4",
    "array.ddr_tiles=[0],[1", "array.ddr_tiles=[0,[1]"])
def test_vary_that_is_refused(text):
    """By option or field."""
    with pytest.raises(ConfigError, match="is not legal"):
        parse_variation(text)


@pytest.mark.parametrize("text", ["array.ddr_tiles=0", "array.ddr_tiles=0,3", "array.ddr_tiles=[0],3"])
def test_lists_to_vary_stand_in_brackets(text):
    """Two tiles, or two variants of one?"""
    with pytest.raises(ConfigError, match=r"lists in brackets, as array\.ddr_tiles=\[0\],\[0,3\]"):
        parse_variation(text)
