"""POST, GET and DELETE /ui/session: who is signed in on the page."""

from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import ConfigDict, Field

from omma.catalog.api_key import Role
from omma.errors import NotAllowed, NotSignedIn
from omma.request_body import RequestBody
from services.gateway.callers.auth import Authenticator, Caller
from services.gateway.callers.changes import made_by
from services.gateway.callers.sessions import Session
from services.gateway.callers.tokens import MAX_TOKEN_CHARACTERS
from services.gateway.rest.answers import JsonResponse
from services.gateway.rest.checked_route import CheckedRoute
from services.gateway.rest.schemas import ops as shapes
from services.gateway.rest.signed_in import SESSION_COOKIE, signed_in

_NEVER_KEPT: Final = {"Cache-Control": "no-store"}


class SignIn(RequestBody):
    """key: an API key's secret, or a token of the issuer that the gateway names."""

    model_config = ConfigDict(json_schema_extra={"example": {"key": "om_…"}})

    key: str = Field(min_length=1, max_length=MAX_TOKEN_CHARACTERS)


def session_router(authenticator: Authenticator) -> APIRouter:
    """For everyone: whoever is nobody is told so."""
    router = APIRouter(route_class=CheckedRoute, prefix="/ui/session", tags=["the page"])
    anyone = signed_in(authenticator, Role.READ)

    @router.post(
        "",
        status_code=201,
        summary="Sign in on the page: a cookie stands for this API key, or token",
        **shapes.SIGNED_IN,
    )
    async def begin(given: SignIn, request: Request) -> Response:
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            raise NotAllowed("Only the page itself signs in.", field="Origin")
        session, caller = await authenticator.begin_session(given.key)
        made_by(caller)
        answer = JsonResponse(_document(caller, session), 201, _NEVER_KEPT)
        answer.set_cookie(
            SESSION_COOKIE,
            session.cookie,
            expires=session.ends_at_seconds,
            httponly=True,
            samesite="strict",
            secure=_is_encrypted(request),
        )
        return answer

    @router.get("", summary="Who is signed in, if anybody has to be", **shapes.SESSION)
    async def current(request: Request) -> Response:
        cookie = request.cookies.get(SESSION_COOKIE)
        try:
            caller = await anyone(request)
            session = None if cookie is None or authenticator.keyless else await authenticator.sessions.of(cookie)
        except NotSignedIn:
            return JsonResponse({"signed_in": False}, headers=_NEVER_KEPT)
        return JsonResponse(_document(caller, session), headers=_NEVER_KEPT)

    @router.delete("", status_code=204, summary="Sign out")
    async def end() -> Response:
        answer = Response(status_code=204)
        answer.delete_cookie(SESSION_COOKIE, httponly=True, samesite="strict")
        return answer

    return router


def _document(caller: Caller, session: Session | None) -> dict[str, Any]:
    """session: None where no key is needed."""
    document: dict[str, Any] = {"signed_in": True, "tenant": caller.tenant, "role": caller.role.value}
    if session is None:
        return document
    return {**document, "name": caller.name, "token": session.token, "ends_at": session.ends_at_seconds}


def _is_encrypted(request: Request) -> bool:
    """As the browser sees it, also through a proxy."""
    return "https" in (request.url.scheme, request.headers.get("x-forwarded-proto", ""))
