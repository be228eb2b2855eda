"""See omma.catalog.download.DownloadBook."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import RowMapping, func, select

from omma.catalog.database import Database, uninterrupted
from omma.catalog.download import TAKEN, Download
from omma.catalog.schema.work import downloads as table
from omma.identity import Sha256, Tenant


class Downloads:
    """See omma.catalog.download.DownloadBook."""

    _database: Database

    @uninterrupted
    async def record_downloads(self, tenant: Tenant, downloads: Sequence[Download]) -> None:
        if not downloads:
            return
        now_ms = self._database.now_ms()
        insert = self._database.dialect.insert(table)
        changed = {column.name: insert.excluded[column.name] for column in table.c if not column.primary_key}
        upsert = insert.on_conflict_do_update(index_elements=["tenant_id", "key"], set_=changed)
        rows = [_row(tenant, one, now_ms) for one in sorted(downloads, key=lambda one: one.key)]
        async with self._database.writing() as connection:
            await connection.execute(upsert, rows)

    @uninterrupted
    async def downloads(self, tenant: Tenant, keys: Collection[str]) -> dict[str, Download]:
        query = select(table).where(table.c.tenant_id == tenant, self._database.dialect.among(table.c.key, list(keys)))
        async with self._database.reading() as connection:
            found = (await connection.execute(query)).mappings().all()
        return {row["key"]: _download(row) for row in found}

    @uninterrupted
    async def count_downloads(self, tenant: Tenant, run: str) -> Mapping[str, int]:
        query = (
            select(table.c.outcome, func.count())
            .where(table.c.tenant_id == tenant, table.c.run == run)
            .group_by(table.c.outcome)
        )
        async with self._database.reading() as connection:
            found = (await connection.execute(query)).all()
        return {outcome: int(count) for outcome, count in found}

    @uninterrupted
    async def downloads_of_run(
        self, tenant: Tenant, run: str, after: str, limit: int, *, failed: bool = False
    ) -> list[Download]:
        query = select(table).where(table.c.tenant_id == tenant, table.c.run == run, table.c.key > after)
        if failed:
            query = query.where(table.c.outcome.not_in(sorted(TAKEN)))
        async with self._database.reading() as connection:
            found = (await connection.execute(query.order_by(table.c.key).limit(limit))).mappings().all()
        return [_download(row) for row in found]


def _row(tenant: Tenant, one: Download, now_ms: int) -> dict[str, Any]:
    return {
        "tenant_id": tenant,
        "key": one.key,
        "place": one.place,
        "run": one.run,
        "outcome": str(one.outcome),
        "reason": one.reason,
        "status": one.status,
        "latency_ms": one.latency_ms,
        "bytes": one.bytes,
        "media_type": one.media_type,
        "sha256": one.sha256,
        "at": now_ms,
    }


def _download(row: RowMapping) -> Download:
    return Download(
        key=row["key"],
        place=row["place"],
        run=row["run"],
        outcome=row["outcome"],
        reason=row["reason"],
        status=row["status"],
        latency_ms=row["latency_ms"],
        bytes=row["bytes"],
        media_type=row["media_type"],
        sha256=None if row["sha256"] is None else Sha256(row["sha256"]),
    )
