"""Agglomerative clustering with average linkage. Pure numpy, without the matrix of distances.

Of unit vectors, the mean cosine over all pairs of two clusters is the dot product of their mean vectors: a cluster is
its mean and its size, and n pictures take n * dim numbers where a matrix takes n * n / 2 (10,000 pictures: 10 MB, not
400). Clusters are joined along chains of nearest neighbours, which for average linkage gives the same tree as joining
the nearest two each time (Müllner, Modern hierarchical, agglomerative clustering algorithms, 2011).
"""

from typing import Final

import numpy as np

from omma.vectors import Float32, Int64

_SAME: Final = 1e-6
"""Scores that differ by less are equal: from its other side a pair has another one in float32, and a chain must end."""
_FEW: Final = 64


def average_linkage(vectors: Float32, threshold: float) -> Int64:
    """The cluster of each row, int64[n], numbered from 0 in the order of their first rows.

    vectors: float32[n, dim], normalised. threshold: two clusters are joined while the mean cosine of their pairs is at
    least this. The same as scipy.cluster.hierarchy's `average` of cosine distances, cut at 1 - threshold. Pure; takes
    time by the square of n: 1,000 rows of 256 a second, 10,000 a minute or two.
    """
    joined = np.arange(len(vectors))
    clusters = _Clusters(vectors)
    chain: list[int] = []
    while chain or len(clusters):
        if not chain:
            chain.append(clusters.first())
        last, before = chain[-1], chain[-2] if len(chain) > 1 else None
        nearest, score = clusters.nearest(last, before)
        if nearest is None or score < threshold:
            # Whatever is joined elsewhere comes no nearer to it than the nearer of its parts was: it is whole.
            clusters.leave_out(last)
            chain.pop()
        elif nearest == before:
            kept, gone = min(last, nearest), max(last, nearest)
            clusters.join(kept, gone)
            joined[gone] = kept
            del chain[-2:]
        else:
            chain.append(nearest)
    return _numbered(joined)


class _Clusters:
    """Those that may still be joined, by the first of their rows: their means and sizes."""

    def __init__(self, vectors: Float32) -> None:
        self._means = np.array(vectors, np.float32)
        self._sizes = np.ones(len(vectors), np.int64)
        self._names = np.arange(len(vectors))
        self._alive = np.ones(len(vectors), np.bool_)
        self._count = len(vectors)

    def __len__(self) -> int:
        return self._count

    def first(self) -> int:
        """The one that begins first."""
        return int(self._names[np.argmax(self._alive)])

    def nearest(self, name: int, before: int | None) -> tuple[int | None, float]:
        """The one with the highest mean cosine, None for no other. before: preferred among equals."""
        at = self._at(name)
        scores = self._means @ self._means[at]
        scores[~self._alive] = -np.inf
        scores[at] = -np.inf
        best = int(np.argmax(scores))
        if before is not None and scores[(place := self._at(before))] >= scores[best] - _SAME:
            best = place
        score = float(scores[best])
        return (None, score) if score == -np.inf else (int(self._names[best]), score)

    def join(self, kept: int, gone: int) -> None:
        """Both are one from now on, by the name of the first."""
        one, other = self._at(kept), self._at(gone)
        total = self._sizes[one] + self._sizes[other]
        self._means[one] = (self._sizes[one] * self._means[one] + self._sizes[other] * self._means[other]) / total
        self._sizes[one] = total
        self.leave_out(gone)

    def leave_out(self, name: int) -> None:
        """It is joined with no other any more."""
        self._alive[self._at(name)] = False
        self._count -= 1
        if len(self._names) > _FEW and self._count < len(self._names) // 2:
            kept = self._alive
            self._means, self._sizes, self._names = self._means[kept], self._sizes[kept], self._names[kept]
            self._alive = np.ones(self._count, np.bool_)

    def _at(self, name: int) -> int:
        return int(np.searchsorted(self._names, name))


def _numbered(joined: Int64) -> Int64:
    """Each row's cluster, from what each was joined to: a lower row, or itself."""
    roots = joined.copy()
    for row, to in enumerate(joined.tolist()):
        roots[row] = roots[to]
    return np.unique(roots, return_inverse=True)[1].astype(np.int64)
