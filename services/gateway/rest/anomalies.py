"""GET /qa/anomalies, POST /qa/anomalies."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import Field

from omma.catalog.anomaly import AnomalyMeasure
from omma.job_kinds import ANOMALIES
from services.gateway.callers.auth import Caller
from services.gateway.curation.anomalies import MAX_PAGE, AnomalyList
from services.gateway.jobs import Jobs
from services.gateway.rest.checked_route import CheckedRoute
from services.gateway.rest.schemas import curation as shapes
from services.gateway.rest.schemas.jobs import STARTED
from services.gateway.rest.signed_in import SignedIn
from services.gateway.rest.written import WHOLE
from services.topology.indexes import ServedIndexes


def anomalies_router(
    listed: AnomalyList, jobs: Jobs, indexes: ServedIndexes, reader: SignedIn, tenant_admin: SignedIn
) -> APIRouter:
    """Looking needs role read; measuring anew is a tenant's administrator's."""
    router = APIRouter(route_class=CheckedRoute, prefix="/qa/anomalies", tags=["curation"])

    @router.get("", summary="What stands apart, the farthest first", **shapes.ANOMALIES)
    async def page(
        caller: Annotated[Caller, Depends(reader)],
        by: Annotated[
            Literal["distance", "density", "training"],
            Query(description="to the nearest picture; mean to the ten nearest; to what the model was trained on"),
        ] = "distance",
        cursor: Annotated[str, Query(max_length=64, description="next_cursor of a page")] = "",
        limit: Annotated[int, Field(ge=1, le=MAX_PAGE), WHOLE, Query()] = 50,
    ) -> dict[str, Any]:
        """As last measured, each night unless set otherwise. One that was reviewed is listed again once it is measured
        anew. Empty until the first measuring.
        """
        found, following = await listed.page(caller.tenant, indexes.live().space, AnomalyMeasure(by), cursor, limit)
        images = [{"id": one.id, "score": one.score, "reasons": list(one.reasons)} for one in found]
        return {"images": images} if following is None else {"images": images, "next_cursor": following}

    @router.post("", status_code=202, summary="Measure anew now", **STARTED)
    async def measure(caller: Annotated[Caller, Depends(tenant_admin)]) -> dict[str, str]:
        """Of the caller's tenant; a job."""
        return {"job_id": (await jobs.start(caller.tenant, ANOMALIES)).id}

    return router
