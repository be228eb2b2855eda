"""Candidates: the rows that PQ estimates to be the best of all sealed segments, which originals then score."""

from collections.abc import Sequence
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from omma.vectors import Float32, Int64
from services.nn_shard.engine.codebook import Codebook
from services.nn_shard.engine.columns import Bools, along
from services.nn_shard.engine.part import Part
from services.nn_shard.engine.segment import Segment
from services.nn_shard.engine.selection import Selection, parameters
from services.nn_shard.engine.ties import lowest_of_codes

Sealed: TypeAlias = Sequence[tuple[Part, Selection]]

_SPARE: Final = 15
"""More than are kept: a fast scan's estimates are 16 bits wide, so that a few often equal the last one."""


class OfQuery(NamedTuple):
    """Of one query: estimates float32[n], rows int64[n] and where each lies, a position among the segments."""

    estimates: Float32
    rows: Int64
    of: Int64


class Candidates:
    """The `count` best of each query, and those whose estimate equals the last one's, so that replicas agree.

    estimates float32[b, w], rows int64[b, w], -1 for none, best first; of int64[b, w]: where each lies, a position
    among the segments; None when there is one.
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
        """rotated: float32[b, rotated_dim]; probed: the lists of each query and their coarse scores. equals: how many
        `among_equals` keeps at least.
        """
        self.segments = [part for part, _ in sealed]
        self._sealed, self._count, self._equals = sealed, count, equals
        asked = count + 1 + _SPARE
        every = [_estimated(codebook, part, chosen, rotated, probed, count=asked) for part, chosen in sealed]
        if len(every) == 1:
            ((estimates, rows),) = every
            self._places: Int64 | None = None
        else:
            estimates = np.concatenate([one for one, _ in every], axis=1)
            rows = np.concatenate([one for _, one in every], axis=1)
            self._places = np.repeat(np.arange(len(every)), asked)
        estimates[rows < 0] = -np.inf
        self._found = estimates, rows
        self.of: Int64 | None = None
        if self._places is not None:  # of one segment FAISS gives them best first
            at = np.argpartition(-estimates, asked - 1, axis=1)[:, :asked]
            at = along(at, np.argsort(-along(estimates, at), axis=1))
            estimates, rows, self.of = along(estimates, at), along(rows, at), self._places[at]
        self._edge = estimates[:, count - 1]
        # FAISS keeps any of those that equal the last one that it returns.
        self._cut = (estimates[:, -1] == self._edge) & np.isfinite(self._edge)
        kept = (estimates >= self._edge[:, None]) & (rows >= 0)
        self.counts = kept.sum(axis=1)
        width = int(self.counts.max())
        self.estimates = estimates[:, :width]
        self.rows = np.where(kept[:, :width], rows[:, :width], -1)
        if self.of is not None:
            self.of = self.of[:, :width]

    def cut_among_equals(self, queries: slice, columns: Int64) -> Bools | None:
        """bool[b, n]: which candidates of these queries, given by column, stand for equals that may have been left out;
        None when none does.
        """
        if not self._cut[queries].any():
            return None
        equal: Bools = along(self.estimates[queries], columns) == self._edge[queries, None]
        equal &= self._cut[queries, None]
        return equal

    def among_equals(self, number: int) -> OfQuery:
        """The candidates of a query of which equals were left out: of the last one's equals those of the lowest ids, so
        that an answer made of equals alone is a brute force's. Reads codes of a whole list.
        """
        (estimates, rows), edge = (one[number] for one in self._found), self._edge[number]
        of_rows = np.zeros(len(rows), np.int64) if self._places is None else self._places
        above = np.flatnonzero(estimates > edge)
        wanted = max(self._count - len(above), self._equals)
        parts: list[tuple[Int64, Int64, Int64]] = []
        for at, (part, chosen) in enumerate(self._sealed):
            mine = np.flatnonzero(of_rows == at)
            equal = rows[mine][estimates[mine] == edge]
            if len(equal) and estimates[mine].min() == edge:  # more than were returned may be equal
                equal = lowest_of_codes(part, chosen, equal, wanted)
            ids = part.columns.ids[part.columns.row_pictures[equal]]
            parts.append((ids, equal, np.full(len(equal), at)))
        ids, equals, of = (np.concatenate(column) for column in zip(*parts, strict=True))
        lowest = np.argsort(ids, kind="stable")[:wanted]
        return OfQuery(
            np.concatenate([estimates[above], np.full(len(lowest), edge, np.float32)]),
            np.concatenate([rows[above], equals[lowest]]),
            np.concatenate([of_rows[above], of[lowest]]),
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
