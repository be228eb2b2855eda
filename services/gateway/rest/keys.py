"""POST /keys, GET /keys, DELETE /keys/{id}."""

import secrets
import time
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, ConfigDict, Field

from omma.catalog.interface import ApiKey, Catalog, Role
from omma.identity import Tenant
from services.gateway.auth import hash_secret
from services.gateway.rest.signed_in import SignedIn

_SECRET_BYTES: Final = 32
_ID_CHARACTERS: Final = 12
"""Of the hash: enough to tell a machine's keys apart."""


class KeyRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=128)
    role: Role = Role.WRITE
    tenant: str = Field(default="default", pattern=r"^[A-Za-z0-9._-]{1,64}$")


def keys_router(catalog: Catalog, admin: SignedIn) -> APIRouter:
    """API keys, of every tenant: an admin runs the whole Omma."""
    router = APIRouter(prefix="/keys", tags=["keys"], dependencies=[Depends(admin)])

    @router.post("", status_code=201, summary="Make a key; its secret is shown this once")
    async def create(request: KeyRequest) -> dict[str, Any]:
        secret = f"omma_{secrets.token_urlsafe(_SECRET_BYTES)}"
        key = ApiKey(hash_secret(secret), request.name, Tenant(request.tenant), request.role, round(time.time() * 1000))
        await catalog.add_api_key(key)
        return {"secret": secret, **_document(key)}

    @router.get("", summary="Every key, without its secret")
    async def every() -> dict[str, Any]:
        return {"keys": [_document(key) for key in await catalog.api_keys()]}

    @router.delete("/{id}", summary="Revoke a key")
    async def revoke(id: Annotated[str, Path(pattern=r"^[0-9a-f]{4,64}$")]) -> dict[str, Any]:
        return _document(await catalog.revoke_api_key(id))

    return router


def _document(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.hash[:_ID_CHARACTERS],
        "name": key.name,
        "role": key.role,
        "tenant": key.tenant,
        "created_at_ms": key.created_at_ms,
        "revoked": key.revoked,
    }
