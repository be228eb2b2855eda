"""Jobs as their owners see them: accepted, asked about and cancelled here; run by the worker, from the catalog."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Final

from omma.blobs.folder_source import folder_source
from omma.blobs.object_uri import SCHEME, bucket_place
from omma.blobs.s3_settings import S3Settings
from omma.catalog.api_key import Role
from omma.catalog.interface import Catalog
from omma.catalog.job import UNFINISHED, Job
from omma.description import Description, RowLimits
from omma.errors import Absent, InvalidQuery, NotAllowed
from omma.identity import Tenant
from omma.job_kinds import CLUSTER, INGEST, KINDS, VERIFY, IngestParameters, JobKind, JobParameters, VerifyParameters
from omma.rpc.deadline import Deadline
from services.gateway.callers.auth import Caller
from services.gateway.callers.changes import concerns
from services.gateway.callers.viewing import viewer

_LOOK_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class Sources:
    """What may be ingested. folders: those of the worker's machine, as far as it may read.

    s3: where Omma's own writes lie, None without. buckets: that may be named; none: each that the storage's keys open.
    """

    folders: bool
    s3: S3Settings | None = None
    buckets: Collection[str] = ()

    def checked(self, source: str, caller: Caller) -> str:
        """The source in one spelling. Raises InvalidQuery, field `folder` or `source`; NotAllowed.

        A folder is the machine's and an unnamed bucket may be anybody's: both are for an admin. What is named for
        ingest, a tenant's administrator may take in.
        """
        if "\0" in source:
            raise InvalidQuery("A place has no NUL.", field="source")
        if source.startswith(SCHEME):
            return self._bucket(source, caller)
        caller.require(Role.ADMIN)
        return self._folder(source)

    def require_folders(self) -> None:
        """Raises InvalidQuery where the worker reads none."""
        if not self.folders:
            raise InvalidQuery(
                "This Omma's worker reads no folders. Put the pictures into a bucket and ingest s3://bucket/prefix, "
                "or set OMMA_GATEWAY__INGEST_FOLDERS=true where the worker has the folder.",
                field="folder",
            )

    def _folder(self, source: str) -> str:
        self.require_folders()
        return folder_source(source)

    def _bucket(self, source: str, caller: Caller) -> str:
        if not self.buckets:
            caller.require(Role.ADMIN)
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


class Jobs:
    """Of the catalog, one tenant's at a time."""

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

    async def ingest(self, caller: Caller, source: str, parameters: IngestParameters | None = None) -> Job:
        """The unfinished ingest of the source, or a new one.

        Raises InvalidQuery, TooLarge, NotAllowed, WrongState, Overloaded.
        """
        asked = parameters or IngestParameters()
        RowLimits().check(Description(owner=asked.owner))
        checked = self._sources.checked(source, caller)
        if asked.forget_missing and checked.startswith(SCHEME):
            raise InvalidQuery(
                "Of a bucket nothing is taken for missing: its own notifications say what was deleted.",
                field="forget_missing",
            )
        return await self.start(caller.tenant, INGEST, checked, asked)

    async def verify(self, tenant: Tenant, asked: VerifyParameters) -> Job:
        """Raises Absent, field `index`; WrongState, Overloaded."""
        if asked.index and asked.index not in {one.id for one in await self._catalog.indexes()}:
            raise Absent(f"There is no index {asked.index[:80]!r}.", field="index")
        return await self.start(tenant, VERIFY, parameters=asked)

    async def start(
        self, tenant: Tenant, kind: JobKind, source: str = "", parameters: JobParameters | None = None
    ) -> Job:
        """source: what it works on, "" for everything. Raises WrongState, Overloaded."""
        asked = (parameters or kind.parameters()).model_dump(mode="json")
        job = await self._catalog.add_job(tenant, kind.name, source, asked, self._max_unfinished, goes_on=kind.goes_on)
        self._on_change()
        concerns("job", job.id)
        return job

    async def require_room(self) -> None:
        """Raises Overloaded where `start` would; for who must not be refused after what goes before it."""
        await self._catalog.require_job_room(self._max_unfinished)

    async def get(self, caller: Caller, job_id: str) -> Job:
        """Raises Absent, also for clusters that another asked for; NotAllowed when its kind needs another role."""
        job = await self._catalog.job(caller.tenant, job_id)
        kind = KINDS.get(job.kind)
        caller.require(kind.role if kind else Role.ADMIN)
        asks = viewer()
        if job.kind == CLUSTER.name and not asks.sees_all and job.parameters.get("visible_to") != asks.name:
            raise Absent(f"There is no job {job_id[:80]!r}.", field="job_id")
        return job

    async def newest(self, caller: Caller, limit: int) -> list[Job]:
        """The newest first, of the kinds that the caller's role may see."""
        kinds = [name for name, kind in KINDS.items() if caller.may(kind.role)]
        return await self._catalog.newest_jobs(caller.tenant, kinds, limit)

    async def ended(self, job: Job, deadline: Deadline) -> Job:
        """The job as it is when it has ended, or when time is up."""
        while job.state in UNFINISHED and deadline.remaining_seconds() > 0:
            await asyncio.sleep(_LOOK_SECONDS)
            job = await self._catalog.job(job.tenant, job.id)
        return job

    async def cancel(self, caller: Caller, job_id: str) -> Job:
        """What was done so far stays. Its runner ends it within a second. Raises as `get`."""
        await self.get(caller, job_id)
        job = await self._catalog.cancel_job(caller.tenant, job_id)
        self._on_change()
        return job
