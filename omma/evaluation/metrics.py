"""How good a ranking is, one value a query.

nDCG has gain 2^grade - 1 and discount log2(rank + 1): Burges et al., Learning to Rank using Gradient Descent (2005),
on the measure of Järvelin and Kekäläinen (2002). The others are as trec_eval has them (map, map_cut, recall, P, Rprec).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from omma.errors import InvalidQuery
from omma.evaluation.ranking import RankedChunk, ranked
from omma.vectors import Float32, Int64

Float64 = npt.NDArray[np.float64]
UInt8 = npt.NDArray[np.uint8]
Grades = Callable[[slice], UInt8]
"""For a slice of the queries their grades of every corpus row: uint8[queries, n], 0 … 5, 0 where nothing is known."""

MAX_GRADE: Final = 5
_GAINS: Final = 2.0 ** np.arange(MAX_GRADE + 1) - 1


@dataclass(frozen=True, slots=True)
class Measured:
    """One value a measured query, each float64[m], 0 … 1, in the order of `queries`.

    queries: int64[m], which queries have something to find; the others are left out, as no measure is defined there.
    k: the cut of ndcg, average_precision_at_k, recall and precision; average_precision and r_precision have none.
    """

    k: int
    queries: Int64
    ndcg: Float64
    average_precision: Float64
    average_precision_at_k: Float64
    recall: Float64
    precision: Float64
    r_precision: Float64

    def columns(self) -> dict[str, Float64]:
        """The measures by the names that reports use, the primary one first."""
        return {
            f"nDCG@{self.k}": self.ndcg,
            "mAP": self.average_precision,
            f"mAP@{self.k}": self.average_precision_at_k,
            f"recall@{self.k}": self.recall,
            f"precision@{self.k}": self.precision,
            "R-precision": self.r_precision,
        }


def leave_one_out(vectors: Float32, labels: npt.ArrayLike, *, k: int = 10) -> Measured:
    """Each picture asks for the others of its label: grade 5 for the same label, 0 for another.

    vectors: float32[n, d], unit, in the order of ids. labels: int[n]. A picture alone in its label is no query.
    20,000 pictures of 256 dimensions take half a minute and 0.3 GB. Raises InvalidQuery: `vectors`, `labels`, `k`.
    """
    label = np.asarray(labels)
    if label.shape != vectors.shape[:1]:
        raise InvalidQuery(f"{len(vectors)} vectors need as many labels, not {label.shape}.", field="labels")

    def grades(part: slice) -> UInt8:
        return np.where(label[part, None] == label, np.uint8(MAX_GRADE), np.uint8(0))

    return measure(vectors, vectors, grades, leave_out=np.arange(len(vectors)), k=k)


def measure(
    queries: Float32,
    corpus: Float32,
    grades: Grades,
    *,
    leave_out: Int64 | None = None,
    k: int = 10,
    relevant_from: int = 1,
) -> Measured:
    """Rank the corpus for each query and measure it; queries and corpus as omma.evaluation.ranking.ranked has them.

    relevant_from: the least grade that counts as relevant where a measure knows only yes and no; a query is measured
    if one picture reaches it. Raises InvalidQuery, field `vectors`, `k`, `relevant_from` or `judgments`.
    """
    if k < 1:
        raise InvalidQuery("k must be at least 1.", field="k", limit=1)
    if not 1 <= relevant_from <= MAX_GRADE:
        raise InvalidQuery(f"relevant_from must be 1 to {MAX_GRADE}.", field="relevant_from", limit=MAX_GRADE)
    parts = [
        _measure_chunk(chunk, grades(chunk.queries), leave_out, k, relevant_from)
        for chunk in ranked(queries, corpus, leave_out)
    ]
    found = np.concatenate([np.empty((0, 7)), *parts])
    found = found[found[:, 0] >= 0]
    return Measured(k, found[:, 0].astype(np.int64), *found[:, 1:].T.copy())


def _measure_chunk(chunk: RankedChunk, graded: UInt8, leave_out: Int64 | None, k: int, relevant_from: int) -> Float64:
    """float64[queries, 7]: the query, -1 where there is nothing to find, and the measures in Measured's order."""
    if graded.shape != chunk.rows.shape or graded.max(initial=0) > MAX_GRADE:
        raise InvalidQuery(f"Grades must be 0 to {MAX_GRADE}, one a query and picture.", field="judgments")
    if leave_out is not None:
        asked = np.flatnonzero(leave_out[chunk.queries] >= 0)
        graded[asked, leave_out[chunk.queries][asked]] = 0
    by_rank = np.take_along_axis(graded, chunk.rows, axis=1)
    relevant = np.count_nonzero(graded >= relevant_from, axis=1)
    least = np.maximum(relevant, 1)
    query, rank = np.nonzero(by_rank >= relevant_from)  # rank from 0, sorted by query and then by rank
    place = np.arange(len(query)) - (np.cumsum(relevant) - relevant)[query]  # how many relevant come before it
    precision = (place + 1) / (rank + 1)

    def total(weight: Float64) -> Float64:
        return np.bincount(query, weight, len(graded)).astype(np.float64)

    within = total((rank < k).astype(float))
    best = _dcg(_highest(graded, k))
    return np.column_stack(
        [
            np.where(relevant > 0, np.arange(chunk.queries.start, chunk.queries.stop), -1),
            _dcg(by_rank[:, :k]) / np.maximum(best, 1),
            total(precision) / least,
            total(precision * (rank < k)) / least,
            within / least,
            within / k,
            total((rank < relevant[query]).astype(float)) / least,
        ]
    )


def _highest(graded: UInt8, k: int) -> UInt8:
    """The k highest grades of each query, highest first."""
    most = min(k, graded.shape[1])
    top: UInt8 = np.sort(np.partition(graded, -most, axis=1)[:, -most:], axis=1)[:, ::-1]
    return top


def _dcg(by_rank: npt.NDArray[np.integer]) -> Float64:
    """Discounted cumulative gain of grades by rank, int[queries, k]."""
    discount = 1 / np.log2(np.arange(by_rank.shape[1]) + 2)
    gained: Float64 = _GAINS[by_rank] @ discount
    return gained
