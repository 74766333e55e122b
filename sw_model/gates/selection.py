"""Fewer experts for a batch: choices that a host changes before it writes token records. The layer's results change, too.

Every active expert of a batch is read from DDR, however few of its tokens want it. Two published rules leave some out:

* **XShare** (arXiv 2602.07265) keeps the experts with the largest sum of gate scores over the batch.
* **Lynx** (arXiv 2411.08982) drops those that the fewest tokens want.

Both keep the best expert of every token. Others fill a budget, a share of the experts that the batch would have otherwise.
A token keeps the choices that are left, and their weights are scaled so that they sum to what they did before (to one, if the
gate normalises). As published, a token may also choose others in place of those that it lost. That needs the scores of all
experts, and a trace has only those of the chosen ones; with scores it is done for XShare.
"""

from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from trajectile.sw_model.gates.workloads import GateBatch

#: rules
METHODS = ("xshare", "lynx")
LEGAL = f"{' or '.join(METHODS)} and the share of the active experts to keep, above 0 to 1, as in xshare:0.7"

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Selection:
    """A rule, and the share of a batch's active experts that it keeps.

    Raises:
        ValueError: for a rule that there is not, or a share that is none.
    """

    method: str
    share: float

    def __post_init__(self) -> None:
        if self.method not in METHODS or not 0 < self.share <= 1:
            raise ValueError(f"select = {str(self)!r} is not legal; legal values: {LEGAL}")

    @classmethod
    def of(cls, text: str) -> "Selection":
        """Read ``xshare:0.7``.

        Raises:
            ValueError: if it is something else.
        """
        method, _, share = text.partition(":")
        try:
            return cls(method, float(share))
        except ValueError:
            raise ValueError(f"select = {text!r} is not legal; legal values: {LEGAL}") from None

    def __str__(self) -> str:
        return f"{self.method}:{self.share:g}"


def kept_experts(gate: GateBatch, selection: Selection, scores: Floats | None = None) -> NDArray[np.bool_]:
    """Experts that a batch may use, [experts].

    Args:
        gate: choices of the batch.
        selection: rule and share.
        scores: what the gate gave each expert, [tokens, experts]; None: weights of the chosen ones. Lynx does not look at it.
    """
    there = gate.topk_ids >= 0
    chosen = gate.topk_ids[there]
    count = np.bincount(chosen, minlength=gate.experts)
    weight = np.bincount(chosen, gate.topk_weights[there], gate.experts)
    active = count > 0
    if selection.method == "lynx":
        order, may = np.lexsort((-weight, -count)), active
    elif scores is None:
        order, may = np.argsort(-weight, kind="stable"), active
    else:
        order, may = np.argsort(-scores.sum(axis=0, dtype=np.float64), kind="stable"), np.ones_like(active)
    best = np.argmax(np.where(there, gate.topk_weights, -1), axis=1)[:, None]
    first = np.take_along_axis(gate.topk_ids, best, axis=1)
    kept = np.zeros(gate.experts, dtype=np.bool_)
    kept[first[first >= 0]] = True
    # rounded first: 0.7 of 10 is 7, and not 8 because of its last bit
    budget = ceil(round(selection.share * int(active.sum()), 6))
    more = [expert for expert in order if may[expert] and not kept[expert]]
    kept[more[:max(budget - int(kept.sum()), 0)]] = True
    return kept


def selected(gate: GateBatch, selection: Selection, scores: Floats | None = None) -> GateBatch:
    """The choices of a batch under a rule.

    Args:
        gate: choices of the batch.
        selection: rule and share.
        scores: what the gate gave each expert, [tokens, experts]. With it XShare lets tokens choose again, as many as before.
    """
    kept = kept_experts(gate, selection, scores)
    before = gate.topk_weights.sum(axis=1, keepdims=True, dtype=np.float64)
    if scores is not None and selection.method == "xshare":
        judged = np.where(kept, scores, -np.inf)
        ids = np.argsort(-judged, axis=1, kind="stable")[:, :gate.topk_ids.shape[1]].astype(np.int64)
        there = (np.take_along_axis(judged, ids, axis=1) > -np.inf) & (gate.topk_ids >= 0)
        ids, weights = np.where(there, ids, -1), np.where(there, np.take_along_axis(scores, ids, axis=1), 0)
    else:
        there = (gate.topk_ids >= 0) & kept[gate.topk_ids]
        ids, weights = np.where(there, gate.topk_ids, -1), np.where(there, gate.topk_weights, 0)
    after = weights.sum(axis=1, keepdims=True, dtype=np.float64)
    scale = np.divide(before, after, out=np.ones_like(before), where=after > 0)
    return GateBatch(ids, (weights * scale).astype(np.float32), gate.experts, gate.identity)
