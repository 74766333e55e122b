"""The chat command: the same text with and without Verilog, prompts longer than a batch or the context, wrong input."""

import json

import numpy as np
import pytest

from trajectile.scripts.cli import main
from trajectile.scripts.flow import chat
from trajectile.sw_model.config import load
from trajectile.sw_model.gates import toy_model


def said(tmp_path, *arguments):
    """What the command answers."""
    path = tmp_path / "chat.json"
    assert main(["chat", *arguments, "--json", str(path)]) == 0
    return json.loads(path.read_text())


def test_text_through_the_verilog(tmp_path, capsys):
    """A prompt and some bytes: every layer equal to the golden model, and the text that this writes alone."""
    arguments = ["--prompt", "import ", "--bytes", "6", "--sequences", "2", "--seed", "3"]
    rtl = said(tmp_path, *arguments)
    assert "every layer are the golden model's" in capsys.readouterr().out
    model = said(tmp_path, *arguments, "--model-only")
    assert rtl["equal"] and rtl["rtl"] and not model["rtl"]
    same = ("text", "texts", "float32", "tokens", "batches", "cycles", "roofline_cycles", "cycles_per_token")
    assert [rtl[key] for key in same] == [model[key] for key in same]
    assert rtl["tokens"] == 12 and rtl["batches"] == 2 * 6 and rtl["text"] != rtl["texts"][1]


def test_a_difference_is_seen(tmp_path, monkeypatch, capsys):
    """Weights that are not those of the golden model."""
    built = chat.LiveArray

    def wrong(config, files, layers, folder):
        return built(config, files, layers[::-1], folder)
    monkeypatch.setattr(chat, "LiveArray", wrong)
    assert main(["chat", "--prompt", "if", "--bytes", "1"]) == 1
    assert "NOT EQUAL" in capsys.readouterr().out


def test_long_prompts(tmp_path):
    """256 bytes, more than the model sees at once, and eight texts: a prompt in pieces gives what the whole gives."""
    prompt = "class Reader:\n    def __init__(self, path):\n        self.path = path\n" * 4
    one = said(tmp_path, "--prompt", prompt[:256], "--bytes", "3", "--model-only")
    assert one["tokens"] == 3 and one["batches"] == 2 * (2 + 2)
    many = said(tmp_path, "--prompt", prompt[:256], "--bytes", "3", "--sequences", "8", "--model-only")
    assert many["texts"][0] == one["text"] and len(many["texts"]) == 8


def test_shared_batches(tmp_path):
    """A prompt that fits the array and no tile is read in smaller pieces; the text is the same."""
    spread, shared = (said(tmp_path, "--prompt", "x = 1\n" * 20, "--bytes", "2", "--model-only", "--dataflow", dataflow)
                      for dataflow in ("spread", "shared"))
    assert spread["text"] == shared["text"] and (spread["batches"], shared["batches"]) == (2 * 2, 2 * 3)


def test_pieces():
    """Logits after a prompt do not depend on how it is cut."""
    model, _ = toy_model.load()
    prompt = np.frombuffer(b"def read(self):\n        return ", dtype=np.uint8)
    texts = [np.stack(list(chat.continued(model, model.exact, prompt, length=8, sequences=1, temperature=0, seed=1,
                                          capacity=capacity))).tolist() for capacity in (4, 100)]
    assert texts[0] == texts[1]


@pytest.mark.parametrize(("arguments", "names"), [
    (["--bytes", "0"], "--bytes = 0"), (["--sequences", "9"], "--sequences = 9"), (["--temperature", "-1"], "--temperature"),
    (["--prompt", ""], "--prompt"), (["smoke"], "layer = ")])
def test_wrong_input(arguments, names, capsys):
    """Named, with the legal values."""
    assert main(["chat", *arguments]) == 2
    message = capsys.readouterr().err
    assert names in message and "legal" in message


def test_the_demo_has_its_shape():
    """So both share a build."""
    assert chat.toy_layers(load("demo"), *toy_model.load())[0].d_model == 64
