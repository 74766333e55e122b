"""The hardware that ``trajectile import`` takes for a layer: its shape, slices, format of weights."""

import json

import ml_dtypes
import numpy as np
import pytest

from tests.support import checkpoints
from tests.support.imports import made, same_weights
from trajectile.scripts import cli
from trajectile.scripts.flow.fitted import fitted_slices
from trajectile.sw_model.checkpoints import layer_file
from trajectile.sw_model.config import load
from trajectile.sw_model.numerics.layers import FloatLayer
from trajectile.sw_model.numerics.weights import WeightFormat


def test_the_hardware_is_fitted(tmp_path):
    """Another shape: slices of nearly the same width that divide d_ff; overrides win; top_k by option."""
    _, out, _ = made(tmp_path, "olmoe", "--top-k", "3", "--set", "tile.slots=5", experts=5, d_ff=20, d_model=10)
    config = load(out / "layer.toml")
    assert (config.layer.d_model, config.layer.d_ff, config.layer.experts, config.layer.top_k) == (10, 20, 5, 3)
    assert (config.tile.slices, config.tile.slots) == (4, 5)  # 5 columns are nearest to the preset's 6
    _, out, _ = made(tmp_path, "olmoe", "--set", "tile.slices=2", "--set", "layer.top_k=1", config=False)
    assert load(out / "layer.toml").tile.slices == 2 and load(out / "layer.toml").layer.top_k == 1


@pytest.mark.parametrize(("d_ff", "width", "slices", "filled"), [
    (768, 32, 24, 768), (1, 32, 1, 1), (18, 6, 3, 18), (2880, 64, 45, 2880), (1408, 32, 44, 1408), (100, 32, 4, 128),
    (100, 6, 25, 100), (102, 6, 13, 104), (768, 48, 12, 768), (33, 24, 3, 48)])
def test_slices_cut_no_block(d_ff, width, slices, filled):
    """Whole blocks of 32, or whole parts of one; hidden units of zeros where nothing near divides d_ff."""
    assert fitted_slices(d_ff, width) == (slices, filled)


def test_hidden_units_of_zeros(tmp_path, capsys):
    """A d_ff that blocks do not divide is filled up; the report and the printout say so, results are as near as before."""
    layer, out, report = made(tmp_path, "olmoe", d_ff=35)
    assert report["shape"]["d_ff"] == load(out / "layer.toml").layer.d_ff == 36 and report["filled_columns"] == 1
    assert "d_ff 36 (1 of them zeros, so that slices cut no block)" in capsys.readouterr().out
    saved = layer_file.load(out / "layer.safetensors").layer.real()
    np.testing.assert_allclose(saved.w_down[:, :, :35], layer.w_down, atol=0.02)
    assert not saved.w_down[:, :, 35].any() and not saved.w_gate[:, 35].any() and report["cosine_worst"] > 0.99


def coded(name, scale):
    """A matrix of a format's codes with a scale per block of 32, its largest code in each."""
    rng = np.random.default_rng(5)
    codes = np.array({"mxfp4": [0, 1, 2, 3, 4, 6, 8, 12, -1, -2, -3, -4, -6, -8, -12], "int4": range(-8, 8)}[name])

    def drawn(*shape):
        matrix = rng.choice(codes, shape).astype(np.float32)
        blocks = [scale(rng, (*shape[:-1], -(-shape[-1] // 32)))]
        return matrix * blocks[0].astype(np.float32).repeat(32, axis=-1)[..., :shape[-1]] / 64
    return FloatLayer(drawn(2, 64, 32), drawn(2, 64, 32), drawn(2, 32, 64))


def powers(rng, shape):
    return 2.0 ** rng.integers(-3, 3, shape)


def test_mxfp4_is_carried_over(tmp_path, capsys):
    """Of a checkpoint in MXFP4 every weight is exact in mxfp4, which is chosen; and in mx8, which can be asked for."""
    layer = coded("mxfp4", powers)
    table = {}
    for expert in range(2):
        for word, matrix in (("w1", layer.w_gate), ("w3", layer.w_up), ("w2", layer.w_down)):
            table |= mxfp4(f"model.layers.3.block_sparse_moe.experts.{expert}.{word}", matrix[expert])
    (tmp_path / "model").mkdir()
    checkpoints.write_eight(tmp_path / "model" / "model.safetensors", table)
    demo = ["import", str(tmp_path / "model"), "--config", "demo", "--top-k", "1"]
    for extra, kind in (([], WeightFormat("mxfp4")), (["--set", "tile.weights=mx8"], WeightFormat("mx8"))):
        out = tmp_path / kind.name
        assert cli.main([*demo, "-o", str(out), *extra]) == 0
        report = json.loads((out / "import.json").read_text())
        assert (report["format"], report["weights"], report["scale_mantissa"]) == ("MXFP4", kind.name, 0)
        assert report["exact"] and report["error"]["weight_sqnr_db"] == dict.fromkeys(("gate", "up", "down"))
        np.testing.assert_array_equal(layer_file.load(out / "layer.safetensors").layer.real().w_down, layer.w_down)
        assert "exactly the checkpoint's" in capsys.readouterr().out


def mxfp4(name, matrix):
    """Tensors of a matrix whose weights are codes / 64 with powers of two."""
    largest = np.abs(matrix.reshape(len(matrix), -1, 32)).max(axis=2)
    exponent = np.ceil(np.log2(largest / 6)).astype(int)
    codes = (2 * matrix / np.exp2(exponent.astype(np.float32)).repeat(32, axis=1)).astype(np.int8)
    bits = WeightFormat("mxfp4").pattern(codes)
    return {f"{name}.weight": (bits[:, 0::2] | bits[:, 1::2] << 4).astype(np.uint8),
            f"{name}.scale": np.exp2(exponent.astype(np.float32)).astype(ml_dtypes.float8_e8m0fnu)}


@pytest.mark.parametrize(("bits", "kind"), [(4, WeightFormat("int4", True)), (8, WeightFormat("mx8"))])
def test_the_format_of_gptq(tmp_path, bits, kind):
    """Codes of 4 bits go into int4 with a scale mantissa, those of 8 into mx8; exact where the format has the scale."""
    layer = coded("int4", lambda rng, shape: rng.integers(8, 16, shape) * 2.0 ** rng.integers(0, 5, shape))
    table, per_word = {}, 32 // bits
    for expert in range(2):
        for word, matrix in (("w1", layer.w_gate), ("w3", layer.w_up), ("w2", layer.w_down)):
            outputs, inputs = matrix[expert].shape
            scale = np.full((inputs // 32, outputs), 0.0, np.float32)
            codes = np.zeros((outputs, inputs), np.int64)
            for output, group in np.ndindex(outputs, inputs // 32):
                block = matrix[expert, output, 32 * group:32 * group + 32] * 64
                tried = [m * 2.0**k for m in range(8, 16) for k in range(5)]
                scale[group, output] = next(s for s in tried if (block % s == 0).all() and -8 <= (block / s).min()
                                            and (block / s).max() <= 7)
                codes[output, 32 * group:32 * group + 32] = block / scale[group, output] + 2 ** (bits - 1)
            name = f"model.layers.3.block_sparse_moe.experts.{expert}.{word}"
            words = codes.T.reshape(-1, per_word, outputs) << (bits * np.arange(per_word))[:, None]
            zero = sum((2 ** (bits - 1) - 1) << bits * place for place in range(per_word))
            table |= {f"{name}.qweight": np.ascontiguousarray(words.sum(axis=1).astype(np.uint32)).view(np.int32),
                      f"{name}.scales": scale / 64,
                      f"{name}.qzeros": np.full((inputs // 32, outputs // per_word), zero, np.uint32).view(np.int32)}
    folder = checkpoints.write(tmp_path / "model", table, config={
        "num_experts_per_tok": 1, "quantization_config": {"quant_method": "gptq", "bits": bits, "group_size": 32}})
    assert cli.main(["import", str(folder), "-o", str(tmp_path / "out"), "--config", "demo"]) == 0
    report = json.loads((tmp_path / "out" / "import.json").read_text())
    assert (report["weights"], report["scale_mantissa"]) == (kind.name, kind.mantissa_bits) and report["exact"]
    same_weights(tmp_path / "out", layer, kind, 8)


def test_tile_weights_may_be_said(tmp_path):
    """A format that is asked for is taken, and a file of it runs on no other hardware."""
    layer, out, report = made(tmp_path, "mixtral", "--set", "tile.weights=int4")
    assert report["weights"] == "int4" and report["scale_mantissa"] == 0 and not report["exact"]
    same_weights(out, layer, WeightFormat("int4"))
