"""How near integer results come to a float32 layer's: over all tokens, and token by token."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


def cosine(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Cosine similarity of two arrays; 1 if both are zero."""
    a, b = np.asarray(a, dtype=np.float64).ravel(), np.asarray(b, dtype=np.float64).ravel()
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b / norm) if norm else float(np.array_equal(a, b))


def sqnr_db(a: NDArray[Any], reference: NDArray[Any]) -> float:
    """Power of ``reference`` over the power of the difference, in dB; infinite if they are equal, or one is all zero."""
    reference = np.asarray(reference, dtype=np.float64)
    signal, noise = float((reference**2).sum()), float(((np.asarray(a, dtype=np.float64) - reference) ** 2).sum())
    if not noise or not signal:
        return float("-inf") if noise else float("inf")
    return float(10 * np.log10(signal / noise))


@dataclass(frozen=True)
class Fidelity:
    """How near results come to a reference."""

    cosine: float
    sqnr_db: float
    #: cosine similarity of the tokens: the median one's, and the worst one's
    cosine_median: float
    cosine_worst: float
    #: tokens whose results are all zero while the reference's are not
    zeroed: int


def fidelity(results: NDArray[Any], reference: NDArray[Any]) -> Fidelity:
    """Compare real results with a reference, both [tokens, d_model]; one token or more."""
    a, b = np.asarray(results, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    norm = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    # a token that is zero on one side only is as far from the other as can be told
    tokens = np.where(norm > 0, (a * b).sum(axis=1) / np.where(norm > 0, norm, 1), (a == b).all(axis=1))
    zeroed = ~a.any(axis=1) & b.any(axis=1)
    return Fidelity(cosine(a, b), sqnr_db(a, b), float(np.median(tokens)), float(tokens.min()), int(zeroed.sum()))
