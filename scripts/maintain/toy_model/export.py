"""What goes into the file: the model in float16, what its MoE layers do on held-out text, what held-out bytes cost it."""

import math

import numpy as np
import torch
import torch.nn.functional as F

from trajectile.scripts.maintain.toy_model import BLOCKS, D_MODEL, EXPERTS
from trajectile.scripts.maintain.toy_model.network import Model
from trajectile.sw_model.gates.toy_model import CONTEXT, Bytes

#: Tokens of the batches whose loads are reported.
WINDOW = 64

Arrays = dict[str, np.ndarray]


@torch.no_grad()
def round_to_half(model: Model) -> None:
    """Give all weights float16 values: the model is what the file holds."""
    for parameter in model.parameters():
        parameter.copy_(parameter.half())


@torch.no_grad()
def weights(model: Model) -> Arrays:
    """All weights, float16; those of the blocks stacked."""
    per_block = {
        "attention_norm": [block.norm1.weight for block in model.blocks],
        "qkv": [block.attention.qkv.weight for block in model.blocks],
        "out": [block.attention.out.weight for block in model.blocks],
        "moe_norm": [block.norm2.weight for block in model.blocks],
        "router": [moe.router.weight for moe in model.moes],
        "w_gate": [moe.gate for moe in model.moes], "w_up": [moe.up for moe in model.moes],
        "w_down": [moe.down for moe in model.moes],
    }
    found = {"embedding": model.embedding.weight, "norm": model.norm.weight, "head": model.head.weight,
             **{name: torch.stack(parts) for name, parts in per_block.items()}}
    return {name: tensor.half().numpy() for name, tensor in found.items()}


@torch.no_grad()
def bits(model: Model, texts: Bytes) -> np.ndarray:
    """What each byte after the first costs, float32 [texts, length - 1]; texts are at most a context and a byte long."""
    rows = torch.from_numpy(texts.astype(np.int64))
    parts = [F.cross_entropy(model(part[:, :-1]).transpose(1, 2), part[:, 1:], reduction="none")
             for part in rows.split(16)]
    return (torch.cat(parts) / math.log(2)).numpy()


@torch.no_grad()
def recorded(model: Model, text: bytes, tokens: int) -> Arrays:
    """Inputs, gate and results of the MoE layers on ``tokens`` bytes of ``text`` that follow half a context.

    The inputs are rounded to float16 and the gate weights too; gate and results are those of the rounded values.
    """
    half = CONTEXT // 2
    data = np.frombuffer(text, np.uint8)
    pieces = np.stack([data[i:i + CONTEXT] for i in range(0, tokens, half)]).astype(np.int64)
    inputs = [x[:, half:].reshape(-1, D_MODEL).half().float() for x in model.moe_inputs(torch.from_numpy(pieces))]
    routes = [moe.route(x) for moe, x in zip(model.moes, inputs, strict=True)]
    results = [moe.mixed(x, amounts.half().float(), ids)
               for moe, x, (_, amounts, ids) in zip(model.moes, inputs, routes, strict=True)]
    return {"x": torch.stack(inputs).half().numpy(), "y": torch.stack(results).numpy(),
            "topk_ids": torch.stack([ids for _, _, ids in routes]).numpy().astype(np.int16),
            "topk_weights": torch.stack([amounts for _, amounts, _ in routes]).half().numpy(),
            "layers": np.arange(BLOCKS, dtype=np.int16), "num_experts": np.array(EXPERTS, np.int16),
            "before": data[:half].copy(), "text": data[half:half + tokens].copy()}


def report(data: Arrays) -> None:
    """Print what docs/toy_model.md quotes about the MoE layers."""
    for number, ids in zip(data["layers"], data["topk_ids"], strict=True):
        loads = np.stack([np.bincount(part.ravel(), minlength=EXPERTS)
                          for part in ids.reshape(-1, WINDOW, ids.shape[1])])
        active, hottest = (loads > 0).sum(axis=1), loads.max(axis=1)
        print(f"layer {number}: active experts in a window of {WINDOW}: mean {active.mean():.1f}, {active.min()} to "
              f"{active.max()}; hottest expert's tokens: mean {hottest.mean():.1f}, {hottest.min()} to {hottest.max()}, "
              f"even load {WINDOW * ids.shape[1] / EXPERTS:.1f}; all {len(ids)} tokens: loads "
              f"{loads.sum(axis=0).min()} to {loads.sum(axis=0).max()}")
        x, y = data["x"][number].astype(np.float32), data["y"][number]
        print(f"layer {number}: largest |x| {np.abs(x).max():.2f}, rms {np.sqrt((x**2).mean()):.2f}; largest |y| "
              f"{np.abs(y).max():.2f}, rms {np.sqrt((y**2).mean()):.3f}")
