"""What ``config.json`` says: the keys of known models, understood; whatever may change a layer, refused by name."""

import pytest

from trajectile.sw_model.checkpoints.config_keys import ModelConfigError
from trajectile.sw_model.checkpoints.families import FAMILIES
from trajectile.sw_model.checkpoints.model_config import ModelConfig, model_config
from trajectile.sw_model.gates.router import GroupScore, Rule, Scoring
from trajectile.sw_model.numerics.layers import GluFunction

#: keys that no model's experts depend on, as published configurations have them
COMMON = {
    "architectures": ["X"], "attention_bias": False, "attention_dropout": 0.0, "bos_token_id": 1, "eos_token_id": [2, 3],
    "head_dim": 128, "hidden_size": 2048, "initializer_range": 0.02, "intermediate_size": 6144,
    "max_position_embeddings": 4096,
    "num_attention_heads": 32, "num_hidden_layers": 48, "num_key_value_heads": 4, "rms_norm_eps": 1e-6, "rope_scaling": None,
    "rope_theta": 1e6, "sliding_window": None, "tie_word_embeddings": False, "torch_dtype": "bfloat16",
    "transformers_version": "4.51.0", "use_cache": True, "vocab_size": 151936, "hidden_act": "silu"}
V3 = {"first_k_dense_replace": 3, "kv_lora_rank": 512, "q_lora_rank": 1536, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64,
      "v_head_dim": 128, "moe_intermediate_size": 2048, "moe_layer_freq": 1, "ep_size": 1, "num_nextn_predict_layers": 1,
      "pretraining_tp": 1, "aux_loss_alpha": 0.001, "seq_aux": True}

#: model -> its own keys, and the rule of its gate
MODELS = {
    "Qwen3-30B-A3B": ({
        "model_type": "qwen3_moe", "decoder_sparse_step": 1, "max_window_layers": 48, "mlp_only_layers": [],
        "num_experts": 128,
        "moe_intermediate_size": 768, "norm_topk_prob": True, "num_experts_per_tok": 8, "output_router_logits": False,
        "router_aux_loss_coef": 0.001, "use_sliding_window": False}, Rule(top_k=8)),
    "Qwen1.5-MoE": ({
        "model_type": "qwen2_moe", "num_experts": 60, "num_experts_per_tok": 4, "norm_topk_prob": False,
        "shared_expert_intermediate_size": 5632, "moe_intermediate_size": 1408}, Rule(top_k=4, normalise=False)),
    "Qwen3-Next": ({
        "model_type": "qwen3_next", "num_experts": 512, "num_experts_per_tok": 10, "full_attention_interval": 4,
        "linear_conv_kernel_dim": 4, "linear_key_head_dim": 128, "linear_num_key_heads": 16, "linear_num_value_heads": 32,
        "linear_value_head_dim": 128, "partial_rotary_factor": 0.25, "shared_expert_intermediate_size": 512},
        Rule(top_k=10)),
    "Mixtral": ({"model_type": "mixtral", "num_local_experts": 8, "num_experts_per_tok": 2, "router_jitter_noise": 0.0,
                 "norm_topk_prob": False}, Rule(top_k=2, jitter=0.0)),
    "OLMoE": ({"model_type": "olmoe", "num_experts": 64, "num_experts_per_tok": 8, "norm_topk_prob": False,
               "clip_qkv": None},
              Rule(top_k=8, normalise=False)),
    "DeepSeek-V2": (V3 | {
        "model_type": "deepseek_v2", "n_routed_experts": 160, "n_shared_experts": 2, "num_experts_per_tok": 6,
        "scoring_func": "softmax", "topk_method": "group_limited_greedy", "n_group": 8, "topk_group": 3,
        "norm_topk_prob": False, "routed_scaling_factor": 16.0},
        Rule(top_k=6, groups=8, top_groups=3, normalise=False, scaling=16.0)),
    "DeepSeek-V2-Lite": (V3 | {
        "model_type": "deepseek_v2", "n_routed_experts": 64, "n_shared_experts": 2, "num_experts_per_tok": 6,
        "scoring_func": "softmax", "topk_method": "greedy", "n_group": 1, "topk_group": 1, "norm_topk_prob": False,
        "routed_scaling_factor": 1.0}, Rule(top_k=6, normalise=False)),
    "DeepSeek-V3": (V3 | {
        "model_type": "deepseek_v3", "n_routed_experts": 256, "n_shared_experts": 1, "num_experts_per_tok": 8,
        "scoring_func": "sigmoid", "topk_method": "noaux_tc", "n_group": 8, "topk_group": 4, "norm_topk_prob": True,
        "routed_scaling_factor": 2.5, "quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}},
        Rule(top_k=8, scoring=Scoring.SIGMOID, groups=8, top_groups=4, group_score=GroupScore.TOP2, scaling=2.5)),
    "GLM-4.5-Air": ({
        "model_type": "glm4_moe", "n_routed_experts": 128, "n_shared_experts": 1, "num_experts_per_tok": 8, "n_group": 1,
        "topk_group": 1, "norm_topk_prob": True, "routed_scaling_factor": 1.0, "use_qk_norm": False,
        "first_k_dense_replace": 1, "partial_rotary_factor": 0.5, "moe_intermediate_size": 1408},
        Rule(top_k=8, scoring=Scoring.SIGMOID, group_score=GroupScore.TOP2)),
    "MiniMax-M2": ({
        "model_type": "minimax_m2", "num_local_experts": 256, "num_experts_per_tok": 8, "scoring_func": "sigmoid",
        "use_routing_bias": True, "attn_type_list": [1], "num_mtp_modules": 3, "mtp_transformer_layers": 1, "rotary_dim": 64,
        "qk_norm_type": "per_layer", "use_mtp": True, "router_jitter_noise": 0.0, "shared_intermediate_size": 0},
        Rule(top_k=8, scoring=Scoring.SIGMOID, jitter=0.0)),
    "ERNIE-4.5": ({
        "model_type": "ernie4_5_moe", "moe_num_experts": 64, "moe_num_shared_experts": 2, "moe_k": 6, "moe_gate": "topk",
        "moe_capacity": [64, 64, 64], "moe_layer_interval": 1, "moe_layer_start_index": 1, "moe_use_aux_free": True,
        "use_bias": False, "moe_intermediate_size": 1536}, Rule(top_k=6)),
    "Granite-3": ({
        "model_type": "granitemoe", "num_local_experts": 40, "num_experts_per_tok": 8, "attention_multiplier": 0.0156,
        "embedding_multiplier": 12.0, "logits_scaling": 6.0, "residual_multiplier": 0.22},
        Rule(top_k=8, scoring=Scoring.SOFTMAX_CHOSEN, normalise=False)),
    "Phi-3.5-MoE": ({
        "model_type": "phimoe", "num_local_experts": 16, "num_experts_per_tok": 2, "router_jitter_noise": 0.01,
        "input_jitter_noise": 0.01, "lm_head_bias": True},
        Rule(top_k=2, scoring=Scoring.SPARSEMIXER, normalise=False)),
    "LFM2-MoE": ({"model_type": "lfm2_moe", "num_experts": 32, "num_experts_per_tok": 4, "use_expert_bias": True,
                  "norm_topk_prob": True, "routed_scaling_factor": 1.0, "conv_L_cache": 3, "num_dense_layers": 2},
                 Rule(top_k=4, scoring=Scoring.SIGMOID)),
    "LongCat without identity": ({
        "model_type": "longcat_flash", "n_routed_experts": 512, "zero_expert_num": 0, "moe_topk": 12,
        "routed_scaling_factor": 6.0, "norm_topk_prob": False}, Rule(top_k=12, normalise=False, scaling=6.0)),
    "nothing said": ({"num_experts_per_tok": 2}, Rule(top_k=2)),
}


@pytest.mark.parametrize("name", MODELS)
def test_known_models(name):
    """Every key is understood or of another part; the gate is the model's."""
    own, rule = MODELS[name]
    found = model_config(COMMON | own)
    assert found.rule(found.experts_per_token(0)) == rule
    said = next((own[key] for key in ("n_shared_experts", "moe_num_shared_experts") if key in own), None)
    assert found.shared == (1 if own.get("shared_expert_intermediate_size") else said)
    assert found.correction is (True if own.get("model_type") in (
        "deepseek_v3", "glm4_moe", "minimax_m2", "ernie4_5_moe", "lfm2_moe", "longcat_flash") else
        False if own.get("model_type") == "deepseek_v2" else None)


REFUSED = {
    "hidden_act": ({"hidden_act": "relu"}, "hidden_act = 'relu' is not legal; legal: silu"),
    "hidden_activation": ({"hidden_activation": "relu2"}, "hidden_activation = 'relu2'"),
    "two activations": ({"hidden_act": "silu", "hidden_activation": "gelu"}, "contradict each other"),
    "alpha": ({"model_type": "gpt_oss", "swiglu_alpha": 2.0}, "swiglu_alpha = 2.0 is not legal; legal value: 1.702"),
    "alpha of SiLU": ({"swiglu_alpha": 1.702}, "swiglu_alpha = 1.702 is not legal; legal value: 1.0"),
    "limit of nothing known": ({"model_type": "qwen3_moe", "swiglu_limit": 10.0},
                               "swiglu_limit = 10.0 is not legal with this"),
    "limit between steps": ({"model_type": "deepseek_v4", "swiglu_limit": 0.3},
                            "swiglu_limit = 0.3 is not legal; legal values: m"),
    "limit beyond": ({"model_type": "deepseek_v4", "swiglu_limit": 1e9}, "swiglu_limit = 1000000000.0"),
    "limit that is none": ({"model_type": "deepseek_v4", "swiglu_limit": float("inf")}, "swiglu_limit = inf"),
    "limit below zero": ({"model_type": "deepseek_v4", "swiglu_limit": -1.0}, "swiglu_limit = -1.0"),
    "another limit": ({"activation_limit": 10.0}, "activation_limit = 10.0 is not legal; legal: swiglu_limit"),
    "dropped tokens": ({"model_type": "hunyuan_v1_moe", "moe_drop_tokens": True}, "moe_drop_tokens = True"),
    "no such model": ({"model_type": "new_moe"}, "model_type = 'new_moe' is not known"),
    "bias": ({"mlp_bias": 1}, "mlp_bias = 1 is not legal; legal values: true, false"),
    "identity": ({"model_type": "longcat_flash", "zero_expert_num": 3, "zero_expert_type": "zero"},
                 "zero_expert_type = 'zero'"),
    "rotation": ({"quantization_config": {"transform_config": {"config_groups": {}, "x": 1}}}, "transform_config"),
    "scores": ({"scoring_func": "tanh"}, "scoring_func = 'tanh'"),
    "method": ({"topk_method": "other"}, "topk_method = 'other'"),
    "unknown": ({"expert_scale_power": 2}, "--accept expert_scale_power"),
    "unknown false": ({"expert_magic": False}, "expert_magic = False is not known"),
    "contradiction": ({"num_experts_per_tok": 2, "moe_topk": 3}, "contradict each other"),
    "no number": ({"routed_scaling_factor": "2"}, "routed_scaling_factor = '2'"),
    "a list of words": ({"num_experts_per_tok": [2, "x"]}, "num_experts_per_tok = 'x'"),
    "a list of nothing": ({"num_experts_per_tok": [2, None]}, "an entry that is no number"),
    "no flag": ({"norm_topk_prob": 1}, "norm_topk_prob = 1"),
    "power": ({"model_type": "dbrx", "moe_normalize_expert_weights": 2}, "moe_normalize_expert_weights = 2"),
    "gate": ({"model_type": "ernie4_5_moe", "moe_gate": "hash"}, "moe_gate = 'hash'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_change_the_function(name):
    """Key, value, legal values."""
    values, named = REFUSED[name]
    with pytest.raises(ModelConfigError, match="legal") as error:
        model_config(values)
    assert named in str(error.value)


@pytest.mark.parametrize(("values", "key"), [
    ({"expert_scale_power": 2}, "expert_scale_power"), ({"model_type": "new_moe"}, "model_type"),
    ({"swiglu_limit": 1e9}, "swiglu_limit"), ({"swiglu_alpha": 3.0}, "swiglu_alpha"), ({"clamp_limit": 1.0}, "clamp_limit"),
    ({"moe_drop_tokens": True}, "moe_drop_tokens")])
def test_what_the_user_accepts(values, key):
    """By name, and nothing else with it."""
    assert isinstance(model_config(values, frozenset({key})), ModelConfig)
    with pytest.raises(ModelConfigError):
        model_config(values | {"other_key": 1}, frozenset({key}))


FUNCTIONS = {
    "nothing said": ({}, GluFunction()), "GELU": ({"hidden_act": "gelu"}, GluFunction("gelu")),
    "GELU by tanh": ({"hidden_activation": "gelu_pytorch_tanh"}, GluFunction("gelu_tanh")),
    "quick GELU": ({"hidden_act": "quick_gelu", "swiglu_alpha": 1.702}, GluFunction("quick_gelu")),
    "gpt-oss": ({"model_type": "gpt_oss", "hidden_act": "silu", "swiglu_limit": 7.0}, GluFunction("quick_gelu", 7.0, 7.0,
                                                                                                  1.0)),
    "gpt-oss with another limit": ({"model_type": "gpt_oss", "swiglu_limit": 5.5}, GluFunction("quick_gelu", 5.5, 5.5, 1.0)),
    "DeepSeek-V4": ({"model_type": "deepseek_v4", "swiglu_limit": 10.0}, GluFunction("silu", 10.0, 10.0)),
    "a limit of zero": ({"model_type": "deepseek_v4", "swiglu_limit": 0}, GluFunction()),
    "GLM": ({"model_type": "glm4_moe", "swiglu_limit": 10}, GluFunction("silu", 10.0, 10.0)),
    "DBRX": ({"model_type": "dbrx", "ffn_config": {"ffn_act_fn": {"name": "gelu"}}}, GluFunction("gelu")),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name):
    values, function = FUNCTIONS[name]
    assert model_config(values).function == function


@pytest.mark.parametrize(("values", "accept", "biased"), [
    ({}, (), None), ({"mlp_bias": True}, (), True), ({"use_bias": False}, (), False), ({"mlp_bias": True}, ("mlp_bias",),
                                                                                       None),
    ({"model_type": "gpt_oss"}, (), True), ({"mlp_bias": False, "use_bias": True}, (), True)])
def test_biases(values, accept, biased):
    """A key says that there are some, or none; or nothing says so."""
    assert model_config(values, frozenset(accept)).biased is biased


def test_dbrx_may_leave_weights_as_they_are():
    for power, normalise in ((1, True), (1.0, True), (None, False)):
        values = {"model_type": "dbrx", "ffn_config": {"moe_top_k": 4, "moe_normalize_expert_weights": power}}
        assert model_config(values).rule(4).normalise is normalise
    assert model_config({"model_type": "dbrx", "ffn_config": {"moe_top_k": 4}}).rule(4).normalise


def test_every_family_has_a_rule():
    for name, family in FAMILIES.items():
        assert model_config({"model_type": name}).rule(1 if family.on_input else 2).scoring is family.scoring
