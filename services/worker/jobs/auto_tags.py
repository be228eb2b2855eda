"""Jobs of kind `auto_tags`: every picture gets tags that nobody gave."""

from collections.abc import Mapping
from typing import Any

from omma.catalog.job import Job
from omma.job_kinds import AutoTagsParameters
from services.worker.curation.auto_tags import AutoTagger
from services.worker.jobs.progress import Progress


class AutoTagsWork:
    """job.source: of the words. What it did is in the counts, and in its result."""

    def __init__(self, tagger: AutoTagger) -> None:
        self._tagger = tagger

    async def run(self, job: Job, progress: Progress) -> Mapping[str, Any]:
        """As AutoTagger.tell."""
        asked = AutoTagsParameters.model_validate(job.parameters)
        await self._tagger.tell(job.tenant, job.source, asked, progress)
        return {"looked_at": progress.counts["looked_at"], "tagged": progress.counts["tagged"]}
