"""Jobs of kind `ingest_list`: pictures that a list names."""

from collections.abc import Mapping
from typing import Any

from omma.catalog.job import Job
from omma.job_kinds import ListParameters
from services.worker.jobs.progress import Progress
from services.worker.lists.ingest import ListIngest


class ListWork:
    """job.source: the sha256 of a list, which lies in the blobs."""

    def __init__(self, lists: ListIngest) -> None:
        self._lists = lists

    async def run(self, job: Job, progress: Progress) -> Mapping[str, Any]:
        """As ListIngest.run; a job that goes on for one that was broken off has that one's run as its cursor."""
        parameters = ListParameters.model_validate(job.parameters)
        return await self._lists.run(job.source, job.tenant, progress.cursor or job.id, parameters, progress)
