"""POST /search/cluster."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import ConfigDict, Field

from omma.errors import InvalidQuery
from omma.filters import canonical, parse_filter
from omma.identity import MAX_IMAGE_ID
from omma.job_kinds import DEFAULT_THRESHOLD, MAX_CLUSTERED, ClusterParameters
from omma.request_body import RequestBody
from services.gateway.callers.auth import Caller
from services.gateway.callers.viewing import viewer
from services.gateway.curation.clusters import ClusterDesk
from services.gateway.jobs import Jobs
from services.gateway.rest.checked_route import CheckedRoute
from services.gateway.rest.schemas.curation import CLUSTERS
from services.gateway.rest.schemas.search import FILTER
from services.gateway.rest.signed_in import SignedIn
from services.gateway.rest.waited import result_in_time
from services.gateway.rest.written import NUMBER


class ClusterRequest(RequestBody):
    """Which pictures, and how much alike those of a cluster are."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"filter": {"owner": "ann"}, "limit": 500, "threshold": 0.5}}
    )

    image_ids: list[Annotated[int, Field(ge=1, le=MAX_IMAGE_ID)]] | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_CLUSTERED,
        description="these pictures; unless given, those of the filter",
    )
    filter: dict[str, Any] | None = Field(default=None, description=f"Neither: every picture. {FILTER}")
    limit: int = Field(default=1_000, ge=1, le=MAX_CLUSTERED, description="pictures, by id")
    linkage: Literal["average"] = "average"
    threshold: float = Field(
        default=DEFAULT_THRESHOLD, ge=-1, le=1, description="least mean cosine of two clusters that become one"
    )

    def parameters(self) -> ClusterParameters:
        """Raises InvalidQuery, TooLarge."""
        if self.image_ids is not None and self.filter is not None:
            raise InvalidQuery("Say which pictures: either image_ids or filter.", field="filter")
        filter = canonical(parse_filter(self.filter))
        ids = tuple(self.image_ids or ())
        return ClusterParameters(image_ids=ids, filter=filter, limit=self.limit, threshold=self.threshold)


def clusters_router(desk: ClusterDesk, jobs: Jobs, writer: SignedIn) -> APIRouter:
    """Needs role write: it takes the worker's time, which searches do not."""
    router = APIRouter(route_class=CheckedRoute, tags=["curation"])

    @router.post("/search/cluster", summary="Pictures in groups that look alike", **CLUSTERS)
    async def cluster(
        request: ClusterRequest,
        http: Request,
        caller: Annotated[Caller, Depends(writer)],
        wait_seconds: Annotated[float, Field(ge=0, le=600), NUMBER, Query(description="for the clusters")] = 10.0,
    ) -> Any:
        """200 with the clusters, the largest first, if they are there in time, as of a thousand pictures they are; else
        202 with the job, whose `result` they become. The same asked again meanwhile is the same job.
        """
        asked = request.parameters().model_copy(update={"visible_to": viewer().visible_to})
        failed = "The pictures could not be put into clusters"
        return await result_in_time(http, jobs, desk.start(caller.tenant, asked), wait_seconds, failed)

    return router
