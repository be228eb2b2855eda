"""POST /images/ingest, GET and DELETE /jobs/{id}."""

import time
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from services.gateway.auth import Caller
from services.gateway.rest.signed_in import SignedIn
from services.indexer.jobs import Job, Jobs


class IngestRequest(BaseModel):
    """folder: absolute, on the machine of the server."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"folder": "/home/ann/Pictures"}})

    folder: Path = Field(description="of the server's machine; its pictures stay where they are")


def jobs_router(jobs: Jobs, admin: SignedIn) -> APIRouter:
    """Ingests that run beside the service."""
    router = APIRouter(tags=["ingest"])

    @router.post("/images/ingest", status_code=202, summary="Ingest a folder of the server's machine")
    async def start(request: IngestRequest, caller: Annotated[Caller, Depends(admin)]) -> dict[str, str]:
        return {"job_id": jobs.start(caller.tenant, request.folder).id}

    @router.get("/jobs/{job_id}", summary="How far a job is")
    async def get(job_id: str, caller: Annotated[Caller, Depends(admin)]) -> dict[str, Any]:
        return _document(jobs.get(caller.tenant, job_id), await jobs.waiting(), time.monotonic())

    @router.delete("/jobs/{job_id}", summary="Stop a job; what it did stays")
    async def cancel(job_id: str, caller: Annotated[Caller, Depends(admin)]) -> dict[str, Any]:
        return _document(await jobs.cancel(caller.tenant, job_id), await jobs.waiting(), time.monotonic())

    return router


def _document(job: Job, waiting: int, now_seconds: float) -> dict[str, Any]:
    progress = job.progress
    seconds = (now_seconds if job.finished_at_seconds is None else job.finished_at_seconds) - job.started_at_seconds
    done = max(0, progress.looked_at - waiting)
    rate = done / seconds if seconds > 0 else 0.0
    return {
        "job_id": job.id,
        "state": job.state,
        "error": job.error,
        "folder": str(job.folder),
        "seconds": round(seconds, 3),
        "total": progress.pictures,
        "done": done,
        "waiting": waiting,
        "pictures_per_second": round(rate, 1),
        "remaining_seconds": round((progress.pictures - done) / rate, 1) if rate and job.state == "running" else None,
        "created": progress.created,
        "changed": progress.changed,
        "unchanged": progress.unchanged,
        "vanished": progress.vanished,
        "skipped": progress.skipped,
        "unreadable": progress.unreadable,
    }
