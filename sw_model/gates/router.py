"""Gates of models: how a router's logits become the experts of a token and their weights.

Every step is that of the model's own code at inference (docs/import.md): no sampling, no jitter, no capacity.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trajectile.sw_model.gates.workloads import GateBatch
from trajectile.sw_model.numerics.integer import Float32

#: what is added to a sum of weights before they are divided by it
EPSILON = 1e-20

Floats = NDArray[np.float64]


class Scoring(Enum):
    """What becomes of the logits of all experts."""

    SOFTMAX = "softmax"  #: softmax over all experts
    SOFTMAX_CHOSEN = "softmax-chosen"  #: the largest logits choose; softmax over the chosen ones
    SIGMOID = "sigmoid"  #: each logit by itself
    SQRT_SOFTPLUS = "sqrtsoftplus"  #: square root of softplus, each logit by itself
    SPARSEMIXER = "sparsemixer"  #: Phi-3.5-MoE: two softmaxes, each over the logits near its largest


class GroupScore(Enum):
    """What a group of experts is judged by."""

    MAX = "max"  #: its best expert (DeepSeek-V2)
    TOP2 = "top2"  #: the sum of its best two (DeepSeek-V3)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How a gate chooses, without its weights.

    Raises:
        ValueError: for values that contradict each other.
    """

    top_k: int
    scoring: Scoring = Scoring.SOFTMAX
    #: weights of a token's experts are divided by their sum
    normalise: bool = True
    #: what the weights are multiplied by at the end
    scaling: float = 1.0
    #: experts lie in this many groups of equal size, of which the best ``top_groups`` may be chosen from
    groups: int = 1
    top_groups: int = 1
    group_score: GroupScore = GroupScore.MAX
    #: sparsemixer: logits that are farther below the largest than twice this part of it do not count
    jitter: float = 0.01
    #: choices after the experts whose result is the token itself (LongCat-Flash)
    identity: int = 0
    #: the weight multiplies what the expert is given, not its result (Llama-4)
    on_input: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.top_groups <= self.groups:
            raise ValueError(f"topk_group = {self.top_groups} is not legal; legal values: 1 to n_group = {self.groups}")
        if not (np.isfinite(self.scaling) and self.scaling > 0):
            raise ValueError(f"routed_scaling_factor = {self.scaling} is not legal; legal values: more than 0")
        if self.scoring is Scoring.SPARSEMIXER and self.top_k != 2:
            raise ValueError(f"top_k = {self.top_k} is not legal with sparsemixer; legal value: 2")
        if self.on_input and self.top_k != 1:
            raise ValueError(f"top_k = {self.top_k} is not legal with weights on the input; legal value: 1")
        if self.identity < 0:
            raise ValueError(f"zero_expert_num = {self.identity} is not legal; legal values: 0 or more")
        if not (np.isfinite(self.jitter) and self.jitter >= 0):
            raise ValueError(f"router_jitter_noise = {self.jitter} is not legal; legal values: 0 or more")

    def check(self, experts: int) -> None:
        """See that a gate of so many experts can choose so.

        Raises:
            ValueError: if it cannot.
        """
        experts += self.identity
        if experts % self.groups:
            raise ValueError(f"n_group = {self.groups} is not legal; legal values: divisors of {experts} experts")
        if not 1 <= self.top_k <= experts // self.groups * self.top_groups:
            raise ValueError(f"top_k = {self.top_k} is not legal; legal values: 1 to "
                             f"{experts // self.groups * self.top_groups}, the experts that may be chosen from")
        if self.groups > 1 and self.group_score is GroupScore.TOP2 and experts // self.groups < 2:
            raise ValueError(f"n_group = {self.groups} is not legal; legal values: at most {experts // 2}, so that a group "
                             "has two experts")

    @property
    def as_dict(self) -> dict[str, Any]:
        """The fields as JSON can hold them."""
        return {name: value.value if isinstance(value, Enum) else value for name, value in vars(self).items()}


def rule_of(values: dict[str, Any]) -> Rule:
    """The rule that :attr:`Rule.as_dict` wrote.

    Raises:
        ValueError: if it did not.
    """
    fields: dict[str, Any] = dict(values)
    try:
        fields |= {"scoring": Scoring(values["scoring"]), "group_score": GroupScore(values["group_score"])}
        return Rule(**fields)
    except (TypeError, KeyError) as error:
        legal = ", ".join(vars(Rule(top_k=1)))
        raise ValueError(f"gate = {values} is not legal ({error}); legal: the fields {legal}") from None


@dataclass(frozen=True, kw_only=True)
class Router:
    """A gate: its rule and its tensors."""

    rule: Rule
    #: [experts, d_model]; the rule's identities come last, here and below
    weight: Float32
    #: added to the logits, [experts]
    bias: Float32 | None = None
    #: added to the scores where experts are chosen, and not where they are weighed, [experts]
    correction: Float32 | None = None

    def scores(self, x: Float32) -> Floats:
        """What each token gives each expert, [tokens, experts] with the identities; before any correction.

        Args:
            x: activations, [tokens, d_model].
        """
        return _scores(self._logits(x), self.rule.scoring)

    def _logits(self, x: Float32) -> Floats:
        logits = x.astype(np.float64) @ self.weight.T.astype(np.float64)
        return logits if self.bias is None else logits + self.bias

    def choose(self, x: Float32) -> GateBatch:
        """The experts of each token, strongest first; of equal ones the lower number. An identity is no choice (-1).

        Args:
            x: activations, [tokens, d_model].
        """
        rule = self.rule
        if rule.scoring is Scoring.SPARSEMIXER:
            ids, weights = _sparsemixer(self._logits(x), rule.jitter)
        else:
            scores = self.scores(x)
            judged = scores if self.correction is None else scores + self.correction
            ids = _largest(_in_groups(judged, rule), rule.top_k)
            weights = np.take_along_axis(scores, ids, axis=1)
            if rule.scoring is Scoring.SOFTMAX_CHOSEN:
                weights = _softmax(weights)
        if rule.normalise:
            weights = weights / (weights.sum(axis=1, keepdims=True) + EPSILON)
        real = (weights * rule.scaling).astype(np.float32)
        experts = len(self.weight) - rule.identity
        if not rule.identity:
            return GateBatch(ids, real, experts)
        own = ids >= experts
        return GateBatch(np.where(own, -1, ids), np.where(own, np.float32(0), real), experts,
                         np.where(own, real, np.float32(0)).sum(axis=1, dtype=np.float32))


def _softmax(logits: Floats) -> Floats:
    scores = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
    return np.asarray(scores / scores.sum(axis=1, keepdims=True))


def _scores(logits: Floats, scoring: Scoring) -> Floats:
    if scoring is Scoring.SOFTMAX:
        return _softmax(logits)
    if scoring is Scoring.SIGMOID:
        return np.asarray(np.exp(-np.logaddexp(0, -logits)))
    if scoring is Scoring.SQRT_SOFTPLUS:
        return np.asarray(np.sqrt(np.logaddexp(0, logits)))
    return logits


def _largest(values: Floats, count: int) -> NDArray[np.int64]:
    return np.argsort(-values, axis=1, kind="stable")[:, :count].astype(np.int64)


def _in_groups(judged: Floats, rule: Rule) -> Floats:
    """What is judged, minus infinity in groups that are not among the best."""
    if rule.groups == 1:
        return judged
    tokens, experts = judged.shape
    grouped = judged.reshape(tokens, rule.groups, experts // rule.groups)
    if rule.group_score is GroupScore.MAX:
        best = grouped.max(axis=2)
    else:
        best = np.sort(grouped, axis=2)[:, :, -2:].sum(axis=2)
    allowed = np.zeros((tokens, rule.groups, 1), dtype=bool)
    np.put_along_axis(allowed, _largest(best, rule.top_groups)[:, :, None], True, axis=1)
    return np.where(allowed, grouped, -np.inf).reshape(tokens, experts)


def _sparsemixer(logits: Floats, jitter: float) -> tuple[NDArray[np.int64], Floats]:
    """The two experts of arXiv 2409.12136 at inference: the largest logit, then the largest of the rest."""
    ids, weights = [], []
    left = logits
    for _ in range(2):
        best = _largest(left, 1)
        top = np.take_along_axis(left, best, axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):  # 0 / 0 is not far away
            far = (top - logits) / np.maximum(np.abs(logits), top) > 2 * jitter
        near = np.where(far, -np.inf, left)
        ids.append(best)
        weights.append(np.take_along_axis(_softmax(near), best, axis=1))
        left = left.copy()
        np.put_along_axis(left, best, -np.inf, axis=1)
    return np.concatenate(ids, axis=1), np.concatenate(weights, axis=1)


def shared_weight(x: Float32, own_gate: Float32 | None) -> Float32:
    """Weight of the shared expert, [tokens]: 1, or the sigmoid of ``own_gate`` [d_model] times the activations."""
    if own_gate is None:
        return np.ones(len(x), dtype=np.float32)
    logits = (x.astype(np.float64) @ own_gate.astype(np.float64))[:, None]
    return _scores(logits, Scoring.SIGMOID)[:, 0].astype(np.float32)
