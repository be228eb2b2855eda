"""Pictures that are being erased: what is left to do of each, and what is known of them for ever."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from omma.catalog.picture import Upserted
from omma.filters import Filter
from omma.identity import ImageId, Sha256, Tenant, Version


@dataclass(frozen=True, slots=True)
class Erasure:
    """A picture whose row says nothing any more, and whose traces elsewhere are still there.

    version: of its row, which rises with each further event. sha256: of its bytes, until they are gone.
    """

    image_id: ImageId
    version: Version
    sha256: Sha256


def bytes_digest(tenant: Tenant, sha256: Sha256) -> str:
    """What is kept of erased bytes, so that an ingest knows them again; it leads nobody to the bytes."""
    return hashlib.sha256(f"erased\0{tenant}\0{sha256}".encode("utf-8", "surrogatepass")).hexdigest()


class ErasureBook(Protocol):
    """The catalog's calls about erasing. A row stays for its id and version, under a key that says nothing."""

    async def find_erasable(
        self, tenant: Tenant, wanted: Filter | Collection[ImageId] | Collection[str], limit: int
    ) -> list[ImageId]:
        """Ids of at most `limit` rows that say something, deleted ones too, by id.

        wanted: a filter, ids, or keys.
        """

    async def erase(self, tenant: Tenant, image_ids: Sequence[ImageId]) -> list[Upserted]:
        """Clear all that the rows say, and what people and measurements said of them; their bytes have no grace.

        Returns a DELETE of each; ids without a row that says something are left out. Each is an open erasure then, and
        no ingest brings its bytes back (see `upsert`, revive).
        """

    async def erasures(self, tenant: Tenant, limit: int) -> list[Erasure]:
        """Open ones, by id."""

    async def unattended_erasures(self, job_kind: str) -> list[Tenant]:
        """Who has open ones for which no job of this kind was added since they began: whoever began them died before
        that, or was refused one.
        """

    async def forget_interactions(self, tenant: Tenant, image_ids: Collection[ImageId]) -> int:
        """Drop clicks on these pictures and searches for them; where another search showed one, 0 takes its place.

        Returns how many rows were dropped or changed.
        """

    async def end_erasures(self, tenant: Tenant, image_ids: Sequence[ImageId]) -> None:
        """Nothing is left of them but ids, versions, and digests of their bytes."""

    async def scrub(self) -> None:
        """What was deleted leaves the disk with its bytes, as far as this is the catalog's to do: of SQLite's files.

        PostgreSQL gives room back when it vacuums, and keeps its own log.
        """
