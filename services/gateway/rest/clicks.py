"""POST /click."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from omma.catalog.api_key import Role
from services.gateway.callers.auth import Authenticator, Caller
from services.gateway.rest.body import read_json
from services.gateway.rest.fields import as_integer, as_object, as_text, as_user_id, require_known, said
from services.gateway.rest.schemas import search as shapes
from services.gateway.rest.signed_in import SHOWN_IN_DOCS, signed_in
from services.gateway.search.interactions import Click, Impressions
from services.gateway.settings import GatewaySettings

_FIELDS: Final = frozenset({"user_id", "query_image_id", "displayed_image_id", "rank", "query_id"})


def clicks_router(impressions: Impressions, authenticator: Authenticator, settings: GatewaySettings) -> APIRouter:
    """Needs role read: whoever may search may click."""
    router = APIRouter(dependencies=SHOWN_IN_DOCS, tags=["search"])
    reader = Annotated[Caller, Depends(signed_in(authenticator, Role.READ))]

    @router.post("/click", status_code=204, **shapes.CLICK)
    async def click(request: Request, caller: reader) -> Response:
        """What a user chose of what was shown."""
        body = as_object(await read_json(request, settings.max_json_bytes))
        require_known(body, _FIELDS)
        clicked = Click(
            user_id=as_user_id(said(body, "user_id", ""), "user_id"),
            query_image_id=as_integer(said(body, "query_image_id", 0), "query_image_id"),
            displayed_image_id=as_integer(body.get("displayed_image_id"), "displayed_image_id"),
            rank=as_integer(body.get("rank"), "rank"),
            query_id=as_text(said(body, "query_id", ""), "query_id"),
        )
        await impressions.clicked(caller.tenant, clicked)
        return Response(status_code=204)

    return router
