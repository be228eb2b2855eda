"""Scored rows become hits: regions fold to their picture, equal scores order by id."""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from omma.hits import Hits, no_hits
from omma.records import stored_payloads
from omma.vectors import Float32, Int64
from services.nn_shard.engine.options import SearchOptions
from services.nn_shard.engine.part import Part

Ints: TypeAlias = npt.NDArray[np.integer[Any]]

Scored: TypeAlias = tuple[Part, Float32, Int64]
"""A part with scores and rows for one query; rows of -1 are none."""


class _Ranked(NamedTuple):
    """Parallel columns, best first."""

    scores: Float32
    ids: Int64
    pictures: Ints
    rows: Int64


def rank(scored: Sequence[Scored], options: SearchOptions, dim: int, *, fold: bool) -> Hits:
    """The k best pictures of what was scored, without the excluded. fold: a picture may have several rows in it."""
    if len(scored) == 1 and not fold and not options.exclude:
        return _rank_one(*scored[0], options)
    if not scored:
        return no_hits(
            dim=dim if options.with_vectors else None,
            with_payload=options.with_payload,
            with_signatures=options.with_signatures,
        )
    scores = _cosines(np.concatenate([one[1] for one in scored]))
    rows = np.concatenate([one[2] for one in scored])
    of = np.repeat(np.arange(len(scored)), [len(one[2]) for one in scored])
    pictures, ids = np.empty(len(rows), np.int64), np.empty(len(rows), np.int64)
    for number, (part, _, _) in enumerate(scored):
        mine = of == number
        pictures[mine] = part.columns.row_pictures[rows[mine]]
        ids[mine] = part.columns.ids[pictures[mine]]
    # Equal rows of one picture: the first region, which is where its rows come first in picture_rows.
    regions = np.concatenate([part.columns.regions[of_part] for part, _, of_part in scored])
    order = np.lexsort((regions, ids, -scores))
    order = order[rows[order] >= 0]
    if fold:
        order = order[np.sort(np.unique(ids[order], return_index=True)[1])]
    if options.exclude:
        order = order[~np.isin(ids[order], options.exclude)]
    order = order[: options.k]
    ranked = _Ranked(scores[order], ids[order], pictures[order], rows[order])
    return _gather([one[0] for one in scored], of[order], ranked, options, dim)


def _rank_one(part: Part, scores: Float32, rows: Int64, options: SearchOptions) -> Hits:
    """The common case without the rest: one part, a row a picture, nothing excluded. 12 us instead of 40."""
    if len(rows) and rows[-1] < 0:
        there = rows >= 0
        scores, rows = scores[there], rows[there]
    scores = _cosines(scores)
    pictures = part.columns.row_pictures[rows]
    ids = part.columns.ids[pictures]
    order = np.lexsort((ids, -scores))[: options.k]
    return _hits_of(part, _Ranked(scores[order], ids[order], pictures[order], rows[order]), options)


def _cosines(scores: Float32) -> Float32:
    """At most 1, at least -1: a float16 original may be a little longer than 1."""
    return np.minimum(np.maximum(scores, np.float32(-1)), np.float32(1))


def _hits_of(part: Part, ranked: _Ranked, options: SearchOptions) -> Hits:
    scores, ids, pictures, rows = ranked
    columns, store = part.columns, part.store
    return Hits(
        ids,
        scores,
        columns.versions[pictures],
        columns.phashes[pictures],
        columns.boxes[rows],
        stored_payloads([store.payload(one) for one in pictures.tolist()]) if options.with_payload else None,
        store.vectors(rows) if options.with_vectors else None,
        columns.hashed[pictures],
        tuple(store.signature(one) for one in pictures.tolist()) if options.with_signatures else None,
    )


def _gather(parts: Sequence[Part], of: Int64, ranked: _Ranked, options: SearchOptions, dim: int) -> Hits:
    """The columns of hits that lie in several parts."""
    scores, ids, pictures, rows = ranked
    count = len(ids)
    versions, phashes, hashed = np.empty(count, np.int64), np.empty(count, np.uint64), np.empty(count, np.bool_)
    boxes = np.empty((count, 4), np.int32)
    vectors = np.empty((count, dim), np.float16) if options.with_vectors else None
    for number in np.unique(of).tolist():
        part, mine = parts[number], of == number
        versions[mine] = part.columns.versions[pictures[mine]]
        phashes[mine] = part.columns.phashes[pictures[mine]]
        hashed[mine] = part.columns.hashed[pictures[mine]]
        boxes[mine] = part.columns.boxes[rows[mine]]
        if vectors is not None:
            vectors[mine] = part.store.vectors(rows[mine])
    lies = [(parts[number].store, picture) for number, picture in zip(of.tolist(), pictures.tolist(), strict=True)]
    payloads = stored_payloads([store.payload(at) for store, at in lies]) if options.with_payload else None
    signatures = tuple(store.signature(at) for store, at in lies) if options.with_signatures else None
    return Hits(ids, scores, versions, phashes, boxes, payloads, vectors, hashed, signatures)
