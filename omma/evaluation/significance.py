"""How sure a mean is, and whether two models differ, from values a query."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from omma.errors import InvalidQuery
from omma.evaluation.metrics import Float64

_CHUNK_DRAWS: Final = 1 << 22


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over queries with its bootstrap interval."""

    mean: float
    low: float
    high: float
    queries: int


@dataclass(frozen=True, slots=True)
class Difference:
    """second - first over the same queries. p: two-sided; how often chance alone makes a difference as large."""

    first: Interval
    second: Interval
    mean: float
    low: float
    high: float
    p: float
    better: int
    worse: int
    queries: int


def interval(values: Float64, *, confidence: float = 0.95, resamples: int = 2_000, seed: int = 0) -> Interval:
    """Percentile bootstrap of the mean: queries are drawn with replacement (Efron 1979). values: float64[q].

    Queries count as independent; those of one class are not quite, so intervals are a little too narrow.
    Raises InvalidQuery, field `queries` for no query, `confidence`, `resamples`. Pure: equal seeds, equal answers.
    """
    _check(len(values), confidence, resamples)
    rng = np.random.default_rng(seed)
    means = _drawn(resamples, len(values), lambda n: values[rng.integers(0, len(values), (n, len(values)))].mean(1))
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(values.mean()), float(low), float(high), len(values))


def compare(
    first: Float64, second: Float64, *, confidence: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> Difference:
    """Paired comparison over the same queries, each float64[q]: bootstrap interval of the difference and p.

    p is that of the sign-flip randomisation test, which assumes no distribution: Smucker, Allan and Carterette, A
    Comparison of Statistical Significance Tests for Information Retrieval Evaluation (2007). Never 0: at least
    1 / (resamples + 1). Raises InvalidQuery, field `queries` when they are not the same number or none.
    """
    if first.shape != second.shape:
        raise InvalidQuery(f"{len(first)} and {len(second)} queries cannot be paired.", field="queries")
    _check(len(first), confidence, resamples)
    by_query = second - first
    spread = interval(by_query, confidence=confidence, resamples=resamples, seed=seed)
    rng = np.random.default_rng(seed + 1)
    flipped = _drawn(
        resamples, len(by_query), lambda n: (rng.integers(0, 2, (n, len(by_query)), np.int8) * 2.0 - 1) @ by_query
    )
    # The tolerance: equal sums of the same numbers in another order must count as equal.
    as_large = np.count_nonzero(np.abs(flipped) >= abs(by_query.sum()) - 1e-9)
    return Difference(
        first=interval(first, confidence=confidence, seed=seed),
        second=interval(second, confidence=confidence, seed=seed),
        mean=spread.mean,
        low=spread.low,
        high=spread.high,
        p=(1 + int(as_large)) / (1 + resamples),
        better=int(np.count_nonzero(by_query > 0)),
        worse=int(np.count_nonzero(by_query < 0)),
        queries=len(by_query),
    )


def _drawn(resamples: int, queries: int, draw: Callable[[int], Float64]) -> Float64:
    step = max(1, _CHUNK_DRAWS // queries)
    return np.concatenate([draw(min(step, resamples - start)) for start in range(0, resamples, step)])


def _check(queries: int, confidence: float, resamples: int) -> None:
    if queries < 1:
        raise InvalidQuery("There is no query to measure.", field="queries", limit=1)
    if not 0 < confidence < 1:
        raise InvalidQuery("confidence must lie between 0 and 1.", field="confidence", limit=1)
    if resamples < 1:
        raise InvalidQuery("resamples must be at least 1.", field="resamples", limit=1)
