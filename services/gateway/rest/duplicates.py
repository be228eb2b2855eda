"""GET /duplicates, POST /duplicates/merge, POST /duplicates/split."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from pydantic import ConfigDict, Field

from omma.identity import MAX_IMAGE_ID, ImageId
from omma.request_body import RequestBody
from omma.rpc.deadline import Deadline
from services.gateway.callers.auth import Caller
from services.gateway.curation.duplicates import MAX_JUDGED, Duplicates
from services.gateway.rest.checked_route import CheckedRoute
from services.gateway.rest.schemas import curation as shapes
from services.gateway.rest.signed_in import SignedIn

_PAGE_SECONDS: Final = 20.0

_Id = Annotated[int, Field(ge=1, le=MAX_IMAGE_ID)]


class PairsRequest(RequestBody):
    """A picture and others beside it."""

    model_config = ConfigDict(json_schema_extra={"example": {"keep": 7, "ids": [12, 31]}})

    keep: _Id
    ids: list[_Id] = Field(min_length=1, max_length=MAX_JUDGED)


def duplicates_router(duplicates: Duplicates, reader: SignedIn, writer: SignedIn) -> APIRouter:
    """Looking needs role read; saying, which is kept, role write."""
    router = APIRouter(route_class=CheckedRoute, prefix="/duplicates", tags=["curation"])

    @router.get("", summary="Groups of copies", **shapes.DUPLICATES)
    async def page(
        caller: Annotated[Caller, Depends(reader)],
        cursor: Annotated[str | None, Query(max_length=256, description="next_cursor of a page")] = None,
    ) -> dict[str, Any]:
        """Page by page through all pictures: a page may have no groups and a `next_cursor` all the same. `keep` is the
        largest picture; `distances` are bits of 256 to the nearest of the group, in the order of `ids`.
        """
        groups, following = await duplicates.page(caller.tenant, cursor or None, Deadline.after(_PAGE_SECONDS))
        document: dict[str, Any] = {
            "groups": [{"ids": one.ids, "keep": one.keep, "distances": one.distances} for one in groups]
        }
        return document if following is None else {**document, "next_cursor": following}

    @router.post("/merge", status_code=204, summary="Say that pictures are copies of one")
    async def merge(request: PairsRequest, caller: Annotated[Caller, Depends(writer)]) -> Response:
        """Searches fold them from then on. Nothing is deleted; split takes it back."""
        return await judged(request, caller, same=True)

    @router.post("/split", status_code=204, summary="Say that pictures are not copies of one")
    async def split(request: PairsRequest, caller: Annotated[Caller, Depends(writer)]) -> Response:
        """Searches show them apart from then on, whatever the rule says; merge takes it back."""
        return await judged(request, caller, same=False)

    async def judged(request: PairsRequest, caller: Caller, *, same: bool) -> Response:
        ids = [ImageId(one) for one in request.ids]
        await duplicates.judge(caller.tenant, ImageId(request.keep), ids, same=same, given_by=caller.name)
        return Response(status_code=204)

    return router
