"""Jobs of kind `cluster`: pictures are put into groups that look alike."""

from collections.abc import Mapping
from typing import Any

from omma.catalog.job import Job
from omma.job_kinds import ClusterParameters
from services.worker.curation.clusters import Clusterer
from services.worker.jobs.progress import Progress


class ClusterWork:
    """Its result is what POST /search/cluster answers."""

    def __init__(self, clusterer: Clusterer) -> None:
        self._clusterer = clusterer

    async def run(self, job: Job, progress: Progress) -> Mapping[str, Any]:
        """As Clusterer.cluster."""
        return await self._clusterer.cluster(job.tenant, ClusterParameters.model_validate(job.parameters), progress)
