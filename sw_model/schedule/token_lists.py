"""Token lists: which tokens of a tile an expert has, in the order in which the MAC array takes them (docs/batch.md).

The hardware puts each choice of each record at the front of a linked list; each expert has one in each lane. So a list begins
with the last record that chose the expert. What is wrong with a choice keeps it out of every list.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trajectile.sw_model.config import Config

IntArray = NDArray[np.int64]

#: the expert number of a record that means no choice
NO_CHOICE = 0xFFFF


@dataclass(frozen=True)
class DroppedChoice:
    """A choice of a record that no token list has, because it is wrong."""

    token: int
    rank: int
    expert: int
    #: ``range``: no expert of the layer; ``twice``: the token has chosen this expert before
    cause: Literal["range", "twice"]


def dropped_choices(config: Config, given: IntArray, tokens: Sequence[int]) -> tuple[DroppedChoice, ...]:
    """Wrong choices of some records, in the order of reading."""
    found: list[DroppedChoice] = []
    for token in tokens:
        chosen: set[int] = set()
        for rank, expert in enumerate(given[token].tolist()):
            if expert in (-1, NO_CHOICE):
                continue
            if expert >= config.layer.experts:
                found.append(DroppedChoice(token, rank, expert, "range"))
            elif expert in chosen:
                found.append(DroppedChoice(token, rank, expert, "twice"))
            chosen.add(expert)
    return tuple(found)


def token_list(config: Config, topk_ids: IntArray, records: Sequence[int]) -> dict[str, IntArray]:
    """Passes, first entries and token list of one tile."""
    experts, width = config.layer.experts, config.tile.mac_t
    members: list[list[list[tuple[int, int]]]] = [[[] for _ in range(width)] for _ in range(experts)]
    for number, token in enumerate(records):
        for rank, expert in enumerate(topk_ids[token].tolist()):
            if expert >= 0:
                members[expert][number % width].append((token, rank))
    passes = np.array([max(map(len, by_lane)) for by_lane in members], dtype=np.int64)
    first = np.concatenate(([0], np.cumsum(passes)[:-1])).astype(np.int64)
    tokens_of = np.full((int(passes.sum()), width), -1, dtype=np.int64)
    ranks_of = np.zeros_like(tokens_of)
    for expert, by_lane in enumerate(members):
        for lane, pairs in enumerate(by_lane):
            # each token was linked in before those that came earlier
            for k, (token, rank) in enumerate(reversed(pairs)):
                tokens_of[first[expert] + k, lane], ranks_of[first[expert] + k, lane] = token, rank
    return {"passes": passes, "first": first, "list_tokens": tokens_of, "list_ranks": ranks_of}
