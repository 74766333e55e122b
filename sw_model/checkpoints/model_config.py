"""What ``config.json`` beside a checkpoint's weights says of a layer: its gate, its activation, how its weights are stored.

Nothing that may change a layer's function is passed over: every key is understood here, known to concern other parts of the
model, or refused by name. What a model's code does without a key for it is in :data:`FAMILIES`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from trajectile.sw_model.checkpoints.config_keys import ModelConfigError, flag, number, whole, word
from trajectile.sw_model.checkpoints.families import FAMILIES, Family
from trajectile.sw_model.config.checks import shown
from trajectile.sw_model.gates.router import Rule, Scoring
from trajectile.sw_model.numerics.activation import QUICK_GELU_ALPHA
from trajectile.sw_model.numerics.integer import Function
from trajectile.sw_model.numerics.layers import GluFunction

#: experts of a layer, as layer.experts has it
MAX_EXPERTS = 1024


TOP_K = ("num_experts_per_tok", "experts_per_token", "num_experts_per_token", "moe_topk", "moe_k", "moe_top_k")
EXPERTS = ("n_routed_experts", "num_experts", "num_local_experts", "moe_num_experts", "num_routed_experts")
SHARED = ("n_shared_experts", "num_shared_experts", "moe_num_shared_experts", "num_shared_expert")
#: width of the shared expert: there is one, unless it is 0
SHARED_WIDTH = ("shared_intermediate_size", "shared_expert_intermediate_size")
ACTIVATION = ("hidden_act", "hidden_activation", "hidden_activation_function", "activation_function", "activation")
SCORING = ("scoring_func", "score_function", "moe_router_activation_func", "router_activation")
SCALING = ("routed_scaling_factor", "moe_routed_scaling_factor", "router_scaling_factor")
GROUPS, TOP_GROUPS = ("n_group", "num_expert_group"), ("topk_group", "limited_groups")
CORRECTION = ("use_expert_bias", "use_routing_bias", "moe_router_enable_expert_bias", "moe_use_aux_free")
#: what a word under one of :data:`ACTIVATION` stands for
ACTIVATIONS = {"silu": "silu", "swish": "silu", "swiglu": "silu", "gelu": "gelu", "gelu_python": "gelu",
               "gelu_pytorch_tanh": "gelu_tanh", "gelu_new": "gelu_tanh", "gelu_fast": "gelu_tanh",
               "quick_gelu": "quick_gelu"}
#: experts have biases
BIASES = ("mlp_bias", "use_bias", "moe_bias", "expert_bias", "add_bias_linear", "use_moe_bias")
LIMIT, ALPHA = "swiglu_limit", "swiglu_alpha"
#: limits of gate and up values of which nothing says where they are applied
LIMITS = ("activation_limit", "clamp_limit", "mlp_activation_limit")
#: what changes a layer if it is true
_NEVER = ("moe_drop_tokens", "uniform_expert_assignment", "group_limited_greedy", "moe_router_use_sigmoid", "multi_gate",
          "router_bias")
_UNDERSTOOD = {*TOP_K, *EXPERTS, *SHARED, *ACTIVATION, *SCORING, *SCALING, *GROUPS, *TOP_GROUPS, *CORRECTION, *BIASES,
               *LIMITS, LIMIT, ALPHA, *_NEVER, "model_type", "ffn_config", "num_hash_layers", "text_config", "norm_topk_prob",
               "topk_method", "router_jitter_noise", "zero_expert_num", "zero_expert_type", "quantization_config",
               "moe_normalize_expert_weights", "moe_gate"}
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
    r"n_heads|mlp_ratio|moe_jitter_eps|moe_loss_weight|floor_scale|intermediate_size_mlp|mla_scale_\w+|moe_norm_min|moe_gate_act|"
    r"compress_\w+|hc_\w+|index_\w+|o_groups|o_lora_rank|expert_dtype|dspark_\w+|norm_head|norm_softmax|use_qkv_bias|"
    r"(moe_)?router_dtype|moe_shared_expert_intermediate_size|use_cla|cla_share_factor|use_mixed_mlp_moe|dense_list|"
    r"moe_random_routing_dropped_token|use_moe_shared|add_classification_head|anyres_\w+|class_num|pool_type|im_\w+|"
    r"mask_init_id|text_\w+_id|num_media_embeds|vit_\w+|xdrope_\w+|pad_id|skip_cls_token|"
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
    #: what experts do with gate and up values
    function: GluFunction = field(default_factory=GluFunction)
    #: experts have biases: True, False, or None if nothing says so
    biased: bool | None = None
    #: choices after the experts whose result is the token itself
    identity: int = 0
    #: layers, the first ones, whose experts are chosen by the token's number in the vocabulary
    hashed: int = 0
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
                    top_groups=self.top_groups, group_score=self.family.group_score, jitter=self.jitter,
                    identity=self.identity, on_input=self.family.on_input)


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
            raise ModelConfigError(f"{key} = {shown(values[key])} is not legal; legal: {LIMIT} (of this key nothing says "
                                   f"where the limit is applied; --accept {key} leaves it out)")
    for key in _NEVER:
        if values.get(key) not in (None, False) and key not in accept:
            raise ModelConfigError(f"{key} = {shown(values[key])} is not legal; legal: false (it is not computed here; "
                                   f"--accept {key} leaves it out)")
    if values.get("zero_expert_type") not in (None, "", "identity") and values.get("zero_expert_num"):
        raise ModelConfigError(f"zero_expert_type = {shown(values['zero_expert_type'])} is not legal; legal value: identity")
    power = values.get("moe_normalize_expert_weights")
    if power not in (None, 1, 1.0):
        raise ModelConfigError(f"moe_normalize_expert_weights = {shown(power)} is not legal; legal values: 1, null")
    if values.get("moe_gate") not in (None, "topk"):
        raise ModelConfigError(f"moe_gate = {shown(values['moe_gate'])} is not legal; legal value: topk")
    for key, value in values.items():
        if value is not None and key not in _UNDERSTOOD and key not in accept and not _ELSEWHERE.fullmatch(key):
            raise ModelConfigError(f"{key} = {shown(value)} is not known, and may change what the layer computes; legal: the "
                                   f"keys of docs/import.md, or --accept {key} if it does not")


def _function(values: Mapping[str, Any], family: Family, accept: frozenset[str]) -> GluFunction:
    """What experts do with gate and up values."""
    name = word(values, ACTIVATION, ACTIVATIONS, "what becomes of gate values")
    function = family.function if family.own_activation or name is None else replace(family.function, activation=name)
    alpha, own = number(values, [ALPHA], 0.0), QUICK_GELU_ALPHA if function.activation == "quick_gelu" else 1.0
    if alpha and alpha != own and ALPHA not in accept:
        raise ModelConfigError(f"{ALPHA} = {alpha} is not legal; legal value: {own}, as the table of the activation has it")
    if values.get(LIMIT) is None or LIMIT in accept:
        return function
    limit = number(values, [LIMIT], 0.0)
    if not family.limited and limit:
        models = ", ".join(name for name, one in FAMILIES.items() if one.limited)
        raise ModelConfigError(f"{LIMIT} = {limit} is not legal with this model_type; legal: {models} (of others nothing "
                               f"says where the limit is applied; --accept {LIMIT} leaves it out)")
    function = replace(function, gate_limit=limit or None, up_limit=limit or None)
    try:
        Function.of(function)
    except (ValueError, OverflowError) as error:
        legal = str(error).partition("; ")[2] or "legal: finite values"
        raise ModelConfigError(f"{LIMIT} = {limit} is not legal; {legal}") from None
    return function


def _biased(values: Mapping[str, Any], family: Family, accept: frozenset[str]) -> bool | None:
    """Whether experts have biases; None if nothing says so."""
    said = {flag(values, key) for key in BIASES if key not in accept} - {None}
    return True if family.biased or True in said else False if said else None


def _flat(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """The keys of the part of a model that has the experts, and of a section about them, as keys of one object."""
    inner, ffn = values.get("text_config"), values.get("ffn_config")
    if isinstance(inner, Mapping):
        outer = {key: values[key] for key in ("quantization_config", "model_type") if key in values}
        values = {**outer, **{key: value for key, value in inner.items() if value is not None}}
    if isinstance(ffn, Mapping):
        own = {key: value for key, value in ffn.items() if key not in ("model_type", "ffn_act_fn")}
        act = ffn.get("ffn_act_fn")
        values = {**values, **own, "hidden_act": act.get("name") if isinstance(act, Mapping) else act}
    # Hunyuan writes false where it means none
    absent = {*GROUPS, *TOP_GROUPS, *SCALING}
    return {key: value for key, value in values.items() if not (value is False and key in absent)}


def _shared(values: Mapping[str, Any]) -> int | None:
    """Experts that every token meets; a list has an entry per layer, and says nothing if they differ."""
    alike = {key: value[0] if isinstance(value, list) and value and value.count(value[0]) == len(value) else value
             for key, value in values.items() if key in SHARED}
    count = whole({key: value for key, value in alike.items() if not isinstance(value, list)}, SHARED, 0, 64)
    return 1 if count is None and whole(values, SHARED_WIDTH, 0, 1 << 20) else count


def model_config(values: Mapping[str, Any], accept: frozenset[str] = frozenset()) -> ModelConfig:
    """Understand a ``config.json``.

    Args:
        values: its contents.
        accept: keys that the user says change nothing.

    Raises:
        ModelConfigError: for a key that is unknown or wrong, and for a layer that is not computed here.
    """
    values = _flat(values)
    name = values.get("model_type") or ""
    family = FAMILIES.get(name) if isinstance(name, str) else None
    if family is None and "model_type" not in accept:
        raise ModelConfigError(f"model_type = {shown(name)} is not known; legal: {', '.join(filter(None, FAMILIES))}, or "
                               "--accept model_type if its gate is a softmax over all experts or as its keys say")
    family = family or FAMILIES[""]
    _refuse(values, accept)
    scoring = word(values, SCORING, {scoring.value: scoring for scoring in (Scoring.SOFTMAX, Scoring.SIGMOID,
                                                                             Scoring.SQRT_SOFTPLUS)}, "scores of experts")
    method = word(values, ["topk_method"], {"greedy": "greedy", "group_limited_greedy": "group_limited_greedy",
                                             "noaux_tc": "noaux_tc"}, "how experts are chosen")
    groups, top_groups = whole(values, GROUPS, 1, MAX_EXPERTS) or 1, whole(values, TOP_GROUPS, 1, MAX_EXPERTS) or 1
    if method == "greedy":
        groups = top_groups = 1  # the model's code does not look at them
    normalise = flag(values, "norm_topk_prob")
    if "moe_normalize_expert_weights" in values:
        normalise = values["moe_normalize_expert_weights"] is not None
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
        shared=_shared(values), function=_function(values, family, accept), biased=_biased(values, family, accept),
        identity=whole(values, ["zero_expert_num"], 0, MAX_EXPERTS) or 0,
        hashed=0 if "num_hash_layers" in accept else whole(values, ["num_hash_layers"], 0, 1 << 16) or 0,
        scoring=scoring or family.scoring, normalise=family.normalise if normalise is None or family.always else normalise,
        scaling=number(values, SCALING, 1.0), groups=groups, top_groups=min(top_groups, groups),
        jitter=number(values, ["router_jitter_noise"], 0.01), correction=correction, quantisation=quantisation)
