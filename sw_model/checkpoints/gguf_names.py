"""Names that GGUF files give the tensors of a Mixture-of-Experts layer."""

import re
from collections.abc import Iterable, Mapping

from trajectile.sw_model.checkpoints.naming import Block, Words

#: the routed experts: all in one tensor per matrix, or (before April 2024) each by itself
STACKED = re.compile(r"ffn_(?P<part>gate_up|gate|up|down)_exps\.(?P<ending>weight|bias)")
PER_EXPERT = re.compile(r"ffn_(?P<part>gate|up|down)\.(?P<expert>\d{1,6})\.weight")
#: whatever else belongs to them: biases, scales, norms
_EXPERTS = re.compile(r"ffn_(gate|up|down|gate_up)(_exps\.|\.\d).*")
_SHARED = re.compile(r"ffn_(?P<part>gate|up|down)_shexp\.(?P<ending>\w+)")
_ROUTER = {"ffn_gate_inp.weight": "weight", "ffn_gate_inp.bias": "bias", "exp_probs_b.bias": "correction",
           "exp_probs_b": "correction"}
_SHARED_GATE = "ffn_gate_inp_shexp.weight"
#: of the layer's attention and its like, before the block or behind it
_ELSEWHERE = re.compile(r"(attn|cross_attn|ssm|shortconv|time_mix|nextn|indexer|rope)[\w.]*|ffn_norm\.\w+|"
                        r"(post_attention|post_ffw|layer_output)_norm\.\w+")
LEGAL = "blk.L.ffn_{gate,up,down}_exps.{weight,bias}, blk.L.ffn_gate_up_exps.{weight,bias}, blk.L.ffn_{gate,up,down}.N.weight"
WORDS = Words(experts="ffn_gate_exps.weight", correction="exp_probs_b.bias", shared="ffn_gate_shexp.weight",
              matrix="ffn_{}_shexp.weight", source="the file's metadata",
              corrects="general.architecture, expert_gating_func")


def blocks(names: Iterable[str]) -> Mapping[int, Mapping[str, Block]]:
    """Blocks with routed experts, by layer and by what they are called."""
    layers: dict[int, dict[str, dict[str, str]]] = {}
    for name in names:
        match = re.fullmatch(r"(?P<stem>blk\.(?P<layer>\d{1,6}))\.(?P<rest>.+)", name)
        if match:
            layers.setdefault(int(match["layer"]), {}).setdefault(match["stem"], {})[match["rest"]] = name
    return {layer: found for layer, stems in layers.items()
            if (found := {stem: _block(stem, names) for stem, names in stems.items() if any(map(_is_expert, names))})}


def _is_expert(name: str) -> bool:
    match = STACKED.fullmatch(name)
    return bool((match and match["ending"] == "weight") or PER_EXPERT.fullmatch(name))


def _block(stem: str, names: Mapping[str, str]) -> Block:
    """The tensors of a layer, by their names there, in their places."""
    block = Block(stem + ".", words=WORDS)
    for own, name in names.items():
        if _EXPERTS.fullmatch(own):
            block.experts[own] = name
        elif own in _ROUTER and _ROUTER[own] not in block.router:
            block.router[_ROUTER[own]] = name
        elif match := _SHARED.fullmatch(own):
            block.shared.setdefault(match["part"], {})[match["ending"]] = name
        elif own == _SHARED_GATE:
            block.shared_gate = name
        elif not _ELSEWHERE.fullmatch(own):
            block.unknown.append(name)
    return block
