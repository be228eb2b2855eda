"""What stands apart, page by page, with reasons in words."""

import base64
import binascii
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from omma.blobs.interface import Blobs
from omma.catalog.anomaly import AnomalyMeasure, AnomalyScore
from omma.catalog.interface import Catalog
from omma.errors import InvalidQuery, WrongState
from omma.identity import ImageId, Tenant
from omma.space import Space
from omma.trained_on import trained_on_key
from omma.viewing import visible
from services.gateway.callers.viewing import viewer

MAX_PAGE: Final = 1_000
_CURSOR: Final = struct.Struct(">2sdq")
_MARKS: Final = {AnomalyMeasure.DISTANCE: b"di", AnomalyMeasure.DENSITY: b"de", AnomalyMeasure.TRAINING: b"tr"}


@dataclass(frozen=True, slots=True)
class Anomaly:
    """score: of the measure that was asked for. reasons: in words."""

    id: ImageId
    score: float
    reasons: tuple[str, ...]


class AnomalyList:
    """Of what the worker last measured."""

    def __init__(self, catalog: Catalog, blobs: Blobs) -> None:
        self._catalog = catalog
        self._blobs = blobs

    async def page(
        self, tenant: Tenant, space: Space, by: AnomalyMeasure, cursor: str, limit: int
    ) -> tuple[Sequence[Anomaly], str | None]:
        """The farthest first, and the next page's cursor. Raises InvalidQuery, field `cursor`, for another list's;
        WrongState, field `by`, for what the model does not say.
        """
        after = _decoded(cursor, by) if cursor else None
        if by is AnomalyMeasure.TRAINING and await self._blobs.size(trained_on_key(space.id)) is None:
            raise WrongState(f"Model {space.model!r} does not say what it was trained on.", field="by")
        found = await self._catalog.anomalies(
            tenant, space.id, by, limit + 1, after, filter=visible(None, viewer().visible_to)
        )
        page = found[:limit]
        anomalies = [Anomaly(one.image_id, round(one.by(by), 6), _reasons(one)) for one in page]
        return anomalies, _encoded(page[-1], by) if len(found) > limit else None


def _reasons(one: AnomalyScore) -> tuple[str, ...]:
    nearest = f"the nearest picture is {one.distance:.2f} away (cosine distance)"
    several = f"the {one.neighbours} nearest are {one.density:.2f} away on average"
    if one.training is None:
        return nearest, several
    return nearest, several, f"what the model was trained on is {one.training:.2f} away"


def _encoded(last: AnomalyScore, by: AnomalyMeasure) -> str:
    return base64.urlsafe_b64encode(_CURSOR.pack(_MARKS[by], last.by(by), last.image_id)).decode()


def _decoded(cursor: str, by: AnomalyMeasure) -> tuple[float, ImageId]:
    try:
        mark, score, image_id = _CURSOR.unpack(base64.b64decode(cursor, altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, struct.error):
        mark, score, image_id = b"", 0.0, 0
    if mark != _MARKS[by] or not 0 <= score <= 2:
        raise InvalidQuery("This cursor belongs to no such list; use next_cursor with the same `by`.", field="cursor")
    return score, ImageId(image_id)
