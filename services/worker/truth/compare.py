"""One bucket's rows, the log's last record of each picture, and what a replica holds, side by side: pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from omma.catalog.picture import PictureState
from omma.vectors import Int64
from services.worker.truth.differences import Difference, DifferenceKind

_GONE: Final = frozenset({PictureState.DELETED, PictureState.DEAD})


class Row(NamedTuple):
    version: int
    state: PictureState


class Tail(NamedTuple):
    """A picture's last record in the log."""

    version: int
    deleted: bool
    tenant: str
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Held:
    """What a replica holds of a bucket, by id: int64[n] each."""

    shard: int
    replica: int
    ids: Int64
    versions: Int64


def rows_and_log(bucket: int, rows: Mapping[int, Row], tails: Mapping[int, Tail]) -> Iterator[Difference]:
    """Where a row and its last record do not fit, and live records that have no row. A deleted one needs none."""
    for image_id, row in rows.items():
        tail = tails.get(image_id)
        kind = _kind_of(row, tail)
        if kind is not None:
            yield Difference(kind, image_id, bucket, row.version, tail and tail.version)
    for image_id, tail in tails.items():
        if image_id not in rows and not tail.deleted:
            yield Difference(DifferenceKind.VECTOR_WITHOUT_ROW, image_id, bucket, None, tail.version)


def log_and_replica(
    bucket: int, rows: Mapping[int, Row], tails: Mapping[int, Tail], held: Held
) -> Iterator[Difference]:
    """Where a replica that has read the whole bucket does not hold what the log says. rows: only to be told with it."""

    def differs(kind: DifferenceKind, image_id: int, tail: Tail | None) -> Difference:
        row = rows.get(image_id)
        versions = (row and row.version, tail and tail.version)
        return Difference(kind, image_id, bucket, *versions, held.shard, held.replica)

    ids, first, copies = np.unique(held.ids, return_index=True, return_counts=True)
    for image_id in ids[copies > 1].tolist():
        yield differs(DifferenceKind.REPLICA_DOUBLED, image_id, tails.get(image_id))
    versions = dict(zip(ids.tolist(), held.versions[first].tolist(), strict=True))
    for image_id, version in versions.items():
        tail = tails.get(image_id)
        if tail is None or tail.deleted:
            yield differs(DifferenceKind.REPLICA_EXTRA, image_id, tail)
        elif tail.version != version:
            yield differs(DifferenceKind.REPLICA_OTHER_VERSION, image_id, tail)
    for image_id, tail in tails.items():
        if not tail.deleted and image_id not in versions:
            yield differs(DifferenceKind.REPLICA_LACKS, image_id, tail)


def _kind_of(row: Row, tail: Tail | None) -> DifferenceKind | None:
    if tail is not None and tail.version > row.version:
        return DifferenceKind.VECTOR_NEWER
    if row.state in _GONE:
        return DifferenceKind.VECTOR_NOT_DELETED if tail is not None and not tail.deleted else None
    if row.state is PictureState.PENDING:
        return DifferenceKind.NOT_INDEXED
    if tail is None or tail.deleted:
        return DifferenceKind.NO_VECTOR
    return DifferenceKind.VECTOR_OLDER if tail.version < row.version else None
