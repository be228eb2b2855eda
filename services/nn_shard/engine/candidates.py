"""Candidates: the rows that PQ estimates to be the best of all sealed segments, which originals then score."""

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from omma.vectors import Float32, Int64
from services.nn_shard.engine.codebook import Codebook
from services.nn_shard.engine.part import Part
from services.nn_shard.engine.segment import Segment
from services.nn_shard.engine.selection import Selection, parameters
from services.nn_shard.engine.ties import lowest_of_codes

Sealed: TypeAlias = Sequence[tuple[Part, Selection]]


class OfQuery(NamedTuple):
    """Of one query: estimates float32[n], rows int64[n] and where each lies, a position among the segments.

    of: None when there is one segment.
    """

    estimates: Float32
    rows: Int64
    of: Int64 | None


class Candidates:
    """The `count` best of each query; where the last one equals the first one left out, the equals of the lowest ids.

    Of these at least `equals` are kept, so that an answer made of equals alone is a brute force's.
    """

    def __init__(
        self,
        codebook: Codebook,
        sealed: Sealed,
        rotated: Float32,
        probed: tuple[Int64, Float32],
        *,
        count: int,
        equals: int,
    ) -> None:
        """rotated: float32[b, rotated_dim]; probed: the lists of each query and their coarse scores."""
        self.segments = [part for part, _ in sealed]
        self._sealed, self._count, self._equals = sealed, count, equals
        # One more than is kept tells whether there are equals.
        every = [_estimated(codebook, part, chosen, rotated, probed, count=count + 1) for part, chosen in sealed]
        self._estimates = np.concatenate([estimates for estimates, _ in every], axis=1)
        self._rows = np.concatenate([rows for _, rows in every], axis=1)
        self._estimates[self._rows < 0] = -np.inf
        self._of = np.repeat(np.arange(len(every)), [rows.shape[1] for _, rows in every])
        self._best = self._order()
        best = np.take_along_axis(self._estimates, self._best, 1)
        edge = best[:, :count].min(axis=1)
        self._tied = (best[:, count] == edge) & np.isfinite(edge)

    def of_query(self, number: int) -> OfQuery:
        """In no order."""
        best = self._among_equals(number) if self._tied[number] else None
        if best is not None:
            return best
        at = self._best[number, : self._count]
        estimates, rows = self._estimates[number, at], self._rows[number, at]
        of = None if len(self.segments) == 1 else self._of[at]
        if rows[-1] >= 0 and of is None:
            return OfQuery(estimates, rows, None)
        there = rows >= 0
        return OfQuery(estimates[there], rows[there], None if of is None else of[there])

    def _order(self) -> npt.NDArray[np.intp]:
        """[b, count + 1]: positions of the best, the last of them at the end."""
        count = self._count
        if len(self.segments) == 1:  # FAISS gives them best first
            return np.broadcast_to(np.arange(count + 1), (len(self._rows), count + 1))
        return np.argpartition(-self._estimates, count, axis=1)[:, : count + 1]

    def _among_equals(self, number: int) -> OfQuery:
        estimates, rows, count = self._estimates[number], self._rows[number], self._count
        edge = estimates[self._best[number, count]]
        above = np.flatnonzero(estimates > edge)
        wanted = max(count - len(above), self._equals)
        parts: list[tuple[Int64, Int64, Int64]] = []
        for at, (part, chosen) in enumerate(self._sealed):
            mine = np.flatnonzero(self._of == at)
            equal = rows[mine][estimates[mine] == edge]
            if len(equal) and estimates[mine[-1]] == edge:  # more than were returned may be equal
                equal = lowest_of_codes(part, chosen, equal, wanted)
            ids = part.columns.ids[part.columns.row_pictures[equal]]
            parts.append((ids, equal, np.full(len(equal), at)))
        ids, equals, of = (np.concatenate(column) for column in zip(*parts, strict=True))
        lowest = np.argsort(ids, kind="stable")[:wanted]
        return OfQuery(
            np.concatenate([estimates[above], np.full(len(lowest), edge, np.float32)]),
            np.concatenate([rows[above], equals[lowest]]),
            None if len(self.segments) == 1 else np.concatenate([self._of[above], of[lowest]]),
        )


def _estimated(
    codebook: Codebook, part: Part, chosen: Selection, rotated: Float32, probed: tuple[Int64, Float32], *, count: int
) -> tuple[Float32, Int64]:
    segment = part.store
    assert isinstance(segment, Segment), "only segments are encoded"
    if chosen.lists is not None:
        probed = _lists_that_hold(codebook, rotated, chosen.lists, probed[0].shape[1])
    clone = segment.clone
    if clone is not None and chosen.bits is None and clone.takes(part, count, probed[0].shape[1]):
        return clone.candidates(part, rotated, count, probed)
    return segment.candidates(rotated, count, probed, parameters(part, chosen, probed[0].shape[1]))


def _lists_that_hold(
    codebook: Codebook, rotated: Float32, holding: npt.NDArray[np.bool_], probes: int
) -> tuple[Int64, Float32]:
    """The nearest lists among those that hold a selected row: a filter that follows the clusters costs no recall."""
    keys = np.flatnonzero(holding)
    scores = codebook.coarse_scores(rotated)[:, keys]
    if len(keys) > probes:
        best = np.argpartition(-scores, probes - 1, axis=1)[:, :probes]
        best = np.take_along_axis(best, np.argsort(-np.take_along_axis(scores, best, 1), axis=1), 1)
        return np.ascontiguousarray(keys[best]), np.ascontiguousarray(np.take_along_axis(scores, best, 1))
    return np.repeat(keys[None], len(rotated), 0), np.ascontiguousarray(scores)
