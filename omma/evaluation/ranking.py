"""Exact ranking of a whole corpus for every query, a chunk of queries at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from omma.errors import InvalidQuery
from omma.vectors import Float32, Int64

_CHUNK_SCORES: Final = 1 << 22
"""Scores in memory at a time; with what is made of them about 150 MB."""
_SIGN: Final = np.uint32(0x8000_0000)
_ROW: Final = np.uint64(0xFFFF_FFFF)
_HALF: Final = np.uint64(32)


@dataclass(frozen=True, slots=True)
class RankedChunk:
    """queries: which queries these are, of all. rows: int64[queries, n], every row of the corpus, best first.

    A row that its query leaves out comes last.
    """

    queries: slice
    rows: Int64


def ranked(queries: Float32, corpus: Float32, leave_out: Int64 | None = None) -> Iterator[RankedChunk]:
    """Rank the corpus for each query by inner product; equal scores order by row, as omma.hits.merge does by id.

    queries float32[q, d] and corpus float32[n, d], unit vectors, the corpus in the order of its ids. leave_out:
    int64[q], the corpus row that is the query itself, -1 for none. Memory is bounded by n alone.
    Raises InvalidQuery, field `vectors`, for shapes that do not fit and for what is not finite.
    """
    _check(queries, corpus)
    chunk = max(1, _CHUNK_SCORES // max(1, len(corpus)))
    for start in range(0, len(queries), chunk):
        part = slice(start, min(start + chunk, len(queries)))
        scores = queries[part] @ corpus.T
        if leave_out is not None:
            asked = np.flatnonzero(leave_out[part] >= 0)
            scores[asked, leave_out[part][asked]] = -np.inf
        yield RankedChunk(part, _order(scores))


def _order(scores: Float32) -> Int64:
    """Rows by falling score, then by rising row: one sort of 64-bit keys, score above and row below."""
    bits = (scores + np.float32(0)).view(np.uint32)  # + 0: of the two zeros only one is left
    rising = np.where(bits & _SIGN, ~bits, bits | _SIGN)
    keys: npt.NDArray[np.uint64] = (~rising).astype(np.uint64) << _HALF
    keys |= np.arange(scores.shape[1], dtype=np.uint64)
    keys.sort(axis=1)
    return (keys & _ROW).astype(np.int64)


def _check(queries: Float32, corpus: Float32) -> None:
    if queries.ndim != 2 or corpus.ndim != 2 or queries.shape[1] != corpus.shape[1]:
        raise InvalidQuery(
            f"Queries {queries.shape} and corpus {corpus.shape} must be matrices of one dimension.", field="vectors"
        )
    if not (np.isfinite(queries).all() and np.isfinite(corpus).all()):
        raise InvalidQuery("A vector has a component that is not finite.", field="vectors")
