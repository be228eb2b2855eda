"""POST /ingest: lists of pictures, and what came of their lines."""

import json
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from omma.catalog.download import Download
from omma.errors import InvalidQuery
from omma.images import PictureLimits
from omma.job_kinds import ListParameters
from services.gateway.callers.auth import Caller
from services.gateway.lists import MAX_PAGE, Lists
from services.gateway.rest.answers import JsonResponse
from services.gateway.rest.asking import query_string
from services.gateway.rest.body import FormLimits, is_json, read_form, read_json
from services.gateway.rest.fields import as_integer, as_object, as_switch, as_truth, require_known, single
from services.gateway.rest.jobs import JobIdInPath
from services.gateway.rest.schemas import ingest as shapes
from services.gateway.rest.signed_in import SignedIn
from services.gateway.rest.vectors import ingest_json
from services.gateway.settings import GatewaySettings
from services.gateway.vector_lists import VectorLists

_OPTIONS: Final = frozenset({"refetch", "revive_deleted"})
_JSON_FIELDS: Final = _OPTIONS | {"urls", "pictures"}
_MAX_VALUES: Final = 400_000
_PAGE_FIELDS: Final = frozenset({"failed", "cursor", "limit"})


def ingest_router(
    lists: Lists, vectors: VectorLists, tenant_admin: SignedIn, settings: GatewaySettings, limits: PictureLimits
) -> APIRouter:
    """limits: a list has as many bytes as a picture may have."""
    router = APIRouter(tags=["ingest"])
    form_limits = FormLimits(_OPTIONS | {"list"}, frozenset({"list"}), limits.max_bytes)

    @router.post("/ingest", **shapes.INGEST)
    async def start(request: Request, caller: Annotated[Caller, Depends(tenant_admin)]) -> Response:
        """The list's job: it goes on where the last one was broken off."""
        if is_json(request):
            body = as_object(await read_json(request, settings.max_json_bytes, _MAX_VALUES))
            if "vectors" in body:
                return JsonResponse({"job_id": (await ingest_json(vectors, caller, body)).id}, 202)
            require_known(body, _JSON_FIELDS)
            parameters = ListParameters(**{name: as_switch(body.get(name), name) for name in _OPTIONS})
            content = _list_of(body)
        else:
            form = await read_form(request, form_limits)
            if "list" not in form.files:
                raise InvalidQuery("Send the list as a file `list`, or JSON with `urls`.", field="list")
            content, parameters = form.files["list"], _parameters(single(form.fields, ()))
        job = await lists.ingest(caller, content, parameters)
        return JsonResponse({"job_id": job.id}, 202)

    @router.get("/jobs/{job_id}/downloads", **shapes.DOWNLOADS)
    async def downloads(
        job_id: JobIdInPath, request: Request, caller: Annotated[Caller, Depends(tenant_admin)]
    ) -> Response:
        """What came of each line of a list, by key."""
        params = query_string(request, _PAGE_FIELDS)
        limit = as_integer(params.get("limit") or MAX_PAGE, "limit")
        failed = as_truth(params.get("failed") or False, "failed")
        page = await lists.downloads(caller, job_id, params.get("cursor") or "", limit, failed=failed)
        following = {"next_cursor": page[-1].key} if len(page) == limit else {}
        return JsonResponse({"downloads": [_document(one) for one in page], **following})

    return router


def _parameters(body: dict[str, Any]) -> ListParameters:
    return ListParameters(**{name: as_truth(body.get(name) or False, name) for name in _OPTIONS})


def _list_of(body: dict[str, Any]) -> bytes:
    """urls and pictures, a line each."""
    entries: list[dict[str, Any]] = []
    for field, entry in (("urls", _url), ("pictures", _picture)):
        given = [] if body.get(field) is None else body[field]
        if not isinstance(given, list):
            raise InvalidQuery(f"{field} must be a list.", field=field)
        entries += [entry(one) for one in given]
    if not entries:
        raise InvalidQuery("Say what to ingest: urls, a list of texts, or pictures, a list of objects.", field="urls")
    return "\n".join(json.dumps(one) for one in entries).encode()


def _url(value: Any) -> dict[str, Any]:
    if not isinstance(value, str):
        raise InvalidQuery("urls must be a list of texts.", field="urls")
    return {"url": value}


def _picture(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidQuery("pictures must be a list of objects.", field="pictures")
    return value


def _document(one: Download) -> dict[str, Any]:
    return {
        "key": one.key,
        "place": one.place,
        "outcome": one.outcome,
        "reason": one.reason,
        "status": one.status,
        "latency_ms": one.latency_ms,
        "bytes": one.bytes,
        "content_type": one.media_type,
        "sha256": one.sha256,
    }
