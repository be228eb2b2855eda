"""How much two answers to the same search differ."""

from collections.abc import Sequence
from typing import Final

_PERSISTENCE: Final = 0.9
"""Of rank-biased overlap: the first ten ranks weigh 86 % (Webber et al. 2010)."""


def overlap(first: Sequence[int], second: Sequence[int], k: int = 10) -> float:
    """Share of the longer answer's first k pictures that both have, 0 … 1; two empty answers are the same: 1."""
    longest = min(k, max(len(first), len(second)))
    return len(set(first[:k]) & set(second[:k])) / longest if longest else 1.0


def rank_biased_overlap(first: Sequence[int], second: Sequence[int]) -> float:
    """Agreement of two rankings with weight on their tops, 0 … 1; lists may have different lengths.

    Webber, Moffat and Zobel, A Similarity Measure for Indefinite Rankings (2010), equation 32: what lies beyond the
    lists' ends is extrapolated from what they have in common. Two empty answers are the same: 1.
    """
    shorter, longer = sorted((first, second), key=len)
    short, long = len(shorter), len(longer)
    if not short:
        return 0.0 if long else 1.0
    seen_short: set[int] = set()
    seen_long: set[int] = set()
    total, common, at_short = 0.0, 0, 0
    for depth in range(1, long + 1):
        seen_long.add(longer[depth - 1])
        common += longer[depth - 1] in seen_short
        if depth <= short:
            seen_short.add(shorter[depth - 1])
            common += shorter[depth - 1] in seen_long
            at_short = common
        unseen = at_short * (depth - short) / short if depth > short else 0.0
        total += (common + unseen) / depth * _PERSISTENCE**depth
    end = (common - at_short) / long + at_short / short
    return (1 - _PERSISTENCE) / _PERSISTENCE * total + end * _PERSISTENCE**long


def score_shift(first: Sequence[float], second: Sequence[float], k: int = 10) -> float:
    """Mean score of the second answer's first k less the first's; 0 when one of them is empty."""
    if not first or not second:
        return 0.0
    return sum(second[:k]) / len(second[:k]) - sum(first[:k]) / len(first[:k])
