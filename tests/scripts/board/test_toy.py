"""The toy model in the firmware: its integers write what NumPy writes; a text by UART through the whole system."""

import json

import pytest

from tests.support.native_firmware import NativeFirmware
from tests.support.tools import require_soc
from trajectile.scripts import cli
from trajectile.scripts.board import layout, toy
from trajectile.scripts.flow.speakers import toy_speaker
from trajectile.sw_model.config import load

CONFIG = load("board")


@pytest.fixture(scope="module")
def native(tmp_path_factory):
    """The firmware on this machine."""
    return NativeFirmware(CONFIG, toy_speaker().layers(CONFIG), tmp_path_factory.mktemp("firmware"))


@pytest.mark.parametrize(("prompt", "length"), [(b"import ", 12), (b"    def __init__(self, name):\n", 24), (b"x", 5),
                                                pytest.param(b"class Reader:\n    def read(self", 97,
                                                             marks=pytest.mark.regress)])
def test_integers(native, prompt, length):
    """The same bytes as with attention, norms, gate and output matrix in float32."""
    done = toy.write_text(native, CONFIG, prompt, length)
    assert done.wrong == [], done.said
    assert len(done.text) == length


def test_a_difference_is_seen(native):
    """Another text than NumPy's, results that are not the golden model's, and records that are wrong."""
    prompt = b"import "
    assert toy.write_text(native, CONFIG, prompt, 2).wrong == []
    model, layers = toy.load()[0], toy_speaker().layers(CONFIG)
    right = native.layers
    native.layers = layers[::-1]
    try:
        wrong = toy.write_text(native, CONFIG, prompt, 1).wrong
    finally:
        native.layers = right
    assert len([line for line in wrong if "64 of 64 results differ" in line]) == 2 * len(prompt), wrong
    blob = toy.packed(CONFIG, model)
    native.load(layout.MODEL, b"\0" + blob[1:])
    assert native.command(b"t 1 1\nx") == "no model, no text, or too long a text\nfailed\n"
    native.load(layout.MODEL, blob)
    assert native.command(b"t 80 2\nxx").endswith("failed\n") and native.command(b"t 1 0\n").endswith("failed\n")


@pytest.mark.parametrize(("arguments", "message"), [
    (["board", "--prompt", "x"], "--prompt is not legal without --simulate or --port"),
    (["board", "--simulate", "--prompt", ""], "--prompt = '' is not legal"),
    (["board", "--simulate", "--prompt", "x", "--bf16"], "--bf16 = True is not legal with --prompt"),
    (["board", "--simulate", "--prompt", "x", "--tokens", "3"], "--tokens = 3 is not legal with --prompt"),
    (["board", "--simulate", "--prompt", "x", "--bytes", "129"], "--bytes = 129 is not legal after a prompt of 1 bytes"),
    (["board", "--set", "layer.top_k=4", "--simulate", "--prompt", "x"], "top 4 is not legal for a text; legal: the toy"),
    (["board", "--set", "array.cols=3", "--set", "array.ddr_tiles=0,1", "--simulate", "--prompt", "x"],
     "3 tiles is not legal"),
    (["board", "--simulate", "--dataflow", "shared"], "--dataflow = shared is not legal with array.dataflows = spread")])
def test_arguments(arguments, message, capsys):
    """What cannot be is said before anything is built."""
    assert cli.main(["soc", *arguments]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.regress
@pytest.mark.timeout(3600)
def test_text_by_uart(tmp_path, monkeypatch):
    """Bytes of the toy model come out of the UART: CPU, firmware, LiteDRAM and array in Verilator, some 3 million cycles."""
    require_soc()
    path = tmp_path / "text.json"
    assert cli.main(["soc", "board", "--simulate", "--prompt", "if", "--bytes", "2", "--json", str(path)]) == 0
    values = json.loads(path.read_text())
    assert len(values["text"]) == 2 and values["text"] == values["numpy"] and values["batches"] == 6 == len(values["cycles"])
    assert sum(values["cycles"]) < values["text_cycles"] < values["simulated_cycles"]
