"""How much tenants may keep, as administrators handle it: a tenant's own see theirs, an admin sets everybody's."""

from omma.catalog.api_key import Role
from omma.catalog.quota import Quota, QuotaBook
from omma.identity import Tenant
from services.gateway.callers.auth import Caller
from services.gateway.callers.changes import concerns


class QuotaDesk:
    """Over the catalog."""

    def __init__(self, book: QuotaBook) -> None:
        self._book = book

    async def every(self, caller: Caller) -> list[Quota]:
        """An admin's: those that were set. A tenant's: what counts for it, if anything does."""
        if caller.may(Role.ADMIN):
            return await self._book.quotas()
        own = await self._book.quota(caller.tenant)
        return [] if own is None else [own]

    async def put(self, tenant: str, max_pictures: int | None, max_bytes: int | None) -> Quota:
        """tenant: or OTHERS, for those without limits of their own."""
        concerns("quota of", tenant)
        return await self._book.set_quota(Tenant(tenant), max_pictures, max_bytes)

    async def remove(self, tenant: str) -> None:
        """Raises Absent."""
        concerns("quota of", tenant)
        await self._book.remove_quota(Tenant(tenant))
