"""POST and DELETE /qa/auto-tags."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from pydantic import ConfigDict, Field, StringConstraints

from omma.request_body import RequestBody
from services.gateway.callers.auth import Caller
from services.gateway.curation.auto_tags import AutoTagDesk
from services.gateway.rest.checked_route import CheckedRoute
from services.gateway.rest.schemas.jobs import STARTED
from services.gateway.rest.signed_in import SignedIn

_MAX_WORDS = 1_000


class AutoTagsRequest(RequestBody):
    """What pictures may be told by, and how sure that must be."""

    model_config = ConfigDict(json_schema_extra={"example": {"words": ["lamp", "chair"], "least_confidence": 0.5}})

    words: list[Annotated[str, StringConstraints(min_length=1, max_length=100, strip_whitespace=True)]] = Field(
        default=[],
        max_length=_MAX_WORDS,
        description="beside the tags of neighbours; none: those of OMMA_GATEWAY__KEYWORD_WORDS",
    )
    least_confidence: float = Field(default=0.3, ge=0, le=1)


def auto_tags_router(desk: AutoTagDesk, tenant_admin: SignedIn) -> APIRouter:
    """A tenant's administrator's: nobody's pictures are tagged unasked."""
    router = APIRouter(route_class=CheckedRoute, prefix="/qa/auto-tags", tags=["curation"])

    @router.post("", status_code=202, summary="Tag every picture by its neighbours and by words", **STARTED)
    async def tell(request: AutoTagsRequest, caller: Annotated[Caller, Depends(tenant_admin)]) -> dict[str, str]:
        """Of the caller's tenant; a job. `GET /images/{id}` has them as `auto_tags`, apart from `tags`: no filter or
        search reads them. What comes later has none until this is asked again.
        """
        return {"job_id": (await desk.tell(caller, request.words, request.least_confidence)).id}

    @router.delete("", status_code=204, summary="Take every such tag away")
    async def forget(caller: Annotated[Caller, Depends(tenant_admin)]) -> Response:
        await desk.forget(caller.tenant)
        return Response(status_code=204)

    return router
