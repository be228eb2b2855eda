"""What came of each line of a list of pictures, as the catalog keeps it: so that nothing is downloaded twice."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from omma.identity import Sha256, Tenant


class Taken(StrEnum):
    """Outcomes of lines whose picture is there; every other outcome names a failure."""

    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    LEFT_DELETED = "left_deleted"


TAKEN: Final = frozenset(Taken)


@dataclass(frozen=True, slots=True)
class Download:
    """key: of the row that the line makes. run: of the ingest that looked at it last. outcome: Taken, or a failure's
    name, with its reason. status: of HTTP, 0 for none. media_type: as the host says. sha256: None for a failure.
    """

    key: str
    place: str
    run: str
    outcome: str
    reason: str = ""
    status: int = 0
    latency_ms: int = 0
    bytes: int = 0
    media_type: str = ""
    sha256: Sha256 | None = None


class DownloadBook(Protocol):
    """The catalog's calls about downloads; each is one transaction."""

    async def record_downloads(self, tenant: Tenant, downloads: Sequence[Download]) -> None:
        """In place of what was recorded of their keys, each of which is there once."""

    async def downloads(self, tenant: Tenant, keys: Collection[str]) -> dict[str, Download]:
        """By key; those that nothing is known of are left out."""

    async def count_downloads(self, tenant: Tenant, run: str) -> Mapping[str, int]:
        """How many of the run have each outcome."""

    async def downloads_of_run(
        self, tenant: Tenant, run: str, after: str, limit: int, *, failed: bool = False
    ) -> list[Download]:
        """In the order of their keys, those after this one. failed: only failures."""
