"""What ``config.json`` beside a checkpoint's weights says of a layer: its gate, its activation, how its weights are stored.

Nothing that may change a layer's function is passed over: every key is understood here, known to concern other parts of the
model, or refused by name. What a model's code does without a key for it is in :data:`FAMILIES`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trajectile.sw_model.config.checks import shown
from trajectile.sw_model.gates.router import GroupScore, Rule, Scoring

#: experts of a layer, as layer.experts has it
MAX_EXPERTS = 1024


class ModelConfigError(ValueError):
    """A ``config.json`` of a model that this hardware does not compute, or that contradicts itself."""


@dataclass(frozen=True, kw_only=True)
class Family:
    """What the code of a model type does, apart from what its ``config.json`` says."""

    scoring: Scoring = Scoring.SOFTMAX
    #: without ``norm_topk_prob``
    normalise: bool = True
    #: ``norm_topk_prob`` is not looked at
    always: bool = False
    group_score: GroupScore = GroupScore.MAX
    #: the gate has a correction bias: True, False, or None if a key says so
    correction: bool | None = None
    #: what the gate's ``bias`` is: of the logits, or a correction; None if there is none
    bias: str | None = None
    #: why its layers cannot be computed here; empty if they can
    refused: str = ""


_V3 = Family(scoring=Scoring.SIGMOID, group_score=GroupScore.TOP2, correction=True)
_PLAIN = Family(normalise=False)

#: by ``model_type``
FAMILIES: Mapping[str, Family] = {
    "": Family(),  # nothing says what it is: softmax over all, normalised
    "bailing_moe": Family(),
    "bailing_moe_v2": _V3,
    "dbrx": Family(always=True),
    "deepseek": _PLAIN,
    "deepseek_v2": _PLAIN,
    "deepseek_v3": _V3,
    "deepseek_v32": _V3,
    "deepseek_v4": Family(scoring=Scoring.SQRT_SOFTPLUS, group_score=GroupScore.TOP2, bias="correction"),
    "dots1": _V3,
    "ernie4_5_moe": Family(always=True, correction=True),
    "glm4_moe": _V3,
    "gpt_oss": Family(scoring=Scoring.SOFTMAX_CHOSEN, normalise=False, always=True, bias="logits", refused=(
        "gate and up outputs in turn, both clamped (swiglu_limit), g * sigmoid(1.702 g) * (u + 1), and biases")),
    "granitemoe": Family(scoring=Scoring.SOFTMAX_CHOSEN, normalise=False, always=True),
    "granitemoeshared": Family(scoring=Scoring.SOFTMAX_CHOSEN, normalise=False, always=True),
    "hunyuan_v1_moe": Family(always=True),
    "jamba": Family(normalise=False, always=True),
    "kimi_k2": _V3,
    "lfm2_moe": Family(scoring=Scoring.SIGMOID),
    "llama4": Family(refused="a token's gate weight multiplies the expert's input, not its output"),
    "llama4_text": Family(refused="a token's gate weight multiplies the expert's input, not its output"),
    "longcat_flash": Family(normalise=False, correction=True),
    "minimax_m2": Family(scoring=Scoring.SIGMOID, always=True),
    "mixtral": Family(always=True),
    "olmoe": _PLAIN,
    "phimoe": Family(scoring=Scoring.SPARSEMIXER, normalise=False, always=True),
    "qwen2_moe": _PLAIN,
    "qwen3_moe": _PLAIN,
    "qwen3_next": Family(),
    "qwen3_vl_moe": Family(always=True),
    "qwen3_vl_moe_text": Family(always=True),
}

TOP_K = ("num_experts_per_tok", "experts_per_token", "num_experts_per_token", "moe_topk", "moe_k", "moe_top_k")
EXPERTS = ("n_routed_experts", "num_experts", "num_local_experts", "moe_num_experts", "num_routed_experts")
SHARED = ("n_shared_experts", "num_shared_experts", "moe_num_shared_experts", "num_shared_expert")
ACTIVATION = ("hidden_act", "hidden_activation", "hidden_activation_function", "activation_function", "activation")
SCORING = ("scoring_func", "score_function", "moe_router_activation_func", "router_activation")
SCALING = ("routed_scaling_factor", "moe_routed_scaling_factor", "router_scaling_factor")
GROUPS, TOP_GROUPS = ("n_group", "num_expert_group"), ("topk_group", "limited_groups")
CORRECTION = ("use_expert_bias", "use_routing_bias", "moe_router_enable_expert_bias", "moe_use_aux_free")
#: biases of experts, which this hardware does not add
BIASES = ("mlp_bias", "use_bias", "moe_bias", "expert_bias", "add_bias_linear", "use_moe_bias")
LIMITS = ("swiglu_limit", "swiglu_alpha", "activation_limit", "clamp_limit", "mlp_activation_limit")
_UNDERSTOOD = {*TOP_K, *EXPERTS, *SHARED, *ACTIVATION, *SCORING, *SCALING, *GROUPS, *TOP_GROUPS, *CORRECTION, *BIASES,
               *LIMITS, "model_type", "text_config", "norm_topk_prob", "topk_method", "router_jitter_noise",
               "zero_expert_num", "zero_expert_type", "quantization_config", "moe_normalize_expert_weights", "moe_gate"}
#: of other parts of a model, or of training; none of them changes what a layer's routed experts compute from its inputs
_ELSEWHERE = re.compile(
    r"_.*|architectures|auto_map|model_name|transformers_version|torch_dtype|dtype|id2label|label2id|problem_type|task_\w+|"
    r"\w*token\w*_ids?|\w*_token|vocab_size\w*|\w*vocab\w*|tokenizer_\w+|tie_\w+|pad_\w+|bos_\w+|eos_\w+|"
    r"(use_|max_|num_|no_)?(cache|position|rope|rotary|sliding|window|head|attention|attn|kv|qk|q_lora|v_head|nope|yarn)\w*|"
    r"\w+_(attention|attention_heads|heads|key_heads|value_heads|key_value_heads|head_dim|rotary_factor|lora_rank|rotary_dim)|"
    r"\w*attention\w*|\w*attn\w*|\w*rope\w*|linear_conv\w*|linear_key\w*|linear_value\w*|linear_num\w*|conv_\w+|mamba_\w+|"
    r"max_position_embeddings|max_window_layers|max_seq_len|max_context\w*|initial_context_length|\w*_pos(ition)?s?_\w+|"
    r"(hidden|embed|embd|resid|attn|emb|classifier)_(dropout|pdrop)\w*|\w*dropout\w*|initializer_\w+|init_\w+|\w*_init\w*|"
    r"rms_norm_eps|use_rms_?norm|layer_norm_eps(ilon)?|norm_eps|norm_type|use_qk_norm|qk_norm\w*|clip_qkv|layernorm_\w+|"
    r"\w*aux_loss\w*|\w*_loss_\w*|aux_loss_alpha|seq_aux|z_loss\w*|router_z_loss\w*|output_router_logits|output_hidden_states|"
    r"use_return_dict|return_dict|pretraining_tp|ep_size|gradient_checkpointing|is_decoder|is_encoder_decoder|chunk_size_\w+|"
    r"hidden_size|d_model|n_embd|d_ff|num_hidden_layers|n_layers|num_layers|intermediate_size|dense_intermediate_size|"
    r"ffn_hidden_size|moe_intermediate_size|expert_ffn_hidden_size|moe_ffn_hidden_size|shared_\w*intermediate_size|"
    r"first_k_dense_replace|moe_layer_freq|moe_layer_start_index|moe_layer_end_index|moe_layer_interval|moe_layers|"
    r"decoder_sparse_step|mlp_only_layers|interleave_moe_layer_step|moe_layer_num_skipped|layer_types|full_attn\w*|"
    r"mlp_layer_types|num_dense_layers|expert_layer_\w+|num_nextn_predict_layers|\w*mtp\w*|input_jitter_noise|"
    r"embedding_multiplier|residual_multiplier|logits_scaling|attention_multiplier|final_logit\w*|logit_scale|lm_head_bias|"
    r"vision_config|audio_config|image_\w+|video_\w+|moe_capacity|use_sliding_window|for_llm_compressor|"
    r"generation_config|remove_invalid_values|bad_words_ids|begin_suppress_tokens|suppress_tokens|torchscript|use_bfloat16|"
    r"pruned_heads|finetuning_task|prefix|top_k|top_p|temperature|repetition_penalty|do_sample|num_beams|max_length|min_length")


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """What is known of a layer beside its tensors; without a ``config.json`` nothing is."""

    model_type: str = ""
    family: Family = FAMILIES[""]
    #: experts that a token chooses: of all layers, or of each
    top_k: int | tuple[int, ...] | None = None
    #: routed experts, if it says so
    experts: int | None = None
    #: experts that every token meets, if it says so
    shared: int | None = None
    scoring: Scoring = Scoring.SOFTMAX
    normalise: bool = True
    scaling: float = 1.0
    groups: int = 1
    top_groups: int = 1
    jitter: float = 0.01
    #: the gate has a correction bias: True, False, or None if nothing says so
    correction: bool | None = None
    #: how the weights are stored, as ``quantization_config`` says
    quantisation: Mapping[str, Any] = field(default_factory=dict)

    def experts_per_token(self, layer: int) -> int | None:
        """Experts that a token chooses in a layer; None if nothing says so.

        Raises:
            ModelConfigError: if the list of layers ends before.
        """
        if not isinstance(self.top_k, tuple):
            return self.top_k
        if layer >= len(self.top_k):
            raise ModelConfigError(f"num_experts_per_tok has {len(self.top_k)} entries; legal: one per layer, at least "
                                   f"{layer + 1}")
        return self.top_k[layer]

    def rule(self, top_k: int) -> Rule:
        """The rule of the gate.

        Raises:
            ValueError: if its values contradict each other.
        """
        return Rule(top_k=top_k, scoring=self.scoring, normalise=self.normalise, scaling=self.scaling, groups=self.groups,
                    top_groups=self.top_groups, group_score=self.family.group_score, jitter=self.jitter)


def whole(values: Mapping[str, Any], keys: Sequence[str], low: int, high: int) -> int | None:
    """A whole number under the first of these keys that is there; all that are there must agree."""
    found = {key: values[key] for key in keys if values.get(key) is not None}
    for key, value in found.items():
        if type(value) is not int or not low <= value <= high:
            raise ModelConfigError(f"{key} = {shown(value)} is not legal; legal values: {low} to {high}")
    if len(set(found.values())) > 1:
        raise ModelConfigError(f"{', '.join(f'{key} = {value}' for key, value in found.items())} contradict each other; "
                               "legal: one value")
    return next(iter(found.values()), None)


def flag(values: Mapping[str, Any], key: str) -> bool | None:
    """A flag, None if it is not there."""
    value = values.get(key)
    if value is not None and not isinstance(value, bool):
        raise ModelConfigError(f"{key} = {shown(value)} is not legal; legal values: true, false")
    return value


def number(values: Mapping[str, Any], keys: Sequence[str], default: float) -> float:
    """A number under the first of these keys that is there."""
    for key in keys:
        value = values.get(key)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ModelConfigError(f"{key} = {shown(value)} is not legal; legal values: a number")
        return float(value)
    return default


def _word(values: Mapping[str, Any], keys: Sequence[str], legal: Mapping[str, Any], why: str) -> Any:
    """What a word under one of these keys stands for; None if none is there."""
    for key in keys:
        value = values.get(key)
        if value is None:
            continue
        if not isinstance(value, str) or value not in legal:
            raise ModelConfigError(f"{key} = {shown(value)} is not legal; legal: {', '.join(legal)} ({why})")
        return legal[value]
    return None


def _top_k(values: Mapping[str, Any]) -> int | tuple[int, ...] | None:
    for key in TOP_K:
        if isinstance(values.get(key), list):
            numbers = tuple(whole({key: entry}, [key], 1, MAX_EXPERTS) or 0 for entry in values[key])
            if not all(numbers):
                raise ModelConfigError(f"{key} has an entry that is no number; legal values: 1 to {MAX_EXPERTS} per layer")
            return numbers
    return whole(values, TOP_K, 1, MAX_EXPERTS)


def _refuse(values: Mapping[str, Any], accept: frozenset[str]) -> None:
    """Refuse what changes the function and cannot be computed, and what is not known."""
    for key in LIMITS:
        if values.get(key) is not None and key not in accept:
            raise ModelConfigError(f"{key} = {shown(values[key])} is not legal; legal: none (gate and up values are not "
                                   f"clamped here; --accept {key} leaves the clamp out)")
    for key in BIASES:
        if flag(values, key) and key not in accept:
            raise ModelConfigError(f"{key} = true is not legal; legal: false (experts have no biases here; --accept {key} if "
                                   "it is of another part)")
    if whole(values, ["zero_expert_num"], 0, MAX_EXPERTS):
        raise ModelConfigError(f"zero_expert_num = {values['zero_expert_num']} is not legal; legal value: 0 (experts of type "
                               f"{shown(values.get('zero_expert_type'))} are not computed here)")
    power = values.get("moe_normalize_expert_weights")
    if power not in (None, 1, 1.0):
        raise ModelConfigError(f"moe_normalize_expert_weights = {shown(power)} is not legal; legal values: 1, null")
    if values.get("moe_gate") not in (None, "topk"):
        raise ModelConfigError(f"moe_gate = {shown(values['moe_gate'])} is not legal; legal value: topk")
    for key, value in values.items():
        if value is not None and key not in _UNDERSTOOD and key not in accept and not _ELSEWHERE.fullmatch(key):
            raise ModelConfigError(f"{key} = {shown(value)} is not known, and may change what the layer computes; legal: the "
                                   f"keys of docs/import.md, or --accept {key} if it does not")


def model_config(values: Mapping[str, Any], accept: frozenset[str] = frozenset()) -> ModelConfig:
    """Understand a ``config.json``.

    Args:
        values: its contents.
        accept: keys that the user says change nothing.

    Raises:
        ModelConfigError: for a key that is unknown or wrong, and for a layer that is not computed here.
    """
    inner = values.get("text_config")
    if isinstance(inner, Mapping):
        outer = {key: values[key] for key in ("quantization_config", "model_type") if key in values}
        values = {**outer, **{key: value for key, value in inner.items() if value is not None}}
    name = values.get("model_type") or ""
    family = FAMILIES.get(name) if isinstance(name, str) else None
    if family is None and "model_type" not in accept:
        raise ModelConfigError(f"model_type = {shown(name)} is not known; legal: {', '.join(filter(None, FAMILIES))}, or "
                               "--accept model_type if its gate is a softmax over all experts or as its keys say")
    family = family or FAMILIES[""]
    if family.refused:
        raise ModelConfigError(f"model_type = {shown(name)} is not legal: {family.refused}; this is not computed here")
    _word(values, ACTIVATION, {"silu": True, "swish": True, "swiglu": True}, "the experts are SwiGLU")
    _refuse(values, accept)
    scoring = _word(values, SCORING, {scoring.value: scoring for scoring in (Scoring.SOFTMAX, Scoring.SIGMOID,
                                                                             Scoring.SQRT_SOFTPLUS)}, "scores of experts")
    method = _word(values, ["topk_method"], {"greedy": "greedy", "group_limited_greedy": "group_limited_greedy",
                                             "noaux_tc": "noaux_tc"}, "how experts are chosen")
    groups, top_groups = whole(values, GROUPS, 1, MAX_EXPERTS) or 1, whole(values, TOP_GROUPS, 1, MAX_EXPERTS) or 1
    if method == "greedy":
        groups = top_groups = 1  # the model's code does not look at them
    normalise = flag(values, "norm_topk_prob")
    correction = next((said for key in CORRECTION if (said := flag(values, key)) is not None), None)
    if correction is None:
        correction = True if method == "noaux_tc" else False if method else family.correction
    quantisation = values.get("quantization_config") or {}
    if not isinstance(quantisation, Mapping):
        raise ModelConfigError(f"quantization_config = {shown(quantisation)} is not legal; legal: an object")
    if quantisation.get("transform_config"):
        raise ModelConfigError("quantization_config.transform_config is not legal; legal: none (the activations of rotated "
                               "weights are rotated too, which is not computed here)")
    return ModelConfig(
        model_type=name, family=family, top_k=_top_k(values), experts=whole(values, EXPERTS, 1, MAX_EXPERTS),
        shared=whole({key: value for key, value in values.items() if not isinstance(value, list)}, SHARED, 0, 64),
        scoring=scoring or family.scoring, normalise=family.normalise if normalise is None or family.always else normalise,
        scaling=number(values, SCALING, 1.0), groups=groups, top_groups=min(top_groups, groups),
        jitter=number(values, ["router_jitter_noise"], 0.01), correction=correction, quantisation=quantisation)
