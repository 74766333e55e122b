"""What it costs the toy model, and gains its layer, when batches make do with fewer experts.

A batch is what a server decodes at once: the bytes at one position of some texts. Each MoE layer gets the choices that
:mod:`trajectile.sw_model.gates.selection` leaves of the batch's. So what is predicted of a text depends on the others, too.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from trajectile.sw_model.config import Config
from trajectile.sw_model.gates.selection import Selection, selected
from trajectile.sw_model.gates.toy_model import Bytes, ToyModel
from trajectile.sw_model.gates.workloads import GateBatch
from trajectile.sw_model.numerics.integer import Float32
from trajectile.sw_model.schedule.scheduler import schedule
from trajectile.sw_model.timeline.model import simulate

#: of so many batches one is played on the timeline
PLAYED = 29


@dataclass(frozen=True)
class Way:
    """How batches are left with fewer experts; without a rule they have all."""

    name: str
    rule: Selection | None = None
    #: tokens choose again from what is left
    again: bool = False


@dataclass(frozen=True)
class Measured:
    """Means over all batches of the text and both layers; cycles over the batches that are played."""

    way: Way
    #: of a batch
    tokens: int
    bits_per_byte: float
    experts: float
    #: of a token
    choices: float
    cycles_per_token: float


class Batches:
    """The model's MoE layers in float32, batch by batch, under a rule."""

    def __init__(self, model: ToyModel, way: Way, tokens: int, texts: int) -> None:
        self.model, self.way, self.tokens, self.texts = model, way, tokens, texts
        #: choices of each batch, [tokens, top_k]
        self.chosen: list[NDArray[np.int64]] = []

    def _of_one(self, gate: GateBatch, scores: NDArray[np.float64]) -> GateBatch:
        if self.way.rule is None:
            return gate
        return selected(gate, self.way.rule, scores if self.way.again else None)

    def _batches(self, positions: int) -> Iterator[NDArray[np.int64]]:
        """Tokens of each batch; those of the first text come first."""
        token = np.arange(self.texts * positions).reshape(self.texts, positions)
        for first in range(0, self.texts, self.tokens):
            yield from token[first:first + self.tokens].T

    def __call__(self, number: int, x: Float32, gate: GateBatch) -> Float32:
        """A block's MoE layer."""
        scores = self.model.blocks[number].router.scores(x)
        ids, weights = gate.topk_ids.copy(), gate.topk_weights.copy()
        for batch in self._batches(len(x) // self.texts):
            one = self._of_one(GateBatch(ids[batch], weights[batch], gate.experts), scores[batch])
            ids[batch], weights[batch] = one.topk_ids, one.topk_weights
            self.chosen.append(one.topk_ids)
        return self.model.exact(number, x, GateBatch(ids, weights, gate.experts))


def measure(config: Config, model: ToyModel, text: Bytes, way: Way, tokens: int) -> Measured:
    """Run the text, uint8 [texts, length], once; the texts are a whole number of batches."""
    layers = Batches(model, way, tokens, len(text))
    bits = float(model.bits(text, layers).mean())
    cycles = fmean(simulate(schedule(config, ids), record=False).cycles for ids in layers.chosen[::PLAYED])
    return Measured(way, tokens, bits, fmean(len(np.unique(ids[ids >= 0])) for ids in layers.chosen),
                    fmean((ids >= 0).sum(axis=1).mean() for ids in layers.chosen), cycles / tokens)
