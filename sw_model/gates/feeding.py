"""What the array is given for tokens that a gate has chosen experts for, and what becomes of its results.

For most models that is the tokens as they are. Three things are done beside the array, because it has no circuit for them:
smoothing divides the activations, weights on the input (Llama-4) multiply them, and identities (LongCat-Flash) add them.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trajectile.sw_model.gates.router import shared_weight
from trajectile.sw_model.gates.workloads import GateBatch
from trajectile.sw_model.numerics.layers import Float32


@dataclass(frozen=True, kw_only=True)
class Fed:
    """Rows of a batch. A token has one, or two that are added: its routed expert's and its shared expert's."""

    #: activations, float32 [rows, d_model]
    x: Float32
    #: choices of each row; -1 is no choice
    gate: GateBatch
    #: token of each row, int64 [rows]
    token: NDArray[np.int64]
    #: what is added to the results of each token, float32 [tokens, d_model]; None: nothing
    beside: Float32 | None = None

    def results(self, rows: NDArray[Any]) -> Float32:
        """Results of the tokens, float32 [tokens, d_model], of those of the rows [rows, d_model]."""
        tokens = int(self.token.max(initial=-1)) + 1
        y = np.zeros((tokens, rows.shape[1]), dtype=np.float32) if self.beside is None else self.beside.copy()
        np.add.at(y, self.token, rows.astype(np.float32))
        return y


@dataclass(frozen=True, kw_only=True)
class Feeding:
    """How tokens become rows."""

    #: experts, the last ones, that every token meets
    shared: int = 0
    #: their weight is the sigmoid of this times the activations, [d_model]; None: 1
    shared_gate: Float32 | None = None
    #: the weight of a choice multiplies what the routed expert is given
    on_input: bool = False
    #: what activations are divided by after the gate has chosen, powers of two, [d_model]; None: 1
    smoothing: Float32 | None = None

    @property
    def rows_per_token(self) -> int:
        """Rows that a token becomes."""
        return 2 if self.on_input and self.shared else 1

    def rows(self, gate: GateBatch, x: Float32) -> Fed:
        """The rows of some tokens.

        Args:
            gate: choices of routed experts.
            x: activations as the gate sees them, [tokens, d_model].
        """
        tokens, count = gate.topk_ids.shape
        token = np.arange(tokens, dtype=np.int64)
        beside = None if gate.identity is None else gate.identity[:, None] * x
        given = x if self.smoothing is None else x / self.smoothing
        routed = given
        ids, weights = gate.topk_ids, gate.topk_weights
        if self.on_input:
            if count != 1:
                raise ValueError(f"top_k = {count} is not legal with weights on the input; legal value: 1")
            routed = given * weights
            weights = np.where(ids >= 0, np.float32(1), np.float32(0))
        experts = gate.experts + self.shared
        if not self.shared:
            return Fed(x=routed, gate=GateBatch(ids, weights, experts), token=token, beside=beside)
        ids_shared = np.broadcast_to(gate.experts + np.arange(self.shared), (tokens, self.shared))
        weight = np.broadcast_to(shared_weight(x, self.shared_gate)[:, None], (tokens, self.shared))
        if not self.on_input:
            both = GateBatch(np.concatenate([ids, ids_shared], axis=1), np.concatenate([weights, weight], axis=1), experts)
            return Fed(x=routed, gate=both, token=token, beside=beside)
        # the two rows of a token follow each other
        ids = np.stack([np.pad(ids, ((0, 0), (0, self.shared)), constant_values=-1),
                        np.pad(ids_shared, ((0, 0), (count, 0)), constant_values=-1)], axis=1)
        weights = np.stack([np.pad(weights, ((0, 0), (0, self.shared))), np.pad(weight, ((0, 0), (count, 0)))], axis=1)
        width = count + self.shared
        return Fed(x=np.stack([routed, given], axis=1).reshape(2 * tokens, x.shape[1]), token=token.repeat(2), beside=beside,
                   gate=GateBatch(ids.reshape(-1, width), weights.reshape(-1, width).astype(np.float32), experts))
