"""Jobs of kind `collect`: bytes that no row needs are deleted."""

from collections.abc import Mapping
from typing import Any

from omma.catalog.job import Job
from omma.job_kinds import CollectParameters
from services.worker.jobs.progress import Progress
from services.worker.truth.collector import Collector


class CollectWork:
    """What it did is in the counts."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector

    async def run(self, job: Job, progress: Progress) -> Mapping[str, Any]:
        """As Collector.collect, after Collector.sweep if that was asked for."""
        if CollectParameters.model_validate(job.parameters).sweep:
            await self._collector.sweep(progress)
        await self._collector.collect(progress)
        return {}
