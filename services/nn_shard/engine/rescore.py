"""Exact scores of a few rows: read the originals, let FAISS's float16 scanner score them, a whole batch in one call."""

import threading
from typing import Final

import numpy as np

from omma.vectors import Float16, Float32, Int64
from services.nn_shard.engine.lists import Float16Lists
from services.nn_shard.engine.swig import Faiss, faiss

LISTS: Final = 64
"""Queries at a time, each with rows of its own."""

_KEYS, _THE_FIRST = np.arange(LISTS), np.zeros(LISTS, np.int64)
_NO_SCORES = np.zeros(LISTS, np.float32)
# Pointers of arrays that never change are taken once: 1 us each.
_KEYS_AT, _NO_SCORES_AT = faiss.swig_ptr(_KEYS), faiss.swig_ptr(_NO_SCORES)
_THE_FIRST_AT = faiss.swig_ptr(_THE_FIRST)
_ONE_PROBE = faiss.SearchParametersIVF(nprobe=1)


class Scratch(threading.local):
    """Lists of float16 rows a thread. 200 rows of 256 take 16 us; numpy, which converts float16 one by one, 110."""

    def __init__(self, dim: int) -> None:
        self._rows = Float16Lists(dim, LISTS)
        self._row_bytes = 2 * dim
        self._sizes = [0] * LISTS
        self._number_up_to(1_024)

    def best(self, queries: Float32, vectors: Float16, wanted: int) -> tuple[Float32, Int64]:
        """Scores and positions [b, n] of the `wanted` best of each query's own vectors [b, m, dim], best first, -1 for
        none; b is at most LISTS.

        Those that equal the last one come too, or one more than wanted; equal ones are in no order. A vector that is
        not finite has no place among them.
        """
        for number, of_query in enumerate(vectors):
            self._fill(number, of_query)
        return self._best(queries, vectors.shape[1], wanted, _KEYS_AT)

    def best_of_same(self, queries: Float32, vectors: Float16, wanted: int) -> tuple[Float32, Int64]:
        """As `best` of vectors [m, dim] that are every query's."""
        self._fill(0, vectors)
        return self._best(queries, len(vectors), wanted, _THE_FIRST_AT)

    def scores(self, query: Float32, vectors: Float16) -> Float32:
        """float32[n]: of each of the vectors [n, dim], n >= 1."""
        self._fill(0, vectors)
        best_first, positions = self._search(query, len(vectors), _KEYS_AT)
        scores = np.full(len(vectors), -np.inf, np.float32)
        there = positions[0] >= 0
        scores[positions[0, there]] = best_first[0, there]
        return scores

    def _best(self, queries: Float32, count: int, wanted: int, keys: Faiss) -> tuple[Float32, Int64]:
        scores, positions = self._search(queries, min(count, wanted + 1), keys)
        if not wanted < scores.shape[1] < count:
            return scores, positions
        (tied,) = np.nonzero((scores[:, wanted] == scores[:, wanted - 1]) & (positions[:, wanted] >= 0))
        if not len(tied):
            return scores, positions
        every, at = self._search(queries, count, keys)
        equal = int(np.count_nonzero(every[tied] >= scores[tied, wanted, None], axis=1).max())
        # Of the others some more come, too: they rank behind.
        return every[:, :equal], at[:, :equal]

    def _fill(self, number: int, vectors: Float16) -> None:
        count, lists = len(vectors), self._rows.lists
        if self._sizes[number] != count:
            if count > len(self._numbers):
                self._number_up_to(2 * count)
            lists.resize(number, count)
            self._sizes[number] = count
        lists.update_entries(number, 0, count, self._numbers_at, faiss.swig_ptr(vectors.view(np.uint8)))

    def _number_up_to(self, count: int) -> None:
        self._numbers = np.arange(count)
        self._numbers_at = faiss.swig_ptr(self._numbers)

    def _search(self, queries: Float32, count: int, keys: Faiss) -> tuple[Float32, Int64]:
        scores = np.empty((len(queries), count), np.float32)
        positions = np.empty((len(queries), count), np.int64)
        pointer = faiss.swig_ptr
        self._rows.index.search_preassigned_c(
            len(queries), pointer(queries), count, keys, _NO_SCORES_AT, pointer(scores), pointer(positions), False,
            _ONE_PROBE,
        )  # fmt: skip
        return scores, positions
