"""The chat command: the same text with and without Verilog, prompts longer than a batch or the context, wrong input."""

import json

import numpy as np
import pytest

from tests.support.small_smollm2 import BLOCKS, OVERRIDES, VOCABULARY, SmallTokenizer, small_model
from trajectile.scripts.cli import main
from trajectile.scripts.flow import chat, smollm2
from trajectile.scripts.flow.speakers import speaker_of, toy_speaker
from trajectile.sw_model.config import load


def said(tmp_path, *arguments):
    """What the command answers."""
    path = tmp_path / "chat.json"
    assert main(["chat", *arguments, "--json", str(path)]) == 0
    return json.loads(path.read_text())


#: more than the toy model sees at once, and more than a batch
LONG_PROMPT = ("class Reader:\n    def __init__(self, path):\n        self.path = path\n" * 4)[:256]


@pytest.mark.parametrize(("prompt", "sequences", "length", "batches"), [("import ", 8, 2, 2 * 2), (LONG_PROMPT, 1, 2, 2 * 3)],
                         ids=["decode of 8 sequences", "prefill of 256 tokens"])
def test_text_through_the_verilog(prompt, sequences, length, batches, tmp_path, capsys):
    """A prompt and some bytes: every layer equal to the golden model, and the text that this writes alone."""
    arguments = ["--prompt", prompt, "--bytes", str(length), "--sequences", str(sequences), "--seed", "3"]
    rtl = said(tmp_path, *arguments)
    assert "every layer are the golden model's" in capsys.readouterr().out
    model = said(tmp_path, *arguments, "--model-only")
    assert rtl["equal"] and rtl["rtl"] and not model["rtl"]
    same = ("text", "texts", "float32", "tokens", "batches", "cycles", "roofline_cycles", "cycles_per_token")
    assert [rtl[key] for key in same] == [model[key] for key in same]
    assert rtl["tokens"] == sequences * length and rtl["batches"] == batches
    assert len(set(rtl["texts"])) > 1 or sequences == 1


def test_a_difference_is_seen(tmp_path, monkeypatch, capsys):
    """Weights that are not those of the golden model."""
    built = chat.LiveArray

    def wrong(config, files, layers, folder):
        return built(config, files, layers[::-1], folder)
    monkeypatch.setattr(chat, "LiveArray", wrong)
    assert main(["chat", "--prompt", "if", "--bytes", "1"]) == 1
    assert "NOT EQUAL" in capsys.readouterr().out


def test_texts_beside_each_other(tmp_path):
    """Eight texts leave room for smaller pieces of a prompt; each is what it is alone."""
    one = said(tmp_path, "--prompt", LONG_PROMPT[:64], "--bytes", "2", "--model-only")
    assert one["tokens"] == 2 and one["batches"] == 2 * (1 + 1)
    many = said(tmp_path, "--prompt", LONG_PROMPT[:64], "--bytes", "2", "--sequences", "8", "--model-only")
    assert many["texts"][0] == one["text"] and len(many["texts"]) == 8 and many["batches"] == 2 * (2 + 1)


def test_shared_batches(tmp_path):
    """A prompt that fits the array and no tile is read in smaller pieces; the text is the same."""
    spread, shared = (said(tmp_path, "--prompt", "x = 1\n" * 20, "--bytes", "2", "--model-only", "--dataflow", dataflow)
                      for dataflow in ("spread", "shared"))
    assert spread["text"] == shared["text"] and (spread["batches"], shared["batches"]) == (2 * 2, 2 * 3)


def test_pieces():
    """Logits after a prompt do not depend on how it is cut."""
    speaker = toy_speaker()
    prompt = speaker.encoded("def read(self):\n        return ")
    texts = [np.stack(list(chat.continued(speaker, speaker.exact, prompt, length=8, sequences=1, temperature=0, seed=1,
                                          capacity=capacity))).tolist() for capacity in (4, 100)]
    assert texts[0] == texts[1]


@pytest.fixture(name="smollm2_installed")
def small_smollm2(monkeypatch):
    """A small model of SmolLM2's kind; arguments of a configuration of its shape."""
    model = small_model()
    monkeypatch.setattr(smollm2, "load", lambda: model)
    monkeypatch.setattr(smollm2, "tokenizer", lambda _: SmallTokenizer)
    monkeypatch.setattr(smollm2, "CALIBRATED", 32)
    return ["demo", *(word for override in OVERRIDES for word in ("--set", override))]


def test_a_dense_model(smollm2_installed, tmp_path):
    """An MLP is one expert: a batch for each block and step, and a long prompt in pieces that the tiles hold."""
    size = [*smollm2_installed, "--model-only", "--tokens", "5", "--sequences", "2"]
    short = said(tmp_path, *size)
    assert short["model"] == "SmolLM2-135M" and short["prompt"] == "The capital of France is"
    assert short["batches"] == BLOCKS * 5 and short["tokens"] == 10 and short["texts"][0] != short["texts"][1]
    assert said(tmp_path, *size, "--prompt", "a" * 300)["batches"] == BLOCKS * (3 + 4)


def test_a_cache_changes_nothing():
    """A text in pieces has the logits of the whole."""
    model, cache = small_model(), smollm2.Cache()
    ids = np.arange(22).reshape(2, 11) * 7 % VOCABULARY
    pieces = [model.following(ids[:, begin:end], model.exact, cache) for begin, end in ((0, 4), (4, 5), (5, 11))]
    whole = np.stack([model.logits(text, model.exact) for text in ids.tolist()])
    np.testing.assert_allclose(np.concatenate(pieces, axis=1), whole, rtol=1e-4, atol=1e-4)


@pytest.mark.regress
def test_a_dense_model_through_the_verilog(smollm2_installed, tmp_path):
    """All blocks, all steps: the golden model's tokens."""
    arguments = [*smollm2_installed, "--tokens", "6", "--temperature", "1"]
    rtl, model = said(tmp_path, *arguments), said(tmp_path, *arguments, "--model-only")
    assert rtl["equal"] and rtl["rtl"] and rtl["batches"] == BLOCKS * 6
    assert (rtl["text"], rtl["cycles"]) == (model["text"], model["cycles"])


def test_no_model_of_this_shape(smollm2_installed, monkeypatch, capsys):
    """Named, or what is to be installed."""
    assert main(["chat", "smollm2-135m", "--model-only"]) == 2
    assert "layer = 576 x 1536, 1 experts, top 1 is not legal" in capsys.readouterr().err
    monkeypatch.undo()
    monkeypatch.setattr(smollm2, "find_spec", lambda name: None)
    assert main(["chat", "smollm2-135m", "--model-only"]) == 3
    assert smollm2.INSTALL in capsys.readouterr().err


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
    assert speaker_of(load("demo")).layers(load("demo"))[0].d_model == 64
