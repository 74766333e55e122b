"""The presets of whole models: shapes of the published ``config.json``, and what their comments say."""

import re

import pytest

from trajectile.sw_model.config import load, presets
from trajectile.sw_model.config.sections import BLOCK_INPUTS

#: preset -> Hugging Face repository, hidden_size, moe_intermediate_size (or whatever config.json calls an expert's width),
#: experts, top_k, and the shared experts that the preset counts as experts
PUBLISHED = {
    "dbrx": ("databricks/dbrx-base", 6144, 10752, 16, 4, 0),
    "deepseek-moe-16b": ("deepseek-ai/deepseek-moe-16b-base", 2048, 1408, 64, 6, 0),
    "deepseek-v2": ("deepseek-ai/DeepSeek-V2", 5120, 1536, 160, 6, 2),
    "deepseek-v3": ("deepseek-ai/DeepSeek-V3", 7168, 2048, 256, 8, 1),
    "deepseek-v4-flash": ("deepseek-ai/DeepSeek-V4-Flash", 4096, 2048, 256, 6, 1),
    "ernie-4.5-21b-a3b": ("baidu/ERNIE-4.5-21B-A3B-PT", 2560, 1536, 64, 6, 2),
    "glm-4.5": ("zai-org/GLM-4.5", 5120, 1536, 160, 8, 1),
    "glm-4.5-air": ("zai-org/GLM-4.5-Air", 4096, 1408, 128, 8, 1),
    "gpt-oss-20b": ("openai/gpt-oss-20b", 2880, 2880, 32, 4, 0),
    "gpt-oss-120b": ("openai/gpt-oss-120b", 2880, 2880, 128, 4, 0),
    "granite-3.1-3b-a800m": ("ibm-granite/granite-3.1-3b-a800m-base", 1536, 512, 40, 8, 0),
    "hunyuan-a13b": ("tencent/Hunyuan-A13B-Instruct", 4096, 3072, 64, 8, 1),
    "kimi-k2": ("moonshotai/Kimi-K2-Thinking", 7168, 2048, 384, 8, 1),
    "ling-1t": ("inclusionAI/Ling-1T", 8192, 2048, 256, 8, 1),
    "llama-4-scout": ("meta-llama/Llama-4-Scout-17B-16E", 5120, 8192, 16, 1, 1),
    "longcat-flash": ("meituan-longcat/LongCat-Flash-Chat", 6144, 2048, 512, 12, 0),
    "minimax-m2": ("MiniMaxAI/MiniMax-M2", 3072, 1536, 256, 8, 0),
    "mixtral-8x7b": ("mistralai/Mixtral-8x7B-v0.1", 4096, 14336, 8, 2, 0),
    "olmoe-1b-7b": ("allenai/OLMoE-1B-7B-0924", 2048, 1024, 64, 8, 0),
    "phi-3.5-moe": ("microsoft/Phi-3.5-MoE-instruct", 4096, 6400, 16, 2, 0),
    "qwen1.5-moe-a2.7b": ("Qwen/Qwen1.5-MoE-A2.7B", 2048, 1408, 60, 4, 0),
    "qwen3-30b-a3b": ("Qwen/Qwen3-30B-A3B", 2048, 768, 128, 8, 0),
    "qwen3-235b-a22b": ("Qwen/Qwen3-235B-A22B", 4096, 1536, 128, 8, 0),
    "qwen3-next-80b-a3b": ("Qwen/Qwen3-Next-80B-A3B-Instruct", 2048, 512, 512, 10, 1),
    "yuan2.0-m32": ("IEITYuan/Yuan2-M32-hf", 2048, 4096, 32, 2, 0),
}
#: models whose weights are published in 4 bits: weights, mantissa bits
FORMATS = {"gpt-oss-20b": ("mxfp4", 0), "gpt-oss-120b": ("mxfp4", 0), "deepseek-v4-flash": ("mxfp4", 0),
           "kimi-k2": ("int4", 3)}
#: models with biases: they have a block more of hidden units, which carries the biases of down
BIASES = {"gpt-oss-20b": "quick_gelu", "gpt-oss-120b": "quick_gelu"}
#: presets that are no MoE model of full size
OTHERS = {"board", "demo", "paper", "phi-3.5-moe-paper", "smoke", "smollm2-135m", "tour"}
#: all presets of whole models, the paper's version of one among them
MODELS = [*PUBLISHED, "phi-3.5-moe-paper"]


def comment(preset: str) -> str:
    """What a preset's file says before its first table, in one line."""
    text = presets()[preset].read_text(encoding="utf-8").partition("[layer]")[0]
    return " ".join(re.findall(r"^# (.*)$", text, re.M))


def test_each_preset_is_known():
    """A new one is added to this page."""
    assert {*PUBLISHED, *OTHERS} == set(presets())


@pytest.mark.parametrize("preset", PUBLISHED)
def test_shapes_are_the_published_ones(preset):
    """Shared experts count where they are in the preset; the comment names the repository, and the shared experts."""
    repository, d_model, d_ff, experts, top_k, shared = PUBLISHED[preset]
    layer, tile, said = load(preset).layer, load(preset).tile, comment(preset)
    assert (layer.d_model, layer.experts, layer.top_k) == (d_model, experts + shared, top_k + shared)
    assert layer.d_ff == d_ff + (BLOCK_INPUTS if preset in BIASES else 0)
    assert (tile.weights, tile.scale_mantissa) == FORMATS.get(preset, ("mx8", 0))
    assert (layer.activation, layer.bias) == (BIASES.get(preset, "silu"), preset in BIASES)
    assert f"(Hugging Face: {repository})" in said
    assert ("include the two shared experts" if shared == 2 else "include the shared expert") in said if shared else (
        "It has no shared expert" in said or "left out" in said)


def test_phi_of_the_paper():
    """As published but for ``d_ff``, 3,200 in the simulator of the paper's authors (arXiv 2603.27624)."""
    config = load("phi-3.5-moe-paper")
    assert config.layer.d_ff == 3200
    assert load("phi-3.5-moe", ["layer.d_ff=3200", "tile.slices=100"]).as_dict | {"name": config.name} == config.as_dict


@pytest.mark.parametrize("preset", MODELS)
def test_hardware_of_models(preset):
    """The paper's, with one token lane; as the comments say, nothing is padded, and results keep 21 bits for each slice."""
    config = load(preset)
    tile = config.tile
    assert (config.array, config.link, config.ddr) == (load("paper").array, load("paper").link, load("paper").ddr)
    assert (tile.mac_k, tile.mac_n, tile.mac_t, tile.slots, tile.tokens) == (32, 64, 1, 12, 256)
    assert f"slices of {config.slice_ff} columns" in comment(preset) and "nothing is padded" in comment(preset)
    weights = 3 * config.layer.d_model * config.slice_ff
    assert (config.pass_words - config.layer.bias * config.gate_up_groups) * tile.mac_k * tile.mac_n == weights
    assert config.slice_ff % BLOCK_INPUTS == 0 and config.layer.d_model % BLOCK_INPUTS == 0
    assert config.term_bits >= 21
    assert config.slice_ff == BLOCK_INPUTS or config.layer.d_ff // BLOCK_INPUTS > 256  # wider only where it must be


@pytest.mark.parametrize("preset", presets())
def test_presets_fit(preset):
    """The slices of a channel fit its 40 address bits; every file's lines fit the style, and say what it is for."""
    config = load(preset)
    assert config.channel_slices * config.slice_pitch_bytes <= 2**40
    assert max(map(len, presets()[preset].read_text(encoding="utf-8").splitlines())) <= 125 and len(comment(preset)) > 60
