"""Bulk ingests that run beside the service: started, asked about and cancelled by id."""

import asyncio
import logging
import time
import uuid
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from omma.errors import Absent, OmmaError, Overloaded
from omma.identity import Tenant
from services.indexer.folder import FolderIngest, FolderProgress
from services.indexer.settings import IndexerSettings

logger = logging.getLogger(__name__)


class JobState(StrEnum):
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(slots=True)
class Job:
    """seconds: on the monotonic clock. error: why it failed. backlog: events that wait to be embedded."""

    id: str
    tenant: Tenant
    folder: Path
    started_at_seconds: float
    state: JobState = JobState.RUNNING
    error: str = ""
    finished_at_seconds: float | None = None
    progress: FolderProgress = field(default_factory=FolderProgress)


class Jobs:
    """A job lives as long as its process: what it had done is durable, and starting it again goes on from there.

    Starting and cancelling belong to the running event loop. Finished jobs are kept up to a number, oldest go first.
    """

    def __init__(
        self,
        ingest: FolderIngest,
        backlog: Callable[[], Awaitable[int]],
        settings: IndexerSettings,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """backlog: events that wait to be embedded."""
        self._ingest = ingest
        self._backlog = backlog
        self._settings = settings
        self._now = now
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self, tenant: Tenant, folder: Path) -> Job:
        """Raises Overloaded when as many run as may."""
        if len(self._tasks) >= self._settings.jobs_at_once:
            raise Overloaded(
                f"{len(self._tasks)} ingests run already; wait for one or cancel it.",
                limit=self._settings.jobs_at_once,
                retry_after_seconds=10,
            )
        job = Job(uuid.uuid4().hex, tenant, folder, self._now())
        self._jobs[job.id] = job
        self._tasks[job.id] = asyncio.create_task(self._run(job), name=f"ingest {job.id}")
        self._forget_old()
        return job

    def get(self, tenant: Tenant, job_id: str) -> Job:
        """Raises Absent."""
        job = self._jobs.get(job_id)
        if job is None or job.tenant != tenant:
            raise Absent(f"There is no job {job_id[:80]!r}.")
        return job

    async def cancel(self, tenant: Tenant, job_id: str) -> Job:
        """What was found so far stays and is embedded. No effect on a job that ended. Raises Absent."""
        job = self.get(tenant, job_id)
        if task := self._tasks.get(job_id):
            task.cancel()
            await asyncio.wait([task])
        return job

    async def waiting(self) -> int:
        """Events that wait to be embedded, of jobs and uploads alike."""
        return await self._backlog()

    async def close(self) -> None:
        """Cancel what runs."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _run(self, job: Job) -> None:
        try:
            await self._ingest.run(job.folder, job.tenant, job.progress)
            job.state = JobState.DONE
        except asyncio.CancelledError:
            job.state = JobState.CANCELLED
            raise
        except OmmaError as error:
            job.state, job.error = JobState.FAILED, error.detail
        except Exception:
            logger.exception("an ingest failed", extra={"job_id": job.id, "folder": str(job.folder)})
            job.state, job.error = JobState.FAILED, "Something went wrong inside; the log of the server says what."
        finally:
            job.finished_at_seconds = self._now()
            del self._tasks[job.id]

    def _forget_old(self) -> None:
        finished = [job.id for job in self._jobs.values() if job.state is not JobState.RUNNING]
        for job_id in finished[: max(0, len(self._jobs) - self._settings.jobs_kept)]:
            del self._jobs[job_id]
