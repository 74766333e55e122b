"""Names that models give the tensors of a Mixture-of-Experts layer: experts, gate, shared experts."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

#: a tensor of the routed experts of a layer: what they are called, the layer's number, and the rest of the name
EXPERTS = re.compile(r"(?P<stem>(?:[^\s]*\.)?(?:layers|blocks)\.(?P<layer>\d{1,6})\.(?:\w+\.)*experts)\.(?P<rest>.+)")
PER_EXPERT = re.compile(r"(?P<expert>\d{1,6})\.(?P<word>w1|w2|w3|gate_proj|up_proj|down_proj)\.(?P<ending>\w+)")
FUSED = re.compile(r"(?P<word>gate_up_proj|down_proj|(?:in|out)put_linear)(?:[._](?P<ending>weight|blocks|scales|bias))?")
#: DBRX: a tensor per matrix with the rows of all experts
ROWS = re.compile(r"mlp\.(?P<word>w1|v1|w2)")
#: Granite's, whose two tensors stand in the block itself
GRANITE = re.compile(r"(?P<stem>(?:[^\s]*\.)?layers\.(?P<layer>\d{1,6})\.block_sparse_moe)\."
                     r"(?P<rest>(?:in|out)put_linear\.\w+)")
#: a matrix' name to which it is
MATRIX = {"w1": "gate", "w3": "up", "w2": "down", "gate_proj": "gate", "up_proj": "up", "down_proj": "down",
          "gate_up_proj": "gate_up", "v1": "up", "input_linear": "gate_up", "output_linear": "down"}
LEGAL = ("experts.N.{w1,w3,w2}, experts.N.{gate_proj,up_proj,down_proj}, experts.{gate_up_proj,down_proj} with _blocks, "
         "_scales, _bias, experts.mlp.{w1,v1,w2}, block_sparse_moe.{input_linear,output_linear}")

#: the gate's tensors in the block of the experts: what each is, by its name there
ROUTER = {"gate.weight": "weight", "router.weight": "weight", "gate.wg.weight": "weight", "router.layer.weight": "weight",
          "router.classifier.weight": "weight",
          "gate.bias": "bias", "router.bias": "bias", "router.classifier.bias": "bias",
          "gate.e_score_correction_bias": "correction", "e_score_correction_bias": "correction",
          "router.e_score_correction_bias": "correction", "moe_statics.e_score_correction_bias": "correction",
          "gate.expert_bias": "correction", "expert_bias": "correction"}
SHARED = re.compile(r"(?P<stem>shared_experts?|shared_mlp)\.(?P<word>gate_proj|up_proj|down_proj|w1|w2|w3)\.(?P<ending>\w+)")
#: Granite's stands beside the block
SHARED_BESIDE = re.compile(r"(?P<prefix>(?:[^\s]*\.)?layers\.\d{1,6}\.)shared_mlp\."
                           r"(?P<word>(?:in|out)put_linear)\.(?P<ending>\w+)")
SHARED_GATE = "shared_expert_gate.weight"
#: beside the experts, and of no meaning for inference
NOTHING = re.compile(r"(gate\.)?tokens_per_expert|(gate\.)?expert_usage|moe_statics\.expert_usage|.*\.rotary_emb\.inv_freq")


@dataclass(frozen=True)
class Words:
    """What a checkpoint calls the tensors of a block, for messages."""

    experts: str = "experts"
    correction: str = "gate.e_score_correction_bias"
    shared: str = "shared_experts"
    #: of the shared expert's matrices
    matrix: str = "shared_expert.{}_proj.weight"
    #: where it is told what the layer computes
    source: str = "config.json"
    #: what there would say that the choice is corrected
    corrects: str = "model_type, topk_method, use_expert_bias"


@dataclass
class Block:
    """Tensors of a layer's block, by what they are; each name in full."""

    #: what stands before the names below
    prefix: str
    #: of the routed experts, by the rest of the name
    experts: dict[str, str] = field(default_factory=dict)
    #: of the gate, by what each is
    router: dict[str, str] = field(default_factory=dict)
    #: of the shared expert, by matrix and ending
    shared: dict[str, dict[str, str]] = field(default_factory=dict)
    shared_gate: str | None = None
    #: names that nothing is known of, and of several that are the same
    unknown: list[str] = field(default_factory=list)
    words: Words = Words()

    @property
    def naming(self) -> str:
        """Whose names they are."""
        if any("input_linear" in name for name in self.experts):
            return "Granite"
        if any(ROWS.fullmatch(name) for name in self.experts):
            return "DBRX"
        if any(name.endswith("_blocks") for name in self.experts):
            return "gpt-oss"
        if any(FUSED.fullmatch(name) for name in self.experts):
            return "fused experts"
        if any(".shared_experts." in name for part in self.shared.values() for name in part.values()):
            return "DeepSeek-MoE"
        return "Qwen-MoE" if self.shared else "Mixtral" if any(".w1." in name for name in self.experts.values()) else (
            "Qwen-MoE or OLMoE")


def blocks(names: Iterable[str]) -> Mapping[int, Mapping[str, Block]]:
    """Blocks with routed experts, by layer and by what the experts are called; without those of multi-token prediction."""
    found: dict[int, dict[str, Block]] = {}
    rest: list[str] = []
    for name in names:
        match = EXPERTS.fullmatch(name) or GRANITE.fullmatch(name)
        if match and not name.startswith("mtp."):  # layers of multi-token prediction are numbered from 0 again
            stem = match["stem"]
            block = found.setdefault(int(match["layer"]), {}).setdefault(
                stem, Block(stem.removesuffix("experts") if match.re is EXPERTS else stem + "."))
            block.experts[match["rest"]] = name
        else:
            rest.append(name)
    by_prefix = {block.prefix: block for stems in found.values() for block in stems.values()}
    for name in rest:
        if beside := SHARED_BESIDE.fullmatch(name):
            for start, block in by_prefix.items():
                if start.startswith(beside["prefix"]):
                    block.shared.setdefault(MATRIX[beside["word"]], {})[beside["ending"]] = name
            continue
        prefix = next((name[:end + 1] for end in range(len(name)) if name[end] == "." and name[:end + 1] in by_prefix), None)
        # an attention beside the experts has a block of its own, unless the layer's own name is the block
        if prefix is not None and not re.search(r"(?:layers|blocks)\.\d+\.$", prefix):
            _sort(by_prefix[prefix], name)
    return found


def _sort(block: Block, name: str) -> None:
    """Put a tensor beside the experts in its place."""
    own = name.removeprefix(block.prefix)
    if own in ROUTER and ROUTER[own] not in block.router:
        block.router[ROUTER[own]] = name
    elif match := SHARED.fullmatch(own):
        block.shared.setdefault(MATRIX[match["word"]], {})[match["ending"]] = name
    elif own == SHARED_GATE:
        block.shared_gate = name
    elif not NOTHING.fullmatch(own):
        block.unknown.append(name)
