"""Jobs of kind `anomalies`: how far each picture stands apart is measured anew."""

from collections.abc import Mapping
from typing import Any

from omma.catalog.job import Job
from omma.job_kinds import AnomaliesParameters
from services.worker.curation.anomalies import AnomalyScorer
from services.worker.jobs.progress import Progress


class AnomaliesWork:
    """What it did is in the counts, and in its result."""

    def __init__(self, scorer: AnomalyScorer) -> None:
        self._scorer = scorer

    async def run(self, job: Job, progress: Progress) -> Mapping[str, Any]:
        """As AnomalyScorer.score, of the job's tenant unless every one is asked for."""
        asked = AnomaliesParameters.model_validate(job.parameters)
        await self._scorer.score(None if asked.every_tenant else job.tenant, progress)
        return {"scored": progress.counts["scored"]}
