"""Runs the jobs that the catalog holds, in whichever process may: each under a lease, taken over when it lapses."""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Protocol

from omma.catalog.interface import Catalog
from omma.catalog.job import Job, JobState
from omma.description import readable
from omma.errors import TOLD_OF_A_BUG, InvalidQuery, OmmaError, may_pass
from omma.persistence import persist
from services.worker.jobs.progress import Progress
from services.worker.settings import WorkerSettings

logger = logging.getLogger(__name__)


class Work(Protocol):
    """How a job of one kind is done."""

    async def run(self, job: Job, progress: Progress) -> Mapping[str, Any]:
        """Do it, from progress.cursor on, and tell progress as it goes. Returns the job's result, as JSON has it."""


class JobRunner:
    """Looks for jobs when it is woken, and every so often. Keeps each one's progress in the catalog as it goes.

    A job that is broken off by an error that may pass is tried again; by the end of this process, handed back.
    """

    def __init__(self, catalog: Catalog, holder: str, settings: WorkerSettings, work: Mapping[str, Work]) -> None:
        """holder: the same when this process is started again, and nobody else's. work: by the job's kind."""
        self._catalog = catalog
        self._holder = holder
        self._settings = settings
        self._kinds = work
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
                        self._running[job.id] = asyncio.create_task(self._hold(job), name=f"{job.kind} {job.id}")
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
            ended = False
            while not ended:
                await asyncio.wait({work}, timeout=self._settings.job_keep_seconds)
                ended = work.done()  # asked before its progress is kept: it may end meanwhile, further than that
                if not await self._keep(job, progress):
                    logger.info("a job is no longer ours", extra={"job_id": job.id})
                    return
            state, error, result = work.result()
            await persist("end a job", lambda: self._end(job, state, error, result), self._settings.retry_seconds)
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
                job.id, self._holder, self._settings.job_lease_seconds, progress.cursor, progress.counts
            )
        except OmmaError as error:
            logger.warning("a job's progress could not be kept", extra={"job_id": job.id, "reason": error.detail})
            return True

    async def _end(self, job: Job, state: JobState, error: str, result: Mapping[str, Any]) -> None:
        await self._catalog.end_job(job.id, self._holder, state, error, result)

    async def _work(self, job: Job, progress: Progress) -> tuple[JobState, str, Mapping[str, Any]]:
        async def attempt() -> Mapping[str, Any]:
            progress.begin_again()
            return await self._work_of(job).run(job, progress)

        wait_seconds, longest = self._settings.retry_seconds, self._settings.job_lease_seconds
        try:
            result = await persist(
                f"a job of kind {job.kind}", attempt, wait_seconds, longest_wait_seconds=longest, passes=may_pass
            )
        except OmmaError as error:
            return JobState.FAILED, readable(error.detail), {}
        except Exception:
            logger.exception("a job failed", extra={"job_id": job.id, "job": job.kind, "source": job.source})
            return JobState.FAILED, TOLD_OF_A_BUG, {}
        return JobState.DONE, "", result

    def _work_of(self, job: Job) -> Work:
        work = self._kinds.get(job.kind)
        if work is None:
            raise InvalidQuery(f"This Omma does not know jobs of kind {job.kind!r}.", field="kind")
        return work
