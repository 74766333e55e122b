"""What the metadata of GGUF files says: architectures of known models; whatever may change a layer, refused by name."""

import pytest

from tests.support.gguf_files import COMMON
from trajectile.sw_model.checkpoints.config_keys import ModelConfigError
from trajectile.sw_model.checkpoints.gguf_config import ARCHITECTURES, REFUSED, model_config
from trajectile.sw_model.gates.router import GroupScore, Rule, Scoring

V3 = {"expert_gating_func": 2, "expert_group_count": 8, "expert_group_used_count": 4, "expert_weights_scale": 2.5,
      "expert_weights_norm": True, "expert_shared_count": 1}
GROUPS = {"groups": 8, "top_groups": 4, "group_score": GroupScore.TOP2}

#: architecture, keys, whether there are tensors that correct the choice, the rule of the gate
MODELS = {
    "Mixtral": ("llama", {"expert_used_count": 2}, False, Rule(top_k=2)),
    "Mixtral, whatever it says of weights": ("llama", {"expert_used_count": 2, "expert_weights_norm": False}, False,
                                             Rule(top_k=2)),
    "Qwen3-30B-A3B": ("qwen3moe", {"expert_used_count": 8}, False, Rule(top_k=8)),
    "Qwen3 without norm_topk_prob": ("qwen3moe", {"expert_used_count": 8, "expert_weights_norm": False}, False,
                                     Rule(top_k=8, normalise=False)),
    "Qwen1.5-MoE": ("qwen2moe", {"expert_used_count": 4, "expert_shared_feed_forward_length": 5632}, False,
                    Rule(top_k=4, normalise=False)),
    "Qwen3-Next": ("qwen3next", {"expert_used_count": 10, "ssm.conv_kernel": 4, "expert_shared_feed_forward_length": 512},
                   False, Rule(top_k=10)),
    "OLMoE": ("olmoe", {"expert_used_count": 8}, False, Rule(top_k=8, normalise=False)),
    "Phi-3.5-MoE": ("phimoe", {"expert_used_count": 2}, False,
                    Rule(top_k=2, scoring=Scoring.SPARSEMIXER, normalise=False)),
    "Granite-3": ("granitemoe", {"expert_used_count": 8, "logit_scale": 6.0, "residual_scale": 0.22, "attention.scale": 0.1,
                                 "embedding_scale": 12.0}, False,
                  Rule(top_k=8, scoring=Scoring.SOFTMAX_CHOSEN, normalise=False)),
    "DeepSeek-V2": ("deepseek2", {"expert_used_count": 6, "expert_group_count": 8, "expert_group_used_count": 3,
                                  "expert_weights_scale": 16.0, "expert_shared_count": 2}, False,
                    Rule(top_k=6, groups=8, top_groups=3, normalise=False, scaling=16.0)),
    "DeepSeek-V2-Lite": ("deepseek2", {"expert_used_count": 6, "expert_group_count": 1, "expert_group_used_count": 1,
                                       "expert_weights_scale": 1.0, "expert_gating_func": 1, "expert_weights_norm": False},
                         False, Rule(top_k=6, normalise=False)),
    "DeepSeek-V3": ("deepseek2", V3 | {"expert_used_count": 8}, True,
                    Rule(top_k=8, scoring=Scoring.SIGMOID, scaling=2.5, **GROUPS)),
    "GLM-4.5-Air": ("glm4moe", {"expert_used_count": 8, "expert_weights_norm": True, "expert_weights_scale": 1.0,
                                "expert_shared_count": 1}, True,
                    Rule(top_k=8, scoring=Scoring.SIGMOID, group_score=GroupScore.TOP2)),
    "Ling-2": ("bailingmoe2", V3 | {"expert_used_count": 8}, True,
               Rule(top_k=8, scoring=Scoring.SIGMOID, scaling=2.5, **GROUPS)),
    "MiniMax-M2": ("minimax-m2", {"expert_used_count": 8, "expert_gating_func": 2}, True,
                   Rule(top_k=8, scoring=Scoring.SIGMOID)),
    "LFM2-MoE": ("lfm2moe", {"expert_used_count": 4, "expert_gating_func": 2, "shortconv.l_cache": 3}, True,
                 Rule(top_k=4, scoring=Scoring.SIGMOID)),
    "gpt-oss": ("gpt-oss", {"expert_used_count": 4}, False, Rule(top_k=4, scoring=Scoring.SOFTMAX_CHOSEN, normalise=False)),
    "Llama-4": ("llama4", {"expert_used_count": 1, "interleave_moe_layer_step": 1}, False,
                Rule(top_k=1, scoring=Scoring.SIGMOID, normalise=False, on_input=True)),
    "ERNIE-4.5": ("ernie4_5-moe", {"expert_used_count": 6, "interleave_moe_layer_step": 1}, True, Rule(top_k=6)),
}


def fields(architecture, values):
    """The metadata of a file, as it is read."""
    return {"general.architecture": architecture, "general.file_type": 15, "tokenizer.ggml.model": "gpt2",
            "quantize.imatrix.file": "x", **{f"{architecture}.{key}": value for key, value in (COMMON | values).items()}}


@pytest.mark.parametrize("name", MODELS)
def test_known_models(name):
    """Every key is understood or of another part; the gate is the model's."""
    architecture, values, corrected, rule = MODELS[name]
    found = model_config(fields(architecture, values), corrected=corrected)
    assert found.rule(found.experts_per_token(3)) == rule
    assert bool(found.correction) == corrected
    shared = values.get("expert_shared_count") or (1 if "expert_shared_feed_forward_length" in values else None)
    assert found.shared == shared


REFUSED_KEYS = {
    "grok": ("grok", {}, "general.architecture = 'grok' is not legal: what it does with weights"),
    "no such model": ("newmoe", {}, "--accept general.architecture"),
    "clamp": ("qwen3moe", {"swiglu_clamp_exp": "array of 4"}, "qwen3moe.swiglu_clamp_exp = 'array of 4' is not legal"),
    "unknown": ("qwen3moe", {"expert_group_scale": 0.5}, "qwen3moe.expert_group_scale = 0.5 is not known"),
    "soft cap": ("llama", {"router_logit_softcapping": 30.0}, "--accept llama.router_logit_softcapping"),
    "gate": ("qwen3moe", {"expert_gating_func": 2}, "expert_gating_func = 2 is not legal; legal values: 1 (softmax)"),
    "gates": ("deepseek2", {"expert_gating_func": 4}, "= 4 is not legal; legal values: 1 (softmax), 2 (sigmoid)"),
    "groups": ("deepseek2", {"expert_weights_scale": 1.0}, "--accept deepseek2.expert_group_count if it is 1"),
    "norm": ("deepseek2", {key: value for key, value in V3.items() if key != "expert_weights_norm"},
             "deepseek2.expert_weights_norm is missing"),
    "no gate": ("lfm2moe", {}, "lfm2moe.expert_gating_func is missing"),
    "groups used": ("deepseek2", V3 | {"expert_group_used_count": 9}, "= 9 is not legal; legal values: 1 to 8"),
    "groups not used": ("bailingmoe2", {key: value for key, value in V3.items() if key != "expert_group_used_count"},
                        "expert_group_used_count = 0 is not legal"),
    "scale": ("glm4moe", {"expert_weights_norm": True, "expert_weights_scale": -1.0}, "expert_weights_scale = -1.0"),
    "nan": ("glm4moe", {"expert_weights_norm": True, "expert_weights_scale": float("nan")}, "expert_weights_scale = nan"),
    "no number": ("qwen3moe", {"expert_used_count": "array of 4"}, "expert_used_count = 'array of 4' is not legal"),
    "no flag": ("qwen3moe", {"expert_weights_norm": 1}, "expert_weights_norm = 1 is not legal; legal values: true, false"),
    "none": ("qwen3moe", {"expert_used_count": 0}, "qwen3moe.expert_used_count = 0 is not legal; legal values: 1 to 1024"),
    "too many": ("qwen3moe", {"expert_count": 1025}, "qwen3moe.expert_count = 1025"),
}


@pytest.mark.parametrize("name", REFUSED_KEYS)
def test_what_would_change_the_function(name):
    """Key, value, legal values."""
    architecture, values, named = REFUSED_KEYS[name]
    with pytest.raises(ModelConfigError, match="legal") as error:
        model_config(fields(architecture, values))
    assert named in str(error.value)


@pytest.mark.parametrize("value", [None, 3, ""])
def test_an_architecture_is_needed(value):
    with pytest.raises(ModelConfigError, match=r"general\.architecture = .* is not legal; legal: bailingmoe, "):
        model_config({"general.architecture": value})


@pytest.mark.parametrize(("architecture", "values", "key", "rule"), [
    ("newmoe", {}, "general.architecture", Rule(top_k=2)),
    ("newmoe", {"expert_gating_func": 2, "expert_weights_norm": False}, "general.architecture",
     Rule(top_k=2, scoring=Scoring.SIGMOID, normalise=False)),
    ("deepseek2", {"expert_weights_scale": 1.0}, "deepseek2.expert_group_count", Rule(top_k=2, normalise=False)),
    ("qwen3moe", {"swiglu_clamp_exp": "array of 4"}, "qwen3moe.swiglu_clamp_exp", Rule(top_k=2)),
    ("lfm2moe", {}, "lfm2moe.expert_gating_func", Rule(top_k=2, scoring=Scoring.SIGMOID))])
def test_what_the_user_accepts(architecture, values, key, rule):
    """By name, and nothing else with it."""
    assert model_config(fields(architecture, values), frozenset({key})).rule(2) == rule
    with pytest.raises(ModelConfigError):
        model_config(fields(architecture, values | {"other_key": 1}), frozenset({key}))


def test_every_architecture_has_a_rule_or_a_reason():
    for name, architecture in ARCHITECTURES.items():
        for gating, family in architecture.gates.items():
            values = {**V3, "expert_gating_func": gating}
            assert model_config(fields(name, values)).rule(1 if family.on_input else 2).scoring is family.scoring
    for name, reason in REFUSED.items():
        with pytest.raises(ModelConfigError, match="not computed here"):
            model_config(fields(name, {}))
        assert reason and name not in ARCHITECTURES
