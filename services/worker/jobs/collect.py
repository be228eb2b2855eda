"""Jobs of kind `collect`: bytes that no row needs are deleted, and leases that somebody who was killed left."""

import time
from collections.abc import Mapping
from typing import Any, Final

from omma.blobs.interface import Blobs
from omma.catalog.interface import Catalog
from omma.catalog.job import Job
from omma.job_kinds import CollectParameters
from services.worker.jobs.progress import Progress
from services.worker.lists.abandoned import drop_abandoned
from services.worker.truth.collector import Collector

_LEASES_SECONDS: Final = 3_600.0
"""After a lease's end: whoever had it takes it again by then, or is gone."""


class CollectWork:
    """What it did is in the counts."""

    def __init__(self, collector: Collector, catalog: Catalog, blobs: Blobs) -> None:
        """blobs: where uploads wait."""
        self._collector = collector
        self._catalog = catalog
        self._blobs = blobs

    async def run(self, job: Job, progress: Progress) -> Mapping[str, Any]:
        """As Collector.collect, after Collector.sweep and drop_abandoned if that was asked for."""
        await self._catalog.forget_leases(_LEASES_SECONDS)
        if CollectParameters.model_validate(job.parameters).sweep:
            await drop_abandoned(self._blobs, time.time())
            await self._collector.sweep(progress)
        await self._collector.collect(progress)
        return {}
