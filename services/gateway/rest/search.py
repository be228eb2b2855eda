"""POST /search, GET /search, POST /search/batch, GET /images/{id}/neighbours."""

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from omma.catalog.api_key import Role
from omma.errors import InvalidQuery, OmmaError
from omma.images import PictureLimits
from services.gateway.callers.auth import Authenticator, Caller
from services.gateway.rest.answers import JsonResponse, search_document
from services.gateway.rest.asking import allowed, answer_to, max_values, query_string, session_of
from services.gateway.rest.body import FormLimits, is_json, read_form, read_json
from services.gateway.rest.fields import as_object, require_known, single
from services.gateway.rest.problems import problem_document
from services.gateway.rest.schemas import search as shapes
from services.gateway.rest.search_fields import FORM_FIELDS, QUERY_FIELDS, REPEATED, json_query, search_query
from services.gateway.rest.signed_in import SHOWN_IN_DOCS, signed_in
from services.gateway.rest.written import PictureId
from services.gateway.search.core import MAX_BATCH, SearchCore
from services.gateway.search.query import MAX_SOUGHT, SearchQuery
from services.gateway.settings import GatewaySettings

_NEIGHBOUR_FIELDS = QUERY_FIELDS - {"image_id", "image_url", "text", "vector", "space"}


def search_router(
    core: SearchCore, authenticator: Authenticator, settings: GatewaySettings, limits: PictureLimits
) -> APIRouter:
    """Needs role read."""
    router = APIRouter(dependencies=SHOWN_IN_DOCS, tags=["search"])
    reader = Annotated[Caller, Depends(signed_in(authenticator, Role.READ))]
    search_form = FormLimits(FORM_FIELDS, frozenset({"image"}), limits.max_bytes)

    async def answered(request: Request, caller: Caller, query: SearchQuery) -> Response:
        return JsonResponse(search_document(await answer_to(request, core, caller, query)))

    @router.post("/search", **shapes.SEARCH)
    async def search(request: Request, caller: reader) -> Response:
        """Pictures like a picture, a crop of one, a stored one, words, a vector, or a mixture of them."""
        if is_json(request):
            query = json_query(await read_json(request, settings.max_json_bytes, max_values(core, MAX_SOUGHT)))
        else:
            form = await read_form(request, search_form)
            query = search_query(single(form.fields, REPEATED), form.files.get("image"))
        return await answered(request, caller, query)

    @router.get("/search", **shapes.SEARCH_WORDS)
    async def search_words(request: Request, caller: reader) -> Response:
        """The same from a query string, for words: `/search?text=a+red+chair`."""
        return await answered(request, caller, search_query(query_string(request, QUERY_FIELDS)))

    @router.get("/images/{image_id}/neighbours", **shapes.NEIGHBOURS)
    async def neighbours(image_id: PictureId, request: Request, caller: reader) -> Response:
        """Pictures like this stored one; takes the options of a search."""
        given = query_string(request, _NEIGHBOUR_FIELDS)
        return await answered(request, caller, search_query({**given, "image_id": image_id}))

    @router.post("/search/batch", **shapes.SEARCH_BATCH)
    async def search_batch(request: Request, caller: reader) -> Response:
        """Up to 64 searches; each answers for itself, with a result or with its problem."""
        body = as_object(await read_json(request, settings.max_json_bytes, max_values(core, MAX_BATCH)))
        require_known(body, {"searches"})
        searches = body.get("searches")
        if not isinstance(searches, list) or not 1 <= len(searches) <= MAX_BATCH:
            raise InvalidQuery(f"searches must be a list of 1 to {MAX_BATCH}.", field="searches", limit=MAX_BATCH)
        parsed = [_parsed(one) for one in searches]
        session = session_of(request)
        good = [replace(one, session=session) for one in parsed if isinstance(one, SearchQuery)]
        arrived_seconds = allowed(request, good)
        found = await core.search_batch(caller.tenant, good, arrived_seconds=arrived_seconds) if good else []
        answers = iter(found)
        told = [next(answers) if isinstance(one, SearchQuery) else one for one in parsed]
        documents = [problem_document(one) if isinstance(one, OmmaError) else search_document(one) for one in told]
        return JsonResponse({"answers": documents})

    return router


def _parsed(body: Any) -> SearchQuery | OmmaError:
    try:
        return json_query(body)
    except OmmaError as error:
        return error
