"""POST /feedback, GET /feedback."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from pydantic import ConfigDict, Field

from omma.catalog.feedback import Feedback, FeedbackAction
from omma.identity import MAX_IMAGE_ID, ImageId
from omma.request_body import RequestBody
from services.gateway.callers.auth import Caller
from services.gateway.curation.feedback import MAX_PAGE, FeedbackDesk, ToldFeedback
from services.gateway.rest.checked_route import CheckedRoute
from services.gateway.rest.schemas import curation as shapes
from services.gateway.rest.signed_in import SignedIn
from services.gateway.rest.written import WHOLE

_Id = Annotated[int, Field(ge=1, le=MAX_IMAGE_ID), WHOLE]
_NO_NUL: Final = r"^[^\x00]*$"


class FeedbackRequest(RequestBody):
    """What somebody says of a picture."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"image_id": 123, "action": "relevant", "query_image_id": 7}}
    )

    image_id: int = Field(ge=1, le=MAX_IMAGE_ID)
    action: FeedbackAction = Field(strict=False)
    note: str = Field(default="", max_length=2_000, pattern=_NO_NUL)
    query_id: str = Field(default="", max_length=128, pattern=_NO_NUL, description="of the answer that showed it")
    query_image_id: int = Field(
        default=0,
        ge=0,
        le=MAX_IMAGE_ID,
        description="the stored picture that was sought; unless given, the one that the query_id sought",
    )


def feedback_router(desk: FeedbackDesk, reader: SignedIn, writer: SignedIn) -> APIRouter:
    """Saying needs role write, since it is kept; reading role read."""
    router = APIRouter(route_class=CheckedRoute, prefix="/feedback", tags=["curation"])

    @router.post("", status_code=204, summary="Say what you think of a picture")
    async def give(request: FeedbackRequest, caller: Annotated[Caller, Depends(writer)]) -> Response:
        """Each time is kept: judgments for `omma eval` and pairs for training take the last word."""
        given = Feedback(
            image_id=ImageId(request.image_id),
            action=request.action,
            note=request.note,
            query_id=request.query_id,
            query_image_id=request.query_image_id,
            given_by=caller.name,
        )
        await desk.give(caller.tenant, given)
        return Response(status_code=204)

    @router.get("", summary="What was said, the newest first", **shapes.FEEDBACK)
    async def page(
        caller: Annotated[Caller, Depends(reader)],
        image_id: Annotated[_Id | None, Query(description="of this picture only")] = None,
        cursor: Annotated[_Id | None, Query(description="next_cursor of a page")] = None,
        limit: Annotated[int, Field(ge=1, le=MAX_PAGE), WHOLE, Query()] = 100,
    ) -> dict[str, Any]:
        of = None if image_id is None else ImageId(image_id)
        told, before = await desk.page(caller.tenant, limit, image_id=of, before=cursor)
        document: dict[str, Any] = {"feedback": [_document(one) for one in told]}
        return document if before is None else {**document, "next_cursor": str(before)}

    return router


def _document(one: ToldFeedback) -> dict[str, Any]:
    said = one.feedback
    optional = {
        "note": said.note,
        "query_id": said.query_id,
        "query_image_id": said.query_image_id,
        "uri": one.uri,
        "query_uri": one.query_uri,
        "given_by": said.given_by,
    }
    return {
        "id": said.id,
        "image_id": said.image_id,
        "action": said.action.value,
        "at": datetime.fromtimestamp(said.at_ms / 1000, UTC).isoformat(timespec="milliseconds"),
        **{name: value for name, value in optional.items() if value},
    }
