"""What a batch is made of: gate decisions, a layer's weights and activations."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scripts.errors import UserError
from sw_model import numerics, traces, workloads
from sw_model.config import Config

#: popularity exponent of the synthetic gate; fitted to two real gates it is 0.2 and 0.3 (docs/results.md)
DEFAULT_SKEW = 0.2


@dataclass(frozen=True)
class Values:
    """The numbers of a batch: weights, activations and what should come out."""

    layer: numerics.QuantisedLayer
    batch: numerics.QuantisedBatch
    #: float32 layer output, [tokens, d_model]
    reference: NDArray[np.float32]

    def results(self) -> NDArray[np.int32]:
        """The integer layer, int32 [tokens, d_model]: what the RTL must give."""
        return numerics.integer_layer(self.layer, self.batch)

    def fidelity(self, results: NDArray[np.int32]) -> dict[str, float]:
        """Cosine similarity and signal-to-noise of integer results against the float32 layer."""
        real = numerics.dequantise(results, self.batch)
        return {"cosine": numerics.cosine(real, self.reference), "sqnr_db": numerics.sqnr_db(real, self.reference)}


@dataclass(frozen=True)
class Workload:
    """One batch, ready for the scheduler and the layer."""

    #: where the gate decisions come from
    source: str
    #: chosen experts, [tokens, top_k]
    topk_ids: NDArray[Any]
    #: None in a batch that was made for its timing
    values: Values | None

    @property
    def given(self) -> Values:
        """The numbers, which must be there."""
        if self.values is None:
            raise ValueError("this batch has gate decisions only")
        return self.values


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments that choose a batch."""
    parser.add_argument("--trace", metavar="FILE", type=Path,
                        help="gate trace (.npz with topk_ids, topk_weights, layers, num_experts); without one the toy "
                             "model's, if the layer has its shape, else a synthetic gate")
    parser.add_argument("--layer", metavar="L", type=int, help="layer of the trace (default: its first)")
    parser.add_argument("--offset", metavar="K", type=int, default=0, help="first token of the window (default 0)")
    parser.add_argument("--tokens", metavar="N", type=int, default=None, help="tokens of the batch (default: 64, or "
                        "what fits)")
    parser.add_argument("--seed", type=int, default=1, help="seed of everything random (default 1)")
    parser.add_argument("--skew", type=float, default=DEFAULT_SKEW,
                        help=f"unevenness of the synthetic gate, 0 = even (default {DEFAULT_SKEW})")


def is_toy(config: Config) -> bool:
    """Whether the configuration has the shape of the toy model that comes with the project."""
    layer = config.layer
    return (layer.d_model, layer.d_ff, layer.experts, layer.top_k) == (64, 64, 64, 6)


def load(config: Config, *, trace: Path | None = None, layer: int | None = None, offset: int = 0,
         tokens: int | None = None, seed: int = 1, skew: float = DEFAULT_SKEW, gate_only: bool = False) -> Workload:
    """Make the batch; with ``gate_only`` without weights and activations, which take long at full size.

    Raises:
        UserError: for a trace, layer, offset or number of tokens that does not exist or does not fit.
    """
    if tokens is None:
        tokens = min(64, config.token_capacity)
    if not 0 <= tokens <= config.token_capacity:
        raise UserError(f"--tokens = {tokens} is not legal; legal values: 0 to {config.token_capacity} "
                        f"({config.array.tiles} tiles of tile.tokens = {config.tile.tokens})")
    try:
        if trace is None and is_toy(config):
            return _toy(layer, offset, tokens)
        rng = np.random.default_rng(seed)
        if trace is None:
            gate = workloads.synthetic_gate(config.layer.experts, config.layer.top_k, tokens, skew, rng)
            source = f"synthetic gate, skew {skew}, seed {seed}"
        else:
            read = traces.load_trace(trace, config.layer.experts)
            number = int(read.layers[0]) if layer is None else layer
            gate = read.window(number, offset, tokens)
            source = f"{trace.name} layer {number}, tokens {offset} to {offset + tokens - 1}"
        ids = gate.topk_ids
        if (gate.experts, ids.shape[1]) != (config.layer.experts, config.layer.top_k):
            raise UserError(
                f"layer.experts = {config.layer.experts}, layer.top_k = {config.layer.top_k} do not match the trace; "
                f"legal values for {trace}: --set layer.experts={gate.experts} --set layer.top_k={ids.shape[1]}")
        if gate_only:
            return Workload(source, ids, None)
        weights = numerics.random_layer(config.layer, rng)
        x = rng.standard_normal((tokens, config.layer.d_model)).astype(np.float32)
        quantised = numerics.quantise_layer(weights)
        return Workload(source, ids, Values(
            quantised, numerics.quantise_batch(quantised, x, ids, gate.topk_weights),
            numerics.float_layer(weights, x, ids, gate.topk_weights)))
    except UserError:
        raise
    except (ValueError, OSError) as error:
        raise UserError(str(error)) from error


def from_arguments(args: argparse.Namespace, config: Config, *, gate_only: bool = False) -> Workload:
    """The batch that :func:`add_arguments` describes.

    Raises:
        UserError: as :func:`load`.
    """
    return load(config, trace=args.trace, layer=args.layer, offset=args.offset, tokens=args.tokens, seed=args.seed,
                skew=args.skew, gate_only=gate_only)


def _toy(layer: int | None, offset: int, tokens: int) -> Workload:
    """A window of the toy model's held-out text."""
    toy = workloads.load_toy_model()
    number = int(toy.trace.layers[0]) if layer is None else layer
    gate = toy.trace.window(number, offset, tokens)
    window = slice(offset, offset + tokens)
    batch = numerics.quantise_batch(toy.layer, toy.x[window], gate.topk_ids, gate.topk_weights)
    return Workload(f"toy model, held-out tokens {offset} to {offset + tokens - 1}", gate.topk_ids,
                    Values(toy.layer, batch, toy.y[window]))
