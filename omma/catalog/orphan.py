"""Bytes that perhaps no row needs any more, as the catalog keeps them until a collector has deleted them.

Collector and writer each say what they do before they look at what the other says: a collector takes an orphan, then
asks whether a row needs it; whoever made a row that needs bytes then asks whether they are being collected. Of the two
at least one sees the other (ADR 0015).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from omma.identity import Sha256


class Collected(Enum):
    """Of some bytes. no: nobody deletes them; under_way: they may go at any moment; perhaps: look whether they went."""

    NO = auto()
    UNDER_WAY = auto()
    PERHAPS = auto()


@dataclass(frozen=True, slots=True)
class Orphan:
    """since_ms: when it lost a row, or was found. taken_ms: when a collector took it. Of the database's clock."""

    sha256: Sha256
    since_ms: int
    taken_ms: int


@dataclass(frozen=True, slots=True)
class Needs:
    """Which of some bytes rows need. originals: in our blobs. thumbnails: also of an original that lies elsewhere."""

    originals: frozenset[Sha256]
    thumbnails: frozenset[Sha256]


class OrphanBook(Protocol):
    """The catalog's calls about orphans; each is one transaction, by the database's clock.

    A delete and a change of bytes make orphans by themselves, whether or not another row needs the bytes.
    """

    async def note_orphans(self, sha256s: Collection[Sha256], *, urgent: bool = False) -> None:
        """These were found without a row that needs them: their grace begins now, unless it has begun.

        urgent: they have none, as those of erased pictures.
        """

    async def take_orphans(self, grace_seconds: float, limit: int, lease_seconds: float) -> list[Orphan]:
        """Of those whose grace is over the oldest, this caller's for so long: then another one may take them."""

    async def end_orphans(self, gone: Sequence[Orphan], needed: Sequence[Orphan]) -> None:
        """gone: their bytes are deleted, and that is remembered for a while. needed: orphans no more.

        One that lost a row since it was taken stays an orphan.
        """

    async def needs(self, sha256s: Collection[Sha256], grace_seconds: float) -> Needs:
        """Of live rows, and of those deleted no longer ago, which can be restored."""

    async def collected(self, sha256s: Collection[Sha256]) -> dict[Sha256, Collected]:
        """Of each of them. To be asked once rows that need the bytes are durable."""

    async def overdue(
        self, sha256s: Collection[Sha256], grace_seconds: float, patience_seconds: float = 0.0
    ) -> set[Sha256]:
        """Those of them whose grace is over, which urgent ones have none of, and that are not collected.

        patience_seconds: that a collector has for them after it.
        """
