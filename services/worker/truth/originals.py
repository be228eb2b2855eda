"""Originals in object storage against the rows that name them."""

import asyncio
from array import array
from typing import Final

import numpy as np

from omma.blobs.interface import Blobs
from omma.blobs.originals import uri_of
from omma.catalog.interface import Catalog, PictureState
from omma.vectors import UInt64
from services.worker.truth.differences import MAX_EXAMPLES, DifferenceKind, Report
from services.worker.truth.rows import RowSummary, short

_PREFIX: Final = "originals/"
_UPLOAD_SECONDS: Final = 2.0
"""Given to uploads that have their blob and not yet their row."""


async def compare_originals(catalog: Catalog, blobs: Blobs, rows: RowSummary, report: Report) -> None:
    """Lists every original once. A blob is written before its row: what a row named before, a listing must show."""
    listed = array("Q")
    keys: dict[int, str] = {}
    async for key in blobs.keys(_PREFIX):
        sha256 = key.rpartition("/")[2]
        listed.append(short(sha256))
        if len(keys) < MAX_EXAMPLES and not _among(rows.named, listed[-1]):
            keys[listed[-1]] = sha256
    there = np.frombuffer(listed, np.uint64) if listed else np.empty(0, np.uint64)
    missing = np.setdiff1d(rows.stored, there)
    orphans = np.setdiff1d(there, rows.named)
    if len(missing) or len(orphans):
        await _look_again(catalog, missing, orphans, keys, report)


async def _look_again(catalog: Catalog, missing: UInt64, orphans: UInt64, keys: dict[int, str], report: Report) -> None:
    """Rows may have come to a blob, or gone, since the first look."""
    if len(orphans):
        await asyncio.sleep(_UPLOAD_SECONDS)
    gone, found = set(missing.tolist()), set(orphans.tolist())
    async for row in catalog.summaries():
        sha256 = short(row.sha256)
        found.discard(sha256)
        if sha256 in gone and row.state is not PictureState.DELETED and row.uri == uri_of(row.sha256):
            document = {"image_id": row.id, "row_version": row.version, "sha256": row.sha256}
            report.count(DifferenceKind.ROW_WITHOUT_BLOB, 1, [document])
    examples = [{"sha256": keys[sha256]} for sha256 in sorted(found) if sha256 in keys]
    report.count(DifferenceKind.BLOB_WITHOUT_ROW, len(found), examples)


def _among(values: UInt64, value: int) -> bool:
    at = int(np.searchsorted(values, np.uint64(value)))
    return at < len(values) and int(values[at]) == value
