"""Every error of the REST face as problem+json (RFC 9457), from the one table of statuses."""

import json
import logging
import math
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.routing import Match

from omma.errors import STATUS, Bug, InvalidQuery, Kind, OmmaError, causes
from omma.rpc.errors import generic_bug
from omma.telemetry.context import request_id

MEDIA_TYPE: Final = "application/problem+json"
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

logger = logging.getLogger(__name__)


def problem(error: OmmaError, *, http_status: int | None = None, headers: dict[str, str] | None = None) -> Response:
    """The document and status of an error. http_status: where HTTP has a finer one than the kind's."""
    status = STATUS[error.kind]
    sent = dict(headers or {})
    if error.retry_after_seconds is not None:
        sent["Retry-After"] = str(math.ceil(error.retry_after_seconds))
    if error.kind is Kind.NOT_SIGNED_IN:
        sent["WWW-Authenticate"] = "Bearer"
    return Response(
        json.dumps(problem_document(error, http_status or status.http)),
        status_code=http_status or status.http,
        media_type=MEDIA_TYPE,
        headers=sent,
    )


def problem_document(error: OmmaError, http_status: int | None = None) -> dict[str, Any]:
    """`type, title, status, detail, kind, field?, limit?, request_id`. The log gets what a fault of ours came from."""
    status = STATUS[error.kind]
    if status.http >= 500 and error.__cause__ is not None:
        logger.warning("a caller is told %s", error.kind.value, extra={"reason": causes(error)})
    document: dict[str, Any] = {
        "type": f"urn:omma:problem:{error.kind.value}",
        "title": status.title,
        "status": http_status or status.http,
        "detail": error.detail,
        "kind": error.kind.value,
    }
    if error.field is not None:
        document["field"] = error.field
    if error.limit is not None:
        document["limit"] = error.limit
    return {**document, "request_id": request_id()}


def install(app: FastAPI) -> None:
    """Make the app answer every error this way, FastAPI's own included."""

    async def omma_error(_: Request, error: Exception) -> Response:
        return problem(error if isinstance(error, OmmaError) else generic_bug())

    async def invalid(_: Request, error: Exception) -> Response:
        return problem(_of_validation(error) if isinstance(error, RequestValidationError) else generic_bug())

    async def of_http(request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            return problem(generic_bug())
        headers = {**(error.headers or {}), **_allow(request)} if error.status_code == 405 else error.headers
        return problem(_of_http(request, error), http_status=error.status_code, headers=dict(headers or {}))

    app.add_exception_handler(OmmaError, omma_error)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, of_http)


def _allow(request: Request) -> dict[str, str]:
    """Every method of the path; the router names those of the first route that it finds. HEAD is wherever GET is."""

    def takes(method: str) -> bool:
        scope = {**request.scope, "method": "GET" if method == "HEAD" else method}
        return any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)

    return {"Allow": ", ".join(filter(takes, _METHODS))}


def _of_validation(error: RequestValidationError) -> InvalidQuery:
    # What was said and is wrong, before what was not said.
    first = min(error.errors(), key=lambda one: one.get("type") == "missing")
    if first.get("type") == "json_invalid":  # its place counts characters, and is no field's name
        return InvalidQuery("The body is not JSON.")
    where = [str(part) for part in first.get("loc", ()) if part not in ("path", "query", "body", "header")]
    field = ".".join(where) or None
    return InvalidQuery(f"{field or 'The request'}: {first.get('msg', 'is invalid')}.", field=field)


class _NoRoute(OmmaError):
    kind = Kind.ABSENT


class _NotTaken(OmmaError):
    kind = Kind.INVALID_QUERY


def _of_http(request: Request, error: HTTPException) -> OmmaError:
    path = request.url.path[:200]
    match error.status_code:
        case 404:
            return _NoRoute(f"There is nothing at {path}; /docs lists what there is.")
        case 405:
            return _NotTaken(f"{path} does not take {request.method}.")
        case status if status < 500:
            return _NotTaken(str(error.detail))
        case _:
            return Bug(generic_bug().detail)
