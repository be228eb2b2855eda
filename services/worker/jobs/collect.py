"""Jobs of kind `collect`: bytes that no row needs are deleted."""

import time
from collections.abc import Mapping
from typing import Any

from omma.blobs.interface import Blobs
from omma.catalog.job import Job
from omma.job_kinds import CollectParameters
from services.worker.jobs.progress import Progress
from services.worker.lists.abandoned import drop_abandoned
from services.worker.truth.collector import Collector


class CollectWork:
    """What it did is in the counts."""

    def __init__(self, collector: Collector, blobs: Blobs) -> None:
        """blobs: where uploads wait."""
        self._collector = collector
        self._blobs = blobs

    async def run(self, job: Job, progress: Progress) -> Mapping[str, Any]:
        """As Collector.collect, after Collector.sweep and drop_abandoned if that was asked for."""
        if CollectParameters.model_validate(job.parameters).sweep:
            await drop_abandoned(self._blobs, time.time())
            await self._collector.sweep(progress)
        await self._collector.collect(progress)
        return {}
