"""Jobs of kind `verify`: blobs, catalog, log and shards are compared."""

from collections.abc import Mapping
from typing import Any

from omma.catalog.job import Job
from omma.job_kinds import VerifyParameters
from services.worker.jobs.progress import Progress
from services.worker.truth.verify import Verifier


class VerifyWork:
    """Its result is the report's document."""

    def __init__(self, verifier: Verifier) -> None:
        self._verifier = verifier

    async def run(self, job: Job, progress: Progress) -> Mapping[str, Any]:
        """As Verifier.verify."""
        asked = VerifyParameters.model_validate(job.parameters)
        report = await self._verifier.verify(
            asked.index, repair=asked.repair, full=asked.full, bury=asked.bury, progress=progress
        )
        return report.document()
