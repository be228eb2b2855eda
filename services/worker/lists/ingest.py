"""Ingest of a list of pictures: what was done is kept with each line."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final

from omma.background import running
from omma.blobs.interface import Blobs
from omma.blobs.originals import Originals
from omma.catalog.download import TAKEN
from omma.catalog.interface import Catalog
from omma.catalog.job import Job
from omma.description import RowLimits
from omma.errors import Absent
from omma.identity import Tenant
from omma.job_kinds import ListParameters
from omma.outbox import Outbox
from omma.persistence import persist
from omma.picture_list import list_key
from services.worker.ingest.told import MAX_EXAMPLES
from services.worker.jobs.progress import Progress
from services.worker.lists.lines import Lines, Run
from services.worker.lists.parts import ListParts, PartLeases
from services.worker.lists.places import Places
from services.worker.lists.recorder import Recorder, count
from services.worker.lists.settings import UrlSettings

_LOOK_SECONDS: Final = 0.1
_COUNT_SECONDS: Final = 0.5
_COUNTING: Final = 20
"""Of a list of millions, counting takes one part in so many of the time."""


class ListIngest:
    """Brings the catalog up to a list that lies in the blobs. A broken run goes on where it was; a later one downloads
    only what failed or is new. Other processes may help (docs/adr/0024).
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
        urls: UrlSettings,
        holder: str,
        lease_seconds: float,
    ) -> None:
        """places: made for one list, and closed after it. backlog, indexed, max_backlog: as of BucketIngest.

        holder: of the leases of a list's parts; the same when this process is started again, and nobody else's.
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
        self._urls = urls
        self._holder = holder
        self._lease_seconds = lease_seconds

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
        parts = await asyncio.to_thread(ListParts.of, content, self._row_limits)
        recount = partial(self._recount, tenant, run, len(parts), progress)
        await recount()
        async with running(partial(_again_and_again, recount)):
            await self._through(parts, Run(tenant, run, sha256, parameters.refetch), parameters, self._holder)
        await recount()
        await self._indexed()
        await self._blobs.delete(key)
        return await self._told(tenant, run)

    async def help(self, job: Job) -> None:
        """Work on what is left of a list that another process ingests, as far as it leaves parts. Raises OmmaError."""
        parameters = ListParameters.model_validate(job.parameters)
        try:
            content = await self._blobs.get(list_key(job.tenant, job.source))
        except Absent:
            return  # it has ended
        parts = await asyncio.to_thread(ListParts.of, content, self._row_limits)
        run = Run(job.tenant, job.cursor, job.source, parameters.refetch)
        await self._through(parts, run, parameters, f"{self._holder} helps")

    async def _through(self, parts: ListParts, run: Run, parameters: ListParameters, holder: str) -> None:
        """Every line that the run has not ended. holder: of the leases of parts."""
        leases = PartLeases(self._catalog, run.name, holder, self._lease_seconds)
        places = self._places(run.tenant)
        try:
            recorder = Recorder(self._catalog, self._outbox, run.tenant, revive=parameters.revive_deleted)
            lines = Lines(
                self._catalog,
                self._blobs,
                self._originals,
                places,
                recorder,
                run=run,
                at_once=self._urls.at_once,
            )

            async def work(part: int) -> None:
                await lines.all(parts.lines(part), self._room)

            async with running(recorder.run):
                await leases.each(len(parts.starts), work, max(1, self._urls.at_once // self._urls.by_host))
        finally:
            await places.close()

    async def _recount(self, tenant: Tenant, run: str, pictures: int, progress: Progress) -> None:
        """Others may work on the list: what is kept of its lines says how far it is."""
        counts: Counter[str] = Counter(pictures=pictures)
        for outcome, number in (await self._catalog.count_downloads(tenant, run)).items():
            count(counts, outcome, number)
        progress.counts = counts

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


async def _again_and_again(recount: Callable[[], Awaitable[None]]) -> None:
    while True:
        began = time.monotonic()
        await persist("counting downloads", recount, _COUNT_SECONDS)
        await asyncio.sleep(max(_COUNT_SECONDS, _COUNTING * (time.monotonic() - began)))
