"""Originals in object storage against the rows that need them: both in the order of their sha256, side by side."""

from collections.abc import AsyncIterator, Callable
from typing import Final

from omma.blobs.interface import ORIGINALS, Blobs, original_key, sha256_of_key
from omma.blobs.originals import uri_of
from omma.catalog.interface import Catalog
from omma.catalog.picture import KeptOriginal, PictureState
from omma.identity import Sha256
from services.worker.truth.differences import DifferenceKind
from services.worker.truth.report import Report

_AT_ONCE: Final = 1_000
_OVERDUE_SECONDS: Final = 3_600.0
"""After the grace: a collector has its interval, and a backlog."""


class OriginalsComparison:
    """Lists every original once, and every row that has one. One use; memory does not grow with what there is."""

    def __init__(self, catalog: Catalog, blobs: Blobs, grace_seconds: float, report: Report) -> None:
        self._catalog = catalog
        self._blobs = blobs
        self._grace_seconds = grace_seconds
        self._report = report
        self._missing: list[KeptOriginal] = []
        self._unnamed: list[Sha256] = []

    async def run(self, after: Sha256 | str, told: Callable[[str], None]) -> None:
        """after: the sha256 that a comparison which was broken off had come to. told: how far it is, now and then."""
        rows = self._catalog.kept_originals(after)
        row = await anext(rows, None)
        passed = 0
        async for sha256 in self._listed(after):
            while row is not None and row.sha256 < sha256:
                self._missing.append(row)
                row = await anext(rows, None)
            if row is None or row.sha256 > sha256:
                self._unnamed.append(sha256)
            while row is not None and row.sha256 == sha256:
                row = await anext(rows, None)
            passed += 1
            if passed % _AT_ONCE == 0 or len(self._missing) >= _AT_ONCE:
                await self._look_again(passed)
                passed = 0
                told(sha256)
        while row is not None:
            self._missing.append(row)
            row = await anext(rows, None)
            if len(self._missing) >= _AT_ONCE:
                await self._look_again(0)
        await self._look_again(passed)

    async def _listed(self, after: str) -> AsyncIterator[Sha256]:
        async for key in self._blobs.keys(ORIGINALS, original_key(after) if after else ""):
            sha256 = sha256_of_key(key)
            if sha256 is not None:
                yield sha256

    async def _look_again(self, passed: int) -> None:
        """Rows may have come to an original, or gone, since they were read."""
        self._report.originals += passed
        rows = await self._catalog.pictures([one.id for one in self._missing])
        for one in self._missing:
            row = rows[one.id]
            named = row.state is not PictureState.DELETED and row.uri == uri_of(one.sha256)
            if named and await self._blobs.size(original_key(one.sha256)) is None:
                document = {"image_id": row.id, "row_version": row.version, "sha256": one.sha256}
                self._report.count(DifferenceKind.ROW_WITHOUT_BLOB, 1, [document])
        needs = await self._catalog.needs(self._unnamed, self._grace_seconds)
        unneeded = [sha256 for sha256 in self._unnamed if sha256 not in needs.originals]
        overdue = await self._catalog.overdue(unneeded, self._grace_seconds, _OVERDUE_SECONDS)
        examples = [{"sha256": sha256} for sha256 in sorted(overdue)]
        self._report.count(DifferenceKind.BLOB_WITHOUT_ROW, len(overdue), examples)
        self._report.waiting += len(self._unnamed) - len(overdue)
        self._missing, self._unnamed = [], []
