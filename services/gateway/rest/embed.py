"""POST /embed/image and /embed/text."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from omma.catalog.api_key import Role
from omma.errors import InvalidQuery
from omma.images import PictureLimits
from omma.rpc.deadline import Deadline
from services.gateway.callers.auth import Authenticator, Caller
from services.gateway.rest.answers import JsonResponse, model_document
from services.gateway.rest.body import FormLimits, read_form, read_json
from services.gateway.rest.bounds import bounds_of
from services.gateway.rest.fields import as_object, as_text, require_known, single
from services.gateway.rest.schemas import search as shapes
from services.gateway.rest.search_fields import region_field
from services.gateway.rest.signed_in import SHOWN_IN_DOCS, signed_in
from services.gateway.search.core import SearchCore
from services.gateway.search.query import Sought, SoughtPicture, SoughtWords
from services.gateway.settings import GatewaySettings

_EMBED_SECONDS: Final = 10.0


def embed_router(
    core: SearchCore, authenticator: Authenticator, settings: GatewaySettings, limits: PictureLimits
) -> APIRouter:
    """Needs role read."""
    router = APIRouter(prefix="/embed", dependencies=SHOWN_IN_DOCS, tags=["embedding"])
    reader = Annotated[Caller, Depends(signed_in(authenticator, Role.READ))]
    form_limits = FormLimits(frozenset({"image", "bbox", "bbox_unit"}), frozenset({"image"}), limits.max_bytes)

    async def embedded(request: Request, caller: Caller, sought: Sought) -> Response:
        deadline = Deadline(bounds_of(request).arrived_seconds + _EMBED_SECONDS)
        made, space = await core.embed(caller.tenant, sought, deadline)
        told: dict[str, object] = {"vector": made.vector.tolist(), "space": space.id, **model_document(space)}
        if made.text_confidence is not None:
            told["confidence"] = round(made.text_confidence, 4)
        return JsonResponse(told)

    @router.post("/image", **shapes.EMBED_IMAGE)
    async def embed_image(request: Request, caller: reader) -> Response:
        """The vector of a picture or of a part of it."""
        form = await read_form(request, form_limits)
        if "image" not in form.files:
            raise InvalidQuery("Send the picture's file as image.", field="image")
        region = region_field(single(form.fields, ()))
        return await embedded(request, caller, SoughtPicture(form.files["image"], region=region))

    @router.post("/text", **shapes.EMBED_TEXT)
    async def embed_text(request: Request, caller: reader) -> Response:
        """The vector of words, and how far the model trusts itself on them. 409 when it has no text tower."""
        body = as_object(await read_json(request, settings.max_json_bytes))
        require_known(body, {"text"})
        return await embedded(request, caller, SoughtWords(as_text(body.get("text"), "text")))

    return router
