"""POST /images/ingest, GET /jobs, GET and DELETE /jobs/{id}."""

import json
import time
from typing import Annotated, Any, Final, TypeAlias

from fastapi import APIRouter, Depends, Path, Query
from pydantic import ConfigDict, Field

from omma.catalog.job import Job, JobState
from omma.errors import InvalidQuery
from omma.job_kinds import IngestParameters, ListParameters
from omma.request_body import RequestBody
from omma.uploads import upload_place
from services.gateway.callers.auth import Caller
from services.gateway.jobs import Jobs
from services.gateway.lists import Lists
from services.gateway.rest.checked_route import CheckedRoute
from services.gateway.rest.schemas import jobs as shapes
from services.gateway.rest.signed_in import SignedIn
from services.gateway.rest.written import WHOLE

_MAX_JOBS: Final = 100
_MAX_PLACE: Final = 13_000
"""Of a path of 4,096 bytes as a URI, each of them quoted."""


JobIdInPath: TypeAlias = Annotated[str, Path(max_length=64, pattern=r"^[0-9A-Za-z-]+$")]


class IngestRequest(RequestBody):
    """A folder, a source, or uploads."""

    model_config = ConfigDict(json_schema_extra={"example": {"source": "s3://pictures/2026"}})

    folder: str | None = Field(
        default=None,
        max_length=_MAX_PLACE,
        description="absolute, of the server's machine, or as a file:// URI; its pictures stay where they are",
    )
    source: str | None = Field(
        default=None, max_length=2_000, description="s3://bucket/prefix; its objects stay where they are"
    )

    uploads: list[dict[str, Any]] | None = Field(
        default=None,
        min_length=1,
        max_length=10_000,
        description="of POST /images/presign: `upload`, and what is known of the picture, as in POST /ingest",
    )
    forget_missing: bool = Field(
        default=False,
        description="of a folder: also what is away en masse, as when a disk is not mounted, is taken as deleted",
    )
    revive_deleted: bool = Field(
        default=False, description="also what was deleted here comes back, without what was said of it"
    )

    owner: str = Field(default="", max_length=1_024, description="of what is new or changed in a folder or a bucket")
    private: bool = Field(
        default=False,
        description="only the owner and administrators see what is new or changed in a folder or a bucket",
    )

    def listed(self) -> bytes:
        """The uploads as a list. Raises InvalidQuery, field `uploads`."""
        if self.folder is not None or self.source is not None:
            raise InvalidQuery("Say what to ingest: uploads, and neither a folder nor a source.", field="uploads")
        if self.owner or self.private:
            raise InvalidQuery("Each of uploads says whose it is.", field="owner" if self.owner else "private")
        if self.forget_missing:
            raise InvalidQuery("Of uploads nothing is taken for missing.", field="forget_missing")
        lines = []
        for one in self.uploads or ():
            name = one.get("upload")
            if not isinstance(name, str):
                raise InvalidQuery("Each of uploads has the `upload` of its presign.", field="uploads")
            said = {field: value for field, value in one.items() if field not in ("upload", "url", "path", "uri")}
            lines.append(json.dumps({"uri": upload_place(name), **said}))
        return "\n".join(lines).encode()

    def place(self) -> str:
        """Raises InvalidQuery."""
        given = [one for one in (self.folder, self.source) if one is not None]
        if len(given) != 1:
            raise InvalidQuery("Say what to ingest: either a folder, or a source s3://bucket/prefix.", field="source")
        return given[0]


def jobs_router(jobs: Jobs, lists: Lists, tenant_admin: SignedIn, reader: SignedIn) -> APIRouter:
    """Work that runs beside the service. Who may see and stop a job, its kind says."""
    router = APIRouter(route_class=CheckedRoute, tags=["ingest"])

    @router.post(
        "/images/ingest",
        status_code=202,
        summary="Ingest a bucket, uploads, or a folder of the server",
        **shapes.STARTED,
    )
    async def start(request: IngestRequest, caller: Annotated[Caller, Depends(tenant_admin)]) -> dict[str, str]:
        """The source's job: it goes on where the last one was broken off."""
        if request.uploads is not None:
            parameters = ListParameters(revive_deleted=request.revive_deleted)
            return {"job_id": (await lists.ingest(caller, request.listed(), parameters)).id}
        asked = IngestParameters(
            forget_missing=request.forget_missing,
            revive_deleted=request.revive_deleted,
            owner=request.owner,
            private=request.private,
        )
        return {"job_id": (await jobs.ingest(caller, request.place(), asked)).id}

    @router.get("/jobs", summary="The newest jobs, and how far they are", **shapes.JOBS)
    async def newest(
        caller: Annotated[Caller, Depends(reader)],
        limit: Annotated[int, Field(ge=1, le=_MAX_JOBS), WHOLE, Query()] = 20,
    ) -> dict[str, Any]:
        """Of the kinds that the caller's role may see, without their results. Finished ones are kept for a while."""
        found, waiting = await jobs.newest(caller, limit), await jobs.waiting()
        told = [_document(job, waiting, time.time()) for job in found]
        return {"jobs": [{name: value for name, value in one.items() if name != "result"} for one in told]}

    @router.get("/jobs/{job_id}", summary="How far a job is", **shapes.JOB)
    async def get(job_id: JobIdInPath, caller: Annotated[Caller, Depends(reader)]) -> dict[str, Any]:
        return _document(await jobs.get(caller, job_id), await jobs.waiting(), time.time())

    @router.delete("/jobs/{job_id}", summary="Stop a job; what it did stays", **shapes.JOB)
    async def cancel(job_id: JobIdInPath, caller: Annotated[Caller, Depends(reader)]) -> dict[str, Any]:
        return _document(await jobs.cancel(caller, job_id), await jobs.waiting(), time.time())

    return router


def _document(job: Job, waiting: int, now_seconds: float) -> dict[str, Any]:
    counts = job.counts
    looked_at, total = counts.get("looked_at", 0), counts.get("pictures", 0)
    begun_ms = job.created_at_ms if job.started_at_ms is None else job.started_at_ms
    ended_ms = int(now_seconds * 1000) if job.finished_at_ms is None else job.finished_at_ms
    seconds = max(0, ended_ms - begun_ms) / 1000
    done = max(0, looked_at - waiting)
    rate = done / seconds if seconds > 0 else 0.0
    known = rate and total and job.state is JobState.RUNNING
    return {
        "job_id": job.id,
        "kind": job.kind,
        "state": job.state,
        "error": job.error,
        "result": job.result,
        "source": job.source,
        "folder": job.source,
        "seconds": seconds,
        "total": total,
        "done": done,
        "waiting": waiting,
        "pictures_per_second": round(rate, 1),
        "remaining_seconds": round((total - done) / rate, 1) if known else None,
        **{name: counts.get(name, 0) for name in shapes.COUNTED},
    }
