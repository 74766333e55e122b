"""Where a key stands in a TOML file, and files that are none."""

import pytest

from trajectile.sw_model.config import ConfigError, load, toml_file
from trajectile.sw_model.config.toml_file import TomlError, lines_of, read

TEXT = '''# comment [layer]
title = """
[no.table]
x = 1
""" # after a text of several lines
[layer]
d_model = 3   # d_ff = 4
"d_ff" = 5
lists = [ # [tile]
  [1, 2],
  { a = 1 },
]

[ tile . "inner" ]
slots.first = 1
text = 'a = "b" #'
[[many]]
x = '\\'
[[many]]
y = { z = "]" }
'''
LINES = {("title",): 2, ("layer",): 6, ("layer", "d_model"): 7, ("layer", "d_ff"): 8, ("layer", "lists"): 9,
         ("tile", "inner"): 14, ("tile", "inner", "slots", "first"): 15, ("tile", "inner", "text"): 16, ("many",): 17,
         ("many", "x"): 18, ("many", "y"): 20}


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lines(tmp_path, end):
    """Tables, keys, strings and lists over several lines."""
    path = tmp_path / "a.toml"
    path.write_bytes(TEXT.replace("\n", end).encode())
    file = read(path)
    assert file.lines == LINES == lines_of(TEXT) and file.values["layer"]["d_ff"] == 5
    assert file.line_of("layer.d_ff") == 8 and file.line_of("layer.none") == 6 and file.line_of("none.none") is None


@pytest.mark.parametrize(("content", "line", "named"), [
    (b"a = 1\nb = \n", 2, "Invalid value"),
    (b"[a]\n[a]\n", 2, "twice"),
    (b"a = 1\na = 2\n", 2, "overwrite"),
    (b"a = [1,\n2", 2, "nclosed"),
    (b"a = 1\n\nb = '\xff'", 3, "not UTF-8"),
    pytest.param(b"a = " + b"9" * 5000, None, "too long", id="digits"),
    pytest.param(b"a = " + b"[" * 5000, None, "too deeply", id="brackets"),
])
def test_not_toml(tmp_path, content, line, named):
    """The line, where there is one."""
    path = tmp_path / "a.toml"
    path.write_bytes(content)
    with pytest.raises(TomlError, match=named) as error:
        read(path)
    assert error.value.line == line


def test_files_that_cannot_be_read(tmp_path, monkeypatch):
    """No file, a folder, a file without end."""
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(TomlError):
            read(path)
    monkeypatch.setattr(toml_file, "MAX_BYTES", 10)
    (tmp_path / "a.toml").write_text("a = 1\n" * 3)
    with pytest.raises(TomlError, match="longer than 10 bytes"):
        read(tmp_path / "a.toml")


SMOKE = """[layer]
d_model = 12
d_ff = 18
experts = 6
top_k = 2
[array]
rows = 1
cols = 2
ddr_tiles = [0, 1]
[tile]
mac_k = 4
mac_n = 4
mac_t = 2
slices = 3
slots = 3
tokens = 6
[link]
beat_bytes = 8
latency_cycles = 2
[ddr]
bytes_per_cycle = 2
latency_cycles = 10
"""


@pytest.mark.parametrize(("change", "overrides", "message"), [
    (("slots = 3", "slots = 1"), [], "my.toml:15: tile.slots = 1 is not legal"),
    (("slots = 3\n", ""), [], "my.toml:10: tile.slots = None is not legal"),  # the section that lacks it
    (("slots = 3", "depth = 3"), [], "my.toml:15: tile.depth = 3 is not legal"),
    (("[ddr]", "[dram]"), [], "my.toml:20: dram = {"),
    (("[ddr]\nbytes_per_cycle = 2\nlatency_cycles = 10\n", ""), [], "my.toml: ddr = None"),
    (("slots = 3", "slots = "), [], "my.toml:15: CONFIG = "),
    (("slots = 3", "slots = 1"), ["tile.slots=3"], ""),
    (("", ""), ["layer.d_ff=19"], "my.toml:14: tile.slices = 3 is not legal"),  # the file's field, made illegal
    (("", ""), ["tile.slots=1"], "tile.slots = 1 is not legal"),  # not from the file
    (("mac_n = 4", "mac_n = 4.0"), [], "my.toml:12: tile.mac_n = 4.0 is not legal"),  # equal to a legal integer, but none
    pytest.param(("slots = 3", "slots = 0x" + "f" * 9000), [], "my.toml:15: tile.slots = <int, too long to show>", id="hex"),
    pytest.param(("slots = 3", 'slots = "' + "x" * 9000 + '"'), [], "my.toml:15: tile.slots = 'xxx", id="string"),
    (("slots = 3", '"a\\nb" = 3'), [], "my.toml:10: 'tile.a\\nb' = 3 is not legal"),
])
def test_configuration_errors_have_a_line(tmp_path, monkeypatch, change, overrides, message):
    """File and line, if the value is from the file; one line of text, whatever it is."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.toml").write_text(SMOKE.replace(*change) if change[0] else SMOKE)
    if not message:
        assert load("my.toml", overrides).tile.slots == 3
        return
    with pytest.raises(ConfigError) as error:
        load("my.toml", overrides)
    assert str(error.value).startswith(message) and len(str(error.value)) < 500 and "\n" not in str(error.value)


@pytest.mark.parametrize("override", [
    "tile.slots=3\n[x]", "tile.slots=3\nmac_k=4", "tile.slots=3 # x\n", "tile.a.b=3", "tile.=3", ".=3", "=", "tile.slots=nan",
    "tile.slots={a=1}", "tile.slots=[[[]]]", pytest.param("tile.slots=" + "9" * 5000, id="digits"),
    pytest.param("tile.slots=" + "[" * 5000, id="brackets"), pytest.param("tile.slots=0x" + "f" * 9000, id="hex")])
def test_overrides_that_are_none(override):
    """One line that names field or option."""
    with pytest.raises(ConfigError) as error:
        load("smoke", [override])
    assert "\n" not in str(error.value) and ("tile." in str(error.value) or "--set" in str(error.value))


def test_a_name_fits_a_comment(tmp_path):
    """A file's name ends in generated Verilog and C, so nothing in it may end a comment there."""
    for name, expected in (("a\nmodule x", "a_module_x"), ("a *", "a_"), ("qwen1.5-moe-a2.7b", "qwen1.5-moe-a2.7b")):
        (tmp_path / f"{name}.toml").write_text(SMOKE)
        assert load(tmp_path / f"{name}.toml").name == expected


@pytest.mark.parametrize("source", ["a" * 300, "a\0b", "", "smoke/x"])
def test_names_that_no_file_has(source):
    """Refused like every file that is not there."""
    with pytest.raises(ConfigError, match="CONFIG = "):
        load(source)
