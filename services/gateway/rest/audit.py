"""GET /audit: who changed what."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import Field

from omma.catalog.audit import MAX_PAGE, AuditBook, AuditedCall
from omma.identity import Tenant
from services.gateway.callers.auth import Caller
from services.gateway.rest.checked_route import CheckedRoute
from services.gateway.rest.schemas import keeping as shapes
from services.gateway.rest.signed_in import SignedIn
from services.gateway.rest.written import WHOLE


def audit_router(book: AuditBook, admin: SignedIn) -> APIRouter:
    """Of every tenant."""
    router = APIRouter(route_class=CheckedRoute, tags=["operation"])

    @router.get("/audit", summary="Who changed what, the newest first", **shapes.AUDIT)
    async def page(
        _: Annotated[Caller, Depends(admin)],
        tenant: Annotated[
            str | None, Query(pattern=r"^[A-Za-z0-9._-]{1,64}$", description="by its callers only")
        ] = None,
        cursor: Annotated[str, Query(pattern=r"^([0-9a-f]{22})?$", description="next_cursor of a page")] = "",
        limit: Annotated[int, Field(ge=1, le=MAX_PAGE), WHOLE, Query()] = 100,
    ) -> dict[str, Any]:
        """Every call of somebody with a key or a token that may change something, whatever came of it, half a second
        later. `by` is the key or the token, `name` what people call it.
        """
        found = await book.audit(limit, tenant=None if tenant is None else Tenant(tenant), before=cursor)
        document: dict[str, Any] = {"audit": [_document(entry) for entry in found]}
        return {**document, "next_cursor": found[-1].id} if len(found) == limit else document

    return router


def _document(entry: AuditedCall) -> dict[str, Any]:
    return {
        "at": datetime.fromtimestamp(entry.at_ms / 1000, UTC).isoformat(timespec="milliseconds"),
        "tenant": entry.tenant,
        "by": entry.credential,
        "name": entry.name,
        "call": entry.call,
        "object": entry.object,
        "outcome": entry.outcome,
        "request_id": entry.request_id,
    }
