"""What people said of pictures, and of how they answer what was sought: each time is kept."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from omma.identity import ImageId, Tenant


class FeedbackAction(StrEnum):
    """relevant, irrelevant: to what was sought. duplicate, different: beside the picture that was sought.

    anomaly, reviewed: of the picture by itself; a reviewed one is no longer listed as an anomaly.
    """

    RELEVANT = "relevant"
    IRRELEVANT = "irrelevant"
    DUPLICATE = "duplicate"
    DIFFERENT = "different"
    ANOMALY = "anomaly"
    REVIEWED = "reviewed"


@dataclass(frozen=True, slots=True)
class Feedback:
    """given_by: name of the key, "" where none is needed. query_image_id: the stored picture that was sought, 0: none,
    or it is to be found by the query_id among the impressions. id, at_ms: 0 until it is kept.
    """

    image_id: ImageId
    action: FeedbackAction
    note: str = ""
    query_id: str = ""
    query_image_id: int = 0
    given_by: str = ""
    id: int = 0
    at_ms: int = 0


class FeedbackBook(Protocol):
    """The catalog's calls about feedback; each is one transaction and raises as the catalog's others do."""

    async def add_feedback(self, tenant: Tenant, given: Feedback) -> None:
        """Raises Absent when there is no such picture, or it is deleted."""

    async def feedback(
        self, tenant: Tenant, limit: int, *, image_id: ImageId | None = None, before: int | None = None
    ) -> list[Feedback]:
        """The newest first. image_id: of this picture only. before: of lower ids, as the last one of a page has it."""

    async def sought_pictures(
        self, tenant: Tenant, query_ids: Collection[str], since_ms: int, until_ms: int
    ) -> dict[str, ImageId]:
        """The stored picture that each of these searches sought, by its impressions of that time; without one: left
        out. Reads the interactions of that time.
        """
