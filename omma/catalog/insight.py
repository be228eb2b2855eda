"""How searches fare, by day and index."""

from dataclasses import dataclass
from typing import Final, Protocol

from omma.identity import Tenant

MAX_DAYS: Final = 92
"""That are told at once."""


@dataclass(frozen=True, slots=True)
class Insight:
    """Of one day (UTC, since 1970) and index. searches: those that were recorded. empty: that found nothing. clicked:
    at least once. median_ms: from a search to its first click, None without any.
    """

    day: int
    index: str
    searches: int
    empty: int
    clicked: int
    median_ms: float | None


class InsightBook(Protocol):
    """The catalog's call about how searches fare; raises as the catalog's others do."""

    async def insights(self, tenant: Tenant, first_day: int, last_day: int) -> list[Insight]:
        """Both days included, the newest first. Reads all interactions of those days and of the day after."""
