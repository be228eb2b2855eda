"""POST /verify: compare blobs, catalog, log and shards."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse

from omma.catalog.job import JobState
from omma.errors import ReplicaDown
from omma.job_kinds import VERIFY, VerifyParameters
from omma.rpc.deadline import Deadline
from services.gateway.callers.auth import Caller
from services.gateway.jobs import Jobs
from services.gateway.rest.bounds import bounds_of
from services.gateway.rest.signed_in import SignedIn

_ANSWER_SECONDS: Final = 10.0


def verify_router(jobs: Jobs, admin: SignedIn) -> APIRouter:
    """Of every tenant: an admin runs the whole Omma."""
    router = APIRouter(tags=["operation"])

    @router.post("/verify", summary="Compare blobs, catalog, log and shards")
    async def verify(
        request: VerifyParameters,
        http: Request,
        caller: Annotated[Caller, Depends(admin)],
        wait_seconds: Annotated[float, Query(ge=0, le=600, description="for the report")] = 60.0,
    ) -> Any:
        """The worker compares, one comparison at a time, which takes as long as reading the catalog. 200 with the
        report if it is there in time, else 202 with the job, whose `result` it becomes.
        """
        bounds_of(http).allow(wait_seconds + _ANSWER_SECONDS)
        job = await jobs.start(caller.tenant, VERIFY, parameters=request)
        job = await jobs.ended(job, Deadline.after(wait_seconds))
        if job.state is JobState.DONE:
            return dict(job.result)
        if job.state is JobState.FAILED:
            raise ReplicaDown(f"The comparison failed: {job.error}")
        return JSONResponse({"job_id": job.id}, status_code=202)

    return router
