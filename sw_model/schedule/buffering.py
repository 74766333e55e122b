"""Token buffering: which tokens wait for the next batch."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]


def deferral(batches: Sequence[IntArray], slack: float, experts: int) -> list[tuple[list[tuple[int, int]], int]]:
    """Token buffering: leave the tokens of the coldest experts to the next batch.

    In each batch but the last up to ``slack`` times its size may stay over: the experts with the fewest tokens are
    dropped one after the other, each with all its tokens, as long as that many fit. A token that stayed over once is not
    held again.

    Args:
        batches: chosen experts of each batch's new tokens, each [tokens, top_k].
        slack: share of a batch that may stay over.
        experts: experts of the layer.

    Returns:
        For each batch its tokens as ``(batch it came in, number there)``, and how many of them had been held.
    """
    plan: list[tuple[list[tuple[int, int]], int]] = []
    held: list[tuple[int, int]] = []
    for number, ids in enumerate(batches):
        fresh = [(number, token) for token in range(len(ids))]
        pool = held + fresh
        late = held
        held = []
        if number + 1 < len(batches):
            budget = int(slack * len(ids))
            members: list[set[tuple[int, int]]] = [set() for _ in range(experts)]
            for batch, token in pool:
                for expert in batches[batch][token]:
                    members[int(expert)].add((batch, token))
            fixed, out = set(late), set[tuple[int, int]]()
            for expert in sorted(range(experts), key=lambda e: (len(members[e]), e)):
                more = members[expert] - out
                if not members[expert] or more & fixed:
                    continue
                if len(out | more) > budget:
                    break
                out |= more
            held = [token for token in fresh if token in out]
            pool = [token for token in pool if token not in out]
        plan.append((pool, len(late)))
    return plan
