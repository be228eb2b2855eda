"""POST /erase: pictures that nothing of stays."""

from collections.abc import Collection
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import ConfigDict, Field

from omma.description import MAX_KEY_BYTES
from omma.errors import InvalidQuery
from omma.filters import Filter, parse_filter
from omma.identity import MAX_IMAGE_ID, ImageId
from omma.request_body import RequestBody
from services.gateway.callers.auth import Caller
from services.gateway.erasing import MAX_PICTURES, Erasing
from services.gateway.rest.checked_route import CheckedRoute
from services.gateway.rest.schemas.jobs import ERASED
from services.gateway.rest.schemas.search import FILTER
from services.gateway.rest.signed_in import SignedIn

_ExternalId = Annotated[str, Field(min_length=1, max_length=MAX_KEY_BYTES, pattern=r"^[^\x00]*$")]


class EraseRequest(RequestBody):
    """Which pictures: one of these says it."""

    model_config = ConfigDict(json_schema_extra={"example": {"owner": "ann"}})

    ids: list[Annotated[int, Field(ge=1, le=MAX_IMAGE_ID)]] | None = Field(
        default=None, min_length=1, max_length=MAX_PICTURES
    )
    external_ids: list[_ExternalId] | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_PICTURES,
        description="as given at upload; of a folder or a bucket, the URIs",
    )
    owner: str | None = Field(default=None, min_length=1, max_length=MAX_KEY_BYTES, description="every picture of")
    filter: dict[str, Any] | None = Field(default=None, description=FILTER)

    def wanted(self) -> Filter | Collection[ImageId] | Collection[str]:
        """Raises InvalidQuery, TooLarge."""
        given = [name for name in ("ids", "external_ids", "owner", "filter") if getattr(self, name) is not None]
        if len(given) != 1:
            raise InvalidQuery("Say which pictures: either ids, external_ids, owner or filter.", field="ids")
        if self.ids:
            return [ImageId(one) for one in self.ids]
        if self.external_ids:
            return self.external_ids
        filter = parse_filter({"owner": self.owner} if self.filter is None else self.filter)
        if filter is None:
            raise InvalidQuery("A filter that keeps every picture erases none.", field="filter")
        return filter


def erase_router(erasing: Erasing, admin: SignedIn) -> APIRouter:
    """Needs role admin: nobody takes it back."""
    router = APIRouter(route_class=CheckedRoute, tags=["operation"])

    @router.post("/erase", status_code=202, summary="Erase pictures, from every disk", **ERASED)
    async def erase(request: EraseRequest, caller: Annotated[Caller, Depends(admin)]) -> dict[str, Any]:
        """At once no answer has them and no row says anything of them; the job's `result` is the report of the rest:
        log, shards, snapshots, originals, thumbnails, interactions. `more`: others fit; call again. No ingest brings
        the same bytes back, unless it is told to.
        """
        erased = await erasing.erase(caller, request.wanted())
        return {"job_id": erased.job, "pictures": erased.pictures, "more": erased.more}

    return router
