"""Scored rows become hits: regions fold to their picture, equal scores order by id; a whole batch at a time."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from omma.hits import Bools, Hits, Int32Boxes, no_hits
from omma.records import stored_payloads
from omma.vectors import Float32, Int64, UInt64
from services.nn_shard.engine.columns import along
from services.nn_shard.engine.options import SearchOptions
from services.nn_shard.engine.part import Part

Ints: TypeAlias = npt.NDArray[np.integer[Any]]


class Scored(NamedTuple):
    """Of b queries: scores float32[b, n], rows int64[b, n], -1 for none, and where each lies, a position among the
    parts: of int64[b, n], or one for all.
    """

    scores: Float32
    rows: Int64
    of: Int64 | int


def padded(ragged: Sequence[tuple[Float32, Int64, Int64]]) -> Scored:
    """One query's scores, rows and places each."""
    width = max((len(rows) for _, rows, _ in ragged), default=0)
    shape = len(ragged), width
    scores, rows, of = np.full(shape, -np.inf, np.float32), np.full(shape, -1, np.int64), np.zeros(shape, np.int64)
    for number, (of_scores, of_rows, of_of) in enumerate(ragged):
        scores[number, : len(of_rows)] = of_scores
        rows[number, : len(of_rows)] = of_rows
        of[number, : len(of_rows)] = of_of
    return Scored(scores, rows, of)


def rank(
    parts: Sequence[Part], scored: Sequence[Scored], queries: int, options: SearchOptions, dim: int, *, fold: bool
) -> list[Hits]:
    """Of each query the k best pictures of what was scored, without the excluded.

    fold: a picture may have several rows in it.
    """
    if not scored:
        return [_none(options, dim) for _ in range(queries)]
    ranked = _Ranked(parts, scored)
    order = ranked.order()
    if fold or options.exclude:
        order = _first_of_each(ranked.ids, order, options.exclude)
    return ranked.hits(order[:, : options.k], options, dim)


class _Ranked:
    """What was scored, as matrices [b, n], with the id of each row's picture."""

    def __init__(self, parts: Sequence[Part], scored: Sequence[Scored]) -> None:
        self._parts = parts
        if len(scored) == 1:
            ((scores, self._rows, self._of),) = scored
            self._pictures, self.ids = self._known(scored[0])
        else:
            scores = np.concatenate([one.scores for one in scored], axis=1)
            self._rows = np.concatenate([one.rows for one in scored], axis=1)
            self._of = np.concatenate([np.broadcast_to(one.of, one.rows.shape) for one in scored], axis=1)
            known = [self._known(one) for one in scored]
            self._pictures = np.concatenate([pictures for pictures, _ in known], axis=1)
            self.ids = np.concatenate([ids for _, ids in known], axis=1)
        # At most 1, at least -1: a float16 original may be a little longer than 1.
        self._scores = np.minimum(np.maximum(scores, np.float32(-1)), np.float32(1))
        none = self._rows < 0
        if none.any():
            self._scores[none] = -np.inf

    def _known(self, scored: Scored) -> tuple[Ints, Int64]:
        """[b, n] each: positions of the rows' pictures, and their ids."""
        rows, of = scored.rows, scored.of
        if isinstance(of, int):
            columns = self._parts[of].columns
            pictures = columns.row_pictures[rows]
            return pictures, columns.ids[pictures]
        found, ids = np.zeros(rows.shape, np.int64), np.zeros(rows.shape, np.int64)
        for number, mine in _by_part(of):
            columns = self._parts[number].columns
            pictures = columns.row_pictures[rows[mine]]
            found[mine], ids[mine] = pictures, columns.ids[pictures]
        return found, ids

    def order(self) -> Ints:
        """[b, n]: positions, best first; those that are none at the end."""
        # Equal rows of one picture: the first region, which is where its rows come first in picture_rows.
        if any(part.store.max_regions > 1 for part in self._parts):
            return np.lexsort((self._regions(), self.ids, -self._scores), axis=-1)
        return np.lexsort((self.ids, -self._scores), axis=-1)

    def hits(self, order: Ints, options: SearchOptions, dim: int) -> list[Hits]:
        """order: [b, k]; a position of -1 is none."""
        at = order if order.min(initial=0) >= 0 else np.maximum(order, 0)
        self._rows, self._pictures = along(self._rows, at), along(self._pictures, at)
        counts = ((self._rows >= 0) & (order >= 0)).sum(axis=1).tolist()
        if not isinstance(self._of, int):
            self._of = along(self._of, at)
        ids, scores = along(self.ids, at), along(self._scores, at)
        versions, phashes, hashed, boxes = self._columns()
        return [
            Hits(
                ids[query, :count],
                scores[query, :count],
                versions[query, :count],
                phashes[query, :count],
                boxes[query, :count],
                stored_payloads([part.store.payload(one) for part, one in self._of_query(query, count)])
                if options.with_payload
                else None,
                self._vectors(query, count, dim) if options.with_vectors else None,
                hashed[query, :count],
                tuple(part.store.signature(one) for part, one in self._of_query(query, count))
                if options.with_signatures
                else None,
            )
            for query, count in enumerate(counts)
        ]

    def _regions(self) -> Ints:
        if isinstance(self._of, int):
            return self._parts[self._of].columns.regions[self._rows]
        regions = np.zeros(self._rows.shape, np.int64)
        for number, mine in _by_part(self._of):
            regions[mine] = self._parts[number].columns.regions[self._rows[mine]]
        return regions

    def _columns(self) -> tuple[Int64, UInt64, Bools, Int32Boxes]:
        """versions, phashes, hashed, boxes of what is left: [b, k], of boxes [b, k, 4]."""
        if isinstance(self._of, int):
            columns, pictures = self._parts[self._of].columns, self._pictures
            return (
                columns.versions[pictures],
                columns.phashes[pictures],
                columns.hashed[pictures],
                columns.boxes[self._rows],
            )
        shape = self._rows.shape
        versions, phashes = np.empty(shape, np.int64), np.empty(shape, np.uint64)
        hashed, boxes = np.empty(shape, np.bool_), np.empty((*shape, 4), np.int32)
        for number, mine in _by_part(self._of):
            columns, pictures = self._parts[number].columns, self._pictures[mine]
            versions[mine], phashes[mine] = columns.versions[pictures], columns.phashes[pictures]
            hashed[mine], boxes[mine] = columns.hashed[pictures], columns.boxes[self._rows[mine]]
        return versions, phashes, hashed, boxes

    def _of_query(self, query: int, count: int) -> list[tuple[Part, int]]:
        pictures = self._pictures[query, :count].tolist()
        if isinstance(self._of, int):
            return [(self._parts[self._of], one) for one in pictures]
        return [
            (self._parts[of], one) for of, one in zip(self._of[query, :count].tolist(), pictures, strict=True)
        ]  # fmt: skip

    def _vectors(self, query: int, count: int, dim: int) -> npt.NDArray[np.float16]:
        rows = self._rows[query, :count]
        if isinstance(self._of, int):
            return self._parts[self._of].store.vectors(rows)
        vectors, of = np.empty((count, dim), np.float16), self._of[query, :count]
        for number in np.unique(of).tolist():
            mine = of == number
            vectors[mine] = self._parts[number].store.vectors(rows[mine])
        return vectors


def _by_part(of: Int64) -> Iterator[tuple[int, tuple[Ints, ...]]]:
    """Each part that occurs, and where."""
    for number in np.flatnonzero(np.bincount(of.reshape(-1))).tolist():
        yield number, np.nonzero(of == number)


def _first_of_each(ids: Int64, order: Ints, exclude: Sequence[int]) -> Ints:
    """[b, n]: of each picture the first position in the order, the excluded ones none; -1 behind them."""
    chosen = np.full_like(order, -1)
    for query, of_query in enumerate(order):
        mine = ids[query, of_query]
        first = np.sort(np.unique(mine, return_index=True)[1])
        first = first[~np.isin(mine[first], exclude)] if exclude else first
        chosen[query, : len(first)] = of_query[first]
    return chosen


def _none(options: SearchOptions, dim: int) -> Hits:
    return no_hits(
        dim=dim if options.with_vectors else None,
        with_payload=options.with_payload,
        with_signatures=options.with_signatures,
    )
