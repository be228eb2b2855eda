"""Who calls, by the headers of a request."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from fastapi import Request, Security
from fastapi.security import APIKeyHeader, HTTPBearer

from omma.catalog.api_key import Role
from services.gateway.callers.auth import Authenticator, Caller, secret_of
from services.gateway.rest.body_budget import signed

SignedIn: TypeAlias = Callable[[Request], Awaitable[Caller]]
"""A dependency: the caller of this request, whose role suffices. Raises NotSignedIn, NotAllowed, Overloaded."""

# Only for /docs: secret_of reads the headers itself, with our words when they are missing.
SHOWN_IN_DOCS = [
    Security(HTTPBearer(auto_error=False, description="Authorization: Bearer <API key>")),
    Security(APIKeyHeader(name="X-API-Key", auto_error=False)),
]


def signed_in(authenticator: Authenticator, role: Role) -> SignedIn:
    """The dependency of endpoints that need at least this role."""

    async def caller(request: Request) -> Caller:
        headers = request.headers
        found = await authenticator.caller(secret_of(headers.get("authorization"), headers.get("x-api-key")), role)
        signed(request, found.tenant)
        return found

    return caller
