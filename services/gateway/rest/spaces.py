"""/spaces: with the words of `omma space`."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import Response
from pydantic import ConfigDict, Field

from omma.request_body import RequestBody
from omma.space import LEAST_DIM, MOST_DIM
from services.gateway.callers.auth import Caller
from services.gateway.rest.answers import JsonResponse
from services.gateway.rest.checked_route import CheckedRoute
from services.gateway.rest.schemas import rollouts as shapes
from services.gateway.rest.signed_in import SignedIn
from services.gateway.rollouts.rollouts import Rollouts
from services.gateway.vector_lists import OwnSpaces


class SpaceRequest(RequestBody):
    """name: small letters, digits, dots, dashes and underscores. dim: numbers of each of its vectors."""

    model_config = ConfigDict(json_schema_extra={"example": {"name": "products", "dim": 384}})

    name: str = Field(max_length=100)
    dim: int = Field(ge=LEAST_DIM, le=MOST_DIM)


def spaces_router(spaces: OwnSpaces, rollouts: Rollouts, admin: SignedIn) -> APIRouter:
    """Role admin: spaces are every tenant's."""
    router = APIRouter(route_class=CheckedRoute, tags=["rollouts"])
    administrator = Annotated[Caller, Depends(admin)]

    @router.get("/spaces", summary="Every space and its indexes", **shapes.SPACES)
    async def every(caller: administrator) -> dict[str, Any]:
        """model: empty where callers bring the vectors."""
        known = await rollouts.indexes()
        return {
            "spaces": [
                {**asdict(space), "indexes": [one.id for one in known if one.space == space.id]}
                for space in await rollouts.spaces()
            ]
        }

    @router.post("/spaces", status_code=201, summary="A space without a model, for vectors of your own", **shapes.SPACE)
    async def create(request: SpaceRequest, caller: administrator) -> Response:
        """With its index, which is asked when a search names it or its space. Again: the same answer."""
        space, index = await spaces.create(request.name, request.dim)
        return JsonResponse({**asdict(space), "indexes": [index.id]}, 201)

    return router
