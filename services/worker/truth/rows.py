"""The catalog's rows as they are compared: digests of buckets, the rows of some buckets, sha256s of originals."""

from array import array
from collections.abc import AsyncIterator, Collection, Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from omma.blobs.originals import uri_of
from omma.catalog.interface import Catalog, PictureState, PictureSummary
from omma.digests import Digests, buckets_of
from omma.identity import ImageId
from omma.vectors import Int64, UInt64
from services.worker.truth.compare import Row

_AT_ONCE: Final = 5_000
_SHORT: Final = 16
"""Hexadecimal characters of a sha256 that are kept, 8 bytes a row: a million rows hold two alike with p < 3e-8."""


@dataclass(frozen=True, slots=True)
class RowSummary:
    """counts: by state. indexed: digests of the indexed rows. pending: int64[buckets], rows that wait.

    named: uint64[n], sorted shortened sha256s of all rows; stored: those whose originals must lie in our blobs.
    """

    counts: dict[str, int]
    indexed: Digests
    pending: Int64
    named: UInt64
    stored: UInt64


async def summary_of_rows(catalog: Catalog, buckets: int) -> RowSummary:
    """Reads every row once; keeps 16 bytes of each."""
    counts: dict[str, int] = {}
    indexed, pending = Digests.empty(buckets), Digests.empty(buckets)
    named, stored = array("Q"), array("Q")
    async for page in _pages(catalog):
        for row in page:
            counts[row.state] = counts.get(row.state, 0) + 1
            sha256 = short(row.sha256)
            named.append(sha256)
            if row.state is not PictureState.DELETED and row.uri == uri_of(row.sha256):
                stored.append(sha256)
        indexed.add(*_columns(row for row in page if row.state is PictureState.INDEXED))
        pending.add(*_columns(row for row in page if row.state is PictureState.PENDING))
    return RowSummary(counts, indexed, pending.pictures, _sorted(named), _sorted(stored))


async def rows_of_buckets(catalog: Catalog, wanted: Collection[int], buckets: int) -> dict[int, dict[int, Row]]:
    """The rows of these buckets, by bucket and id. Reads every row."""
    rows: dict[int, dict[int, Row]] = {bucket: {} for bucket in wanted}
    async for page in _pages(catalog):
        ids = np.array([row.id for row in page], np.int64)
        for row, bucket in zip(page, buckets_of(ids, buckets).tolist(), strict=True):
            if bucket in rows:
                rows[bucket][row.id] = Row(row.version, row.state)
    return rows


async def rows_of_pictures(catalog: Catalog, image_ids: Collection[int]) -> dict[int, Row]:
    """The rows of these pictures, deleted ones too; those without one are left out."""
    found: dict[int, Row] = {}
    wanted = [ImageId(image_id) for image_id in sorted(image_ids)]
    for first in range(0, len(wanted), _AT_ONCE):
        rows = await catalog.pictures(wanted[first : first + _AT_ONCE])
        found |= {row.id: Row(row.version, row.state) for row in rows.values()}
    return found


def short(sha256: str) -> int:
    """The first 64 bits."""
    return int(sha256[:_SHORT], 16)


async def _pages(catalog: Catalog) -> AsyncIterator[list[PictureSummary]]:
    page: list[PictureSummary] = []
    async for row in catalog.summaries():
        page.append(row)
        if len(page) == _AT_ONCE:
            yield page
            page = []
    if page:
        yield page


def _columns(rows: Iterable[PictureSummary]) -> tuple[Int64, Int64]:
    """Ids and versions."""
    flat = np.array([(row.id, row.version) for row in rows], np.int64).reshape(-1, 2)
    return np.ascontiguousarray(flat[:, 0]), np.ascontiguousarray(flat[:, 1])


def _sorted(values: "array[int]") -> UInt64:
    return np.unique(np.frombuffer(values, np.uint64)) if values else np.empty(0, np.uint64)
