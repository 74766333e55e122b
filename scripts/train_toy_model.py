"""Train the toy Mixture-of-Experts language model on the standard library's sources and export its MoE layer.

``python -m scripts.train_toy_model --out sw_model/data/toy_moe.npz``. Needs the optional extra ``train`` (PyTorch);
nothing else in the project does. docs/toy_model.md says what comes out.
"""

import argparse
import hashlib
import math
import sysconfig
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

try:
    import torch
    import torch.nn.functional as F
    from torch import Tensor, nn
except ImportError as error:
    raise SystemExit("this script needs PyTorch: pip install 'trajectile[train]'") from error

#: The exported layer's shape, that of configs/demo.toml.
D_MODEL, D_FF, EXPERTS, TOP_K = 64, 64, 64, 6
CONTEXT = 128
HEADS = 4
DENSE_FF = 192
BLOCKS = 3
#: Tokens of the batches whose loads and integer results are reported.
WINDOW = 64
#: Folders and file names that are left out: tests, tables that are not program text, and files made at build time.
SKIPPED = {"test", "tests", "idle_test", "site-packages", "encodings", "pydoc_data"}
SKIPPED_PREFIXES = ("config-", "_sysconfigdata")

Array = npt.NDArray[np.float32]


# -- text ------------------------------------------------------------------------------------------------------------


def corpus() -> tuple[bytes, dict[str, bytes]]:
    """Text to train on, and the held-out files by name; a file is held out by a hash of its name, one in sixteen."""
    root = Path(sysconfig.get_path("stdlib"))
    train, held_out = [], {}
    for path in sorted(root.rglob("*.py")):
        inside = path.relative_to(root)
        if SKIPPED & set(inside.parts) or any(part.startswith(SKIPPED_PREFIXES) for part in inside.parts):
            continue
        name, text = inside.as_posix(), path.read_bytes()
        if hashlib.sha256(name.encode()).digest()[0] % 16 == 0:
            held_out[name] = text
        else:
            train.append(text)
    return b"\0".join(train), held_out


def ngram_bits(train: bytes, held_out: bytes, order: int) -> float:
    """Held-out bits per byte of an n-gram model of bytes (order 1: unigram), counts smoothed towards lower orders."""
    def keys(text: bytes, n: int) -> npt.NDArray[np.int64]:
        data = np.frombuffer(text, np.uint8).astype(np.int64)
        total = np.zeros(len(data) - order + 1, np.int64)
        for back in range(n - 1, -1, -1):
            total = total * 256 + data[order - 1 - back:len(data) - back]
        return total

    probability = np.full(len(held_out) - order + 1, 1 / 256)
    for n in range(1, order + 1):
        grams = np.bincount(keys(train, n), minlength=256**n)
        contexts = grams.reshape(-1, 256).sum(axis=1)
        wanted = keys(held_out, n)
        probability = (grams[wanted] + probability) / (contexts[wanted // 256] + 1)
    return float(-np.log2(probability).mean())


# -- model -----------------------------------------------------------------------------------------------------------


class Permute(torch.autograd.Function):
    """Copy rows to other places, zeros where nothing goes; the gradient copies them back. Both ways are gathers."""

    @staticmethod
    def forward(ctx, rows: Tensor, forth: Tensor, back: Tensor) -> Tensor:
        """``out[i] = rows[forth[i]]``, zero where ``forth[i] == len(rows)``; ``back`` is the inverse of ``forth``."""
        ctx.save_for_backward(back)
        return torch.cat([rows, rows.new_zeros(1, rows.shape[1])]).index_select(0, forth)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None, None]:
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


# -- training --------------------------------------------------------------------------------------------------------


def batch(data: npt.NDArray[np.uint8], seed: int, step: int, size: int) -> tuple[Tensor, Tensor]:
    """Inputs and targets of one step; they depend on seed and step alone."""
    starts = np.random.default_rng([seed, step]).integers(0, len(data) - CONTEXT, size)
    rows = torch.from_numpy(data[starts[:, None] + np.arange(CONTEXT + 1)].astype(np.int64))
    return rows[:, :-1], rows[:, 1:]


@torch.no_grad()
def held_out_bits(model: Model, text: bytes, limit: int) -> float:
    """Bits per byte on the first ``limit`` held-out bytes, in pieces of one context."""
    data = np.frombuffer(text, np.uint8)[:limit + 1].astype(np.int64)
    count = (len(data) - 1) // CONTEXT
    inputs = torch.from_numpy(data[:count * CONTEXT].reshape(count, CONTEXT))
    targets = torch.from_numpy(data[1:count * CONTEXT + 1].reshape(count, CONTEXT))
    model.eval()
    loss = sum(float(F.cross_entropy(model(inputs[i:i + 16]).flatten(0, 1), targets[i:i + 16].flatten(),
                                     reduction="sum")) for i in range(0, count, 16))
    model.train()
    return loss / (count * CONTEXT) / math.log(2)


def train(args: argparse.Namespace, text: bytes, held_out: bytes) -> Model:
    """Train a model, with progress and checkpoints; carries on from the checkpoint if there is one."""
    model = Model()
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim == 1]
    optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": args.weight_decay},
                                   {"params": vectors, "weight_decay": 0.0}], lr=args.lr, betas=(0.9, 0.98))
    first, settings = 0, {k: v for k, v in vars(args).items() if k not in ("out", "checkpoint")}
    if args.checkpoint and args.checkpoint.exists():
        saved = torch.load(args.checkpoint)
        if saved["settings"] != settings:
            raise SystemExit(f"{args.checkpoint} is of another run: {saved['settings']}")
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        first = saved["step"]
    data = np.frombuffer(text, np.uint8)
    started, total, model = time.monotonic(), 0.0, model.train()
    for step in range(first, args.steps):
        rate = min((step + 1) / 200, 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * step / args.steps)))
        for group in optimizer.param_groups:
            group["lr"] = args.lr * rate
        inputs, targets = batch(data, args.seed, step, args.batch)
        loss = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
        (loss + args.balance * model.moe.balance + args.tails * model.moe.tails).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        total += loss.item()
        done = step + 1
        if done % 100 == 0:
            loads, balance, tails = model.moe.loads.float(), model.moe.balance.item(), model.moe.tails.item()
            print(f"step {done:5d}  train {total / 100 / math.log(2):.3f} bits  balance {balance:.2f}  "
                  f"kurtosis {math.exp(tails):.1f}  hottest/mean {float(loads.max() / loads.mean()):.1f}  "
                  f"unused {int((loads == 0).sum())}  {(time.monotonic() - started) / (done - first):.3f} s/step",
                  flush=True)
            total = 0.0
        if done % 500 == 0 or done == args.steps:
            print(f"step {done:5d}  held out {held_out_bits(model, held_out, 65536):.3f} bits per byte", flush=True)
            if args.checkpoint:
                torch.save({"settings": settings, "step": done, "model": model.state_dict(),
                            "optimizer": optimizer.state_dict()}, args.checkpoint)
    return model.eval()


# -- export ----------------------------------------------------------------------------------------------------------


def quantise(w: Array) -> tuple[npt.NDArray[np.int8], Array]:
    """int8 weights and the scale of each expert's matrix."""
    scale = (np.abs(w).max(axis=(1, 2)) / 127).astype(np.float32)
    return np.clip(np.rint(w / scale[:, None, None]), -127, 127).astype(np.int8), scale


def float_layer(x: Array, ids: npt.NDArray[np.int16], weights: npt.NDArray[np.float16],
                matrices: tuple[Array, Array, Array]) -> Array:
    """The MoE layer in float32; ``ids`` and ``weights`` are ``[tokens, top_k]``."""
    gate, up, down = matrices
    y = np.zeros_like(x)
    for expert in np.unique(ids):
        token, place = np.nonzero(ids == expert)
        g, u = x[token] @ gate[expert].T, x[token] @ up[expert].T
        h = g / (1 + np.exp(-g)) * u * weights[token, place].astype(np.float32)[:, None]
        y[token] += h @ down[expert].T
    return y


def int8_window(data: dict[str, np.ndarray], window: slice, clipping: float) -> tuple[npt.NDArray[np.float64], float]:
    """The layer in integers as in docs/numerics.md, but for the rounding of its 16-bit multipliers, on one batch.

    Returns ``y_real`` and the share of hidden values that the clip to int8 changes.
    """
    x, ids = data["x"][window].astype(np.float64), data["topk_ids"][0, window]
    weights = data["topk_weights"][0, window].astype(np.float64)
    x_scale = np.abs(x).max() / 127
    xq = np.rint(x / x_scale)
    token, place = np.nonzero(ids >= 0)
    expert = ids[token, place]

    def sums(name: str, limit: int) -> npt.NDArray[np.float64]:
        total = np.einsum("nd,nfd->nf", xq[token], data[f"w_{name}"][expert].astype(np.float64))
        step = x_scale * data[f"{name}_scale"][expert].astype(np.float64)[:, None] * 64
        return np.clip(np.floor(total * step + 0.5), -limit, limit)

    g, u = sums("gate", 511), sums("up", 2047)
    size = np.abs(g)
    table = np.floor(2048 * (size / 64) / (1 + np.exp(size / 64)) + 0.5)
    v = np.where(g >= 0, 32 * size - table, -table) * u
    h_real = v * 2.0**-17 * (weights[token, place] * data["down_scale"][expert])[:, None]
    h_scale = np.abs(h_real).max() * clipping / 127
    rounded = np.floor(h_real / h_scale + 0.5)
    h = np.clip(rounded, -127, 127)
    y = np.zeros_like(x)
    np.add.at(y, token, np.einsum("nf,ndf->nd", h, data["w_down"][expert].astype(np.float64)))
    return y * h_scale, float((h != rounded).mean())


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Cosine of two arrays taken as vectors."""
    a, b = a.astype(np.float64).ravel(), b.astype(np.float64).ravel()
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


@torch.no_grad()
def export(model: Model, text: bytes, tokens: int) -> dict[str, np.ndarray]:
    """The layer, its inputs on the first ``tokens`` bytes of ``text`` after half a context, and its results."""
    half = CONTEXT // 2
    pieces = np.stack([np.frombuffer(text, np.uint8)[i:i + CONTEXT] for i in range(0, tokens, half)]).astype(np.int64)
    x = model.moe_input(torch.from_numpy(pieces))[:, half:].reshape(-1, D_MODEL).half()
    _, weights, ids = model.moe.route(x.float())
    matrices = tuple(p.detach().numpy() for p in (model.moe.gate, model.moe.up, model.moe.down))
    data = {"x": x.float().numpy(), "topk_ids": ids.numpy().astype(np.int16)[None],
            "topk_weights": weights.numpy().astype(np.float16)[None],
            "layers": np.array([BLOCKS - 1], np.int16), "num_experts": np.array(EXPERTS, np.int16),
            "text": np.frombuffer(text, np.uint8)[half:half + tokens].copy()}
    data["y"] = float_layer(data["x"], data["topk_ids"][0], data["topk_weights"][0], matrices)
    for name, w in zip(("gate", "up", "down"), matrices, strict=True):
        data[f"w_{name}"], data[f"{name}_scale"] = quantise(w)
    return data


def excerpt(held_out: dict[str, bytes], tokens: int) -> tuple[str, bytes]:
    """From the middle of the largest held-out file, starting with a line: name, and half a context plus ``tokens``."""
    name = max(held_out, key=lambda n: (len(held_out[n]), n))
    text = held_out[name]
    start = text.index(b"\n", len(text) // 2) + 1
    return name, text[start:start + CONTEXT // 2 + tokens]


def report(data: dict[str, np.ndarray]) -> None:
    """Print what docs/toy_model.md quotes about the exported layer."""
    ids = data["topk_ids"][0]
    windows = [slice(i, i + WINDOW) for i in range(0, len(ids), WINDOW)]
    loads = np.stack([np.bincount(ids[w].ravel(), minlength=EXPERTS) for w in windows])
    active, hottest = (loads > 0).sum(axis=1), loads.max(axis=1)
    print(f"active experts in a window of {WINDOW}: mean {active.mean():.1f}, {active.min()} to {active.max()}")
    print(f"hottest expert's tokens in a window: mean {hottest.mean():.1f}, {hottest.min()} to {hottest.max()}; "
          f"even load would be {WINDOW * TOP_K / EXPERTS:.1f}")
    overall = np.bincount(ids.ravel(), minlength=EXPERTS)
    print(f"all {len(ids)} tokens: {np.count_nonzero(overall)} experts used, loads {overall.min()} to {overall.max()}")
    dequantised = tuple(data[f"w_{n}"] * data[f"{n}_scale"][:, None, None] for n in ("gate", "up", "down"))
    y = float_layer(data["x"], ids, data["topk_weights"][0], dequantised)
    print(f"cosine with dequantised weights: {cosine(y, data['y']):.5f}")
    for clipping in (1.0, 0.8, 0.6, 0.5, 0.4):
        results = [int8_window(data, w, clipping) for w in windows]
        whole = [cosine(r, data["y"][w]) for (r, _), w in zip(results, windows, strict=True)]
        single = [cosine(a, b) for (r, _), w in zip(results, windows, strict=True)
                  for a, b in zip(r, data["y"][w], strict=True)]
        clipped = np.mean([share for _, share in results])
        print(f"int8, clipping factor {clipping}: cosine of a window worst {min(whole):.5f}, "
              f"mean {np.mean(whole):.5f}; of a token worst {min(single):.4f}; clipped {clipped:.1e}")
    print(f"largest |x| {np.abs(data['x']).max():.2f}, rms {np.sqrt((data['x']**2).mean()):.2f}; "
          f"rms of y {np.sqrt((data['y']**2).mean()):.3f}")


def main() -> None:
    """Train, export, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="the .npz file to write")
    parser.add_argument("--steps", type=int, default=4500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=16, help=f"sequences of {CONTEXT} bytes a step")
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--weight-decay", type=float, default=0.1)
    parser.add_argument("--balance", type=float, default=0.01, help="weight of the load-balancing loss")
    parser.add_argument("--tails", type=float, default=0.003, help="weight of the loss on heavy-tailed hidden values")
    parser.add_argument("--tokens", type=int, default=1024, help="tokens in the file")
    parser.add_argument("--checkpoint", type=Path, help="keep the state here every 500 steps, and carry on from it")
    args = parser.parse_args()
    if args.tokens % WINDOW:
        parser.error(f"--tokens must be a multiple of {WINDOW}")

    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False
    text, files = corpus()
    held_out = b"\0".join(files.values())
    print(f"text: {len(text)} bytes to train on, {len(held_out)} bytes in {len(files)} files held out")
    for order, name in ((1, "unigram"), (2, "bigram"), (3, "trigram")):
        print(f"held out, {name}: {ngram_bits(text, held_out, order):.3f} bits per byte", flush=True)
    model = train(args, text, held_out)
    name, piece = excerpt(files, args.tokens)
    print(f"parameters: {sum(p.numel() for p in model.parameters())}, of them in the routed experts "
          f"{sum(p.numel() for p in (model.moe.gate, model.moe.up, model.moe.down))}")
    print(f"held out, all: {held_out_bits(model, held_out, len(held_out)):.3f} bits per byte; excerpt of {name}")
    data = export(model, piece, args.tokens)
    report(data)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(args.out, **data)
    print(f"{args.out}: {args.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
