"""Who changed what, as it is kept: one entry a call, never changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from omma.identity import Tenant

MAX_PAGE: Final = 1_000
"""Entries that are told at once."""


@dataclass(frozen=True, slots=True)
class AuditedCall:
    """id: orders entries as they came, whatever clocks say; text that no other entry has. tenant: the caller's.

    credential, name: as services.gateway.callers.auth.Caller. call: method and route, or service and method. object:
    what it was about, "" where the call says none. outcome: an HTTP status, or the name of a gRPC one.
    """

    id: str
    at_ms: int
    tenant: Tenant
    credential: str
    name: str
    call: str
    object: str
    outcome: str
    request_id: str


class AuditBook(Protocol):
    """The catalog's calls about changes; each is one transaction and raises as the catalog's others do."""

    async def add_audit(self, entries: Sequence[AuditedCall]) -> None:
        """An entry that comes twice is there once."""

    async def audit(self, limit: int, *, tenant: Tenant | None = None, before: str = "") -> list[AuditedCall]:
        """The newest first. tenant: of its callers only. before: an entry's id, whose predecessors are asked for."""

    async def forget_audit(self, before_ms: int) -> int:
        """Drop what is older; returns how many."""
