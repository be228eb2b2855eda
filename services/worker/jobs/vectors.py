"""Jobs of kind `ingest_vectors`: vectors that a caller computed."""

from collections.abc import Mapping
from typing import Any

from omma.catalog.job import Job
from omma.job_kinds import VectorsParameters
from services.worker.jobs.progress import Progress
from services.worker.lists.vectors import VectorIngest


class VectorsWork:
    """job.source: the sha256 of a list, which lies in the blobs."""

    def __init__(self, vectors: VectorIngest) -> None:
        self._vectors = vectors

    async def run(self, job: Job, progress: Progress) -> Mapping[str, Any]:
        """As VectorIngest.run."""
        parameters = VectorsParameters.model_validate(job.parameters)
        return await self._vectors.run(job.source, job.tenant, parameters, progress)
