"""``trajectile import``: files, report, errors; and what it writes runs."""

import json
import sys

import ml_dtypes
import numpy as np
import pytest

from tests.support import checkpoints, gguf_files, models
from tests.support.imports import made, same_weights
from tests.support.tools import require_icarus
from trajectile.scripts import cli
from trajectile.scripts.errors import UserError
from trajectile.scripts.flow import workload
from trajectile.sw_model.checkpoints import layer_file
from trajectile.sw_model.config import load
from trajectile.sw_model.numerics import fidelity, image
from trajectile.sw_model.numerics import integer as numerics
from trajectile.sw_model.numerics.layers import FloatLayer, float_layer


@pytest.mark.parametrize("naming", checkpoints.NAMINGS)
def test_import(tmp_path, capsys, naming):
    """The layer quantised, its error, its slices in their channels, a configuration of its shape."""
    layer, out, report = made(tmp_path, naming, "--hex", "--without-shared", shards=2)
    whole = same_weights(out, layer)
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
                                          image.slice_image(config, whole, expert, index))
    assert report["shape"] == {"d_model": 12, "d_ff": 18, "experts": 6, "top_k": 2} and report["layer"] == 3
    assert set(report["files"]) == {path.name for path in out.iterdir()} - {"import.json"}
    assert len(report["left_out"]) == (3 if naming in ("qwen", "deepseek") else 0)
    shown = capsys.readouterr().out
    assert "cosine 0.99" in shown and f"--weights {out}/layer.safetensors" in shown


def test_the_shared_expert_is_met_by_every_token(tmp_path, capsys):
    """Twice as wide as a routed one, so it is two experts more; the integer layer comes near float32 with it."""
    layer, out, report = made(tmp_path, "deepseek", dtype="F32")
    table = checkpoints.tensors("deepseek", layer)
    gate, up, down = (table[f"model.layers.3.mlp.shared_experts.{word}.weight"] for word in
                      ("gate_proj", "up_proj", "down_proj"))
    assert report["shape"]["experts"] == 8 and report["shape"]["top_k"] == 4 and not report["left_out"]
    assert report["shared_experts"] == {"parts": 2, "columns": 36, "own_gate": False}
    config, weights = load(out / "layer.toml"), out / "layer.safetensors"
    batch = workload.load(config, weights=weights, tokens=10)
    assert batch.topk_ids[:, 2:].tolist() == [[6, 7]] * 10 and batch.topk_ids[:, :2].max() < 6
    # a trace names routed experts only
    np.savez(tmp_path / "t.npz", top_indices=np.tile(np.array([[0, 5]]), (1, 9, 1)))
    traced = workload.load(config, weights=weights, trace=tmp_path / "t.npz", tokens=5)
    assert traced.topk_ids.tolist() == [[0, 5, 6, 7]] * 5
    x = np.random.default_rng(1).standard_normal((64, 12)).astype(np.float32)
    routed = layer_file.load(weights).router.choose(x)
    reference = float_layer(layer, x, routed.topk_ids, routed.topk_weights)
    reference += (x @ gate.T / (1 + np.exp(-(x @ gate.T))) * (x @ up.T)) @ down.T
    saved = layer_file.load(weights)
    both = saved.rows(routed, x).gate
    chosen = numerics.quantise_batch(x, both.topk_ids, both.topk_weights)
    results = numerics.dequantise(numerics.integer_layer(config, saved.layer, chosen).y, saved.layer)
    assert report["error"]["cosine"] == pytest.approx(fidelity.cosine(results, reference), abs=1e-5)
    assert report["error"]["cosine"] > 0.99 and "36 columns of d_ff" in capsys.readouterr().out


def test_what_was_understood_is_in_the_report(tmp_path, capsys):
    """A gate of DeepSeek-V3's kind, weights in FP8; the import says so, and simulate chooses with it."""
    layer, router = checkpoints.weights()
    table = checkpoints.tensors("olmoe", layer, router)
    table["model.layers.3.mlp.gate.e_score_correction_bias"] = np.array([9, 0, 0, 0, 0, 9], np.float32)
    for name in [name for name in table if ".experts." in name]:
        table[f"{name}_scale_inv"] = np.full((1, 1), 0.5, np.float32)
        table[name] = (2 * table[name]).astype(ml_dtypes.float8_e4m3fn)
    folder = tmp_path / "model"
    folder.mkdir()
    checkpoints.write_eight(folder / "model.safetensors", table)
    facts = {"model_type": "deepseek_v3", "num_experts_per_tok": 2, "n_routed_experts": 6, "scoring_func": "sigmoid",
             "topk_method": "noaux_tc", "n_group": 1, "topk_group": 1, "norm_topk_prob": False, "routed_scaling_factor": 2.5,
             "quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}}
    (folder / "config.json").write_text(json.dumps(facts))
    out = tmp_path / "out"
    assert cli.main(["import", str(folder), "-o", str(out), "--config", "smoke"]) == 0
    report = json.loads((out / "import.json").read_text())
    assert report["format"] == "FP8 blocks" and report["exact"] is False and report["activation"] == "silu"
    assert report["gate"] == {"scoring": "sigmoid", "normalised": False, "scaling": 2.5, "groups": 1, "top_groups": 1,
                              "group_score": "top2", "bias": False, "correction_bias": True, "identities": 0}
    assert "sigmoid, choice corrected, not normalised, times 2.5" in capsys.readouterr().out
    batch = workload.load(load(out / "layer.toml"), weights=out / "layer.safetensors", tokens=8)
    assert {tuple(sorted(ids)) for ids in batch.topk_ids.tolist()} == {(0, 5)}


def test_one_figure_hides_what_each_token_shows(tmp_path, capsys):
    """An expert whose down matrix is a billion times as large: the cosine is near 1 while others' tokens are all zero."""
    layer, router = checkpoints.weights()
    layer.w_down[2] *= 1e9
    checkpoints.write(tmp_path / "model", checkpoints.tensors("olmoe", layer, router), config={"num_experts_per_tok": 2})
    assert cli.main(["import", str(tmp_path / "model"), "-o", str(tmp_path / "out"), "--config", "smoke"]) == 0
    report = json.loads((tmp_path / "out" / "import.json").read_text())
    assert report["error"]["cosine"] > 0.99 and report["zeroed"] > 20 and report["cosine_worst"] == 0
    assert f"{report['zeroed']} of 64 all zero" in capsys.readouterr().out


@pytest.mark.parametrize(("facts", "extra", "named"), [
    ({"swiglu_limit": 7.0}, [], "swiglu_limit = 7.0"), ({"strange_key": 1}, [], "strange_key = 1 is not known"),
    ({"strange_key": 1}, ["--accept", "strange_key"], None), ({"model_type": "gpt_oss"}, [], "w1.bias is missing"),
    ({"model_type": "phimoe", "router_jitter_noise": 0.01}, [], None)])
def test_what_config_json_may_say(tmp_path, capsys, facts, extra, named):
    """Understood, refused, or accepted by name; what was accepted stands in the report."""
    layer, router = checkpoints.weights()
    folder = checkpoints.write(tmp_path / "model", checkpoints.tensors("mixtral", layer, router),
                               config={"num_experts_per_tok": 2} | facts)
    code = cli.main(["import", str(folder), "-o", str(tmp_path / "out"), "--config", "smoke", *extra])
    assert code == (2 if named else 0)
    if named:
        assert named in capsys.readouterr().err and not (tmp_path / "out").exists()
    else:
        assert json.loads((tmp_path / "out" / "import.json").read_text())["left_out"] == extra[1:]


def test_the_error_is_measured(tmp_path):
    """Cosine and signal-to-noise ratio against float32, on the router's own choices, as NumPy gives them at once."""
    layer, out, report = made(tmp_path)
    router = checkpoints.weights(dtype="BF16")[1]
    x = np.random.default_rng(1).standard_normal((64, 12)).astype(np.float32)
    scores = np.exp(x @ router.T) / np.exp(x @ router.T).sum(axis=1, keepdims=True)
    ids = np.argsort(-scores, axis=1)[:, :2]
    weights = np.take_along_axis(scores, ids, axis=1)
    weights /= weights.sum(axis=1, keepdims=True)
    reference = float_layer(layer, x, ids, weights)
    whole = layer_file.load(out / "layer.safetensors").layer
    batch = numerics.quantise_batch(x, ids, weights)
    found = numerics.integer_layer(load(out / "layer.toml"), whole, batch)
    results = numerics.dequantise(found.y, whole)
    error = report["error"]
    assert error["cosine"] == pytest.approx(fidelity.cosine(results, reference), abs=1e-5)
    assert error["sqnr_db"] == pytest.approx(fidelity.sqnr_db(results, reference), abs=0.1)
    assert error["weight_sqnr_db"]["down"] == pytest.approx(fidelity.sqnr_db(whole.real().w_down, layer.w_down), abs=0.01)
    assert error["measured_on"] == "64 tokens of normal noise, seed 1; the gate of the checkpoint"
    near = fidelity.fidelity(results, reference)
    assert report["cosine_median"] == pytest.approx(near.cosine_median, abs=1e-5)
    assert report["cosine_worst"] == pytest.approx(near.cosine_worst, abs=1e-5)
    assert (report["zeroed"], report["clipped"], report["clips"]) == (0, (found.clips > 0).sum(), found.clips.sum())
    # the unit of results is that of other tokens
    x = np.random.default_rng([1, 1]).standard_normal((64, 12)).astype(np.float32)
    others = layer_file.load(out / "layer.safetensors").router.choose(x)
    calibrated = numerics.calibrated(load(out / "layer.toml"), whole, numerics.quantise_batch(
        x, others.topk_ids, others.topk_weights))
    assert whole.fraction == calibrated.fraction and error["calibrated_on"] == "64 other tokens of normal noise"


def test_given_activations(tmp_path):
    """Of the file, its first tokens; larger ones do not matter to a relative error."""
    x = np.random.default_rng(5).standard_normal((40, 12)).astype(np.float16)
    np.save(tmp_path / "x.npy", x)
    *_, report = made(tmp_path, "qwen", "--activations", str(tmp_path / "x.npy"), "--tokens", "30", router=False)
    assert report["error"]["measured_on"] == "30 tokens of x.npy; a synthetic gate" and report["error"]["cosine"] > 0.99
    assert report["error"]["calibrated_on"] == "the same tokens, since the file has no others"
    *_, report = made(tmp_path, "qwen", "--activations", str(tmp_path / "x.npy"), "--tokens", "20", router=False)
    assert report["error"]["calibrated_on"] == "the next 20 tokens"


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


@pytest.mark.parametrize(("kind", "down"), [("Q8_0", "Q8_0"), ("Q4_0", "F16")])
def test_import_of_a_gguf_file(tmp_path, capsys, kind, down):
    """The layer is that of the decoded weights; the report names types, gate and architecture's rule; it can be run."""
    layer, router = checkpoints.weights(experts=4, d_ff=32, d_model=64)
    table, decoded = gguf_files.tensors(layer, router, kind=kind, down=down)
    source = gguf_files.write(tmp_path / "model.gguf", table, "olmoe", {"expert_count": 4})
    out = tmp_path / "out"
    assert cli.main(["import", str(source), "-o", str(out), "--config", "smoke", "--layer", "3"]) == 0
    report = json.loads((out / "import.json").read_text())
    same_weights(out, FloatLayer(*decoded), period=load(out / "layer.toml").slice_ff)
    assert report["format"] == (kind if kind == down else f"{kind}, {down}") and report["naming"] == "GGUF"
    assert not report["exact"] and report["gate"]["scoring"] == "softmax" and not report["gate"]["normalised"]
    assert report["shape"] == {"d_model": 64, "d_ff": 32, "experts": 4, "top_k": 2} and report["left_out"] == []
    assert f"names of GGUF, {report['format']}" in capsys.readouterr().out
    batch = workload.load(load(out / "layer.toml"), weights=out / "layer.safetensors", tokens=8)
    assert batch.source.startswith("gate of model.gguf layer 3")


def test_a_gguf_file_that_mx8_holds_exactly(tmp_path):
    """Codes with powers of two are the weights: nothing is lost, and the report says so."""
    rng = np.random.default_rng(2)
    codes = [rng.integers(-127, 128, shape).astype(np.float32) for shape in ((2, 32, 64), (2, 32, 64), (2, 64, 32))]
    for matrix in codes:
        matrix[..., ::32] = 127  # every block's largest
    table, decoded = gguf_files.tensors(FloatLayer(*(matrix / 128 for matrix in codes)), kind="Q8_0")
    np.testing.assert_array_equal(decoded[0], codes[0] / 128)
    source, out = gguf_files.write(tmp_path / "m.gguf", table), tmp_path / "out"
    assert cli.main(["import", str(source), "-o", str(out), "--config", "smoke"]) == 0
    report = json.loads((out / "import.json").read_text())
    assert report["exact"] and report["gate"] is None
    np.testing.assert_array_equal(layer_file.load(out / "layer.safetensors").layer.real().w_down, codes[2] / 128)


def test_gguf_without_its_library(tmp_path, capsys, monkeypatch):
    """One line, exit code 3, the extra."""
    source = gguf_files.write(tmp_path / "m.gguf", {"a": (np.zeros(2, np.float32), "F32")})
    monkeypatch.setitem(sys.modules, "gguf", None)
    assert cli.main(["import", str(source), "-o", str(tmp_path / "out"), "--config", "smoke"]) == 3
    shown = capsys.readouterr().err
    assert "trajectile[gguf]" in shown and shown.count("\n") == 1


def test_a_batch_of_an_imported_layer(tmp_path):
    """Weights of the file, gate of its router or of a trace, inputs given or not."""
    layer, out, _ = made(tmp_path)
    config, weights = load(out / "layer.toml"), out / "layer.safetensors"
    np.save(tmp_path / "x.npy", np.random.default_rng(3).standard_normal((20, 12)))
    batch = workload.load(config, weights=weights, activations=tmp_path / "x.npy", offset=4, tokens=8)
    assert batch.source == "gate of model layer 3 on x.npy from token 4"
    np.testing.assert_array_equal(batch.given.layer.up.codes, numerics.quantise_layer(layer).up.codes)
    near = batch.given.fidelity(batch.given.results(config))
    assert near["cosine"] > 0.99 and near["clipped"] == near["clips"] == 0
    assert batch.given.against == "float32 with the mx8 weights"
    assert workload.load(config, weights=weights, tokens=8, gate_only=True).values is None
    ids = np.tile(np.array([[0, 5]]), (1, 9, 1))
    np.savez(tmp_path / "t.npz", top_indices=ids)
    traced = workload.load(config, weights=weights, trace=tmp_path / "t.npz", tokens=5)
    assert traced.topk_ids.tolist() == [[0, 5]] * 5 and traced.source.startswith("t.npz layer 0")
    _, out, _ = made(tmp_path, router=False)
    assert workload.load(config, weights=out / "layer.safetensors").source.startswith("synthetic gate")


@pytest.mark.parametrize(("arguments", "named"), [
    (["smoke", "--set", "layer.d_ff=6", "--weights", "out/layer.safetensors"],
     "layer.d_ff = 6 is not legal with --weights out/layer.safetensors; legal: --set layer.d_ff=18"),
    (["out/layer.toml", "--set", "tile.weights=mxfp4", "--weights", "out/layer.safetensors"],
     "tile.weights = mxfp4 is not legal with --weights out/layer.safetensors; legal: --set tile.weights=mx8"),
    (["smoke", "--set", "layer.activation=gelu", "--weights", "out/layer.safetensors"], "--set layer.activation=silu"),
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
    assert "gate of model layer 3" in shown and "exact (144 results and 12 counts of clips equal)" in shown


#: data beside the repository: what config.json or the tensors say that is refused; None where the layer is computed
CASES = {
    "control-qwen3": None, "fp8-scale-inv": None, "groups-scaling": None, "phimoe-sparsemixer": None, "outlier-expert": None,
    "sigmoid-correction-bias": None, "sigmoid-expert-bias": None, "topk-list": None,
    "gptoss-bias": None, "gptoss-interleaved-nobias": "gate_up_proj_bias is missing",
    "gptoss-mxfp4": "gate_up_proj_blocks has shape", "hidden-activation-key": None, "llama4-input-weights": None,
    "longcat-zero-experts": None,
    "nan": "not finite", "quant-transform": "transform_config", "router-bias": "router.bias", "stale-index": "no such file",
    "swiglu-limit": None}


@pytest.mark.parametrize("case", CASES)
def test_checkpoints_that_were_computed_as_another_function(shared, tmp_path, capsys, case):
    """Small checkpoints after those of models: each is the right function now, or refused by name."""
    folder = shared / "cases" / f"ckpt-{case}"
    if not folder.is_dir():
        pytest.skip(f"no {folder.name} in the shared data")
    code = cli.main(["import", str(folder), "-o", str(tmp_path / "out"), "--config", "smoke"])
    assert code == (2 if CASES[case] else 0)
    if CASES[case]:
        assert CASES[case] in capsys.readouterr().err


@pytest.mark.parametrize("name", ["gpt-oss", "Llama-4", "LongCat-Flash"])
def test_what_models_need_is_in_the_report(tmp_path, capsys, name):
    """Function, biases and columns for them, and what the host does; simulate chooses and feeds as the import did."""
    source, out = models.MODELS[name]().write(tmp_path / "model"), tmp_path / "out"
    assert cli.main(["import", str(source), "-o", str(out), "--config", "smoke", "--tokens", "16"]) == 0
    report, config = json.loads((out / "import.json").read_text()), load(out / "layer.toml")
    shown = capsys.readouterr().out
    assert report["error"]["cosine"] > 0.999 and "experts" in shown
    batch = workload.load(config, weights=out / "layer.safetensors", tokens=4)
    assert fidelity.cosine(numerics.dequantise(numerics.integer_layer(config, batch.values.layer, batch.values.batch).y,
                                               batch.values.layer), batch.values.reference) > 0.998
    if name == "gpt-oss":
        assert report["exact"] and report["biases"] and report["bias_columns"] == 32 and report["weights"] == "mxfp4"
        assert (config.layer.bias, config.layer.activation, config.layer.d_ff) == (True, "quick_gelu", 96)
        assert (report["gate_limit"], report["up_limit"], report["up_offset"]) == (7.0, 7.0, 1.0)
        assert "gate limited to 7, up limited to 7, up + 1, biases (32 columns" in shown and not report["beside_the_array"]
    elif name == "Llama-4":
        assert batch.topk_ids.shape == (8, 2) and (batch.topk_ids == -1).sum(axis=1).tolist() == [1] * 8
        assert "two rows per token" in report["beside_the_array"][0]
        most = config.token_capacity // 2
        with pytest.raises(UserError, match=rf"--tokens = {most + 1} is not legal; legal values: 0 to {most} "):
            workload.load(config, weights=out / "layer.safetensors", tokens=most + 1)
    else:
        assert report["gate"]["identities"] == 4 and "weight of the identities" in report["beside_the_array"][0]


def test_smoothing(tmp_path, capsys):
    """Outlier channels of the layer's inputs are moved into the weights; simulate divides by the same factors."""
    layer, router = checkpoints.weights()
    for matrix in (layer.w_gate, layer.w_up, router):  # a model has learnt to live with the channel
        matrix[..., 3] /= 100
    folder = checkpoints.write(tmp_path / "model", checkpoints.tensors("olmoe", layer, router),
                               config={"num_experts_per_tok": 2})
    x = np.random.default_rng(1).standard_normal((64, 12)).astype(np.float32)
    x[:, 3] *= 100
    np.save(tmp_path / "x.npy", x)
    found, out = {}, tmp_path / "out"
    for alpha in (None, "0.5"):
        extra = ["--activations", str(tmp_path / "x.npy"), "--tokens", "32", *(["--smooth", alpha] if alpha else [])]
        assert cli.main(["import", str(folder), "-o", str(out), "--config", "smoke", *extra]) == 0
        found[alpha] = json.loads((out / "import.json").read_text())
    assert found["0.5"]["error"]["sqnr_db"] > found[None]["error"]["sqnr_db"] + 3
    assert found[None]["beside_the_array"] == [] and "are divided by their factor" in found["0.5"]["beside_the_array"][0]
    saved = layer_file.load(out / "layer.safetensors")
    assert saved.smoothing[3] == 8 and (saved.smoothing[:3] == 1).all()
    capsys.readouterr()
    for extra, named in ((["--smooth", "0.5"], "--smooth = 0.5 is not legal without --activations"),
                         (["--smooth", "2", "--activations", str(tmp_path / "x.npy")], "alpha = 2.0 is not legal")):
        assert cli.main(["import", str(folder), "-o", str(tmp_path / "no"), "--config", "smoke", *extra]) == 2
        assert named in capsys.readouterr().err
