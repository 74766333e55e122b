"""Checkpoints of the models people run: the layer that is found computes what the model's own code does, token by token."""

from dataclasses import replace

import numpy as np
import pytest

from tests.support import models
from tests.support.models import D_FF, D_MODEL, EXPERTS, LAYER, MODELS
from trajectile.sw_model.checkpoints.checkpoint import Checkpoint
from trajectile.sw_model.checkpoints.moe_layer import find, top_k_of
from trajectile.sw_model.checkpoints.tensors import CheckpointError
from trajectile.sw_model.gates.feeding import Feeding
from trajectile.sw_model.numerics.layers import FloatLayer, float_layer
from trajectile.sw_model.numerics.weights import WeightFormat, quantise


def tokens(count=20, seed=3):
    return np.random.default_rng(seed).standard_normal((count, D_MODEL)).astype(np.float32)


def whole(layer, shared):
    """All experts of a layer in one."""
    parts = list(layer.read())[:layer.experts + shared]

    def joined(name):
        values = [getattr(part, name) for part in parts]
        return None if values[0] is None else np.concatenate(values)
    names = ("w_gate", "w_up", "w_down", "gate_bias", "up_bias", "down_bias")
    return FloatLayer(*map(joined, names), function=layer.function)


def computed(folder, x, *, with_shared=True):
    """What the layer that is found computes in float32, and the layer."""
    with Checkpoint(folder) as checkpoint:
        layer = find(checkpoint)
        shared = layer.shared_parts if with_shared else 0
        feeding = Feeding(shared=shared, shared_gate=layer.shared_gate(), on_input=layer.on_input)
        rows = feeding.rows(layer.router(top_k_of(layer)).choose(x), x)
        return rows.results(float_layer(whole(layer, shared), rows.x, rows.gate.topk_ids, rows.gate.topk_weights)), layer


@pytest.mark.parametrize("name", MODELS)
def test_the_layer_is_the_models(tmp_path, name):
    """Gate, activation, limits, biases, shared expert and everything that is added beside the array."""
    model, x = MODELS[name](), tokens()
    y, layer = computed(model.write(tmp_path), x)
    expected = np.stack([model.forward(token.astype(np.float64)) for token in x])
    np.testing.assert_allclose(y, expected, rtol=2e-3, atol=2e-4 * np.abs(expected).max())
    assert (layer.number, layer.d_model, layer.d_ff, layer.experts) == (LAYER, D_MODEL, D_FF, EXPERTS)
    assert (layer.naming, layer.dtype) == (model.naming, model.dtype)


@pytest.mark.parametrize("name", MODELS)
def test_every_part_counts(tmp_path, name):
    """Without any one tensor of the layer's own block the checkpoint is refused, or computes something else."""
    model, x = MODELS[name](), tokens(8)
    expected = np.stack([model.forward(token.astype(np.float64)) for token in x])
    for tensor in sorted(model.tensors):
        if "layernorm" in tensor or any(f"experts.{number}." in tensor for number in range(1, EXPERTS)):
            continue
        rest = {key: values for key, values in model.tensors.items() if key != tensor}
        folder = replace(model, tensors=rest).write(tmp_path / tensor)
        try:
            y, _ = computed(folder, x)
        except (CheckpointError, AttributeError):  # refused, or there is no gate
            continue
        assert np.abs(y - expected).max() > 0.01 * np.abs(expected).max(), tensor


@pytest.mark.parametrize(("name", "config", "named"), [
    ("gpt-oss", {"swiglu_alpha": 1.5}, "swiglu_alpha = 1.5 is not legal; legal value: 1.702"),
    ("gpt-oss", {"swiglu_limit": 200.0}, "swiglu_limit = 200.0"),
    ("gpt-oss", {"swiglu_limit": 7.001}, "swiglu_limit = 7.001"),
    ("gpt-oss", {"num_local_experts": 4}, "has 8 experts; legal: 4"),
    ("DeepSeek-V4", {"num_hash_layers": 6}, "num_hash_layers = 6 is not legal with layer 5"),
    ("DBRX", {"ffn_config": {"moe_num_experts": 3}}, "legal: [3 d_ff, d_model]"),
    ("DBRX", {"ffn_config": {}}, "moe_num_experts is missing"),
    ("DBRX", {"ffn_config": {"uniform_expert_assignment": True}}, "uniform_expert_assignment = True"),
    ("LongCat-Flash", {"zero_expert_num": 3}, "router.classifier.weight has shape [12, 32]; legal: [11, 32]"),
    ("LongCat-Flash", {"zero_expert_type": "drop"}, "zero_expert_type = 'drop'"),
    ("LongCat-Flash", {"router_bias": True}, "router_bias = True"),
    ("Hunyuan-A13B", {"moe_drop_tokens": True}, "moe_drop_tokens = True"),
    ("ERNIE-4.5", {"use_bias": True}, "experts.0.gate_proj.bias is missing"),
    ("GLM-4.5", {"swiglu_limits": [7.0]}, "swiglu_limits"),
    ("MiniMax-M2", {"swiglu_limit": 7.0}, "swiglu_limit = 7.0 is not legal with this model_type"),
])
def test_what_is_another_function_is_refused(tmp_path, name, config, named):
    """By the key's or the tensor's name."""
    model = MODELS[name]()
    folder = replace(model, config=model.config | config).write(tmp_path)
    with pytest.raises(CheckpointError, match=r"legal|not known") as error:
        computed(folder, tokens(1))
    assert named in str(error.value)


def test_a_shared_expert_that_is_said_must_be_there(tmp_path):
    """Also where only its width says it."""
    model = models.granite(shared=True)
    for words, named in ((("shared_mlp",), "shared_experts is missing; legal: 1, as config.json says"),
                         (("shared_mlp.input",), "shared_mlp.input_linear.weight is missing")):
        rest = {name: values for name, values in model.tensors.items() if not any(word in name for word in words)}
        with pytest.raises(CheckpointError, match="legal") as error:
            computed(replace(model, tensors=rest).write(tmp_path / words[0]), tokens(1))
        assert named in str(error.value)


def test_other_limits_and_activations(tmp_path):
    """Of gpt-oss without its limits, and of GELU under any key."""
    model = MODELS["gpt-oss"]()
    with Checkpoint(replace(model, config=model.config | {"swiglu_limit": None}).write(tmp_path / "a")) as checkpoint:
        assert find(checkpoint).function.gate_limit == 7.0  # the model's code has it without the key
    with Checkpoint(replace(model, config=model.config | {"swiglu_limit": 0.0}).write(tmp_path / "b")) as checkpoint:
        assert find(checkpoint).function.gate_limit is None
    model = models.hunyuan()
    for key, word, name in (("hidden_act", "gelu", "gelu"), ("hidden_act", "gelu_new", "gelu_tanh"),
                            ("hidden_activation", "gelu_pytorch_tanh", "gelu_tanh"), ("hidden_act", "quick_gelu",
                                                                                      "quick_gelu")):
        config = {k: v for k, v in model.config.items() if k != "hidden_act"} | {key: word}
        with Checkpoint(replace(model, config=config).write(tmp_path / key / word)) as checkpoint:
            assert find(checkpoint).function.activation == name


def test_biases_of_separate_experts(tmp_path):
    """In all three matrices, whether or not a key says so; refused if a key says that there are none, or if one lacks."""
    model, x = models.ernie(), tokens(6)
    rng = np.random.default_rng(1)
    stem = f"model.layers.{LAYER}.mlp.experts."
    biases = {f"{stem}{n}.{word}.bias": rng.standard_normal(D_MODEL if word == "down_proj" else D_FF).astype(np.float32)
              for n in range(EXPERTS) for word in models.QWEN_WORDS}
    y, _ = computed(model.write(tmp_path / "none"), x)
    for number, said in enumerate((True, None)):
        biased = replace(model, tensors=model.tensors | biases, config=model.config | {"use_bias": said})
        shared = {name: values for name, values in model.tensors.items() if "shared" in name}
        if said:  # the shared expert has them too
            biased.tensors |= {name.replace("weight", "bias"): np.zeros(len(values), np.float32) for name,
                               values in shared.items()}
        more, layer = computed(biased.write(tmp_path / str(number)), x)
        assert layer.biased and np.abs(more - y).max() > 0.1
        with Checkpoint(tmp_path / str(number)) as checkpoint:
            last = list(find(checkpoint).read())[-1]  # a part of the shared expert
        assert last.down_bias is not None and not last.down_bias.any()
    for tensors, config, named in (
            (biases, {"use_bias": False}, "gate_proj.bias is not legal"),
            ({k: v for k, v in biases.items() if k != f"{stem}3.up_proj.bias"}, {"use_bias": None},
             "experts.3.up_proj.bias is missing"),
            (biases | {f"{stem}2.down_proj.bias": np.zeros(5, np.float32)}, {"use_bias": None},
             "down_proj.bias has shape [5]")):
        wrong = replace(model, tensors=model.tensors | tensors, config=model.config | config)
        with pytest.raises(CheckpointError, match="legal") as error:
            computed(wrong.write(tmp_path / "wrong"), x)
        assert named in str(error.value)


@pytest.mark.parametrize(("changes", "named"), [
    ({"gate_up_proj_bias": np.zeros((8, 64), np.float32)}, "gate_up_proj_bias has shape [8, 64]; legal: [8, 128]"),
    ({"down_proj_bias": None}, "down_proj_bias is missing; legal: [8, 32]"),
    ({"gate_up_proj_scales": None}, "gate_up_proj is missing beside ['blocks']"),
    ({"down_proj_scales": np.zeros((8, 32, 3), np.uint8)}, "down_proj_scales [8, 32, 3]; legal"),
    ({"down_proj_blocks": np.zeros((8, 32, 2, 8), np.uint8)}, "down_proj_blocks has shape [8, 32, 2, 8]"),
    ({"down_proj_blocks": np.zeros((8, 32, 2, 16), np.int8)}, "down_proj_blocks has type I8; legal: U8"),
    ({"down_proj_scales": np.full((8, 32, 2), 255, np.uint8)}, "down_proj_scales of expert 0 holds a scale"),
    ({"gate_up_proj": np.zeros((8, 32, 128), np.float32)}, "gate_up_proj is missing beside"),
    ({"gate_up_proj_extra": np.zeros(1, np.float32)}, "gate_up_proj_extra is not legal"),
])
def test_fused_tensors_that_do_not_fit(tmp_path, changes, named):
    """Tensor, shape, legal shapes."""
    model, stem = MODELS["gpt-oss"](), f"model.layers.{LAYER}.mlp.experts."
    for name, values in changes.items():
        model.tensors.pop(stem + name, None)
        if values is not None:
            model.tensors[stem + name] = values
    with pytest.raises(CheckpointError, match="legal") as error:
        computed(model.write(tmp_path), tokens(1))
    assert named in str(error.value)


@pytest.mark.parametrize("spread", [0, 1, 7, 8, 11])
def test_mxfp4_is_carried_over_exactly(tmp_path, spread):
    """If the scales of a matrix are within a factor of 2^7; beyond, what is lost is as much as the smallest scales say."""
    model, stem = MODELS["gpt-oss"](), f"model.layers.{LAYER}.mlp.experts."
    rng = np.random.default_rng(4)
    for word in ("gate_up_proj", "down_proj"):
        scales = model.tensors[f"{stem}{word}_scales"]
        scales[:] = 120 + rng.integers(0, spread + 1, scales.shape)
        blocks = model.tensors[f"{stem}{word}_blocks"]
        blocks[..., 0] = 0x17  # every block has its largest code and its smallest
        scales[:, :2, :1], scales[:, -2:, :1] = 120, 120 + spread  # of gate and of up
    with Checkpoint(model.write(tmp_path)) as checkpoint:
        real = next(find(checkpoint).read())
    for weights in (real.w_gate, real.w_up, real.w_down):
        kept = quantise(weights, WeightFormat("mxfp4")).real()
        if spread <= 7:
            np.testing.assert_array_equal(kept, weights)
        else:
            assert 0 < np.abs(kept - weights).max() <= 2.0**(120 - 127 + spread - 7)
