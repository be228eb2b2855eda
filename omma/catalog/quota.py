"""How much a tenant may keep."""

from dataclasses import dataclass
from typing import Final, Protocol

from omma.errors import QuotaExceeded
from omma.identity import Tenant

OTHERS: Final = Tenant("*")
"""Whose limits are those of every tenant without limits of its own."""
MAX_PICTURES: Final = 10**12
MAX_BYTES: Final = 10**18


@dataclass(frozen=True, slots=True)
class Quota:
    """Limits of pictures and of their originals' bytes, None for none, and what of them is used. Pictures that are
    deleted are not counted, also while they can be restored; originals that Omma only refers to are.
    """

    tenant: Tenant
    max_pictures: int | None
    max_bytes: int | None
    pictures: int = 0
    bytes: int = 0

    def room(self) -> "Room":
        """What is left."""
        return Room(_left(self.max_pictures, self.pictures), _left(self.max_bytes, self.bytes), self)


@dataclass(slots=True)
class Room:
    """pictures, bytes: that fit, None for any number; below 0 where a limit was lowered."""

    pictures: int | None
    bytes: int | None
    quota: Quota

    def takes(self, pictures: int, bytes: int) -> bool:
        """Whether so many more fit; then they are taken. What becomes no more in either always fits."""
        if _over(self.pictures, pictures) or _over(self.bytes, bytes):
            return False
        self.pictures = None if self.pictures is None else self.pictures - pictures
        self.bytes = None if self.bytes is None else self.bytes - bytes
        return True

    def refusal(self, pictures: int = 1) -> QuotaExceeded:
        """Why what was not taken does not fit."""
        quota = self.quota
        if _over(self.pictures, pictures):
            said = f"This tenant may keep {quota.max_pictures:,} pictures, and has {quota.pictures:,}."
            return QuotaExceeded(said, field="pictures", limit=quota.max_pictures)
        said = f"This tenant's pictures may have {quota.max_bytes or 0:,} bytes together, and have {quota.bytes:,}."
        return QuotaExceeded(said, field="bytes", limit=quota.max_bytes)


class QuotaBook(Protocol):
    """The catalog's calls about quotas; each is one transaction and raises as the catalog's others do.

    Whatever makes a row or brings it back keeps to them (PictureBook.upsert, restore; ObjectBook.follow_objects).
    """

    async def set_quota(self, tenant: Tenant, max_pictures: int | None, max_bytes: int | None) -> Quota:
        """tenant: or OTHERS. What is used is counted anew: writers wait for as long."""

    async def remove_quota(self, tenant: Tenant) -> None:
        """The tenant has the limits of OTHERS again, if there are any. Raises Absent."""

    async def quotas(self) -> list[Quota]:
        """Those that were set, by tenant."""

    async def quota(self, tenant: Tenant) -> Quota | None:
        """What counts for the tenant, OTHERS' limits too; None without limits."""


def _left(limit: int | None, used: int) -> int | None:
    return None if limit is None else limit - used


def _over(left: int | None, more: int) -> bool:
    return left is not None and more > 0 and more > left
