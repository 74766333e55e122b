"""``trajectile import``: files, report, errors; and what it writes runs."""

import json

import numpy as np
import pytest

from tests.support import checkpoints
from tests.support.tools import require_icarus
from trajectile.scripts import cli
from trajectile.scripts.flow import imported, workload
from trajectile.sw_model.config import load
from trajectile.sw_model.numerics import image, layer_file
from trajectile.sw_model.numerics import integer as numerics


def made(tmp_path, naming="mixtral", *extra, dtype="BF16", router=True, config=True, shards=1, **shape):
    """Import a small layer for the smoke hardware; the layer, the folder and the report."""
    layer, gate = checkpoints.weights(dtype=dtype, **shape)
    table = checkpoints.tensors(naming, layer, gate if router else None, dtype=dtype)
    facts = {"num_experts_per_tok": 2} if config else None
    source = checkpoints.write(tmp_path / "model", table, shards=shards, config=facts)
    out = tmp_path / "out"
    assert cli.main(["import", str(source), "-o", str(out), "--config", "smoke", *extra]) == 0
    return layer, out, json.loads((out / "import.json").read_text())


@pytest.mark.parametrize("naming", checkpoints.NAMINGS)
def test_import(tmp_path, capsys, naming):
    """The layer in int8, its error, its slices in their channels, a configuration of its shape."""
    layer, out, report = made(tmp_path, naming, "--hex", shards=2)
    whole = numerics.quantise_layer(layer)
    saved = layer_file.load(out / "layer.safetensors")
    for name, tensor in vars(whole).items():
        np.testing.assert_array_equal(getattr(saved.layer, name), tensor)
    config = load(out / "layer.toml")
    smoke = load("smoke")
    assert (config.layer, config.tile, config.array, config.ddr) == (smoke.layer, smoke.tile, smoke.array, smoke.ddr)
    for channel in range(config.array.channels):
        content = np.fromfile(out / f"ddr{channel}.bin", dtype=np.uint8)
        np.testing.assert_array_equal(content, image.channel_image(config, whole, channel))
        words = (out / f"ddr{channel}.hex").read_text().split()
        assert bytes.fromhex(words[0])[::-1] == content[:config.ddr.bytes_per_cycle].tobytes()
    # every slice in the channel and row that architecture.md gives it
    for expert in range(6):
        for index in range(3):
            number = expert * 3 + index
            content = np.fromfile(out / f"ddr{number % 2}.bin", dtype=np.uint8)
            start = number // 2 * config.slice_pitch_bytes
            np.testing.assert_array_equal(content[start:start + config.slice_bytes],
                                          image.slice_words(config, whole, expert, index).ravel())
    assert report["shape"] == {"d_model": 12, "d_ff": 18, "experts": 6, "top_k": 2} and report["layer"] == 3
    assert set(report["files"]) == {path.name for path in out.iterdir()} - {"import.json"}
    assert len(report["left_out"]) == (3 if naming in ("qwen", "deepseek") else 0)
    shown = capsys.readouterr().out
    assert "cosine 0.99" in shown and f"--weights {out}/layer.safetensors" in shown


def test_the_error_is_measured(tmp_path):
    """Cosine and signal-to-noise ratio against float32, on the router's own choices, as NumPy gives them at once."""
    layer, _, report = made(tmp_path)
    router = checkpoints.weights(dtype="BF16")[1]
    x = np.random.default_rng(1).standard_normal((64, 12)).astype(np.float32)
    scores = np.exp(x @ router.T) / np.exp(x @ router.T).sum(axis=1, keepdims=True)
    ids = np.argsort(-scores, axis=1)[:, :2]
    weights = np.take_along_axis(scores, ids, axis=1)
    weights /= weights.sum(axis=1, keepdims=True)
    reference = numerics.float_layer(layer, x, ids, weights)
    whole = numerics.quantise_layer(layer)
    batch = numerics.quantise_batch(whole, x, ids, weights)
    results = numerics.dequantise(numerics.integer_layer(whole, batch), batch)
    error = report["error"]
    assert error["cosine"] == pytest.approx(numerics.cosine(results, reference), abs=1e-5)
    assert error["sqnr_db"] == pytest.approx(numerics.sqnr_db(results, reference), abs=0.1)
    assert error["weight_sqnr_db"]["down"] == pytest.approx(numerics.sqnr_db(whole.real().w_down, layer.w_down), abs=0.01)
    assert error["measured_on"] == "64 tokens of normal noise, seed 1; the gate of the checkpoint"


def test_given_activations(tmp_path):
    """Of the file, its first tokens; larger ones do not matter to a relative error."""
    x = np.random.default_rng(5).standard_normal((40, 12)).astype(np.float16)
    np.save(tmp_path / "x.npy", x)
    *_, report = made(tmp_path, "qwen", "--activations", str(tmp_path / "x.npy"), "--tokens", "30", router=False)
    assert report["error"]["measured_on"] == "30 tokens of x.npy; a synthetic gate" and report["error"]["cosine"] > 0.99


def test_the_hardware_is_fitted(tmp_path):
    """Another shape: slices of nearly the same width that divide d_ff; overrides win; top_k by option."""
    _, out, _ = made(tmp_path, "olmoe", "--top-k", "3", "--set", "tile.slots=5", experts=5, d_ff=20, d_model=10)
    config = load(out / "layer.toml")
    assert (config.layer.d_model, config.layer.d_ff, config.layer.experts, config.layer.top_k) == (10, 20, 5, 3)
    assert (config.tile.slices, config.tile.slots) == (4, 5)  # 5 columns are nearest to the preset's 6
    _, out, _ = made(tmp_path, "olmoe", "--set", "tile.slices=2", "--set", "layer.top_k=1", config=False)
    assert load(out / "layer.toml").tile.slices == 2 and load(out / "layer.toml").layer.top_k == 1
    assert imported.fitted_slices(768, 32) == 24 and imported.fitted_slices(1, 32) == 1


@pytest.mark.parametrize(("extra", "named"), [
    (["--layer", "4"], "--layer = 4 is not in"), (["--top-k", "7"], "layer.top_k = 7"), (["--top-k", "0"], "layer.top_k = 0"),
    (["--config", "nothing"], "CONFIG = 'nothing'"), (["--set", "tile.slices=4"], "tile.slices = 4"),
    (["--set", "layer.d_ff=20"], "--set layer.d_ff is not legal with a checkpoint; legal value: 18"),
    (["--config", "paper"], "for this layer (12 x 18) on the hardware of --config paper; --config or --set takes another"),
    (["--tokens", "0"], "--tokens = 0"),
    (["--tokens", "70000"], "--tokens = 70000"), (["--seed", "-1"], "--seed = -1"),
    (["--activations", "none.npy"], "--activations = none.npy is not legal"),
    (["--activations", "x.npy"], "--activations = x.npy has shape [3, 12]"),
    (["--activations", "nan.npy", "--tokens", "3"], "--activations = nan.npy holds a value"),
    (["--activations", "huge.npy", "--tokens", "3"], "overflows"), (["-o", "x.npy"], "--output = 'x.npy' is not legal")])
def test_wrong_input(tmp_path, capsys, monkeypatch, extra, named):
    """Exit code 2, one line, nothing written."""
    monkeypatch.chdir(tmp_path)
    for name, value in (("x", 1.0), ("nan", np.nan), ("huge", 3e38)):
        np.save(f"{name}.npy", np.full((3, 12), value, np.float32))
    layer, router = checkpoints.weights()
    checkpoints.write(tmp_path / "model", checkpoints.tensors("mixtral", layer, router), config={"num_experts_per_tok": 2})
    assert cli.main(["import", "model", "-o", "out", "--config", "smoke", *extra]) == 2
    shown = capsys.readouterr().err
    assert named in shown and "legal" in shown and shown.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_overflows_of_either_sign(tmp_path, capsys):
    """Experts whose results are infinite, some positive, some negative: refused, and no warning where they are added up."""
    layer, router = checkpoints.weights()
    layer.w_gate[:], layer.w_up[:] = 3e38, 3e38
    layer.w_down[:] = np.where(np.arange(6) % 2, 1, -1)[:, None, None]
    checkpoints.write(tmp_path / "model", checkpoints.tensors("mixtral", layer, router), config={"num_experts_per_tok": 2})
    assert cli.main(["import", str(tmp_path / "model"), "-o", str(tmp_path / "out"), "--config", "smoke"]) == 2
    assert "overflows" in capsys.readouterr().err


def test_top_k_is_needed(tmp_path, capsys):
    """No config.json, no option."""
    layer, router = checkpoints.weights()
    checkpoints.write(tmp_path / "model", checkpoints.tensors("mixtral", layer, router))
    assert cli.main(["import", str(tmp_path / "model"), "-o", str(tmp_path / "out"), "--config", "smoke"]) == 2
    assert "--top-k is missing" in capsys.readouterr().err


def test_a_batch_of_an_imported_layer(tmp_path):
    """Weights of the file, gate of its router or of a trace, inputs given or not."""
    layer, out, _ = made(tmp_path)
    config, weights = load(out / "layer.toml"), out / "layer.safetensors"
    np.save(tmp_path / "x.npy", np.random.default_rng(3).standard_normal((20, 12)))
    batch = workload.load(config, weights=weights, activations=tmp_path / "x.npy", offset=4, tokens=8)
    assert batch.source == "gate of model layer 3 on x.npy from token 4"
    np.testing.assert_array_equal(batch.given.layer.w_up, numerics.quantise_layer(layer).w_up)
    assert batch.given.fidelity(batch.given.results())["cosine"] > 0.99
    assert batch.given.against == "float32 with the int8 weights"
    assert workload.load(config, weights=weights, tokens=8, gate_only=True).values is None
    ids = np.tile(np.array([[0, 5]]), (1, 9, 1))
    np.savez(tmp_path / "t.npz", top_indices=ids)
    traced = workload.load(config, weights=weights, trace=tmp_path / "t.npz", tokens=5)
    assert traced.topk_ids.tolist() == [[0, 5]] * 5 and traced.source.startswith("t.npz layer 0")
    _, out, _ = made(tmp_path, router=False)
    assert workload.load(config, weights=out / "layer.safetensors").source.startswith("synthetic gate")


@pytest.mark.parametrize(("arguments", "named"), [
    (["smoke", "--set", "layer.d_ff=6", "--weights", "out/layer.safetensors"], "--set layer.d_model=12 --set layer.d_ff=18"),
    (["smoke", "--weights", "nothing"], "nothing: no such file"), (["smoke", "--weights", "out/layer.toml"], "layer.toml: "),
    (["smoke", "--activations", "out/ddr0.bin"], "--activations = out/ddr0.bin is not legal")])
def test_files_that_do_not_fit(tmp_path, capsys, monkeypatch, arguments, named):
    """Refused before anything is built."""
    made(tmp_path)
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    assert cli.main(["simulate", *arguments]) == 2
    shown = capsys.readouterr().err
    assert named in shown and "legal" in shown and shown.count("\n") == 1


@pytest.mark.regress
def test_an_imported_layer_through_the_verilog(tmp_path, capsys):
    """From a checkpoint to exact results of the RTL, with the command that the import prints."""
    require_icarus()
    _, out, _ = made(tmp_path)
    files = [str(out / "layer.toml"), "--weights", str(out / "layer.safetensors")]
    assert cli.main(["simulate", *files, "--simulator", "icarus", "-o", str(tmp_path / "run")]) == 0
    shown = capsys.readouterr().out
    assert "gate of model layer 3" in shown and "exact (144 results equal)" in shown
