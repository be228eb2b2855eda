"""POST /keys, GET /keys, DELETE /keys/{id}."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path
from pydantic import Field, StringConstraints

from omma.catalog.api_key import ApiKey, Role
from omma.identity import Tenant
from omma.request_body import RequestBody
from services.gateway.callers.auth import Caller
from services.gateway.callers.keys import Keys
from services.gateway.rest.checked_route import CheckedRoute
from services.gateway.rest.schemas import ops as shapes
from services.gateway.rest.signed_in import SignedIn


class KeyRequest(RequestBody):
    """tenant: the caller's own unless given; an admin's, `default`."""

    name: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]*$"),
    ]
    role: Role = Field(default=Role.WRITE, strict=False)
    tenant: str | None = Field(default=None, pattern=r"^[A-Za-z0-9._-]{1,64}$")


def keys_router(keys: Keys, tenant_admin: SignedIn) -> APIRouter:
    """API keys: of the caller's tenant, of every tenant for an admin."""
    router = APIRouter(route_class=CheckedRoute, prefix="/keys", tags=["keys"])
    administrator = Annotated[Caller, Depends(tenant_admin)]

    @router.post("", status_code=201, summary="Make a key; its secret is shown this once", **shapes.MADE_KEY)
    async def create(request: KeyRequest, caller: administrator) -> dict[str, Any]:
        tenant = None if request.tenant is None else Tenant(request.tenant)
        secret, key = await keys.create(caller, request.name, request.role, tenant)
        return {"secret": secret, **_document(key)}

    @router.get("", summary="Every key, without its secret", **shapes.KEYS)
    async def every(caller: administrator) -> dict[str, Any]:
        return {"keys": [_document(key) for key in await keys.every(caller)]}

    @router.delete("/{id}", summary="Revoke a key", **shapes.KEY)
    async def revoke(id: Annotated[str, Path(pattern=r"^[0-9a-f]{4,64}$")], caller: administrator) -> dict[str, Any]:
        return _document(await keys.revoke(caller, id))

    return router


def _document(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "role": key.role,
        "tenant": key.tenant,
        "created_at_ms": key.created_at_ms,
        "revoked": key.revoked,
    }
