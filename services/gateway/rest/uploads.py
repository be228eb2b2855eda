"""POST /images/presign, and the address that it gives where the storage has none."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import ConfigDict, Field

from omma.catalog.api_key import Role
from omma.identity import Tenant
from omma.request_body import RequestBody
from services.gateway.callers.auth import Caller
from services.gateway.callers.changes import concerns, made_by
from services.gateway.rest.answers import JsonResponse
from services.gateway.rest.body import read_content
from services.gateway.rest.body_budget import signed
from services.gateway.rest.checked_route import CheckedRoute
from services.gateway.rest.schemas.ops import PRESIGNED
from services.gateway.rest.signed_in import SignedIn
from services.gateway.rest.written import WHOLE
from services.gateway.uploads import Uploads


class PresignRequest(RequestBody):
    """bytes: of the upload, exactly."""

    model_config = ConfigDict(json_schema_extra={"example": {"bytes": 48211}})

    bytes: int = Field(description="of the picture, exactly")
    content_type: str = Field(default="", max_length=100, pattern=r"^[\x21-\x7e]*$", description="of the PUT, exactly")


def uploads_router(uploads: Uploads, tenant_admin: SignedIn) -> APIRouter:
    """What was put is ingested by POST /images/ingest."""
    router = APIRouter(route_class=CheckedRoute, tags=["ingest"])

    @router.post("/images/presign", summary="An address to put a picture to, without an API key", **PRESIGNED)
    async def presign(
        request: Request, asked: PresignRequest, caller: Annotated[Caller, Depends(tenant_admin)]
    ) -> Response:
        """Good for one PUT of exactly so many bytes, for a while; then `POST /images/ingest` with its `upload`."""
        given = await uploads.presign(caller.tenant, asked.bytes, asked.content_type)
        concerns("upload", given.upload)
        url = f"{str(request.base_url).rstrip('/')}{given.url}" if given.url.startswith("/") else given.url
        return JsonResponse(
            {
                "upload": given.upload,
                "method": "PUT",
                "url": url,
                "headers": given.headers,
                "expires_in_seconds": given.seconds,
            }
        )

    @router.put("/uploads/{name}", summary="Put a picture to an address of POST /images/presign", status_code=204)
    async def put(
        request: Request, name: str, tenant: str = "", bytes: Annotated[int, WHOLE] = 0, signature: str = ""
    ) -> Response:
        """Whoever has the address may."""
        of = Tenant(tenant)
        uploads.allowed(of, name, bytes, signature)
        signed(request, of)
        made_by(Caller(of, Role.WRITE, "an upload's address", "address"))
        await uploads.put(of, name, await read_content(request, bytes), bytes)
        return Response(status_code=204)

    return router
