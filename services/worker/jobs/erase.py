"""Jobs of kind `erase`: what is left of erased pictures goes."""

from collections.abc import Mapping
from typing import Any

from omma.catalog.job import Job
from services.worker.erasing.eraser import Eraser
from services.worker.jobs.progress import Progress


class EraseWork:
    """Its result is the report."""

    def __init__(self, eraser: Eraser) -> None:
        self._eraser = eraser

    async def run(self, job: Job, progress: Progress) -> Mapping[str, Any]:
        """As Eraser.erase, of all that the job's tenant has erased by then."""
        return await self._eraser.erase(job.tenant, job.id, progress)
