"""GET /quotas, PUT and DELETE /quotas/{tenant}."""

from typing import Annotated, Any, TypeAlias

from fastapi import APIRouter, Depends, Path
from fastapi.responses import Response
from pydantic import ConfigDict, Field

from omma.catalog.quota import MAX_BYTES, MAX_PICTURES, Quota
from omma.request_body import RequestBody
from services.gateway.callers.auth import Caller
from services.gateway.callers.quotas import QuotaDesk
from services.gateway.rest.checked_route import CheckedRoute
from services.gateway.rest.schemas import keeping as shapes
from services.gateway.rest.signed_in import SignedIn

TenantInPath: TypeAlias = Annotated[
    str, Path(pattern=r"^([A-Za-z0-9._-]{1,64}|\*)$", description="or *, for tenants without limits of their own")
]


class QuotaRequest(RequestBody):
    """What is left out has no limit."""

    model_config = ConfigDict(json_schema_extra={"example": {"max_pictures": 100_000}})

    max_pictures: int | None = Field(default=None, ge=0, le=MAX_PICTURES)
    max_bytes: int | None = Field(default=None, ge=0, le=MAX_BYTES, description="of originals, together")


def quotas_router(desk: QuotaDesk, tenant_admin: SignedIn, admin: SignedIn) -> APIRouter:
    """How much tenants may keep."""
    router = APIRouter(route_class=CheckedRoute, prefix="/quotas", tags=["operation"])

    @router.get("", summary="How much tenants may keep, and do", **shapes.QUOTAS)
    async def every(caller: Annotated[Caller, Depends(tenant_admin)]) -> dict[str, Any]:
        """An admin's: every limit that was set. A tenant's own: what counts for it."""
        return {"quotas": [_document(quota) for quota in await desk.every(caller)]}

    @router.put("/{tenant}", summary="Limit how much a tenant may keep", **shapes.QUOTA)
    async def put(tenant: TenantInPath, request: QuotaRequest, _: Annotated[Caller, Depends(admin)]) -> dict[str, Any]:
        """What it keeps already stays, also above the limit; then it adds nothing until it keeps less."""
        return _document(await desk.put(tenant, request.max_pictures, request.max_bytes))

    @router.delete("/{tenant}", status_code=204, summary="Take a tenant's limits away")
    async def remove(tenant: TenantInPath, _: Annotated[Caller, Depends(admin)]) -> Response:
        await desk.remove(tenant)
        return Response(status_code=204)

    return router


def _document(quota: Quota) -> dict[str, Any]:
    return {
        "tenant": quota.tenant,
        "max_pictures": quota.max_pictures,
        "max_bytes": quota.max_bytes,
        "pictures": quota.pictures,
        "bytes": quota.bytes,
    }
