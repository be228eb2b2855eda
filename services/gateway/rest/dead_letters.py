"""GET /dead-letters, GET /dead-letters/{id}, POST /dead-letters/replay."""

from dataclasses import asdict
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from pydantic import Field

from omma.dead_letters import DeadLetters
from omma.identity import MAX_IMAGE_ID, ImageId
from omma.request_body import RequestBody
from services.gateway.callers.auth import Caller
from services.gateway.rest.bounds import bounds_of
from services.gateway.rest.checked_route import CheckedRoute
from services.gateway.rest.schemas import ops as shapes
from services.gateway.rest.signed_in import SignedIn
from services.gateway.rest.written import PictureId

_WAIT_SECONDS: Final = 30.0
"""For the outcome of a replay; what takes longer goes on after the answer."""


class ReplayRequest(RequestBody):
    """image_ids: none given: every dead letter."""

    image_ids: list[Annotated[int, Field(ge=1, le=MAX_IMAGE_ID)]] | None = Field(
        default=None, min_length=1, max_length=10_000
    )


def dead_letters_router(dead_letters: DeadLetters, tenant_admin: SignedIn) -> APIRouter:
    """Pictures that could not be read."""
    router = APIRouter(route_class=CheckedRoute, prefix="/dead-letters", tags=["dead letters"])

    @router.get("", summary="Every picture that could not be read, and why", **shapes.DEAD_LETTERS)
    async def letters(caller: Annotated[Caller, Depends(tenant_admin)]) -> dict[str, Any]:
        return {"dead_letters": [asdict(letter) for letter in await dead_letters.letters(caller.tenant)]}

    @router.get("/{image_id}", summary="One of them", **shapes.DEAD_LETTER)
    async def show(image_id: PictureId, caller: Annotated[Caller, Depends(tenant_admin)]) -> dict[str, Any]:
        return asdict(await dead_letters.show(caller.tenant, ImageId(image_id)))

    @router.post("/replay", summary="Try to read them again", **shapes.REPLAYED)
    async def replay(
        request: ReplayRequest, http: Request, caller: Annotated[Caller, Depends(tenant_admin)]
    ) -> dict[str, Any]:
        bounds_of(http).allow(2 * _WAIT_SECONDS)
        wanted = None if request.image_ids is None else {ImageId(one) for one in request.image_ids}
        sent, dead_again = await dead_letters.replay(caller.tenant, wanted, _WAIT_SECONDS)
        return {"replayed": sent, "dead_again": dead_again}

    return router
