"""How near is near: the score from which on a picture's neighbour is more likely right than not."""

from typing import Final

import numpy as np

from omma.vectors import Float32, Int64

LEAST_PICTURES: Final = 100
"""With fewer, who is whose neighbour says little."""
MOST_PICTURES: Final = 2_000
"""More do not change the score by 0.02, and cost their square."""

_CANDIDATES: Final = 10
"""Neighbours of each picture that are looked at."""
_PICTURES_A_NEIGHBOUR: Final = 60
_NEIGHBOURS: Final = (3, 10)
"""Fewest and most that count as near: of 300 pictures 5, from 600 on 10."""


def match_score(vectors: Float32, owners: Int64) -> float | None:
    """A cosine; None of fewer than 100 pictures. Pure; blocks: 0.2 s of 2,000.

    Nobody says which neighbours are right, so they say it of each other: one is right when the picture is among its
    own nearest too. From 500 pictures on, the score that tells these from others lies within 0.11 of the one that tells
    equal labels from different ones (docs/benchmarks.md, Calibration).

    vectors: unit float32[n, d]. owners: int64[n]; pictures of two owners are no neighbours.
    """
    count = len(vectors)
    if count < LEAST_PICTURES:
        return None
    fewest, most = _NEIGHBOURS
    near = int(np.clip(count // _PICTURES_A_NEIGHBOUR, fewest, most))
    scores = vectors @ vectors.T
    scores[owners[:, np.newaxis] != owners[np.newaxis]] = -1.0
    np.fill_diagonal(scores, -1.0)
    candidates = np.argpartition(-scores, _CANDIDATES, axis=1)[:, :_CANDIDATES]
    told = np.take_along_axis(scores, candidates, axis=1)
    # What a picture's nearest begin at: a neighbour has it among its own when the score is no lower.
    reach = np.partition(scores, -near, axis=1)[:, -near]
    right = (told >= reach[candidates]) & (told > -1.0)
    return _dividing(told[told > -1.0], right[told > -1.0])


def _dividing(scores: Float32, right: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> float | None:
    """The score at which fewest are on the wrong side: right ones below, wrong ones above. None where there is none."""
    if not len(scores):
        return None
    order = np.argsort(scores, kind="stable")
    gained = np.cumsum(np.where(right[order], -1, 1))
    best = int(np.argmax(gained))
    if gained[best] <= 0:
        return float(scores[order[0]])
    above = order[best + 1 :]
    return float(scores[above[0]]) if len(above) else 1.0
