"""How much tenants may keep, in the catalog; see omma.catalog.quota.QuotaBook.

Triggers on `images` (migrations/versions/0021) count what is used in the row of a tenant that has one, whoever changes
a picture and in the same transaction.
"""

from typing import Any

from sqlalchemy import Select, and_, delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from omma.catalog.database import Database, uninterrupted
from omma.catalog.picture import PictureState
from omma.catalog.quota import OTHERS, Quota, Room
from omma.catalog.schema.pictures import images
from omma.catalog.schema.work import quotas
from omma.errors import Absent
from omma.identity import Tenant


class Quotas:
    """The catalog's calls about quotas."""

    _database: Database

    @uninterrupted
    async def set_quota(self, tenant: Tenant, max_pictures: int | None, max_bytes: int | None) -> Quota:
        async with self._database.writing() as connection:
            return await self._count(connection, tenant, max_pictures, max_bytes, inherits=False)

    @uninterrupted
    async def remove_quota(self, tenant: Tenant) -> None:
        own = and_(quotas.c.tenant_id == tenant, quotas.c.inherits.is_(False))
        async with self._database.writing() as connection:
            if not (await connection.execute(delete(quotas).where(own))).rowcount:
                raise Absent(f"Tenant {tenant} has no quota.", field="tenant")
            if tenant == OTHERS:
                await connection.execute(delete(quotas).where(quotas.c.inherits.is_(True)))

    @uninterrupted
    async def quotas(self) -> list[Quota]:
        query = select(quotas).where(quotas.c.inherits.is_(False)).order_by(quotas.c.tenant_id)
        async with self._database.reading() as connection:
            return [_quota(row) for row in (await connection.execute(query)).all()]

    @uninterrupted
    async def quota(self, tenant: Tenant) -> Quota | None:
        async with self._database.snapshot() as connection:
            own, others = await self._rows(connection, _known(tenant))
            if own is None and others is not None:
                used = (await connection.execute(_used(tenant))).one()
                return Quota(tenant, others.max_pictures, others.max_bytes, used.pictures, int(used.bytes))
        return None if own is None else _effective(own, others)

    async def _room(self, connection: AsyncConnection, tenant: Tenant) -> Room | None:
        """What the tenant may add in this transaction, whose end others wait for; None: as much as it likes."""
        own, others = await self._rows(connection, _known(tenant))
        if own is None and others is None:
            return None
        if own is None:
            await self._count(connection, tenant, None, None, inherits=True)
        # Before any row of a picture is held: triggers take this row after those.
        own, others = await self._rows(connection, _known(tenant).with_for_update())
        return None if own is None else _effective(own, others).room()

    async def _rows(self, connection: AsyncConnection, query: Select[Any]) -> tuple[Any, Any]:
        """The tenant's own, and the others'; None for each that is not there."""
        found = {row.tenant_id == OTHERS: row for row in (await connection.execute(query)).all()}
        return found.get(False), found.get(True)

    async def _count(
        self,
        connection: AsyncConnection,
        tenant: Tenant,
        max_pictures: int | None,
        max_bytes: int | None,
        *,
        inherits: bool,
    ) -> Quota:
        """A row with what is used now; while it is counted nobody changes a picture."""
        await self._database.dialect.hold(connection, images)
        used = (await connection.execute(_used(tenant))).one()
        values = {
            "max_pictures": max_pictures,
            "max_bytes": max_bytes,
            "pictures": used.pictures,
            "bytes": int(used.bytes),
            "inherits": inherits,
        }
        insert = self._database.dialect.insert(quotas).values(tenant_id=tenant, **values)
        if inherits:
            await connection.execute(insert.on_conflict_do_nothing())
        else:
            await connection.execute(insert.on_conflict_do_update(index_elements=["tenant_id"], set_=values))
        return Quota(tenant, max_pictures, max_bytes, used.pictures, int(used.bytes))


def _known(tenant: Tenant) -> Select[Any]:
    return select(quotas).where(quotas.c.tenant_id.in_(sorted({tenant, OTHERS}))).order_by(quotas.c.tenant_id.desc())


def _used(tenant: Tenant) -> Select[Any]:
    live = (images.c.tenant_id == tenant, images.c.state != PictureState.DELETED)
    sums = (func.count().label("pictures"), func.coalesce(func.sum(images.c.bytes), 0).label("bytes"))
    return select(*sums).select_from(images).where(*live)


def _effective(own: Any, others: Any) -> Quota:
    limits = own if others is None or not own.inherits else others
    return Quota(Tenant(own.tenant_id), limits.max_pictures, limits.max_bytes, own.pictures, own.bytes)


def _quota(row: Any) -> Quota:
    return Quota(Tenant(row.tenant_id), row.max_pictures, row.max_bytes, row.pictures, row.bytes)
