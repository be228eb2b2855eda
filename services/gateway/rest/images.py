"""POST, GET, PATCH and DELETE of /images."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from omma.catalog.api_key import Role
from omma.catalog.picture import PictureChange
from omma.description import Description
from omma.errors import InvalidQuery
from omma.filters import parse_filter
from omma.images import PictureLimits
from services.gateway.callers.auth import Authenticator, Caller
from services.gateway.curation.auto_tags import AutoTagDesk
from services.gateway.pictures.core import PictureCore
from services.gateway.rest.answers import (
    JsonResponse,
    auto_tags_document,
    content_response,
    etags,
    page_document,
    picture_document,
    upload_document,
)
from services.gateway.rest.body import FormLimits, read_form, read_json
from services.gateway.rest.fields import (
    as_integer,
    as_object,
    as_switch,
    as_text,
    as_texts,
    as_truth,
    require_known,
    single,
)
from services.gateway.rest.schemas import pictures as shapes
from services.gateway.rest.signed_in import SHOWN_IN_DOCS, signed_in
from services.gateway.rest.written import PictureId
from services.gateway.settings import GatewaySettings

RECEIPT_HEADER = "Omma-Receipt"
_UPLOAD_FIELDS = frozenset({"image", "external_id", "owner", "tags", "source_url", "attributes", "private"})
_CHANGE_FIELDS = frozenset({"tags", "attributes", "owner", "private"})
_LIST_FIELDS = frozenset({"filter", "cursor", "limit", "order"})
_ORDERS = ("oldest", "newest")
_DEFAULT_PAGE = 100


def images_router(
    core: PictureCore,
    auto_tags: AutoTagDesk,
    authenticator: Authenticator,
    settings: GatewaySettings,
    limits: PictureLimits,
) -> APIRouter:
    """Reading needs role read, the rest role write."""
    router = APIRouter(prefix="/images", dependencies=SHOWN_IN_DOCS, tags=["pictures"])
    reader = Annotated[Caller, Depends(signed_in(authenticator, Role.READ))]
    writer = Annotated[Caller, Depends(signed_in(authenticator, Role.WRITE))]
    upload_form = FormLimits(_UPLOAD_FIELDS, frozenset({"image"}), limits.max_bytes)

    @router.post("", **shapes.UPLOAD)
    async def upload(request: Request, caller: writer) -> Response:
        """Keep a picture: 201 when its bytes and row are durable, 200 when it was there already."""
        form = await read_form(request, upload_form)
        if "image" not in form.files:
            raise InvalidQuery("Send the picture's file as image.", field="image")
        given = single(form.fields, {"tags"})
        description = Description(
            external_id=given.get("external_id", ""),
            owner=given.get("owner", ""),
            tags=_tags(given.get("tags") or []),
            source_url=given.get("source_url", ""),
            attributes=as_object(given["attributes"], "attributes") if given.get("attributes") else {},
            private=as_truth(given["private"], "private") if given.get("private") else None,
        )
        uploaded = await core.upload(caller.tenant, form.files["image"], description)
        headers = {RECEIPT_HEADER: str(uploaded.receipt), "Location": f"/images/{uploaded.id}"}
        return JsonResponse(upload_document(uploaded), 200 if uploaded.duplicate else 201, headers)

    @router.post("/known", **shapes.KNOWN)
    async def known(request: Request, caller: reader) -> Response:
        """Which pictures of yours have these bytes, by sha256: what need not be sent."""
        body = as_object(await read_json(request, settings.max_json_bytes))
        require_known(body, {"sha256"})
        found = await core.known(caller.tenant, as_texts(body.get("sha256"), "sha256"))
        return JsonResponse({"known": found})

    @router.get("", **shapes.LIST)
    async def list_pictures(request: Request, caller: reader) -> Response:
        """Rows in the order in which they were added, or the newest first, with how many match in all."""
        given = _listed(request)
        limit = as_integer(given.get("limit") or _DEFAULT_PAGE, "limit")
        filter, newest_first = parse_filter(given.get("filter")), given.get("order") == "newest"
        page = await core.page(caller.tenant, filter, given.get("cursor") or None, limit, newest_first)
        return JsonResponse(page_document(page))

    @router.get("/{image_id}", **shapes.PICTURE)
    async def picture(image_id: PictureId, caller: reader) -> Response:
        """A picture's row, and the tags that nobody gave, where they were asked for (`POST /qa/auto-tags`)."""
        row = await core.picture(caller.tenant, image_id)
        return JsonResponse(picture_document(row) | auto_tags_document(await auto_tags.of(caller.tenant, row.id)))

    @router.get("/{image_id}/content", **shapes.CONTENT)
    async def content(image_id: PictureId, request: Request, caller: reader) -> Response:
        """The original's bytes; for ever the same under the `v` of `content_url`."""
        known = etags(request)
        return content_response(await core.content(caller.tenant, image_id, known), request.query_params.get("v"))

    @router.get("/{image_id}/thumbnail", **shapes.THUMBNAIL)
    async def thumbnail(image_id: PictureId, request: Request, caller: reader) -> Response:
        """WebP, at most 256 pixels a side; for ever the same under the `v` of `thumbnail_url`."""
        known = etags(request)
        return content_response(await core.thumbnail(caller.tenant, image_id, known), request.query_params.get("v"))

    @router.patch("/{image_id}", **shapes.CHANGE)
    async def change(image_id: PictureId, request: Request, caller: writer) -> Response:
        """Replace tags, owner, attributes or who sees it; nothing is embedded again."""
        body = as_object(await read_json(request, settings.max_json_bytes))
        require_known(body, _CHANGE_FIELDS)
        if not body:
            raise InvalidQuery("Say what to change: tags, owner, attributes or private.", field="tags")
        receipt = await core.change(caller.tenant, image_id, _change(body))
        changed = picture_document(await core.picture(caller.tenant, image_id))
        return JsonResponse({**changed, "receipt": str(receipt)}, headers={RECEIPT_HEADER: str(receipt)})

    @router.delete("/{image_id}", status_code=204, **shapes.DELETE)
    async def delete(image_id: PictureId, caller: writer) -> Response:
        """Forget a picture."""
        receipt = await core.delete(caller.tenant, image_id)
        return Response(status_code=204, headers={RECEIPT_HEADER: str(receipt)})

    @router.post("/{image_id}/restore", **shapes.RESTORE)
    async def restore(image_id: PictureId, caller: writer) -> Response:
        """Take a delete back, for a day unless set: the picture is as it was."""
        receipt = await core.restore(caller.tenant, image_id)
        restored = picture_document(await core.picture(caller.tenant, image_id))
        return JsonResponse({**restored, "receipt": str(receipt)}, headers={RECEIPT_HEADER: str(receipt)})

    return router


def _listed(request: Request) -> dict[str, Any]:
    """What is asked of the list."""
    params = request.query_params
    require_known(params, _LIST_FIELDS)
    given = single({name: params.getlist(name) for name in params}, ())
    if (given.get("order") or "oldest") not in _ORDERS:
        raise InvalidQuery(f"order is one of {', '.join(_ORDERS)}.", field="order")
    return given


def _tags(value: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(as_texts(value, "tags")))


def _change(body: dict[str, Any]) -> PictureChange:
    if isinstance(body.get("tags"), str):  # a form's way to write a list
        raise InvalidQuery("tags must be a list of texts.", field="tags")
    return PictureChange(
        tags=_tags(body["tags"]) if "tags" in body else None,
        owner=as_text(body["owner"], "owner") if "owner" in body else None,
        attributes=as_object(body["attributes"], "attributes") if "attributes" in body else None,
        private=_private(body["private"]) if "private" in body else None,
    )


def _private(value: Any) -> bool:
    if value is None:  # as false it would show everybody what one was unsure of
        raise InvalidQuery("private must be true or false, not null.", field="private")
    return as_switch(value, "private")
