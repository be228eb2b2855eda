"""Maximal marginal relevance: the next hit is like the query and unlike the hits before it."""

import numpy as np
import numpy.typing as npt

from omma.vectors import Float16, Float32


def diverse_order(scores: Float32, vectors: Float16 | Float32, relevance: float, k: int) -> npt.NDArray[np.intp]:
    """Positions of at most k candidates in the order in which each maximises
    relevance * score - (1 - relevance) * (largest cosine to a chosen one); ties go to the earlier position.

    scores: float32[n], cosine. vectors: [n, dim], L2-normalised. relevance: 0 … 1; 1 is the order of the scores. Pure.
    Source: Carbonell and Goldstein, "The use of MMR", SIGIR 1998.
    """
    rows = vectors.astype(np.float32, copy=False)
    gain = relevance * scores
    redundancy = np.full(len(scores), -1.0, np.float32)
    chosen = np.empty(min(k, len(scores)), np.intp)
    for turn in range(len(chosen)):
        best = np.argmax(gain - (1 - relevance) * redundancy)
        chosen[turn] = best
        gain[best] = -np.inf
        np.maximum(redundancy, rows @ rows[best], out=redundancy)
    return chosen
