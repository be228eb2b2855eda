"""Bulk ingests: accepted, asked about and cancelled here; run by the indexer, from the catalog's jobs."""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from pathlib import PurePath

from omma.blobs.object_uri import SCHEME, bucket_place
from omma.blobs.s3_settings import S3Settings
from omma.catalog.interface import Catalog
from omma.catalog.job import Job
from omma.errors import InvalidQuery, NotAllowed
from omma.identity import Tenant


@dataclass(frozen=True, slots=True)
class Sources:
    """What may be ingested. folders: those of the indexer's machine, as far as it may read.

    s3: where Omma's own writes lie, None without. buckets: that may be named; none: each that the storage's keys open.
    """

    folders: bool
    s3: S3Settings | None = None
    buckets: Collection[str] = ()

    def checked(self, source: str) -> str:
        """The source in one spelling. Raises InvalidQuery, field `folder` or `source`; NotAllowed."""
        return self._bucket(source) if source.startswith(SCHEME) else self._folder(source)

    def _folder(self, source: str) -> str:
        if not self.folders:
            raise InvalidQuery(
                "This Omma's indexer reads no folders. Put the pictures into a bucket and ingest s3://bucket/prefix, "
                "or set OMMA_GATEWAY__INGEST_FOLDERS=true where the indexer has the folder.",
                field="folder",
            )
        if not PurePath(source).is_absolute():
            raise InvalidQuery(f"{source!r} is no absolute path.", field="folder")
        return source

    def _bucket(self, source: str) -> str:
        bucket, prefix = bucket_place(source)
        if self.s3 is None:
            raise InvalidQuery(
                "This Omma has no object storage (OMMA_S3__BUCKET): only a folder can be ingested.", field="source"
            )
        own = f"{self.s3.prefix}/"
        if bucket == self.s3.bucket and (own.startswith(prefix) or prefix.startswith(own)):
            raise InvalidQuery(f"{source} holds what Omma itself writes, below {bucket}/{own}", field="source")
        if self.buckets and bucket not in self.buckets:
            raise NotAllowed(f"Bucket {bucket!r} is none of OMMA_GATEWAY__INGEST_BUCKETS.", field="source")
        return source


class Ingests:
    """The catalog's jobs, as their owners see them."""

    def __init__(
        self,
        catalog: Catalog,
        sources: Sources,
        waiting: Callable[[], Awaitable[int]],
        max_unfinished: int,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        """waiting: events that wait to be embedded. on_change: told when there may be something to run, or to stop."""
        self.waiting = waiting
        self._catalog = catalog
        self._sources = sources
        self._max_unfinished = max_unfinished
        self._on_change = on_change

    async def start(self, tenant: Tenant, source: str) -> Job:
        """The unfinished job of the source, or a new one. Raises InvalidQuery, NotAllowed, Overloaded."""
        job = await self._catalog.add_job(tenant, self._sources.checked(source), self._max_unfinished)
        self._on_change()
        return job

    async def get(self, tenant: Tenant, job_id: str) -> Job:
        """Raises Absent."""
        return await self._catalog.job(tenant, job_id)

    async def cancel(self, tenant: Tenant, job_id: str) -> Job:
        """What was found so far stays and is embedded. Its runner ends it within a second. Raises Absent."""
        job = await self._catalog.cancel_job(tenant, job_id)
        self._on_change()
        return job
