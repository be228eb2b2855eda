"""Maximal marginal relevance: the next hit is like the query and unlike the hits before it."""

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from omma.vectors import Float16, Float32

_ROWS_AT_ONCE: Final = 64
"""Likenesses that are computed in one product: those that will be chosen soon, by how it looks now. One row at a time
reads every vector for each hit: 1,000 of 1,500 candidates of 256 numbers took 86 ms so, and take 28.
"""


def diverse_order(
    scores: Float32,
    vectors: Float16 | Float32,
    relevance: float,
    k: int,
    check: Callable[[], object] = lambda: None,
) -> npt.NDArray[np.intp]:
    """Positions of at most k candidates in the order in which each maximises
    relevance * score - (1 - relevance) * (largest cosine to a chosen one); ties go to the earlier position.

    scores: float32[n], cosine. vectors: [n, dim], L2-normalised. relevance: 0 … 1; 1 is the order of the scores.
    check: called between products; what it raises ends the work.
    Source: Carbonell and Goldstein, "The use of MMR", SIGIR 1998.
    """
    rows = vectors.astype(np.float32, copy=False)
    gain = relevance * scores
    redundancy = np.full(len(scores), -1.0, np.float32)
    chosen = np.empty(min(k, len(scores)), np.intp)
    likeness: dict[int, Float32] = {}
    unknown = np.ones(len(scores), bool)
    value = np.empty_like(gain)
    for turn in range(len(chosen)):
        np.multiply(redundancy, relevance - 1, out=value)
        value += gain
        best = int(value.argmax())
        if best not in likeness:
            check()
            soon = _largest(np.where(unknown, value, -np.inf), min(_ROWS_AT_ONCE, len(chosen) - turn))
            soon = soon[unknown[soon]]
            likeness.update(zip(soon.tolist(), rows[soon] @ rows.T, strict=True))
            unknown[soon] = False
        chosen[turn] = best
        gain[best] = -np.inf
        np.maximum(redundancy, likeness.pop(best), out=redundancy)
    return chosen


def _largest(values: Float32, count: int) -> npt.NDArray[np.intp]:
    """Positions of so many of the largest, among them the first of the largest."""
    positions: npt.NDArray[np.intp] = np.argpartition(-values, count - 1)[:count]
    return np.union1d(positions, np.argmax(values))
