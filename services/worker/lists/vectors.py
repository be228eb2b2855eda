"""Ingest of vectors that a caller computed: rows in the order of the list, some at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from omma.blobs.interface import Blobs
from omma.catalog.given import GivenVector, uri_of_given
from omma.catalog.interface import Catalog
from omma.catalog.picture import NewPicture
from omma.errors import Absent
from omma.identity import Tenant
from omma.job_kinds import VectorsParameters
from omma.outbox import Outbox
from omma.picture_list import list_key
from omma.room import OVER_QUOTA
from omma.vector_list import VectorList, VectorRow
from omma.vectors import Float16
from services.worker.jobs.progress import Progress
from services.worker.lists.recorder import OUTCOMES, count

_AT_ONCE: Final = 512
_LOOK_SECONDS: Final = 0.1
_ENDED: Final = "ended"


class VectorIngest:
    """What was written stays when a run is broken off; the next one goes on behind it."""

    def __init__(
        self,
        catalog: Catalog,
        blobs: Blobs,
        outbox: Outbox,
        *,
        backlog: Callable[[str], Awaitable[int]],
        indexed: Callable[[str], Awaitable[None]],
        max_backlog: int,
    ) -> None:
        """backlog, indexed: of a space, as BucketIngest has them."""
        self._catalog = catalog
        self._blobs = blobs
        self._outbox = outbox
        self._backlog = backlog
        self._indexed = indexed
        self._max_backlog = max_backlog

    async def run(
        self, sha256: str, tenant: Tenant, parameters: VectorsParameters, progress: Progress
    ) -> Mapping[str, Any]:
        """sha256: of the list. Returns when every vector is searchable; the list is deleted then.

        Raises Absent when it is not there; InvalidQuery when a picture has one of its ids by now.
        """
        key = list_key(tenant, sha256)
        if progress.cursor != _ENDED:
            try:
                given = await asyncio.to_thread(VectorList.decode, await self._blobs.get(key))
            except Absent:
                raise Absent("The list is not there any more; send it again.", field="vectors") from None
            progress.counts["pictures"] = len(given.rows)
            for begin in range(int(progress.cursor or 0), len(given.rows), _AT_ONCE):
                while await self._backlog(parameters.space) > self._max_backlog:  # noqa: ASYNC110  as ListIngest
                    await asyncio.sleep(_LOOK_SECONDS)
                await self._write(tenant, given, begin, parameters, progress)
        await self._indexed(parameters.space)
        progress.cursor = _ENDED
        await self._blobs.delete(key)
        # What was free when the list came may be taken by now.
        refused = progress.counts["unreadable"]
        return {"failed": {OVER_QUOTA: refused}} if refused else {}

    async def _write(
        self, tenant: Tenant, given: VectorList, begin: int, parameters: VectorsParameters, progress: Progress
    ) -> None:
        some = zip(given.rows[begin : begin + _AT_ONCE], given.vectors[begin : begin + _AT_ONCE], strict=True)
        rows = [_row(row, vector, parameters.space) for row, vector in some]
        changes = await self._catalog.upsert(tenant, rows, revive=parameters.revive_deleted)
        await self._outbox.send(changes)
        for change in changes:
            count(progress.counts, str(OUTCOMES[change.change]), 1)
        progress.cursor = str(begin + len(rows))


def _row(row: VectorRow, vector: Float16, space: str) -> NewPicture:
    said, given = row.description, GivenVector(space, vector.astype("<f2").tobytes())
    return NewPicture(
        key=said.external_id,
        sha256=given.sha256,
        uri=row.uri or uri_of_given(given.sha256),
        bytes=len(given.content),
        owner=said.owner,
        tags=said.tags,
        source_url=said.source_url,
        attributes=said.attributes,
        private=said.private,
        given=given,
    )
