"""Impressions and clicks as the log has them, and where the catalog keeps them."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from omma.identity import Tenant
from omma.records import Interaction


@dataclass(frozen=True, slots=True)
class LoggedInteraction:
    """partition, offset: where `omma.interactions` has it."""

    partition: int
    offset: int
    interaction: Interaction


class InteractionBook(Protocol):
    """A partition of the database a day; in SQLite one table."""

    async def add_interactions(self, log: str, batch: Sequence[LoggedInteraction]) -> int:
        """Add rows, with the place in the log that they came from in the same transaction; returns how many.

        log: its identity. What a partition gave before is passed over: a batch that comes twice is there once.
        """

    def interactions(self, tenant: Tenant, since_ms: int, until_ms: int) -> AsyncIterator[Interaction]:
        """since_ms <= ts_ms < until_ms, in the order of time; read page by page."""

    async def roll_interactions(self, kept_days: int) -> None:
        """Make room for the days to come, and drop the days (UTC) that lie more than kept_days back."""
