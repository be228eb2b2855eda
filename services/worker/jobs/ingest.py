"""Jobs of kind `ingest`: of a folder of this machine, or of a bucket."""

from collections.abc import Mapping
from typing import Any

from omma.blobs.folder_source import folder_of
from omma.blobs.object_uri import SCHEME
from omma.catalog.job import Job
from omma.description import Description
from omma.errors import InvalidQuery
from omma.job_kinds import IngestParameters
from services.worker.ingest.bucket import BucketIngest
from services.worker.ingest.folder import FolderIngest
from services.worker.jobs.progress import Progress


class IngestWork:
    """job.source: a folder as omma.blobs.folder_source spells it, or `s3://bucket/prefix`."""

    def __init__(self, folders: FolderIngest, buckets: BucketIngest | None) -> None:
        """buckets: None where there is no object storage."""
        self._folders = folders
        self._buckets = buckets

    async def run(self, job: Job, progress: Progress) -> Mapping[str, Any]:
        """As FolderIngest.run and BucketIngest.run; what it did is in the counts."""
        asked = IngestParameters.model_validate(job.parameters)
        said = Description(owner=asked.owner, private=asked.private or None)
        if not job.source.startswith(SCHEME):
            folder = folder_of(job.source)
            return await self._folders.run(
                folder, job.tenant, progress, said, forget_missing=asked.forget_missing, revive=asked.revive_deleted
            )
        if self._buckets is not None:
            return await self._buckets.run(job.source, job.tenant, progress, said, revive=asked.revive_deleted)
        raise InvalidQuery(f"This Omma cannot ingest {job.source}.", field="source")
