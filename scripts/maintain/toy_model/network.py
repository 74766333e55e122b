"""The network: blocks of attention and feed-forward layers, the last one with the MoE layer."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trajectile.scripts.maintain.toy_model import CONTEXT, D_FF, D_MODEL, EXPERTS, TOP_K

HEADS = 4
DENSE_FF = 192
BLOCKS = 3


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
        angle = torch.arange(CONTEXT)[:, None] * 10000.0 ** (-torch.arange(half) / half)
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


class DenseFF(nn.Module):
    """A plain SwiGLU layer."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(D_MODEL, DENSE_FF, bias=False)
        self.up = nn.Linear(D_MODEL, DENSE_FF, bias=False)
        self.down = nn.Linear(DENSE_FF, D_MODEL, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """``down(silu(gate x) * up x)``."""
        return self.down(F.silu(self.gate(x)) * self.up(x))


class MoE(nn.Module):
    """Routed SwiGLU experts without bias; softmax over all experts, the top k renormalised to sum to one.

    After a forward pass ``balance`` is the load-balancing loss (1 when even), ``tails`` the logarithm of the hidden
    values' kurtosis as the int8 pipeline sees them, and ``loads`` the choices of each expert.
    """

    def __init__(self) -> None:
        super().__init__()
        self.router = nn.Linear(D_MODEL, EXPERTS, bias=False)
        self.gate = nn.Parameter(torch.randn(EXPERTS, D_FF, D_MODEL) * D_MODEL**-0.5)
        self.up = nn.Parameter(torch.randn(EXPERTS, D_FF, D_MODEL) * D_MODEL**-0.5)
        self.down = nn.Parameter(torch.randn(EXPERTS, D_MODEL, D_FF) * D_FF**-0.5)
        self.balance = self.tails = torch.zeros(())
        self.loads = torch.zeros(EXPERTS)

    def route(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Probabilities of all experts, and weights and ids of the chosen, strongest first."""
        scores = self.router(x).softmax(dim=-1)
        weights, ids = scores.topk(TOP_K, dim=-1)
        return scores, weights / weights.sum(dim=-1, keepdim=True), ids

    def forward(self, x: Tensor) -> Tensor:
        """The layer on ``[batch, position, channel]``: choices sorted by expert, padded to the longest queue."""
        flat = x.reshape(-1, D_MODEL)
        scores, weights, ids = self.route(flat)
        choices = ids.reshape(-1)
        loads = torch.bincount(choices, minlength=EXPERTS)
        depth = int(loads.max())
        order = torch.argsort(choices, stable=True)
        place = torch.arange(len(choices)) - (loads.cumsum(0) - loads)[choices[order]]
        slot = torch.empty_like(choices)
        slot[order] = choices[order] * depth + place
        filled = torch.full((EXPERTS * depth,), len(choices))
        filled[slot] = torch.arange(len(choices))

        rows = flat[:, None].expand(-1, TOP_K, -1).reshape(-1, D_MODEL)
        queue = Permute.apply(rows, filled, slot).view(EXPERTS, depth, D_MODEL)
        amount = Permute.apply(weights.reshape(-1, 1), filled, slot).view(EXPERTS, depth, 1)
        hidden = F.silu(queue @ self.gate.transpose(1, 2)) * (queue @ self.up.transpose(1, 2)) * amount
        y = (hidden @ self.down.transpose(1, 2)).view(-1, D_MODEL)
        y = Permute.apply(y, slot, filled).view(-1, TOP_K, D_MODEL).sum(dim=1)

        share = loads / len(choices)
        self.balance = EXPERTS * (share * scores.mean(dim=0)).sum()
        if self.training:
            sample = slice(None, None, 4)  # of every queue, to save time
            square = (hidden[:, sample] * self.down.detach().abs().amax(dim=(1, 2), keepdim=True)) ** 2
            count = (amount[:, sample] > 0).sum() * D_FF
            self.tails = ((square**2).sum() / count).log() - 2 * (square.sum() / count).log()
        self.loads = loads
        return y.view_as(x)


class Block(nn.Module):
    """Attention and a feed-forward layer, each after an RMSNorm and added to the stream."""

    def __init__(self, moe: bool) -> None:
        super().__init__()
        self.norm1, self.attention = nn.RMSNorm(D_MODEL, eps=1e-5), Attention()
        self.norm2, self.ff = nn.RMSNorm(D_MODEL, eps=1e-5), MoE() if moe else DenseFF()

    def attended(self, x: Tensor) -> Tensor:
        """The stream after the attention."""
        return x + self.attention(self.norm1(x))

    def forward(self, x: Tensor) -> Tensor:
        """The stream after the block."""
        x = self.attended(x)
        return x + self.ff(self.norm2(x))


class Model(nn.Module):
    """Byte-level language model; the last block has the MoE layer."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(256, D_MODEL)
        self.blocks = nn.ModuleList(Block(moe=i == BLOCKS - 1) for i in range(BLOCKS))
        self.norm = nn.RMSNorm(D_MODEL, eps=1e-5)
        self.head = nn.Linear(D_MODEL, 256, bias=False)
        nn.init.normal_(self.head.weight, std=0.02)

    @property
    def moe(self) -> MoE:
        """The exported layer."""
        return self.blocks[-1].ff

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits of the next byte."""
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))

    def moe_input(self, tokens: Tensor) -> Tensor:
        """What the MoE layer receives."""
        x = self.embedding(tokens)
        for block in self.blocks[:-1]:
            x = block(x)
        return self.blocks[-1].norm2(self.blocks[-1].attended(x))
