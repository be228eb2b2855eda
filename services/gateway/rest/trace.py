"""GET /trace: where one picture is."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from services.gateway.callers.auth import Caller
from services.gateway.pictures.trace import Tracer
from services.gateway.rest.checked_route import CheckedRoute
from services.gateway.rest.schemas.ops import TRACE
from services.gateway.rest.signed_in import SignedIn


def trace_router(tracer: Tracer, tenant_admin: SignedIn) -> APIRouter:
    """Of the caller's tenant, as everything that names pictures."""
    router = APIRouter(route_class=CheckedRoute, tags=["operation"])

    @router.get("/trace", summary="Where a picture is: row, blobs, events, vectors, replicas", **TRACE)
    async def trace(
        place: Annotated[
            str,
            Query(
                min_length=1,
                max_length=4_000,
                pattern=r"^[^\x00]*$",
                description="an id, a key or a uri",
                json_schema_extra={"example": "123"},
            ),
        ],
        caller: Annotated[Caller, Depends(tenant_admin)],
    ) -> dict[str, Any]:
        """A partition that is long is read for a bounded time: `cut` says that it was not read to its end."""
        return {"pictures": await tracer.trace(caller.tenant, place)}

    return router
