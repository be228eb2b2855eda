"""Helping with lists that other processes ingest: one at a time, until it has ended."""

import asyncio
import logging
from collections import deque
from typing import Final

from omma.catalog.interface import Catalog
from omma.catalog.job import UNFINISHED, Job, JobId
from omma.errors import Absent, causes, unforeseen
from omma.job_kinds import INGEST_LIST
from services.worker.lists.ingest import ListIngest

_LOOK_SECONDS: Final = 0.5
"""Between looks whether the job was cancelled."""
_REMEMBERED: Final = 100

logger = logging.getLogger(__name__)


class ListHelper:
    """Beside the jobs of this process, which are not looked at."""

    def __init__(self, catalog: Catalog, lists: ListIngest, holder: str, poll_seconds: float) -> None:
        """holder: of this process's jobs."""
        self._catalog = catalog
        self._lists = lists
        self._holder = holder
        self._poll_seconds = poll_seconds
        self._helped: deque[JobId] = deque(maxlen=_REMEMBERED)

    async def run(self) -> None:
        """Until cancelled; the parts that it holds are left to others then."""
        while True:
            try:
                helped = await self.look()
            except Exception as error:
                helped = False
                logger.warning(
                    "a list could not be helped with", extra={"reason": causes(error)}, exc_info=unforeseen(error)
                )
            if not helped:
                await asyncio.sleep(self._poll_seconds)

    async def look(self) -> bool:
        """Help with the oldest list that another process is at work on. False: there was none. Raises OmmaError."""
        others = await self._catalog.jobs_of_others(INGEST_LIST.name, self._holder)
        job = next((one for one in others if one.cursor and one.id not in self._helped), None)
        if job is None:
            return False
        logger.info("helps with a list", extra={"job_id": job.id})
        task = asyncio.create_task(self._lists.help(job), name=f"help {job.id}")
        try:
            while not (await asyncio.wait({task}, timeout=_LOOK_SECONDS))[0]:
                if not await self._goes_on(job):
                    return True
            await task
        finally:
            task.cancel()
            await asyncio.wait({task})
        self._helped.append(job.id)
        return True

    async def _goes_on(self, job: Job) -> bool:
        try:
            return (await self._catalog.job(job.tenant, job.id)).state in UNFINISHED
        except Absent:
            return False
