"""GET /insights: how searches fare."""

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query

from omma.catalog.api_key import Role
from omma.catalog.insight import MAX_DAYS, Insight, InsightBook
from omma.errors import InvalidQuery, NotAllowed
from omma.identity import Tenant
from services.gateway.callers.auth import Caller
from services.gateway.rest.checked_route import CheckedRoute
from services.gateway.rest.schemas import keeping as shapes
from services.gateway.rest.signed_in import SignedIn
from services.gateway.rest.written import Day

_DAYS: Final = 7
_BEGIN: Final = date(1970, 1, 1)


def insights_router(book: InsightBook, tenant_admin: SignedIn, *, sampled: float) -> APIRouter:
    """sampled: share of searches that this gateway records."""
    router = APIRouter(route_class=CheckedRoute, tags=["operation"])

    @router.get("/insights", summary="How searches fare, by day and index", **shapes.INSIGHTS)
    async def insights(
        caller: Annotated[Caller, Depends(tenant_admin)],
        since: Annotated[Day | None, Query(description="the first day, UTC; a week's unless given")] = None,
        until: Annotated[Day | None, Query(description="the last day; today unless given")] = None,
        tenant: Annotated[
            str | None, Query(pattern=r"^[A-Za-z0-9._-]{1,64}$", description="another one's, for an admin")
        ] = None,
    ) -> dict[str, Any]:
        """`ctr`: of searches, those with a click. `zero_hit_rate`: that found nothing. What was recorded counts, a
        click by its `query_id`; `sampled` is the share of searches that are recorded.
        """
        of = caller.tenant if tenant is None else Tenant(tenant)
        if of != caller.tenant and not caller.may(Role.ADMIN):
            raise NotAllowed("How another tenant's searches fare needs role admin.", field="tenant")
        last = until or datetime.now(UTC).date()
        first = since or max(_BEGIN, last - min(timedelta(days=_DAYS - 1), last - date.min))
        if not 0 <= (last - first).days < MAX_DAYS or first < _BEGIN:
            raise InvalidQuery(f"since and until are at most {MAX_DAYS} days apart.", field="since", limit=MAX_DAYS)
        found = await book.insights(of, (first - _BEGIN).days, (last - _BEGIN).days)
        return {"insights": [_document(one) for one in found], "sampled": sampled}

    return router


def _document(one: Insight) -> dict[str, Any]:
    return {
        "day": (_BEGIN + timedelta(days=one.day)).isoformat(),
        "index": one.index,
        "searches": one.searches,
        "zero_hits": one.empty,
        "zero_hit_rate": round(one.empty / one.searches, 4),
        "clicked": one.clicked,
        "ctr": round(one.clicked / one.searches, 4),
        "median_seconds_to_click": None if one.median_ms is None else round(one.median_ms / 1000, 3),
    }
