"""Exact scores of a few rows: read the originals, let FAISS's float16 scanner score them."""

import threading

import numpy as np

from omma.vectors import Float16, Float32, Int64
from services.nn_shard.engine.lists import Float16Lists
from services.nn_shard.engine.swig import faiss

_ONE_LIST = np.zeros((1, 1), np.int64)
_NO_SCORE = np.zeros((1, 1), np.float32)
# Pointers of arrays that never change are taken once: 1 us each.
_ONE_LIST_AT, _NO_SCORE_AT = faiss.swig_ptr(_ONE_LIST), faiss.swig_ptr(_NO_SCORE)
_ONE_PROBE = faiss.SearchParametersIVF(nprobe=1)


class Scratch(threading.local):
    """One list of float16 rows a thread. 200 rows of 256 take 16 us; numpy, which converts float16 one by one, 110."""

    def __init__(self, dim: int) -> None:
        self._rows = Float16Lists(dim, 1)
        self._number_up_to(1_024)

    def best(self, query: Float32, vectors: Float16, wanted: int) -> tuple[Float32, Int64]:
        """Scores and positions of the `wanted` best of vectors [n, dim] for query [1, dim], best first.

        Those that equal the last one come too, or one more than wanted; equal ones are in no order.
        """
        count = len(vectors)
        if not count:
            return np.empty(0, np.float32), np.empty(0, np.int64)
        self._fill(vectors)
        asked = min(count, wanted + 1)
        scores, positions = self._search(query, asked)
        if wanted < asked < count and scores[wanted] == scores[wanted - 1]:
            scores, positions = self._search(query, count)
            asked = int(np.count_nonzero(scores >= scores[wanted - 1]))
            return scores[:asked], positions[:asked]
        # A row that is no number, which an older version took in, has no place among them.
        there = positions >= 0
        return (scores, positions) if there.all() else (scores[there], positions[there])

    def scores(self, query: Float32, vectors: Float16) -> Float32:
        """float32[n]: of each of the vectors [n, dim], n >= 1."""
        self._fill(vectors)
        best_first, positions = self._search(query, len(vectors))
        scores = np.full(len(vectors), -np.inf, np.float32)
        there = positions >= 0
        scores[positions[there]] = best_first[there]
        return scores

    def _fill(self, vectors: Float16) -> None:
        if len(vectors) > len(self._numbers):
            self._number_up_to(2 * len(vectors))
        lists = self._rows.lists
        lists.resize(0, 0)
        lists.add_entries(0, len(vectors), self._numbers_at, faiss.swig_ptr(vectors.view(np.uint8)))

    def _number_up_to(self, count: int) -> None:
        self._numbers = np.arange(count)
        self._numbers_at = faiss.swig_ptr(self._numbers)

    def _search(self, query: Float32, count: int) -> tuple[Float32, Int64]:
        scores = np.empty(count, np.float32)
        positions = np.empty(count, np.int64)
        pointer = faiss.swig_ptr
        self._rows.index.search_preassigned_c(
            1, pointer(query), count, _ONE_LIST_AT, _NO_SCORE_AT, pointer(scores), pointer(positions), False,
            _ONE_PROBE,
        )  # fmt: skip
        return scores, positions
