"""What the code of model types does with a layer, apart from what their ``config.json`` says."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from trajectile.sw_model.gates.router import GroupScore, Scoring
from trajectile.sw_model.numerics.layers import GluFunction


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
    #: what its experts do with gate and up values, without ``hidden_act`` and ``swiglu_limit``
    function: GluFunction = field(default_factory=GluFunction)
    #: ``hidden_act`` is not looked at
    own_activation: bool = False
    #: ``swiglu_limit`` is a limit of the gate value before its activation from above, and of the up value on both sides
    limited: bool = False
    #: fused gate and up outputs lie in turn
    interleaved: bool = False
    #: experts have biases, whatever keys say
    biased: bool = False
    #: a choice's weight multiplies what the expert is given
    on_input: bool = False


_V3 = Family(scoring=Scoring.SIGMOID, group_score=GroupScore.TOP2, correction=True)
_PLAIN = Family(normalise=False)
_GRANITE = Family(scoring=Scoring.SOFTMAX_CHOSEN, normalise=False, always=True)
_LLAMA4 = Family(scoring=Scoring.SIGMOID, normalise=False, always=True, on_input=True)

#: by ``model_type``
FAMILIES: Mapping[str, Family] = {
    "": Family(),  # nothing says what it is: softmax over all, normalised
    "bailing_moe": Family(),
    "bailing_moe_v2": _V3,
    "dbrx": Family(),
    "deepseek": _PLAIN,
    "deepseek_v2": _PLAIN,
    "deepseek_v3": _V3,
    "deepseek_v32": _V3,
    "deepseek_v4": Family(scoring=Scoring.SQRT_SOFTPLUS, group_score=GroupScore.TOP2, bias="correction", limited=True),
    "dots1": _V3,
    "ernie4_5_moe": Family(always=True, correction=True),
    "glm4_moe": replace(_V3, limited=True),
    "gpt_oss": Family(scoring=Scoring.SOFTMAX_CHOSEN, normalise=False, always=True, bias="logits", own_activation=True,
                      function=GluFunction("quick_gelu", 7.0, 7.0, 1.0), limited=True, interleaved=True, biased=True),
    "granitemoe": _GRANITE,
    "granitemoehybrid": _GRANITE,
    "granitemoeshared": _GRANITE,
    "hunyuan_v1_moe": Family(always=True),
    "jamba": Family(normalise=False, always=True),
    "kimi_k2": _V3,
    "lfm2_moe": Family(scoring=Scoring.SIGMOID),
    "llama4": _LLAMA4,
    "llama4_text": _LLAMA4,
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
