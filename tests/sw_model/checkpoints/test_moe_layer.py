"""Layers found in checkpoints, in every naming; what is missing, unknown or of the wrong shape is named."""

import struct

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.support import checkpoints
from trajectile.sw_model.checkpoints.checkpoint import Checkpoint
from trajectile.sw_model.checkpoints.moe_layer import find, top_k_of
from trajectile.sw_model.checkpoints.tensors import CheckpointError

STEM = "model.layers.3.block_sparse_moe"


@pytest.mark.parametrize("dtype", checkpoints.TYPES)
@pytest.mark.parametrize("naming", checkpoints.NAMINGS)
def test_every_naming(tmp_path, naming, dtype):
    """The same layer, whatever its tensors are called, in one file and in shards."""
    layer, router = checkpoints.weights(dtype=dtype)
    table = checkpoints.tensors(naming, layer, router, dtype=dtype)
    for shards in (1, 3):
        folder = checkpoints.write(tmp_path / str(shards), table, shards=shards)
        path = folder / ("model.safetensors" if shards == 1 else "model.safetensors.index.json")
        for source in (folder, path):
            with Checkpoint(source) as checkpoint:
                found = find(checkpoint)
                parts = list(found.read())
                np.testing.assert_array_equal(found.router(2).weight, router)
            for name in ("w_gate", "w_up", "w_down"):
                matrix = getattr(layer, name)
                np.testing.assert_array_equal(np.concatenate([getattr(part, name) for part in parts[:6]]), matrix)
            assert (found.number, found.d_model, found.d_ff, found.experts, found.dtype) == (3, 12, 18, 6, dtype)
            assert found.transposed == (naming == "fused-transposed")
            assert len(parts) - 6 == found.shared_parts == (2 if naming in ("qwen", "deepseek") else 0)
    names = {"mixtral": "Mixtral", "qwen": "Qwen-MoE", "deepseek": "DeepSeek-MoE", "olmoe": "Qwen-MoE or OLMoE",
             "fused": "fused experts", "fused-transposed": "fused experts, transposed"}
    assert found.naming == names[naming]


def test_square_layers_are_not_mistaken(tmp_path):
    """Fused tensors of a layer with d_ff = d_model, in both layouts."""
    layer, _ = checkpoints.weights(d_ff=12, d_model=12)
    for naming in ("fused", "fused-transposed"):
        with Checkpoint(checkpoints.write(tmp_path / naming, checkpoints.tensors(naming, layer))) as checkpoint:
            parts = list(find(checkpoint).read())
        np.testing.assert_array_equal(np.concatenate([part.w_up for part in parts]), layer.w_up)


def test_layers_by_number(tmp_path):
    """The first by default; multi-token prediction has numbers of its own."""
    first, _ = checkpoints.weights(seed=1)
    second, _ = checkpoints.weights(seed=2)
    table = checkpoints.tensors("olmoe", second, number=10) | checkpoints.tensors("olmoe", first, number=9)
    for name, tensor in checkpoints.tensors("olmoe", first, number=0).items():
        table[name.replace("model.", "mtp.", 1)] = tensor
    with Checkpoint(checkpoints.write(tmp_path, table)) as checkpoint:
        assert find(checkpoint).number == 9
        np.testing.assert_array_equal(next(find(checkpoint, 10).read()).w_gate[0], second.w_gate[0])
        with pytest.raises(CheckpointError, match=r"--layer = 0 is not in .*; legal values: 9, 10"):
            find(checkpoint, 0)


def mixtral(**changes):
    """A layer's tensors, some replaced or (None) left out; ``1.w1`` stands for expert 1's."""
    layer, router = checkpoints.weights(experts=2)
    table = checkpoints.tensors("mixtral", layer, router)
    for name, tensor in changes.items():
        full = f"{STEM}.{name}"
        table.pop(full, None)
        if tensor is not None:
            table[full] = tensor
    return table


def fused(both, down):
    return {"model.layers.0.mlp.experts.gate_up_proj": np.zeros(both, np.float32),
            "model.layers.0.mlp.experts.down_proj": np.zeros(down, np.float32)}


def matrix(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


def int8(*shape):
    return matrix(*shape, dtype=np.int8)


FUSED = "model.layers.0.mlp.experts."


@pytest.mark.parametrize(("table", "named"), [
    ({"a": matrix(2)}, "no layer has routed experts; legal names: experts.N"),
    (mixtral(**{"experts.1.w3.weight": None}), "experts.1.w3.weight is missing"),
    (mixtral(**{"experts.0.w1.weight": None, "experts.1.w1.weight": None}), "experts.0.w1.weight is missing"),
    (mixtral(**{"experts.3.w1.weight": matrix(18, 12)}), "experts.2.w1.weight is missing"),
    (mixtral(**{"experts.5000.w1.weight": matrix(18, 12)}), "5001 experts are not legal"),
    (mixtral(**{"experts.1.w3.weight": matrix(12, 18)}), "experts.1.w3.weight has shape [12, 18]; legal: [18, 12]"),
    (mixtral(**{"experts.1.w2.weight": matrix(18, 12)}), "experts.1.w2.weight has shape [18, 12]; legal: [12, 18]"),
    (mixtral(**{"experts.0.w1.weight": matrix(216)}), "experts.0.w1: plain: shape [216] is not legal"),
    (mixtral(**{"experts.0.w1.weight": matrix(0, 12)}), "experts.0.w1: plain: shape [0, 12] is not legal"),
    (mixtral(**{"experts.0.w1.weight": int8(18, 12)}), "experts.0.w1 has weight I8 [18, 12]; legal: plain (weight), "),
    (mixtral(**{"experts.0.w1.weight": matrix(18, 12, dtype=np.float64)}), "experts.0.w1 has weight F64 [18, 12]; legal"),
    (mixtral(**{"experts.0.w1.bias": matrix(18)}), "experts.1.w1.bias is missing; legal: a bias for all experts"),
    (mixtral(**{"experts.0.w1.weight_scale_inv": matrix(1)}), "weight F32 [18, 12], weight_scale_inv F32 [1]; legal"),
    (mixtral(**{"experts.0.gate_proj.weight": matrix(18, 12)}), "are the same matrix; legal: once"),
    (mixtral(**{"experts.gate_up_proj": matrix(2, 36, 12)}), "experts.0.w1.weight is not legal"),
    (mixtral(**{"gate.weight": matrix(3, 12)}), "gate.weight has shape [3, 12]; legal: [2, 12] = [experts, d_model]"),
    (mixtral() | {"other.layers.3.mlp.experts.0.w1.weight": matrix(18, 12)}, f"layer 3 is there as {STEM}.experts, other"),
    (fused((2, 36, 12), (2, 12, 18)) | {FUSED + "gate_up_proj_bias": matrix(2, 36)},
     "down_proj_bias is missing; legal: [2, 12]"),
    ({FUSED + "gate_up_proj": matrix(2, 36, 12)}, "experts.down_proj is missing"),
    (fused((2, 36, 12), (2, 12, 17)), f"gate_up_proj has shape [2, 36, 12], {FUSED}down_proj [2, 12, 17]; legal"),
    (fused((2, 36, 12), (3, 12, 18)), "legal: [experts, 2 d_ff, d_model]"),
    (fused((36, 12), (12, 18)), "legal: [experts, 2 d_ff, d_model]"),
    (fused((0, 36, 12), (0, 12, 18)), "legal: [experts, 2 d_ff, d_model]"),
    (fused((1025, 2, 1), (1025, 1, 1)), "with 1 to 1024 experts"),
], ids=range(24))
def test_tensors_that_do_not_fit(tmp_path, table, named):
    """Tensor, shape, legal shapes."""
    with Checkpoint(checkpoints.write(tmp_path, table)) as checkpoint, pytest.raises(CheckpointError,
                                                                                     match="legal") as error:
        find(checkpoint)
    assert named in str(error.value)


def test_weights_that_are_not_finite(tmp_path):
    """The tensor's name."""
    broken = np.full((18, 12), np.nan, np.float32)
    with (Checkpoint(checkpoints.write(tmp_path, mixtral(**{"experts.1.w3.weight": broken}))) as checkpoint,
          pytest.raises(CheckpointError, match=r"experts\.1\.w3\.weight holds a value that is not finite")):
        list(find(checkpoint).read())


def header(text, data=b"", length=None):
    """A safetensors file with any header."""
    return struct.pack("<Q", len(text) if length is None else length) + text.encode() + data


@pytest.mark.parametrize("content", [
    b"", b"x", header("{}", length=2**62), header("{}", length=10**9), header("[]"), header("{"), header('{"a": 1}'),
    header('{"a": {"dtype": "F32", "shape": [1000000, 1000000], "data_offsets": [0, 4000000000000]}}'),
    header('{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}', b"\0" * 4),
    header('{"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}}', b"\0" * 4),
    header('{"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}', b"\0" * 4),
    header('{"a": {"dtype": "F32", "shape": [18446744073709551615, 2], "data_offsets": [0, 4]}}', b"\0" * 4),
    header('{"a": {"dtype": "X9", "shape": [1], "data_offsets": [0, 4]}}', b"\0" * 4),
    header('{"a": ' * 200 + "1" + "}" * 200), b"\x80\x04K\x01.", b"PK\x03\x04"], ids=range(16))
def test_files_that_are_no_checkpoint(tmp_path, content):
    """A header that claims terabytes, is cut, or is none."""
    (tmp_path / "a.safetensors").write_bytes(content)
    for path in (tmp_path, tmp_path / "a.safetensors"):
        with pytest.raises(CheckpointError, match=r"a\.safetensors: .*; legal: a complete \.safetensors file"):
            Checkpoint(path)


@pytest.mark.parametrize(("index", "named"), [
    ("[]", "not a JSON object"), ("{", "not JSON"), ('{"a": ' * 100000, "nested too deeply"), ("{}",
                                                                                               "weight_map is missing"),
    ('{"weight_map": {"a": 3}}', "weight_map['a'] = 3 is not legal"),
    ('{"weight_map": {"a": "../b.safetensors"}}', "is not legal; legal: the name of a .safetensors file"),
    ('{"weight_map": {"a": "/etc/passwd"}}', "is not legal"),
    ('{"weight_map": {"model.layers.0.mlp.experts.down_proj": "b.safetensors"}}', "gate_up_proj is missing"),
    ('{"weight_map": {"model.layers.0.mlp.experts.down_proj": "b.safetensors", '
     '"model.layers.0.mlp.experts.gate_up_proj": "b.safetensors"}}', "b.safetensors: no such file"),
    ('{"weight_map": {"model.layers.0.mlp.experts.down_proj": "c.safetensors", '
     '"model.layers.0.mlp.experts.gate_up_proj": "c.safetensors"}}', "gate_up_proj: "),
], ids=range(10))
def test_an_index_that_is_wrong(tmp_path, index, named):
    """Its entries are names in the same folder, and the files have what it says."""
    (tmp_path / "model.safetensors.index.json").write_text(index)
    save_file({"a": matrix(2)}, tmp_path / "c.safetensors")
    with pytest.raises(CheckpointError, match="legal") as error, Checkpoint(tmp_path) as checkpoint:
        find(checkpoint)
    assert named in str(error.value)


@pytest.mark.parametrize(("config", "named"), [
    ({"hidden_act": "relu"}, "hidden_act = 'relu' is not legal"), ({"num_experts_per_tok": 0}, "num_experts_per_tok = 0"),
    ({"num_experts_per_tok": "2"}, "num_experts_per_tok = '2'"), ({"text_config": {"num_experts_per_tok": True}}, "= True"),
    ([], "not a JSON object")])
def test_a_config_that_is_wrong(tmp_path, config, named):
    """File, key, legal values."""
    folder = checkpoints.write(tmp_path, mixtral(), config=config)
    with Checkpoint(folder) as checkpoint, pytest.raises(CheckpointError) as error:
        _ = checkpoint.model
    assert named in str(error.value) and "config.json" in str(error.value) and "legal" in str(error.value)


def test_what_the_config_says(tmp_path):
    """Plain, inside text_config, a list by layer, or none."""
    for number, (config, top_k, normalise) in enumerate((
            ({"num_experts_per_tok": 2, "norm_topk_prob": False, "hidden_act": "silu"}, 2, False),
            ({"text_config": {"num_experts_per_tok": 1}}, 1, True), ({"num_experts_per_tok": [1, 1, 1, 2]}, 2, True),
            (None, None, True))):
        with Checkpoint(checkpoints.write(tmp_path / str(number), mixtral(), config=config)) as checkpoint:
            assert (top_k_of(find(checkpoint)), checkpoint.model.normalise) == (top_k, normalise)


def test_a_list_of_layers_that_is_too_short(tmp_path):
    with (Checkpoint(checkpoints.write(tmp_path, mixtral(), config={"num_experts_per_tok": [2, 2, 2]})) as checkpoint,
          pytest.raises(CheckpointError, match="3 entries; legal: one per layer, at least 4")):
        top_k_of(find(checkpoint))


#: name in the block, tensor, config.json, what is refused
BESIDE = [
    ("router.bias", matrix(2), {}, "router.bias is not legal; legal: none"),
    ("gate.e_score_correction_bias", matrix(2), {}, "e_score_correction_bias is not legal; legal: none"),
    ("gate.e_score_correction_bias", matrix(3), {"model_type": "glm4_moe"}, "has shape [3]; legal: [2] = [experts]"),
    ("expert_bias", matrix(2), {"model_type": "lfm2_moe", "use_expert_bias": False}, "expert_bias is not legal"),
    ("gate.weight", matrix(2, 12), {"model_type": "deepseek_v3"}, "gate.e_score_correction_bias is missing"),
    ("gate.weight", matrix(2, 12), {"num_experts": 4}, "has 2 experts; legal: 4, as config.json says"),
    ("gate.weight", matrix(2, 12), {"n_shared_experts": 1}, "shared_experts is missing; legal: 1"),
    ("gate.scale", matrix(1), {}, "gate.scale is not known"),
    ("per_expert_scale", matrix(2), {}, "--accept per_expert_scale"),
    ("shared_expert_gate.weight", matrix(1, 12), {}, "shared_expert_gate.weight is not legal without a shared expert"),
    ("shared_expert.up_proj.weight", matrix(18, 12), {}, "shared_expert.gate_proj.weight is missing"),
]


@pytest.mark.parametrize(("name", "tensor", "config", "named"), BESIDE, ids=range(len(BESIDE)))
def test_tensors_beside_the_experts(tmp_path, name, tensor, config, named):
    """Whatever may change the function is understood or refused."""
    folder = checkpoints.write(tmp_path, mixtral(**{name: tensor}), config=config)
    with Checkpoint(folder) as checkpoint, pytest.raises(CheckpointError, match="legal") as error:
        find(checkpoint)
    assert named in str(error.value)


def test_an_unknown_tensor_that_is_accepted(tmp_path):
    folder = checkpoints.write(tmp_path, mixtral(per_expert_scale=matrix(2)))
    with Checkpoint(folder, frozenset({"per_expert_scale"})) as checkpoint:
        assert find(checkpoint).experts == 2


def test_the_gate_has_its_biases(tmp_path):
    """The correction of DeepSeek-V3's, and DeepSeek-V4's, which is called bias."""
    correction = np.array([0.5, -0.25], np.float32)
    for number, (name, config) in enumerate((
            ("gate.e_score_correction_bias", {"model_type": "deepseek_v3", "topk_method": "noaux_tc", "n_group": 1,
                                              "topk_group": 1, "routed_scaling_factor": 2.5, "norm_topk_prob": True}),
            ("gate.bias", {"model_type": "deepseek_v4", "routed_scaling_factor": 2.5}))):
        folder = checkpoints.write(tmp_path / str(number), mixtral(**{name: correction}), config=config)
        with Checkpoint(folder) as checkpoint:
            router = find(checkpoint).router(2)
        np.testing.assert_array_equal(router.correction, correction)
        assert router.bias is None and router.rule.scaling == 2.5


def test_the_shared_expert_in_parts(tmp_path):
    """30 columns on experts of 18: two parts, the second with six columns of zeros; together they are the expert."""
    rng = np.random.default_rng(4)
    shared = {word: rng.standard_normal(shape).astype(np.float32)
              for word, shape in (("gate_proj", (30, 12)), ("up_proj", (30, 12)), ("down_proj", (12, 30)))}
    table = mixtral(**{f"shared_experts.{word}.weight": values for word, values in shared.items()})
    with Checkpoint(checkpoints.write(tmp_path, table)) as checkpoint:
        layer = find(checkpoint)
        *_, first, second = layer.read()
    assert (layer.shared_ff, layer.shared_parts, layer.shared_gate()) == (30, 2, None)
    np.testing.assert_array_equal(np.concatenate([first.w_up[0], second.w_up[0]])[:30], shared["up_proj"])
    np.testing.assert_array_equal(np.concatenate([first.w_down[0], second.w_down[0]], axis=1)[:, :30], shared["down_proj"])
    assert not second.w_gate[0, 12:].any() and not second.w_down[0, :, 12:].any()


def test_folders_and_names(tmp_path):
    """No file, a folder with none or with two, a name that no file can have."""
    (tmp_path / "none").mkdir()
    (tmp_path / "two").mkdir()
    for name in ("a", "b"):
        save_file({"a": matrix(2)}, tmp_path / "two" / f"{name}.safetensors")
    for path in (tmp_path / "none", tmp_path / "two", tmp_path / "nothing.safetensors", tmp_path / ("a" * 300)):
        with pytest.raises(CheckpointError, match="legal: "):
            Checkpoint(path)
