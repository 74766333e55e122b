"""Small checkpoints of the models people run: tensors under their names, their config.json, and the layer by their own code.

What a layer computes is written here token by token, as the models' published code does it, and shares nothing with the
product.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from tests.support.checkpoints import write_eight

D_MODEL, D_FF, EXPERTS = 32, 64, 8
LAYER = 5
FP4 = (0, .5, 1, 1.5, 2, 3, 4, 6, -0.0, -.5, -1, -1.5, -2, -3, -4, -6)


def silu(z):
    return z / (1 + np.exp(-z))


def gelu_tanh(z):
    return 0.5 * z * (1 + np.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)))


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def softmax(z):
    e = np.exp(z - z.max())
    return e / e.sum()


def top(values, count):
    """Numbers of the largest values, the largest first."""
    return sorted(range(len(values)), key=lambda n: (-values[n], n))[:count]


@dataclass
class Model:
    """A checkpoint, and what its layer computes of one token."""

    tensors: dict[str, Any]
    config: dict[str, Any]
    forward: Any
    #: of the layer as it is found
    naming: str
    dtype: str = "F32"

    def write(self, folder: Path) -> Path:
        """Write it; returns the folder."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps(self.config))
        write_eight(folder / "model.safetensors", self.tensors)
        return folder


class Draw:
    """Random tensors."""

    def __init__(self, seed):
        print(f"seed {seed}")
        self.rng = np.random.default_rng(seed)

    def __call__(self, *shape, by=None):
        return ((shape[-1]**-0.5 if by is None else by) * self.rng.standard_normal(shape)).astype(np.float32)

    def expert(self, d_ff=D_FF):
        """Gate, up and down of an expert."""
        return self(d_ff, D_MODEL), self(d_ff, D_MODEL), self(D_MODEL, d_ff)

    def mxfp4(self, *shape):
        """Codes [..., inputs / 2], scales [..., inputs / 32] as uint8, and what they stand for."""
        codes = self.rng.integers(0, 16, shape)
        scales = self.rng.integers(121, 126, (*shape[:-1], shape[-1] // 32))
        real = np.array(FP4)[codes] * np.exp2(scales - 127.0).repeat(32, axis=-1)
        packed = (codes[..., 0::2] | codes[..., 1::2] << 4).astype(np.uint8)
        return packed, scales.astype(np.uint8), real.astype(np.float32)


def swiglu(x, gate, up, down, act=silu):
    return down @ (act(gate @ x) * (up @ x))


def separate(block, experts, words=("gate_proj", "up_proj", "down_proj")):
    """Tensors of experts of three matrices."""
    return {f"{block}experts.{number}.{word}.weight": matrix for number, expert in enumerate(experts)
            for word, matrix in zip(words, expert, strict=True)}


def routed(x, experts, chosen):
    return sum(weight * swiglu(x, *experts[number]) for number, weight in chosen)


def gpt_oss(seed=1, packed=True):
    """gpt-oss: MXFP4 or BF16, rows in turn, biases everywhere, both limits, softmax of the top 4."""
    draw, block = Draw(seed), f"model.layers.{LAYER}.mlp."
    gate_up_bias, down_bias = draw(EXPERTS, 2 * D_FF, by=.5), draw(EXPERTS, D_MODEL, by=.5)
    router, router_bias = 0.5 * draw(EXPERTS, D_MODEL, by=1), draw(EXPERTS, by=.5)
    tensors = {block + "experts.gate_up_proj_bias": gate_up_bias, block + "experts.down_proj_bias": down_bias,
               block + "router.weight": router, block + "router.bias": router_bias}
    if packed:
        both_codes, both_scales, both = draw.mxfp4(EXPERTS, 2 * D_FF, D_MODEL)
        down_codes, down_scales, down = draw.mxfp4(EXPERTS, D_MODEL, D_FF)
        tensors |= {block + "experts.gate_up_proj_blocks": both_codes.reshape(EXPERTS, 2 * D_FF, -1, 16),
                    block + "experts.gate_up_proj_scales": both_scales,
                    block + "experts.down_proj_blocks": down_codes.reshape(EXPERTS, D_MODEL, -1, 16),
                    block + "experts.down_proj_scales": down_scales}
    else:
        both, down = (3 * draw(EXPERTS, 2 * D_FF, D_MODEL)).astype(ml_dtypes.bfloat16), draw(EXPERTS, D_MODEL, D_FF)
        down = down.astype(ml_dtypes.bfloat16)
        tensors |= {block + "experts.gate_up_proj": np.ascontiguousarray(both.transpose(0, 2, 1)),
                    block + "experts.down_proj": np.ascontiguousarray(down.transpose(0, 2, 1))}
        both, down = both.astype(np.float32), down.astype(np.float32)

    def forward(x):
        logits = router @ x + router_bias
        chosen = top(logits, 4)
        y = 0
        for number, weight in zip(chosen, softmax(logits[chosen]), strict=True):
            rows = both[number] @ x + gate_up_bias[number]
            gate, up = np.minimum(rows[0::2], 7.0), np.clip(rows[1::2], -7.0, 7.0)
            y = y + weight * (down[number] @ (gate * sigmoid(1.702 * gate) * (up + 1)) + down_bias[number])
        return y
    config = {
        "architectures": ["GptOssForCausalLM"], "attention_bias": True, "attention_dropout": 0.0, "eos_token_id": 200002,
        "experts_per_token": 4, "head_dim": 64, "hidden_act": "silu", "hidden_size": D_MODEL, "initial_context_length": 4096,
        "initializer_range": 0.02, "intermediate_size": D_FF, "layer_types": ["sliding_attention", "full_attention"],
        "max_position_embeddings": 131072, "model_type": "gpt_oss", "num_attention_heads": 64, "num_experts_per_tok": 4,
        "num_hidden_layers": 24, "num_key_value_heads": 8, "num_local_experts": EXPERTS, "output_router_logits": False,
        "pad_token_id": 199999, "rms_norm_eps": 1e-05, "rope_theta": 150000, "router_aux_loss_coef": 0.9,
        "rope_scaling": {"beta_fast": 32.0, "rope_type": "yarn"}, "sliding_window": 128, "swiglu_limit": 7.0,
        "tie_word_embeddings": False, "transformers_version": "4.55.0", "use_cache": True, "vocab_size": 201088}
    if packed:
        config["quantization_config"] = {"quant_method": "mxfp4", "modules_to_not_convert": ["model.layers.*.mlp.router"]}
    naming = "gpt-oss" if packed else "fused experts, transposed"
    return Model(tensors, config, forward, naming, "MXFP4" if packed else "BF16")


def deepseek_v4(seed=2):
    """DeepSeek-V4: MXFP4 experts, an FP8 shared expert, sqrt of softplus, a correction called bias, limits of 10."""
    draw, block = Draw(seed), f"layers.{LAYER}.ffn."
    experts: list[Any] = []
    tensors: dict[str, Any] = {}
    for number in range(EXPERTS):
        matrices = []
        for word, shape in (("w1", (D_FF, D_MODEL)), ("w3", (D_FF, D_MODEL)), ("w2", (D_MODEL, D_FF))):
            codes, scales, real = draw.mxfp4(*shape)
            tensors |= {f"{block}experts.{number}.{word}.weight": codes.view(np.int8),
                        f"{block}experts.{number}.{word}.scale": scales.view(ml_dtypes.float8_e8m0fnu)}
            matrices.append(16 * real if word != "w2" else real)
            if word != "w2":
                scales = (scales + 4).astype(np.uint8)
                tensors[f"{block}experts.{number}.{word}.scale"] = scales.view(ml_dtypes.float8_e8m0fnu)
        experts.append(matrices)
    shared = []
    for word, matrix in zip(("w1", "w3", "w2"), draw.expert(), strict=True):
        codes = (16 * matrix).astype(ml_dtypes.float8_e4m3fn)
        tensors |= {f"{block}shared_experts.{word}.weight": codes,
                    f"{block}shared_experts.{word}.scale": np.full((1, 1), 2.0**-1,
                                                                   np.float32).astype(ml_dtypes.float8_e8m0fnu)}
        shared.append(codes.astype(np.float32) / 2)
    router, bias = draw(EXPERTS, D_MODEL, by=1), draw(EXPERTS, by=.5)
    tensors |= {block + "gate.weight": router, block + "gate.bias": bias}

    def expert(x, gate, up, down):
        return down @ (silu(np.minimum(gate @ x, 10.0)) * np.clip(up @ x, -10.0, 10.0))

    def forward(x):
        scores = np.sqrt(np.log1p(np.exp(router @ x)))
        chosen = top(scores + bias, 2)
        weights = scores[chosen] / scores[chosen].sum() * 1.5
        return expert(x, *shared) + sum(w * expert(x, *experts[n]) for n, w in zip(chosen, weights, strict=True))
    config = {
        "attention_bias": False, "expert_dtype": "fp4", "hc_eps": 1e-06, "hc_mult": 4, "hc_sinkhorn_iters": 20,
        "head_dim": 512,
        "hidden_act": "silu", "hidden_size": D_MODEL, "index_head_dim": 128, "index_n_heads": 64, "index_topk": 512,
        "model_type": "deepseek_v4", "moe_intermediate_size": D_FF, "n_routed_experts": EXPERTS, "n_shared_experts": 1,
        "norm_topk_prob": True, "num_attention_heads": 64, "num_experts_per_tok": 2, "num_hidden_layers": 43,
        "num_hash_layers": 3, "num_key_value_heads": 1, "num_nextn_predict_layers": 1, "o_groups": 8, "o_lora_rank": 1024,
        "q_lora_rank": 1024, "qk_rope_head_dim": 64, "rms_norm_eps": 1e-06, "rope_theta": 10000,
        "routed_scaling_factor": 1.5,
        "scoring_func": "sqrtsoftplus", "sliding_window": 128, "swiglu_limit": 10.0, "topk_method": "noaux_tc",
        "compress_rope_theta": 160000, "compress_ratios": [0, 0, 4, 128], "vocab_size": 129280,
        "quantization_config": {"activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8", "scale_fmt": "ue8m0",
                                "weight_block_size": [128, 128]}}
    return Model(tensors, config, forward, "DeepSeek-MoE", "MXFP4")


def granite(seed=3, shared=False):
    """Granite 3: input_linear and output_linear in the block, softmax of the top k; a shared expert beside the block."""
    draw, layer = Draw(seed), f"model.layers.{LAYER}."
    experts = [draw.expert() for _ in range(EXPERTS)]
    router = draw(EXPERTS, D_MODEL, by=1)
    tensors = {
        layer + "block_sparse_moe.input_linear.weight": np.stack([np.concatenate(expert[:2]) for expert in experts]),
        layer + "block_sparse_moe.output_linear.weight": np.stack([expert[2] for expert in experts]),
        layer + "block_sparse_moe.router.layer.weight": router, layer + "input_layernorm.weight": draw(D_MODEL)}
    always = draw.expert(96)
    if shared:
        tensors |= {layer + "shared_mlp.input_linear.weight": np.concatenate(always[:2]),
                    layer + "shared_mlp.output_linear.weight": always[2]}

    def forward(x):
        logits = router @ x
        chosen = top(logits, 3)
        y = routed(x, experts, zip(chosen, softmax(logits[chosen]), strict=True))
        return y + swiglu(x, *always) if shared else y
    config = {
        "model_type": "granitemoeshared" if shared else "granitemoe", "attention_multiplier": 0.015625,
        "embedding_multiplier": 12.0,
        "hidden_act": "silu", "hidden_size": D_MODEL, "intermediate_size": D_FF, "logits_scaling": 6.0,
        "num_local_experts": EXPERTS,
        "num_experts_per_tok": 3, "residual_multiplier": 0.22, "router_aux_loss_coef": 0.001, "rope_theta": 10000,
        "shared_intermediate_size": 96 * shared}
    return Model(tensors, config, forward, "Granite")


def dbrx(seed=4):
    """DBRX: the rows of all experts in a tensor per matrix, down as [d_ff, d_model], a section of config.json of its own."""
    draw, block = Draw(seed), f"transformer.blocks.{LAYER}.ffn."
    experts = [draw.expert() for _ in range(EXPERTS)]
    router = draw(EXPERTS, D_MODEL, by=1)
    stacked = {word: [expert[place] for expert in experts] for place, word in enumerate(("w1", "v1", "w2"))}
    stacked["w2"] = [down.T for down in stacked["w2"]]
    tensors = {f"{block}experts.mlp.{word}": np.concatenate(matrices) for word, matrices in stacked.items()}
    tensors[block + "router.layer.weight"] = router

    def forward(x):
        scores = softmax(router @ x)
        chosen = top(scores, 4)
        return routed(x, experts, zip(chosen, scores[chosen] / np.abs(scores[chosen]).sum(), strict=True))
    config = {
        "model_type": "dbrx", "attn_config": {"clip_qkv": 8, "kv_n_heads": 8}, "d_model": D_MODEL, "emb_pdrop": 0.0,
        "ffn_config": {"ffn_hidden_size": D_FF, "moe_jitter_eps": 0.01, "moe_loss_weight": 0.05, "moe_num_experts": EXPERTS,
                       "moe_top_k": 4, "model_type": "", "ffn_act_fn": {"name": "silu"}, "moe_normalize_expert_weights": 1,
                       "uniform_expert_assignment": False},
        "initializer_range": 0.02, "max_seq_len": 32768, "n_heads": 48, "n_layers": 40, "resid_pdrop": 0.0,
        "vocab_size": 100352}
    return Model(tensors, config, forward, "DBRX")


def llama4(seed=5):
    """Llama-4: the sigmoid multiplies what the routed expert is given; the shared one sees the token as it is."""
    draw, block = Draw(seed), f"language_model.model.layers.{LAYER}.feed_forward."
    experts = [draw.expert() for _ in range(EXPERTS)]
    always, router = draw.expert(), draw(EXPERTS, D_MODEL, by=.5)
    tensors = {
        block + "experts.gate_up_proj": np.ascontiguousarray(
            np.stack([np.concatenate(expert[:2]) for expert in experts]).transpose(0, 2, 1)),
        block + "experts.down_proj": np.ascontiguousarray(np.stack([expert[2] for expert in experts]).transpose(0, 2, 1)),
        block + "router.weight": router}
    tensors |= {f"{block}shared_expert.{word}.weight": matrix
                for word, matrix in zip(("gate_proj", "up_proj", "down_proj"), always, strict=True)}

    def forward(x):
        logits = router @ x
        best = top(logits, 1)[0]
        return swiglu(sigmoid(logits[best]) * x, *experts[best]) + swiglu(x, *always)
    config = {"model_type": "llama4", "vision_config": {"hidden_size": 8}, "text_config": {
        "model_type": "llama4_text", "num_local_experts": EXPERTS, "num_experts_per_tok": 1, "hidden_act": "silu",
        "attention_chunk_size": 8192, "attn_scale": 0.1, "attn_temperature_tuning": True, "floor_scale": 8192,
        "for_llm_compressor": False, "hidden_size": D_MODEL, "interleave_moe_layer_step": 1, "intermediate_size": D_FF,
        "intermediate_size_mlp": 16384, "moe_layers": [0, 5], "no_rope_layers": [1], "output_router_logits": False,
        "router_aux_loss_coef": 0.001, "router_jitter_noise": 0.0, "use_qk_norm": True}}
    return Model(tensors, config, forward, "fused experts, transposed")


def longcat(seed=6):
    """LongCat-Flash: identities after the experts, a correction of the choice, weights times 6 and not normalised."""
    draw, block = Draw(seed), f"model.layers.{LAYER}.mlp."
    experts, more = [draw.expert() for _ in range(EXPERTS)], 4
    router, correction = draw(EXPERTS + more, D_MODEL, by=.5), draw(EXPERTS + more, by=.05)
    tensors = separate(block, experts) | {block + "router.classifier.weight": router,
                                          block + "router.e_score_correction_bias": correction}

    def forward(x):
        scores = softmax(router @ x)
        y = np.zeros(D_MODEL)
        for number in top(scores + correction, 3):
            y = y + 6.0 * scores[number] * (x if number >= EXPERTS else swiglu(x, *experts[number]))
        return y
    config = {
        "model_type": "longcat_flash", "attention_bias": False, "attention_method": "MLA", "expert_ffn_hidden_size": D_FF,
        "ffn_hidden_size": 4 * D_FF, "hidden_size": D_MODEL, "kv_lora_rank": 512, "mla_scale_kv_lora": True,
        "mla_scale_q_lora": True, "moe_topk": 3, "n_routed_experts": EXPERTS, "norm_topk_prob": False, "num_layers": 28,
        "routed_scaling_factor": 6.0, "router_bias": False, "zero_expert_num": more, "zero_expert_type": "identity"}
    return Model(tensors, config, forward, "Qwen-MoE or OLMoE")


def ernie(seed=7):
    """ERNIE-4.5: softmax over all, a correction of the choice, weights normalised, shared experts."""
    draw, block = Draw(seed), f"model.layers.{LAYER}.mlp."
    experts = [draw.expert() for _ in range(EXPERTS)]
    always, router, correction = draw.expert(2 * D_FF), draw(EXPERTS, D_MODEL, by=.5), draw(1, EXPERTS, by=.1)
    tensors = separate(block, experts) | {block + "gate.weight": router,
                                          block + "moe_statics.e_score_correction_bias": correction}
    tensors |= {f"{block}shared_experts.{word}.weight": matrix
                for word, matrix in zip(("gate_proj", "up_proj", "down_proj"), always, strict=True)}

    def forward(x):
        scores = softmax(router @ x)
        chosen = top(scores + correction[0], 3)
        return routed(x, experts, zip(chosen, scores[chosen] / scores[chosen].sum(), strict=True)) + swiglu(x, *always)
    config = {
        "model_type": "ernie4_5_moe", "hidden_act": "silu", "hidden_size": D_MODEL, "moe_capacity": [64, 64, 64],
        "moe_gate": "topk",
        "moe_gate_act": None, "moe_intermediate_size": D_FF, "moe_k": 3, "moe_layer_end_index": 27, "moe_layer_interval": 1,
        "moe_layer_start_index": 1, "moe_norm_min": 1e-12, "moe_num_experts": EXPERTS, "moe_num_shared_experts": 2,
        "moe_use_aux_free": True, "use_bias": False}
    return Model(tensors, config, forward, "DeepSeek-MoE")


def hunyuan(seed=8):
    """Hunyuan-A13B: lists with an entry per layer, and false where another model has no key."""
    draw, block = Draw(seed), f"model.layers.{LAYER}.mlp."
    experts = [draw.expert() for _ in range(EXPERTS)]
    always, router = draw.expert(), draw(EXPERTS, D_MODEL, by=.5)
    tensors = separate(block, experts) | {block + "gate.wg.weight": router}
    tensors |= {f"{block}shared_mlp.{word}.weight": matrix
                for word, matrix in zip(("gate_proj", "up_proj", "down_proj"), always, strict=True)}

    def forward(x):
        scores = softmax(router @ x)
        chosen = top(scores, 2)
        return routed(x, experts, zip(chosen, scores[chosen] / scores[chosen].sum(), strict=True)) + swiglu(x, *always)
    config = {
        "model_type": "hunyuan_v1_moe", "add_classification_head": False, "cla_share_factor": 2, "class_num": 0,
        "dense_list": [4096, 0], "eod_token_id": 127967, "group_limited_greedy": False, "hidden_act": "silu", "im_end_id": 6,
        "intermediate_size": D_FF, "kv_lora_rank": None, "mask_init_id": 12, "mlp_bias": False, "moe_drop_tokens": False,
        "moe_intermediate_size": [D_FF] * 32, "moe_layer_num_skipped": 0, "moe_random_routing_dropped_token": False,
        "moe_topk": [2] * 32, "n_group": False, "norm_topk_prob": True, "norm_type": "rms", "num_experts": EXPERTS,
        "num_media_embeds": 257, "num_shared_expert": [1] * 32, "org_vocab_size": 128167, "pad_id": 127961,
        "pool_type": "last",
        "position_embedding_xdrope": False, "routed_scaling_factor": False, "text_end_id": 8, "text_start_id": 7,
        "topk_group": False, "use_cla": False, "use_mixed_mlp_moe": True, "use_qk_norm": True, "use_rotary_pos_emb": True}
    return Model(tensors, config, forward, "Qwen-MoE")


def _sigmoid_model(seed, block, words, names, config, *, groups=1, top_groups=1, scaling=1.0, shared=True,
                   naming="DeepSeek-MoE"):
    """Sigmoid, a correction of the choice, perhaps the best groups only, weights normalised and scaled."""
    draw = Draw(seed)
    experts = [draw.expert() for _ in range(EXPERTS)]
    always, router, correction = draw.expert(), draw(EXPERTS, D_MODEL, by=.5), draw(EXPERTS, by=.2)
    tensors = separate(block, experts, words) | {block + "gate.weight": router, block + names: correction}
    if shared:
        tensors |= {f"{block}shared_experts.{word}.weight": matrix
                    for word, matrix in zip(("gate_proj", "up_proj", "down_proj"), always, strict=True)}

    def forward(x):
        scores = sigmoid(router @ x)
        judged = (scores + correction).reshape(groups, -1)
        best = top([sorted(group)[-1] + sorted(group)[-2] for group in judged], top_groups)
        allowed = [n if n // judged.shape[1] in best else -1 for n in range(EXPERTS)]
        chosen = top(np.where(np.array(allowed) >= 0, judged.ravel(), -np.inf), 2)
        y = routed(x, experts, zip(chosen, scaling * scores[chosen] / scores[chosen].sum(), strict=True))
        return y + swiglu(x, *always) if shared else y
    return Model(tensors, config | {"hidden_act": "silu", "num_experts_per_tok": 2}, forward, naming)


QWEN_WORDS = ("gate_proj", "up_proj", "down_proj")


def ling(seed=9):
    """Ling 2: sigmoid, expert_bias, the best groups, a factor."""
    return _sigmoid_model(seed, f"model.layers.{LAYER}.mlp.", QWEN_WORDS, "gate.expert_bias", {
        "model_type": "bailing_moe_v2", "embedding_dropout": 0.0, "moe_intermediate_size": D_FF,
        "moe_router_enable_expert_bias": True,
        "moe_shared_expert_intermediate_size": D_FF, "n_group": 4, "norm_head": False, "norm_topk_prob": True,
        "num_experts": EXPERTS, "num_shared_experts": 1, "output_dropout": 0.0, "routed_scaling_factor": 2.5,
        "router_dtype": "fp32", "score_function": "sigmoid", "topk_group": 2, "use_bias": False, "use_qkv_bias": False},
        groups=4, top_groups=2, scaling=2.5)


def minimax(seed=10):
    """MiniMax-M2: Mixtral's names, a correction beside the gate."""
    return _sigmoid_model(seed, f"model.layers.{LAYER}.block_sparse_moe.", ("w1", "w3", "w2"), "e_score_correction_bias", {
        "model_type": "minimax_m2", "attn_type_list": [1, 1], "num_local_experts": EXPERTS, "num_mtp_modules": 3,
        "qk_norm_type": "per_layer",
        "rotary_dim": 64, "scoring_func": "sigmoid", "shared_intermediate_size": 0, "use_mtp": True, "use_qk_norm": True,
        "use_routing_bias": True, "mtp_transformer_layers": 1}, shared=False, naming="Mixtral")


def glm(seed=11):
    """GLM-4.5."""
    return _sigmoid_model(seed, f"model.layers.{LAYER}.mlp.", QWEN_WORDS, "gate.e_score_correction_bias", {
        "model_type": "glm4_moe", "first_k_dense_replace": 1, "n_group": 1, "n_routed_experts": EXPERTS,
        "n_shared_experts": 1,
        "norm_topk_prob": True, "partial_rotary_factor": 0.5, "routed_scaling_factor": 2.5, "topk_group": 1,
        "use_qk_norm": True},
        scaling=2.5)


#: by name
MODELS = {
    "gpt-oss": gpt_oss, "gpt-oss in BF16": lambda: gpt_oss(packed=False), "DeepSeek-V4": deepseek_v4, "Granite 3": granite,
    "Granite with a shared expert": lambda: granite(shared=True), "DBRX": dbrx, "Llama-4": llama4, "LongCat-Flash": longcat,
    "ERNIE-4.5": ernie, "Hunyuan-A13B": hunyuan, "Ling 2": ling, "MiniMax-M2": minimax, "GLM-4.5": glm}
