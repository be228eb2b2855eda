"""Erasures that nobody attends to: whoever began them died, or was refused, before there was a job for the rest."""

import asyncio
import logging
from collections.abc import Callable

from omma.catalog.interface import Catalog
from omma.job_kinds import ERASE
from omma.persistence import persist
from services.worker.jobs.schedule import MAX_UNFINISHED

logger = logging.getLogger(__name__)


async def attend(catalog: Catalog, wake: Callable[[], None], every_seconds: float) -> None:
    """Until cancelled. Several may run: of a tenant they add one job. wake: told when there is one.

    A job that failed, or was cancelled, attended to them: another one begins when it is asked for.
    """

    async def add_missing() -> None:
        asked = ERASE.parameters().model_dump(mode="json")
        for tenant in await catalog.unattended_erasures(ERASE.name):
            job = await catalog.add_job(tenant, ERASE.name, "", asked, MAX_UNFINISHED, goes_on=ERASE.goes_on)
            logger.warning("an erase that was broken off goes on", extra={"tenant": tenant, "job_id": job.id})
            wake()

    while True:
        await persist("erases that were broken off", add_missing, every_seconds)
        await asyncio.sleep(every_seconds)
