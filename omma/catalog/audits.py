"""Who changed what, in the catalog; see omma.catalog.audit.AuditBook."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

from sqlalchemy import delete, select

from omma.catalog.audit import AuditedCall
from omma.catalog.database import Database, uninterrupted
from omma.catalog.schema.people import audit
from omma.identity import Tenant

_DROPPED_AT_ONCE: Final = 5_000


class Audits:
    """The catalog's calls about changes."""

    _database: Database

    @uninterrupted
    async def add_audit(self, entries: Sequence[AuditedCall]) -> None:
        if not entries:
            return
        insert = self._database.dialect.insert(audit).on_conflict_do_nothing()
        async with self._database.writing() as connection:
            await connection.execute(insert, [asdict(entry) for entry in entries])

    @uninterrupted
    async def audit(self, limit: int, *, tenant: Tenant | None = None, before: str = "") -> list[AuditedCall]:
        query = select(audit).order_by(audit.c.id.desc()).limit(limit)
        if tenant is not None:
            query = query.where(audit.c.tenant == tenant)
        if before:
            query = query.where(audit.c.id < before)
        async with self._database.reading() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return [AuditedCall(**row) for row in rows]

    @uninterrupted
    async def forget_audit(self, before_ms: int) -> int:
        gone = 0
        while True:
            async with self._database.writing() as connection:
                old = select(audit.c.id).where(audit.c.at_ms < before_ms).order_by(audit.c.id).limit(_DROPPED_AT_ONCE)
                dropped = (await connection.execute(delete(audit).where(audit.c.id.in_(old)))).rowcount
            gone += dropped
            if dropped < _DROPPED_AT_ONCE:
                return gone
