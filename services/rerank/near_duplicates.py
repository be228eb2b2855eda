"""Which pictures are copies of one another: pHash proposes, the vectors confirm."""

from typing import Final

import numpy as np
import numpy.typing as npt

from omma.hits import Bools
from omma.vectors import Float16, Float32, UInt64

_ROWS_AT_ONCE: Final = 512
"""Bounds the table of distances: 512 rows against 4,096 candidates are 16 MiB."""


def hamming(a: UInt64, b: UInt64 | np.uint64) -> npt.NDArray[np.uint8]:
    """Bits that differ, 0 … 64, broadcasting."""
    bits: npt.NDArray[np.uint8] = np.bitwise_count(a ^ b)
    return bits


def leaders(
    phashes: UInt64, known: Bools, vectors: Float16 | Float32 | None, *, max_hamming: int, min_cosine: float
) -> npt.NDArray[np.intp]:
    """The position of each candidate's group leader: the best of its near-duplicates, itself where it leads.

    phashes: uint64[n], best candidate first. known: bool[n], which of them are one; who has none leads.
    vectors: [n, dim], L2-normalised; None: pHash decides alone.
    A candidate joins the best leader that it resembles within max_hamming and min_cosine; likeness to a follower does
    not count, so a chain of small edits does not join far ends. Pure.
    """
    count = len(phashes)
    leader = np.arange(count)
    free = known.copy()
    rows32 = None if vectors is None else vectors.astype(np.float32, copy=False)
    for start in range(0, count, _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        near = hamming(phashes[rows, None], phashes[None]) <= max_hamming
        close = np.triu(near, k=start + 1) & free
        for row in np.flatnonzero(close.any(axis=1)) + start:
            if not free[row]:  # it follows another, or has no pHash
                continue
            followers = np.flatnonzero(close[row - start] & free)
            if rows32 is not None:
                followers = followers[rows32[followers] @ rows32[row] >= min_cosine]
            leader[followers] = row
            free[followers] = False
    return leader
