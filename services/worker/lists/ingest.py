"""Ingest of a list of pictures: what was done is kept with each line."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from omma.blobs.interface import Blobs
from omma.blobs.originals import Originals
from omma.catalog.download import TAKEN
from omma.catalog.interface import Catalog
from omma.description import RowLimits
from omma.errors import Absent
from omma.identity import Tenant
from omma.job_kinds import ListParameters
from omma.outbox import Outbox
from omma.picture_list import count_lines, list_key, listed
from services.worker.ingest.told import MAX_EXAMPLES
from services.worker.jobs.progress import Progress
from services.worker.lists.lines import Lines, Run, count
from services.worker.lists.places import Places
from services.worker.lists.recorder import Recorder

_LOOK_SECONDS: Final = 0.1


class ListIngest:
    """Brings the catalog up to a list that lies in the blobs. A broken run goes on where it was; a later one downloads
    only what failed or is new.
    """

    def __init__(
        self,
        catalog: Catalog,
        blobs: Blobs,
        originals: Originals,
        outbox: Outbox,
        *,
        places: Callable[[Tenant], Places],
        row_limits: RowLimits,
        backlog: Callable[[], Awaitable[int]],
        indexed: Callable[[], Awaitable[None]],
        max_backlog: int,
        at_once: int,
    ) -> None:
        """places: made for one list, and closed after it. backlog, indexed, max_backlog: as of BucketIngest.

        at_once: lines that hold a picture.
        """
        self._catalog = catalog
        self._blobs = blobs
        self._originals = originals
        self._outbox = outbox
        self._places = places
        self._row_limits = row_limits
        self._backlog = backlog
        self._indexed = indexed
        self._max_backlog = max_backlog
        self._at_once = at_once

    async def run(
        self, sha256: str, tenant: Tenant, run: str, parameters: ListParameters, progress: Progress
    ) -> Mapping[str, Any]:
        """sha256: of the list. run: names this ingest in what is kept of each line.

        Returns what it tells, when every change is searchable or a dead letter; the list is deleted then. Raises
        Absent when it is not there.
        """
        key = list_key(tenant, sha256)
        try:
            content = await self._blobs.get(key)
        except Absent:
            if progress.cursor != run:
                raise Absent("The list is not there any more; send it again.", field="list") from None
            return await self._told(tenant, run)  # an earlier runner ended it, and could not say so
        progress.cursor = run
        counts = progress.counts
        counts.clear()
        counts["pictures"] = await asyncio.to_thread(count_lines, content)
        for outcome, number in (await self._catalog.count_downloads(tenant, run)).items():
            count(counts, outcome, number)
        places = self._places(tenant)
        try:
            recorder = Recorder(self._catalog, self._outbox, tenant, revive=parameters.revive_deleted)
            async with _beside(recorder.run):
                lines = Lines(
                    self._catalog,
                    self._blobs,
                    self._originals,
                    places,
                    recorder,
                    run=Run(tenant, run, sha256, parameters.refetch, counts),
                    at_once=self._at_once,
                )
                await lines.all(listed(content, self._row_limits), self._room)
        finally:
            await places.close()
        await self._indexed()
        await self._blobs.delete(key)
        return await self._told(tenant, run)

    async def _room(self) -> None:
        """An upload waits behind so many at most."""
        while await self._backlog() > self._max_backlog:  # noqa: ASYNC110  the indexer may be elsewhere
            await asyncio.sleep(_LOOK_SECONDS)

    async def _told(self, tenant: Tenant, run: str) -> dict[str, Any]:
        counts = await self._catalog.count_downloads(tenant, run)
        failed = {outcome: number for outcome, number in sorted(counts.items()) if outcome not in TAKEN}
        examples = await self._catalog.downloads_of_run(tenant, run, "", MAX_EXAMPLES, failed=True)
        told: dict[str, Any] = {"failed": failed} if failed else {}
        if examples:
            told["unreadable"] = [{"place": one.place, "reason": f"{one.outcome}: {one.reason}"} for one in examples]
        return told


@asynccontextmanager
async def _beside(work: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    async def run() -> None:
        await work()

    task = asyncio.create_task(run(), name="list-recorder")
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
