"""GET /vectors: pictures with their vectors."""

import base64
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from omma.filters import parse_filter
from omma.rpc.deadline import Deadline
from services.gateway.callers.auth import Caller
from services.gateway.pictures.vectors import MAX_VECTORS, Vectors
from services.gateway.rest.answers import JsonResponse, picture_document
from services.gateway.rest.fields import as_integer, require_known, single
from services.gateway.rest.schemas import pictures as shapes
from services.gateway.rest.signed_in import SignedIn

_FIELDS: Final = frozenset({"filter", "cursor", "limit"})
_SECONDS: Final = 20.0


def vectors_router(vectors: Vectors, tenant_admin: SignedIn) -> APIRouter:
    """What `omma export` writes."""
    router = APIRouter(tags=["operation"])

    @router.get("/vectors", **shapes.VECTORS)
    async def page(request: Request, caller: Annotated[Caller, Depends(tenant_admin)]) -> Response:
        """Rows by id, each with the vector of its whole picture: float32, little-endian, base64."""
        params = request.query_params
        require_known(params, _FIELDS)
        given = single({name: params.getlist(name) for name in params}, ())
        limit = as_integer(given.get("limit") or MAX_VECTORS, "limit")
        asked = parse_filter(given.get("filter"))
        found = await vectors.page(caller.tenant, asked, given.get("cursor") or None, limit, Deadline.after(_SECONDS))
        space = found.served.space
        images = [
            {**picture_document(picture), "vector": base64.b64encode(vector.astype("<f4").tobytes()).decode()}
            for picture, vector in found.pictures
        ]
        stamps = {
            "model": space.model,
            "space": space.id,
            "checksum": space.signature,
            "dim": space.dim,
            "index": found.served.index.id,
        }
        following = {"next_cursor": found.cursor} if found.cursor else {}
        return JsonResponse({**stamps, "images": images, **following})

    return router
