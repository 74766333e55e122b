"""What the metadata of a GGUF file says of a layer: its architecture, and the keys that begin with the architecture's name.

The rules are those of :mod:`model_config`. An architecture stands for the families of models that are converted to it;
``expert_gating_func`` tells them apart. Keys without the architecture's name before them are notes, the tokenizer's, or
of how a file is cut: no layer is computed from them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from trajectile.sw_model.checkpoints.config_keys import ModelConfigError, flag, number, whole
from trajectile.sw_model.checkpoints.families import FAMILIES, Family
from trajectile.sw_model.checkpoints.model_config import MAX_EXPERTS, ModelConfig
from trajectile.sw_model.config.checks import shown
from trajectile.sw_model.gates.router import Scoring

#: values of ``expert_gating_func``
SOFTMAX, SIGMOID, SOFTMAX_CHOSEN = 1, 2, 3
_SCORING = {SOFTMAX: Scoring.SOFTMAX, SIGMOID: Scoring.SIGMOID, SOFTMAX_CHOSEN: Scoring.SOFTMAX_CHOSEN}
NORM, SCALE, GROUPS, TOP_GROUPS, GATING = ("expert_weights_norm", "expert_weights_scale", "expert_group_count",
                                           "expert_group_used_count", "expert_gating_func")


@dataclass(frozen=True)
class Architecture:
    """Models that GGUF files of an architecture hold."""

    #: by ``expert_gating_func``; the first one's is the default
    gates: Mapping[int, Family]
    #: keys that must be there, because what they are by default is not the same for all models
    said: tuple[str, ...] = ()


def _softmax(model_type: str, *said: str) -> Architecture:
    return Architecture({SOFTMAX: FAMILIES[model_type]}, said)


def _sigmoid(model_type: str, *said: str) -> Architecture:
    return Architecture({SIGMOID: FAMILIES[model_type]}, said)


_GRANITE = Architecture(dict.fromkeys((SOFTMAX_CHOSEN, SOFTMAX), FAMILIES["granitemoe"]))

#: by ``general.architecture``
ARCHITECTURES: Mapping[str, Architecture] = {
    "bailingmoe": _softmax("bailing_moe", NORM),
    "bailingmoe2": _sigmoid("bailing_moe_v2", NORM, GATING),
    "dbrx": _softmax("dbrx"),
    "deepseek": _softmax("deepseek"),
    # V2 and V3 choose from the best groups of experts, V2-Lite and Kimi-K2 from all; older files do not say it
    "deepseek2": Architecture({SOFTMAX: FAMILIES["deepseek_v2"], SIGMOID: FAMILIES["deepseek_v3"]}, (GROUPS, SCALE, NORM)),
    "dots1": _sigmoid("dots1", NORM, GATING),
    "ernie4_5-moe": _softmax("ernie4_5_moe"),
    "glm4moe": _sigmoid("glm4_moe", NORM),
    "gpt-oss": Architecture({SOFTMAX_CHOSEN: FAMILIES["gpt_oss"]}),
    "granitehybrid": _GRANITE,
    "granitemoe": _GRANITE,
    "hunyuan-moe": _softmax("hunyuan_v1_moe"),
    "jamba": _softmax("jamba"),
    "lfm2moe": _sigmoid("lfm2_moe", GATING),
    "llama": _softmax("mixtral"),
    "llama4": _sigmoid("llama4"),
    "minimax-m2": _sigmoid("minimax_m2", GATING),
    "olmoe": _softmax("olmoe"),
    "phimoe": _softmax("phimoe"),
    "qwen2moe": _softmax("qwen2_moe"),
    # all its published models have norm_topk_prob, which files do not repeat
    "qwen3moe": Architecture({SOFTMAX: replace(FAMILIES["qwen3_moe"], normalise=True)}),
    "qwen3next": _softmax("qwen3_next"),
    "qwen3vlmoe": _softmax("qwen3_vl_moe"),
}
#: why layers of other architectures cannot be computed here
REFUSED: Mapping[str, str] = {
    "gemma4": "its gate has a norm and scales of its own",
    "grok": "what it does with weights and logits of its gate is not known",
    "grovemoe": "groups of experts share an expert of their own",
    "nemotron_h_moe": "its experts are two matrices around a squared ReLU",
    "smallthinker": "its experts are gated by ReLU",
}
_UNDERSTOOD = {"expert_count", "expert_used_count", "expert_shared_count", "expert_shared_feed_forward_length", NORM, SCALE,
               GROUPS, TOP_GROUPS, GATING}
_CLAMPS = ("swiglu_clamp_exp", "swiglu_clamp_shexp")
#: of other parts of a model, or sizes that the tensors have too
_ELSEWHERE = re.compile(
    r"(attention|rope|ssm|kda|wkv|shortconv|vision|audio|classifier|pooling)[._].*|vocab_size|context_length|"
    r"embedding_length\w*|block_count|leading_dense_block_count|feed_forward_length|expert_feed_forward_length|"
    r"moe_every_n_layers|interleave_moe_layer_step|nextn_predict_layers|n_deepstack_layers|tensor_data_layout|"
    r"use_parallel_residual|full_attention_interval|logit_scale|residual_scale|embedding_scale|attn_logit_softcapping|"
    r"final_logit_softcapping|decoder_start_token_id|decoder_block_count")


def _architecture(fields: Mapping[str, Any], accept: frozenset[str]) -> tuple[str, Architecture]:
    name = fields.get("general.architecture")
    if not isinstance(name, str) or not name:
        raise ModelConfigError(f"general.architecture = {shown(name)} is not legal; legal: {', '.join(ARCHITECTURES)}")
    if name in REFUSED:
        raise ModelConfigError(f"general.architecture = {shown(name)} is not legal: {REFUSED[name]}; this is not computed "
                               "here")
    if name not in ARCHITECTURES and "general.architecture" not in accept:
        raise ModelConfigError(f"general.architecture = {shown(name)} is not known; legal: {', '.join(ARCHITECTURES)}, or "
                               "--accept general.architecture if its gate is a softmax over all experts or as its keys say")
    return name, ARCHITECTURES.get(name) or Architecture({gating: Family(scoring=scoring, correction=None)
                                                          for gating, scoring in _SCORING.items()})


def _refuse(name: str, own: Mapping[str, Any], accept: frozenset[str]) -> None:
    """Refuse what changes the function and cannot be computed, and what is not known."""
    for key, value in own.items():
        full = f"{name}.{key}"
        if full in accept or key in _UNDERSTOOD or _ELSEWHERE.fullmatch(key):
            continue
        if key in _CLAMPS:
            raise ModelConfigError(f"{full} = {shown(value)} is not legal; legal: none (llama.cpp limits what the activation "
                                   f"gives, which is not computed here; --accept {full} leaves the limit out)")
        raise ModelConfigError(f"{full} = {shown(value)} is not known, and may change what the layer computes; legal: the "
                               f"keys of docs/import.md, or --accept {full} if it does not")


def model_config(fields: Mapping[str, Any], accept: frozenset[str] = frozenset(), *, corrected: bool = False) -> ModelConfig:
    """Understand the metadata of a GGUF file.

    Args:
        fields: its keys and values.
        accept: keys that the user says change nothing.
        corrected: the file has tensors that correct the choice; no key says so.

    Raises:
        ModelConfigError: for a key that is unknown, missing or wrong, and for a layer that is not computed here.
    """
    name, architecture = _architecture(fields, accept)
    own = {key.removeprefix(name + "."): value for key, value in fields.items() if key.startswith(name + ".")}
    _refuse(name, own, accept)
    full = {f"{name}.{key}": value for key, value in own.items()}

    def entire(key: str, low: int, high: int) -> int | None:
        return whole(full, [f"{name}.{key}"], low, high)

    gating = entire(GATING, 0, 255) or next(iter(architecture.gates))  # 0 is "not said"
    if gating not in architecture.gates:
        legal = ", ".join(f"{code} ({_SCORING[code].value})" for code in architecture.gates)
        raise ModelConfigError(f"{name}.{GATING} = {gating} is not legal; legal values: {legal}")
    family = architecture.gates[gating]
    for key in architecture.said:
        if own.get(key) is None and f"{name}.{key}" not in accept and (key != NORM or family.normalise):
            raise ModelConfigError(f"{name}.{key} is missing, and not the same in all models of this architecture; legal: a "
                                   f"file that says it, or --accept {name}.{key} if it is {_default(key, family)}")
    normalise = flag(full, f"{name}.{NORM}")
    groups = entire(GROUPS, 0, MAX_EXPERTS) or 1
    top_groups = entire(TOP_GROUPS, 0, MAX_EXPERTS) or (1 if groups == 1 else 0)
    if not 1 <= top_groups <= groups:
        raise ModelConfigError(f"{name}.{TOP_GROUPS} = {top_groups} is not legal; legal values: 1 to {groups} = {GROUPS}")
    scaling = number(full, [f"{name}.{SCALE}"], 1.0) or 1.0  # 0 is "none"
    if not 0 < scaling < float("inf"):
        raise ModelConfigError(f"{name}.{SCALE} = {scaling} is not legal; legal values: more than 0")
    shared = entire("expert_shared_count", 0, 64)
    if not shared and entire("expert_shared_feed_forward_length", 0, 1 << 20):
        shared = 1
    correction = family.correction or (corrected and gating == SIGMOID) or None
    return ModelConfig(
        model_type=name, family=family, top_k=entire("expert_used_count", 1, MAX_EXPERTS),
        experts=entire("expert_count", 1, MAX_EXPERTS), shared=shared, scoring=family.scoring,
        normalise=family.normalise if normalise is None or family.always else normalise, scaling=scaling, groups=groups,
        top_groups=top_groups, correction=correction, function=family.function, biased=family.biased or None)


def _default(key: str, family: Family) -> str:
    """What a key is where a file does not say it, for a message."""
    return {NORM: "true" if family.normalise else "false", SCALE: "1", GROUPS: "1",
            GATING: f"the one of {family.scoring.value}"}[key]
