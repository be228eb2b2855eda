"""POST /click."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from omma.catalog.api_key import Role
from services.gateway.callers.auth import Authenticator, Caller
from services.gateway.rest.body import read_json
from services.gateway.rest.fields import as_object, as_text, as_user_id, as_whole, require_known
from services.gateway.rest.schemas import search as shapes
from services.gateway.rest.signed_in import SHOWN_IN_DOCS, signed_in
from services.gateway.search.interactions import Click, Impressions
from services.gateway.settings import GatewaySettings

_FIELDS: Final[Mapping[str, Callable[[Any, str], Any]]] = {
    "user_id": as_user_id,
    "query_image_id": as_whole,
    "displayed_image_id": as_whole,
    "rank": as_whole,
    "query_id": as_text,
}
_UNSAID: Final[Mapping[str, Any]] = {"user_id": "", "query_image_id": 0, "query_id": ""}


def clicks_router(impressions: Impressions, authenticator: Authenticator, settings: GatewaySettings) -> APIRouter:
    """Needs role read: whoever may search may click."""
    router = APIRouter(dependencies=SHOWN_IN_DOCS, tags=["search"])
    reader = Annotated[Caller, Depends(signed_in(authenticator, Role.READ))]

    @router.post("/click", status_code=204, **shapes.CLICK)
    async def click(request: Request, caller: reader) -> Response:
        """What a user chose of what was shown."""
        body = as_object(await read_json(request, settings.max_json_bytes))
        require_known(body, _FIELDS.keys())
        # What was said and is wrong, before what was not said.
        given = {name: _FIELDS[name](value, name) for name, value in body.items() if value is not None and value != ""}
        missing = next((name for name in _FIELDS if name not in given and name not in _UNSAID), None)
        if missing is not None:
            _FIELDS[missing](None, missing)
        clicked = Click(**{**_UNSAID, **given})
        await impressions.clicked(caller.tenant, clicked)
        return Response(status_code=204)

    return router
