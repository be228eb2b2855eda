"""POST and GET /search/similar, GET /image/{id}: the same searches and rows in the words of other designs."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Annotated, Any, Final
from urllib.parse import unquote, urlsplit

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from pydantic import Field

from omma.catalog.api_key import Role
from omma.catalog.picture import PictureState
from omma.errors import Absent, InvalidQuery, OmmaError
from omma.identity import ImageId
from omma.images import PictureLimits
from omma.sources import source_domain_of
from services.gateway.callers.auth import Authenticator, Caller
from services.gateway.content_urls import thumbnail_url
from services.gateway.pictures.core import PictureCore
from services.gateway.rest.answers import JsonResponse, hit_document, model_document, picture_document, search_document
from services.gateway.rest.asking import answer_to, max_values, query_string
from services.gateway.rest.body import FormLimits, is_json, read_form, read_json
from services.gateway.rest.checked_route import CheckedRoute
from services.gateway.rest.fields import as_object, as_truth, require_known, said, single
from services.gateway.rest.schemas import similar as shapes
from services.gateway.rest.search_fields import (
    FORM_FIELDS,
    JSON_FIELDS,
    QUERY_FIELDS,
    REPEATED,
    require_json_types,
    search_query,
)
from services.gateway.rest.signed_in import SHOWN_IN_DOCS, signed_in
from services.gateway.rest.written import WHOLE, PictureId
from services.gateway.search.answer import SearchAnswer, SearchHit
from services.gateway.search.core import SearchCore
from services.gateway.search.query import MAX_SOUGHT, SearchQuery, SoughtStored
from services.gateway.settings import GatewaySettings

_OUR_WORDS: Final = {"text_query": "text", "limit": "k"}
_MORE: Final = frozenset({*_OUR_WORDS, "include_payload"})
_DEFAULT_LIMIT: Final = 10
_KEYWORDS: Final = 10


def similar_router(
    core: SearchCore,
    pictures: PictureCore,
    authenticator: Authenticator,
    settings: GatewaySettings,
    limits: PictureLimits,
) -> APIRouter:
    """Needs role read."""
    router = APIRouter(route_class=CheckedRoute, dependencies=SHOWN_IN_DOCS, tags=["search"])
    reader = Annotated[Caller, Depends(signed_in(authenticator, Role.READ))]
    form_limits = FormLimits(FORM_FIELDS | _MORE, frozenset({"image"}), limits.max_bytes)

    async def answered(request: Request, caller: Caller, given: dict[str, Any], image: bytes | None = None) -> Response:
        with_payload = as_truth(said(given, "include_payload", True), "include_payload")
        with _faults_in_their_words(given):
            query = search_query(_in_our_words(given), image)
            answer = await answer_to(request, core, caller, query)
        rest = {name: value for name, value in search_document(answer).items() if name != "results"}
        results = [_result(hit, with_payload=with_payload) for hit in answer.hits]
        return JsonResponse(
            {"results": results, "keywords": _keywords(core, answer), **_model(core, answer.index), **rest}
        )

    @router.post("/search/similar", **shapes.SIMILAR)
    async def similar(request: Request, caller: reader) -> Response:
        """`POST /search` with `text_query` for text, `limit` for k; answers with `preview_url` and `keywords`."""
        if is_json(request):
            body = await read_json(request, settings.max_json_bytes, max_values(core, MAX_SOUGHT))
            given = as_object(body)
            require_known(given, JSON_FIELDS | _MORE)
            require_json_types(given, {"limit", "include_payload"})
            return await answered(request, caller, given)
        form = await read_form(request, form_limits)
        return await answered(request, caller, single(form.fields, REPEATED), form.files.get("image"))

    @router.get("/search/similar", **shapes.SIMILAR_WORDS)
    async def similar_words(request: Request, caller: reader) -> Response:
        """The same from a query string: `/search/similar?text_query=a+red+chair`."""
        return await answered(request, caller, query_string(request, QUERY_FIELDS | _MORE))

    @router.get("/image/{image_id}", **shapes.IMAGE)
    async def image(
        image_id: PictureId,
        request: Request,
        caller: reader,
        limit: Annotated[int, Field(ge=1, le=100), WHOLE, Query(description="of similar_images")] = _DEFAULT_LIMIT,
    ) -> Response:
        """A picture's row, the pictures like it, and words for it."""
        row = await pictures.picture(caller.tenant, image_id)
        indexed = row.state is PictureState.INDEXED
        row_document = picture_document(row)
        told = {
            **row_document,
            "filename": filename_of(row.attributes, row.uri, row.source_url, row.key),
            "file_size": row.bytes,
            "source_domain": source_domain_of(row.source_url),
            "preview_url": row_document["thumbnail_url"],
            "indexed_at": row_document["created_at"] if indexed else None,
        }
        try:
            query = SearchQuery(sought=(SoughtStored(ImageId(image_id)),), k=limit)
            answer = await answer_to(request, core, caller, query) if indexed else None
        except Absent:  # its vector is on its way to the index
            answer = None
        if answer is None:
            return JsonResponse({**told, "similar_images": [], "keywords": [], **_model(core, "")})
        similar_images = [_result(hit, with_payload=False) for hit in answer.hits]
        return JsonResponse(
            {
                **told,
                "similar_images": similar_images,
                "keywords": _keywords(core, answer),
                **_model(core, answer.index),
            }
        )

    return router


def _model(core: SearchCore, index: str) -> dict[str, str]:
    """Of the index, of the live one for "". Raises ReplicaDown."""
    return model_document((core.indexes.placed(index) or core.indexes.live()).space)


def filename_of(attributes: Mapping[str, Any], uri: str, source_url: str, key: str) -> str:
    """The attribute `filename`, which the page gives what it adds; without it the last part of where the picture lies
    or came from; of its key where neither has one.
    """
    added_as = attributes.get("filename")
    if isinstance(added_as, str) and added_as.strip():
        return added_as.strip()
    for place in (uri, source_url):
        try:
            parts = urlsplit(place)
        except ValueError:
            continue
        if parts.scheme != "omma" and (name := PurePosixPath(unquote(parts.path)).name):
            return name
    return PurePosixPath(key).name


def _in_our_words(given: Mapping[str, Any]) -> dict[str, Any]:
    """Raises InvalidQuery where both words for one thing are given."""
    for theirs, ours in _OUR_WORDS.items():
        if given.get(theirs) is not None and given.get(ours) is not None:
            raise InvalidQuery(f"{theirs} and {ours} are the same; give one of them.", field=theirs)
    asked = {name: value for name, value in given.items() if name != "include_payload" and value is not None}
    known = {_OUR_WORDS.get(name, name): value for name, value in asked.items()}
    return known if known.get("k") not in (None, "") else {**known, "k": _DEFAULT_LIMIT}


@contextmanager
def _faults_in_their_words(given: Mapping[str, Any]) -> Iterator[None]:
    """What is wrong is named as the caller named it."""
    try:
        yield
    except OmmaError as error:
        for theirs, ours in _OUR_WORDS.items():
            if error.field == ours and given.get(theirs) is not None:
                error.field, error.detail = theirs, re.sub(rf"^{ours}\b", theirs, error.detail)
        raise


def _result(hit: SearchHit, *, with_payload: bool) -> dict[str, Any]:
    payload = hit.payload
    told: dict[str, Any] = {
        "id": hit.id,
        "score": hit.score,
        "preview_url": thumbnail_url(hit.id, payload.sha256),
        "filename": filename_of(payload.attributes, payload.uri, payload.source_url, payload.key or payload.sha256),
        "source_domain": source_domain_of(payload.source_url),
    }
    if not with_payload:
        return told
    taken_in = datetime.fromtimestamp(payload.created_at_ms / 1000, UTC).isoformat(timespec="milliseconds")
    rest = {name: value for name, value in hit_document(hit).items() if name not in ("id", "score", "thumbnail_url")}
    return {**told, "payload": {**rest, "file_size": payload.bytes, "indexed_at": taken_in}}


def _keywords(core: SearchCore, answer: SearchAnswer) -> list[dict[str, Any]]:
    return [
        {"keyword": one.word, "confidence": one.confidence, "from": list(one.tellers)}
        for one in core.keywords(answer, _KEYWORDS)
    ]
