"""Runs the ingests that the catalog holds, in whichever process may: each under a lease, taken over when it lapses."""

import asyncio
import logging
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from omma.blobs.object_uri import SCHEME
from omma.catalog.interface import Catalog
from omma.catalog.job import Job, JobState
from omma.errors import STATUS, InvalidQuery, Kind, OmmaError
from omma.identity import Tenant
from omma.persistence import persist
from services.indexer.settings import IndexerSettings
from services.worker.ingest.folder import FolderIngest
from services.worker.ingest.progress import Progress

_BUG = "Something went wrong inside; the log of the server says what."

logger = logging.getLogger(__name__)


class Ingest(Protocol):
    """Of one kind of source."""

    async def run(self, source: str, tenant: Tenant, progress: Progress) -> None: ...


class FolderSource:
    """A folder of this machine, as a source of jobs."""

    def __init__(self, folders: FolderIngest) -> None:
        self._folders = folders

    async def run(self, source: str, tenant: Tenant, progress: Progress) -> None:
        """As FolderIngest.run."""
        await self._folders.run(Path(source), tenant, progress)


class JobRunner:
    """Looks for jobs when it is woken, and every so often. Keeps each one's progress in the catalog as it goes.

    A job that is broken off by an error that may pass is tried again; by the end of this process, handed back.
    """

    def __init__(
        self,
        catalog: Catalog,
        holder: str,
        settings: IndexerSettings,
        *,
        folders: Ingest | None = None,
        buckets: Ingest | None = None,
    ) -> None:
        """holder: the same when this process is started again, and nobody else's. None: such sources fail."""
        self._catalog = catalog
        self._holder = holder
        self._settings = settings
        self._folders = folders
        self._buckets = buckets
        self._running: dict[str, asyncio.Task[None]] = {}
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """There may be a job, or one was cancelled: look now."""
        self._woken.set()

    async def run(self) -> None:
        """Until cancelled; jobs under way are handed back then."""
        try:
            while True:
                if len(self._running) < self._settings.jobs_at_once:
                    job = await persist("take a job", self._take, self._settings.retry_seconds)
                    if job is not None:
                        self._running[job.id] = asyncio.create_task(self._hold(job), name=f"ingest {job.id}")
                        continue
                await self._until_woken()
        finally:
            for task in self._running.values():
                task.cancel()
            if self._running:
                await asyncio.wait(self._running.values())

    async def _take(self) -> Job | None:
        return await self._catalog.take_job(self._holder, self._settings.job_lease_seconds, self._running.keys())

    async def _until_woken(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.job_poll_seconds):
                await self._woken.wait()
        self._woken.clear()

    async def _hold(self, job: Job) -> None:
        """Run the job and renew its lease beside it. Ends early when the lease is another's, or the job cancelled."""
        progress = Progress.of(job)
        work = asyncio.create_task(self._work(job, progress))
        try:
            while not work.done():
                await asyncio.wait({work}, timeout=self._settings.job_keep_seconds)
                if not await self._keep(job, progress):
                    logger.info("a job is no longer ours", extra={"job_id": job.id})
                    return
            state, error = work.result()
            await persist("end a job", lambda: self._end(job, state, error), self._settings.retry_seconds)
            await self._catalog.forget_jobs(self._settings.jobs_kept)
        except asyncio.CancelledError:
            await self._catalog.end_job(job.id, self._holder, JobState.WAITING)
            raise
        finally:
            work.cancel()
            await asyncio.wait({work})
            del self._running[job.id]
            self.wake()

    async def _keep(self, job: Job, progress: Progress) -> bool:
        """True also while nobody can say: the lease decides."""
        try:
            return await self._catalog.keep_job(
                job.id, self._holder, self._settings.job_lease_seconds, progress.cursor, progress.counts()
            )
        except OmmaError as error:
            logger.warning("a job's progress could not be kept", extra={"job_id": job.id, "reason": error.detail})
            return True

    async def _end(self, job: Job, state: JobState, error: str) -> None:
        await self._catalog.end_job(job.id, self._holder, state, error)

    async def _work(self, job: Job, progress: Progress) -> tuple[JobState, str]:
        wait_seconds = self._settings.retry_seconds
        while True:
            try:
                await self._ingest_of(job).run(job.source, job.tenant, progress)
            except OmmaError as error:
                if not may_pass(error):
                    return JobState.FAILED, error.detail
                logger.warning("an ingest tries again", extra={"job_id": job.id, "reason": error.detail})
            except Exception:
                logger.exception("an ingest failed", extra={"job_id": job.id, "source": job.source})
                return JobState.FAILED, _BUG
            else:
                return JobState.DONE, ""
            await asyncio.sleep(wait_seconds)
            wait_seconds = min(2 * wait_seconds, self._settings.job_lease_seconds)
            progress.begin_again()

    def _ingest_of(self, job: Job) -> Ingest:
        ingest = self._buckets if job.source.startswith(SCHEME) else self._folders
        if ingest is None:
            raise InvalidQuery(f"This Omma cannot ingest {job.source}.", field="source")
        return ingest


def may_pass(error: OmmaError) -> bool:
    """Another try may go better."""
    return STATUS[error.kind].retry or error.kind in (Kind.OUT_OF_TIME, Kind.STORAGE_FULL)
