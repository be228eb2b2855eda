"""Feedback as it is given and read: beside which picture, and where both lie."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from omma.catalog.feedback import Feedback
from omma.catalog.interface import Catalog
from omma.catalog.picture import Picture
from omma.errors import Absent
from omma.identity import ImageId, Tenant
from services.gateway.callers.changes import concerns
from services.gateway.callers.viewing import is_seen, is_there

MAX_PAGE: Final = 1_000
_SHOWN_BEFORE_MS: Final = 86_400_000
"""Somebody may look at an answer for a while before saying something of it."""


@dataclass(frozen=True, slots=True)
class ToldFeedback:
    """uri, query_uri: of the pictures; "" for one that is gone, or none."""

    feedback: Feedback
    uri: str
    query_uri: str


class FeedbackDesk:
    """Takes feedback and gives it back. Reads and writes the catalog only."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    async def give(self, tenant: Tenant, given: Feedback) -> None:
        """Durable when it returns. Raises Absent for a picture that is not there."""
        concerns("picture", given.image_id)
        found = await self._catalog.pictures([given.image_id])
        if not all(map(is_seen, found.values())):
            raise Absent(f"There is no picture {given.image_id}.", field="image_id")
        await self._catalog.add_feedback(tenant, given)

    async def page(
        self, tenant: Tenant, limit: int, *, image_id: ImageId | None, before: int | None
    ) -> tuple[list[ToldFeedback], int | None]:
        """The newest first, each with the stored picture that was sought where that can be told; and the `before` of
        the next page. What was said of pictures that the viewer does not see is left out.
        """
        given = await self._catalog.feedback(tenant, limit + 1, image_id=image_id, before=before)
        page = await self._with_sought(tenant, given[:limit])
        found = await self._pictures(page)
        uris = {id: one.uri for id, one in found.items() if is_there(tenant, one)}
        told = [
            ToldFeedback(one, uris.get(one.image_id, ""), uris.get(ImageId(one.query_image_id), ""))
            for one in page
            if all(is_seen(found[id]) for id in _named(one) if id in found)
        ]
        return told, page[-1].id if len(given) > limit else None

    async def _with_sought(self, tenant: Tenant, given: Sequence[Feedback]) -> list[Feedback]:
        unknown = [one for one in given if one.query_id and not one.query_image_id]
        if not unknown:
            return list(given)
        times = [one.at_ms for one in unknown]
        ids = {one.query_id for one in unknown}
        since_ms, until_ms = min(times) - _SHOWN_BEFORE_MS, max(times) + 1
        sought = await self._catalog.sought_pictures(tenant, ids, since_ms, until_ms)
        return [
            replace(one, query_image_id=sought.get(one.query_id, 0)) if not one.query_image_id else one for one in given
        ]

    async def _pictures(self, given: Sequence[Feedback]) -> dict[ImageId, Picture]:
        return await self._catalog.pictures(set().union(*map(_named, given)))


def _named(given: Feedback) -> set[ImageId]:
    return {given.image_id} | ({ImageId(given.query_image_id)} if given.query_image_id else set())
