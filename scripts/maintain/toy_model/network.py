"""The network: blocks of attention and a MoE layer. sw_model/gates/toy_model.py computes the same in NumPy."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trajectile.scripts.maintain.toy_model import BLOCKS, D_FF, D_MODEL, EXPERTS
from trajectile.sw_model.gates.toy_model import CONTEXT, GATE, HEADS, NORM_EPSILON, ROPE_BASE


class Permute(torch.autograd.Function):
    """Copy rows to other places, zeros where nothing goes; the gradient copies them back. Both ways are gathers."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, forth: Tensor, back: Tensor) -> Tensor:
        """``out[i] = rows[forth[i]]``, zero where ``forth[i] == len(rows)``; ``back`` is the inverse of ``forth``."""
        ctx.save_for_backward(back)
        return torch.cat([rows, rows.new_zeros(1, rows.shape[1])]).index_select(0, forth)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        """The same with the inverse map."""
        (back,) = ctx.saved_tensors
        return torch.cat([grad, grad.new_zeros(1, grad.shape[1])]).index_select(0, back), None, None


class Attention(nn.Module):
    """Causal multi-head attention with rotary positions."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(D_MODEL, 3 * D_MODEL, bias=False)
        self.out = nn.Linear(D_MODEL, D_MODEL, bias=False)
        half = D_MODEL // HEADS // 2
        angle = torch.arange(CONTEXT)[:, None] * ROPE_BASE ** (-torch.arange(half) / half)
        self.register_buffer("cos", angle.cos(), persistent=False)
        self.register_buffer("sin", angle.sin(), persistent=False)

    def rotate(self, x: Tensor) -> Tensor:
        """Turn queries or keys by their position."""
        a, b = x.chunk(2, dim=-1)
        cos, sin = self.cos[:x.shape[-2]], self.sin[:x.shape[-2]]
        return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)

    def forward(self, x: Tensor) -> Tensor:
        """Attention over ``[batch, position, channel]``."""
        batch, length, _ = x.shape
        q, k, v = (t.view(batch, length, HEADS, -1).transpose(1, 2) for t in self.qkv(x).chunk(3, dim=-1))
        y = F.scaled_dot_product_attention(self.rotate(q), self.rotate(k), v, is_causal=True)
        return self.out(y.transpose(1, 2).reshape(batch, length, D_MODEL))


class MoE(nn.Module):
    """Routed SwiGLU experts without bias; softmax over all experts, the top k renormalised to sum to one.

    After a forward pass ``balance`` is the load-balancing loss (1 when even), and ``loads`` the choices of each expert.
    """

    def __init__(self) -> None:
        super().__init__()
        self.router = nn.Linear(D_MODEL, EXPERTS, bias=False)
        self.gate = nn.Parameter(torch.randn(EXPERTS, D_FF, D_MODEL) * D_MODEL**-0.5)
        self.up = nn.Parameter(torch.randn(EXPERTS, D_FF, D_MODEL) * D_MODEL**-0.5)
        self.down = nn.Parameter(torch.randn(EXPERTS, D_MODEL, D_FF) * D_FF**-0.5)
        self.balance = torch.zeros(())
        self.loads = torch.zeros(EXPERTS)

    def route(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Probabilities of all experts, and weights and ids of the chosen, strongest first."""
        scores = self.router(x).softmax(dim=-1)
        weights, ids = scores.topk(GATE.top_k, dim=-1)
        return scores, weights / weights.sum(dim=-1, keepdim=True), ids

    def forward(self, x: Tensor) -> Tensor:
        """The layer on ``[batch, position, channel]``."""
        flat = x.reshape(-1, D_MODEL)
        scores, weights, ids = self.route(flat)
        y = self.mixed(flat, weights, ids)
        self.balance = EXPERTS * (self.loads / ids.numel() * scores.mean(dim=0)).sum()
        return y.view_as(x)

    def mixed(self, flat: Tensor, weights: Tensor, ids: Tensor) -> Tensor:
        """The chosen experts on ``[tokens, channel]``: choices sorted by expert, padded to the longest queue."""
        choices = ids.reshape(-1)
        loads = torch.bincount(choices, minlength=EXPERTS)
        depth = int(loads.max())
        order = torch.argsort(choices, stable=True)
        place = torch.arange(len(choices)) - (loads.cumsum(0) - loads)[choices[order]]
        slot = torch.empty_like(choices)
        slot[order] = choices[order] * depth + place
        filled = torch.full((EXPERTS * depth,), len(choices))
        filled[slot] = torch.arange(len(choices))

        rows = flat[:, None].expand(-1, GATE.top_k, -1).reshape(-1, D_MODEL)
        queue = Permute.apply(rows, filled, slot).view(EXPERTS, depth, D_MODEL)
        amount = Permute.apply(weights.reshape(-1, 1), filled, slot).view(EXPERTS, depth, 1)
        hidden = F.silu(queue @ self.gate.transpose(1, 2)) * (queue @ self.up.transpose(1, 2)) * amount
        y = (hidden @ self.down.transpose(1, 2)).view(-1, D_MODEL)
        self.loads = loads
        return Permute.apply(y, slot, filled).view(-1, GATE.top_k, D_MODEL).sum(dim=1)


class Block(nn.Module):
    """Attention and a MoE layer, each after an RMSNorm and added to the stream."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.attention = nn.RMSNorm(D_MODEL, eps=NORM_EPSILON), Attention()
        self.norm2, self.moe = nn.RMSNorm(D_MODEL, eps=NORM_EPSILON), MoE()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The stream after the block, and what its MoE layer received."""
        x = x + self.attention(self.norm1(x))
        inputs = self.norm2(x)
        return x + self.moe(inputs), inputs


class Model(nn.Module):
    """Byte-level language model."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(256, D_MODEL)
        self.blocks = nn.ModuleList(Block() for _ in range(BLOCKS))
        self.norm = nn.RMSNorm(D_MODEL, eps=NORM_EPSILON)
        self.head = nn.Linear(D_MODEL, 256, bias=False)
        nn.init.normal_(self.head.weight, std=0.02)

    @property
    def moes(self) -> list[MoE]:
        """The MoE layers, block by block."""
        return [block.moe for block in self.blocks]

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits of the next byte."""
        x = self.embedding(tokens)
        for block in self.blocks:
            x, _ = block(x)
        return self.head(self.norm(x))

    def moe_inputs(self, tokens: Tensor) -> list[Tensor]:
        """What the MoE layers receive, block by block."""
        x, found = self.embedding(tokens), []
        for block in self.blocks:
            x, inputs = block(x)
            found.append(inputs)
        return found
