"""The catalog's rows as they are compared: whole buckets, so many that memory is bounded."""

from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

import numpy as np

from omma.buckets import bucket_classes, bucket_of
from omma.catalog.interface import Catalog
from omma.catalog.picture import PictureState
from omma.digests import Digests
from omma.identity import ImageId
from omma.space import Space
from services.worker.truth.compare import Row

_AT_ONCE: Final = 5_000
_PICTURES_AT_ONCE: Final = 250_000
"""In one go: some 100 MB, with what the log says of them."""


@dataclass(frozen=True, slots=True)
class Go:
    """rows: of some buckets, all that they have, by bucket and id. following: the first class of the next go."""

    rows: dict[int, dict[int, Row]]
    following: int

    def digests(self, buckets: int) -> Digests:
        """Of the indexed rows."""
        indexed = [
            (image_id, row.version)
            for of_bucket in self.rows.values()
            for image_id, row in of_bucket.items()
            if row.state is PictureState.INDEXED
        ]
        flat = np.array(indexed, np.int64).reshape(-1, 2)
        digests = Digests.empty(buckets)
        digests.add(np.ascontiguousarray(flat[:, 0]), np.ascontiguousarray(flat[:, 1]))
        return digests

    def waiting(self) -> set[int]:
        """Buckets with a pending row."""
        return {
            bucket
            for bucket, of_bucket in self.rows.items()
            if any(row.state is PictureState.PENDING for row in of_bucket.values())
        }


async def goes(catalog: Catalog, space: Space, first_class: int, expected: int) -> AsyncIterator[Go]:
    """Every row of the space once, by index, from this class of buckets on (omma.buckets.bucket_classes).

    expected: rows in all.
    """
    buckets = space.buckets
    classes = bucket_classes(buckets)
    at_once = max(1, len(classes) * _PICTURES_AT_ONCE // max(expected, 1))
    for start in range(first_class, len(classes), at_once):
        some = classes[start : start + at_once]
        rows: dict[int, dict[int, Row]] = {bucket: {} for of_space, _ in some for bucket in of_space}
        for first, last in _runs(sorted(bucket for _, of_rows in some for bucket in of_rows)):
            async for row in catalog.rows_of_buckets(first, last):
                if space.takes(row.space):
                    rows[bucket_of(row.id, buckets)][row.id] = Row(row.version, row.state)
        yield Go(rows, start + len(some))


def _runs(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First and last of numbers that follow each other."""
    for _, run in groupby(enumerate(numbers), key=lambda one: one[1] - one[0]):
        some = [number for _, number in run]
        yield some[0], some[-1]


async def rows_of_pictures(catalog: Catalog, space: Space, image_ids: Collection[int]) -> dict[int, Row]:
    """The rows of these pictures, deleted ones too; those without one in the space are left out."""
    found: dict[int, Row] = {}
    wanted = [ImageId(image_id) for image_id in sorted(image_ids)]
    for first in range(0, len(wanted), _AT_ONCE):
        rows = await catalog.pictures(wanted[first : first + _AT_ONCE])
        found |= {row.id: Row(row.version, row.state) for row in rows.values() if space.takes(row.space)}
    return found
