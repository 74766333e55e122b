"""Train the toy Mixture-of-Experts language model on the standard library's sources and write its file.

``python -m trajectile.scripts.maintain.toy_model.train --out sw_model/gates/data/toy_moe.npz``. Needs the optional extra
``train`` (PyTorch); nothing else in the project does. docs/toy_model.md says what comes out.
"""

import argparse
import math
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

from trajectile.scripts.maintain.toy_model.corpus import corpus, excerpt, ngram_bits, pieces
from trajectile.scripts.maintain.toy_model.export import WINDOW, bits, recorded, report, round_to_half, weights
from trajectile.scripts.maintain.toy_model.network import Model
from trajectile.sw_model.gates.toy_model import CONTEXT


def batch(data: npt.NDArray[np.uint8], seed: int, step: int, size: int) -> tuple[Tensor, Tensor]:
    """Inputs and targets of one step; they depend on seed and step alone."""
    starts = np.random.default_rng([seed, step]).integers(0, len(data) - CONTEXT, size)
    rows = torch.from_numpy(data[starts[:, None] + np.arange(CONTEXT + 1)].astype(np.int64))
    return rows[:, :-1], rows[:, 1:]


def held_out_bits(model: Model, text: bytes, limit: int) -> float:
    """Bits per byte on the first ``limit`` held-out bytes, in pieces of one context."""
    data = np.frombuffer(text, np.uint8)[:limit + 1]
    starts = np.arange(0, len(data) - CONTEXT, CONTEXT)
    return float(bits(model, data[starts[:, None] + np.arange(CONTEXT + 1)]).mean())


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
    started, total = time.monotonic(), 0.0
    for step in range(first, args.steps):
        rate = min((step + 1) / 200, 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * step / args.steps)))
        for group in optimizer.param_groups:
            group["lr"] = args.lr * rate
        inputs, targets = batch(data, args.seed, step, args.batch)
        loss = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
        balance = torch.stack([moe.balance for moe in model.moes])
        (loss + args.balance * balance.sum()).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        total += loss.item()
        done = step + 1
        if done % 100 == 0:
            loads = torch.stack([moe.loads for moe in model.moes]).float()
            hottest = loads.amax(dim=1) / loads.mean(dim=1)
            print(f"step {done:5d}  train {total / 100 / math.log(2):.3f} bits  by layer: balance "
                  f"{' '.join(f'{one:.2f}' for one in balance)}, hottest/mean {' '.join(f'{one:.1f}' for one in hottest)}, "
                  f"unused {' '.join(map(str, (loads == 0).sum(dim=1).tolist()))}  "
                  f"{(time.monotonic() - started) / (done - first):.3f} s/step", flush=True)
            total = 0.0
        if done % 500 == 0 or done == args.steps:
            print(f"step {done:5d}  held out {held_out_bits(model, held_out, 65536):.3f} bits per byte", flush=True)
            if args.checkpoint:
                torch.save({"settings": settings, "step": done, "model": model.state_dict(),
                            "optimizer": optimizer.state_dict()}, args.checkpoint)
    return model


def main() -> None:
    """Train, export, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="the .npz file to write")
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=16, help=f"sequences of {CONTEXT} bytes per step")
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--weight-decay", type=float, default=0.1)
    parser.add_argument("--balance", type=float, default=0.01, help="weight of the load-balancing losses")
    parser.add_argument("--tokens", type=int, default=1024, help="tokens whose MoE inputs and results are in the file")
    parser.add_argument("--pieces", type=int, default=128, help=f"pieces of {CONTEXT} bytes to measure on, in the file")
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
    experts = sum(p.numel() for moe in model.moes for p in (moe.gate, moe.up, moe.down))
    print(f"parameters: {sum(p.numel() for p in model.parameters())}, of them in the routed experts {experts}")
    print(f"held out, all: {held_out_bits(model, held_out, len(held_out)):.4f} bits per byte")
    round_to_half(model)
    print(f"the same, weights rounded to float16: {held_out_bits(model, held_out, len(held_out)):.4f}")
    name, passage = excerpt(files, args.tokens)
    held = pieces({other: content for other, content in files.items() if other != name}, args.pieces)
    data = {**weights(model), **recorded(model, passage, args.tokens), "held_out": held, "bits": bits(model, held)}
    print(f"excerpt of {name}; {held[:, 1:].size} bytes of the others: {data['bits'].mean():.4f} bits per byte")
    report(data)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(args.out, **data)
    print(f"{args.out}: {args.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
