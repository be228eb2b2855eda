"""Whether a candidate finds what people said should be found: nDCG@10 of judged queries, arm against arm."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from omma.evaluation import compare

K: Final = 10
LEAST_QUERIES: Final = 30
"""Before a loss is told: the interval is a bootstrap's."""


def ndcg_at_10(found: Sequence[int], grades: Mapping[int, int]) -> float:
    """0 … 1, as omma.evaluation has it: gain 2^grade - 1, discount log2(rank + 1). found: ids, best first.

    grades: of every picture that should be found; one above 0 at least.
    """
    best = sorted(grades.values(), reverse=True)[:K]
    return _gain(grades.get(one, 0) for one in found[:K]) / _gain(best)


def relevance_figures(control: Sequence[float], candidate: Sequence[float]) -> dict[str, Any]:
    """Of the same queries in both; JSON values only. ndcg_loss_upper: the end of the loss's 95 % interval.

    Raises InvalidQuery, field `queries`, for none.
    """
    found = compare(np.array(control), np.array(candidate))
    enough = found.queries >= LEAST_QUERIES
    return {
        "queries": found.queries,
        "ndcg_at_10": {"control": round(found.first.mean, 4), "candidate": round(found.second.mean, 4)},
        "ndcg_loss": round(0.0 - found.mean, 4),
        "ndcg_loss_upper": round(0.0 - found.low, 4) if enough else None,
    }


def _gain(grades: Iterable[int]) -> float:
    return math.fsum((2.0**grade - 1) / math.log2(rank + 1) for rank, grade in enumerate(grades, 1))
