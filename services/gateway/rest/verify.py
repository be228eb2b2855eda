"""POST /verify: compare blobs, catalog, log and shards."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import Field

from omma.job_kinds import VerifyParameters
from services.gateway.callers.auth import Caller
from services.gateway.jobs import Jobs
from services.gateway.rest.checked_route import CheckedRoute
from services.gateway.rest.schemas.ops import VERIFIED
from services.gateway.rest.signed_in import SignedIn
from services.gateway.rest.waited import result_in_time
from services.gateway.rest.written import NUMBER


def verify_router(jobs: Jobs, admin: SignedIn) -> APIRouter:
    """Of every tenant: an admin runs the whole Omma."""
    router = APIRouter(route_class=CheckedRoute, tags=["operation"])

    @router.post("/verify", summary="Compare blobs, catalog, log and shards", **VERIFIED)
    async def verify(
        request: VerifyParameters,
        http: Request,
        caller: Annotated[Caller, Depends(admin)],
        wait_seconds: Annotated[float, Field(ge=0, le=600), NUMBER, Query(description="for the report")] = 60.0,
    ) -> Any:
        """The worker compares, one comparison at a time, which takes as long as reading the catalog. 200 with the
        report if it is there in time, else 202 with the job, whose `result` it becomes.
        """
        started = jobs.verify(caller.tenant, request)
        return await result_in_time(http, jobs, started, wait_seconds, "The comparison failed")

    return router
