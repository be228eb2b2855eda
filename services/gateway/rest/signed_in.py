"""Who calls, by the headers of a request."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from fastapi import Request, Security
from fastapi.security import APIKeyHeader, HTTPBearer

from omma.catalog.api_key import Role
from services.gateway.callers.auth import Authenticator, Caller, secret_of
from services.gateway.callers.changes import made_by
from services.gateway.callers.sessions import require_token
from services.gateway.callers.viewing import looks, viewer_of
from services.gateway.rest.body_budget import signed

SignedIn: TypeAlias = Callable[[Request], Awaitable[Caller]]
"""A dependency: the caller of this request, whose role suffices. Raises NotSignedIn, NotAllowed, Overloaded."""

# Only for /docs: secret_of reads the headers itself, with our words when they are missing.
SHOWN_IN_DOCS = [
    Security(HTTPBearer(auto_error=False, description="Authorization: Bearer <API key>")),
    Security(APIKeyHeader(name="X-API-Key", auto_error=False)),
]


SESSION_COOKIE: Final = "omma_session"
CSRF_HEADER: Final = "omma-csrf"
_SAFE_METHODS: Final = frozenset({"GET", "HEAD"})


def signed_in(authenticator: Authenticator, role: Role) -> SignedIn:
    """The dependency of endpoints that need at least this role."""

    async def caller(request: Request) -> Caller:
        found = await _caller(authenticator, request, role)
        signed(request, found.tenant)
        made_by(found)
        looks(viewer_of(found))
        return found

    return caller


async def _caller(authenticator: Authenticator, request: Request, role: Role) -> Caller:
    headers = request.headers
    secret = secret_of(headers.get("authorization"), headers.get("x-api-key"))
    cookie = request.cookies.get(SESSION_COOKIE)
    if secret is not None or cookie is None or await authenticator.lets_everyone_in():
        return await authenticator.caller(secret, role)
    session = await authenticator.sessions.of(cookie)
    if request.method not in _SAFE_METHODS:
        require_token(session, headers.get(CSRF_HEADER))
    return await authenticator.session_caller(session, role)
