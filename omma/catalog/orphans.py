"""See omma.catalog.orphan.OrphanBook."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, bindparam, case, delete, false, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from omma.catalog.database import Database, uninterrupted
from omma.catalog.orphan import Collected, Needs, Orphan
from omma.catalog.picture import PictureState
from omma.catalog.schema.pictures import images, orphans
from omma.identity import Sha256

_REMEMBERED_MS: Final = 3_600_000
"""Longer than an upload takes from its bytes to its row."""

_PENDING: Final = or_(orphans.c.gone_at.is_(None), orphans.c.gone_at <= orphans.c.since)


class Orphans:
    """See omma.catalog.orphan.OrphanBook."""

    _database: Database

    @uninterrupted
    async def note_orphans(self, sha256s: Collection[Sha256], *, urgent: bool = False) -> None:
        async with self._database.writing() as connection:
            if urgent:
                await self._hurry(connection, sha256s)
            else:
                await self._orphan(connection, sha256s, anew=~_PENDING)

    @uninterrupted
    async def take_orphans(self, grace_seconds: float, limit: int, lease_seconds: float) -> list[Orphan]:
        async with self._database.writing() as connection:
            now_ms = await self._database.read_shared_now_ms(connection)
            until = now_ms + int(lease_seconds * 1000)
            # Taken before the clock was set back: whoever has them is done by then.
            await connection.execute(update(orphans).where(orphans.c.taken_until > until).values(taken_until=until))
            free = or_(orphans.c.taken_until.is_(None), orphans.c.taken_until <= now_ms)
            due = or_(orphans.c.urgent.is_(True), orphans.c.since <= now_ms - int(grace_seconds * 1000))
            query = select(orphans.c.sha256, orphans.c.since).where(due, free, _PENDING)
            query = query.order_by(orphans.c.since, orphans.c.sha256).limit(limit).with_for_update(skip_locked=True)
            taken = [Orphan(Sha256(sha256), since, now_ms) for sha256, since in (await connection.execute(query)).all()]
            mine = self._sha256_in(orphans.c.sha256, [one.sha256 for one in taken])
            await connection.execute(update(orphans).where(mine).values(taken_until=until))
            old = and_(orphans.c.gone_at <= now_ms - _REMEMBERED_MS, ~_PENDING)
            await connection.execute(delete(orphans).where(old))
        return taken

    @uninterrupted
    async def end_orphans(self, gone: Sequence[Orphan], needed: Sequence[Orphan]) -> None:
        at = orphans.c.sha256 == bindparam("at_sha256")
        ended = update(orphans).where(at).values(taken_until=None)
        async with self._database.writing() as connection:
            if gone:
                marks = [{"at_sha256": one.sha256, "taken": one.taken_ms} for one in _sorted(gone)]
                await connection.execute(ended.values(gone_at=bindparam("taken"), urgent=None), marks)
            if needed:
                marks = [{"at_sha256": one.sha256, "at_since": one.since_ms} for one in _sorted(needed)]
                await connection.execute(delete(orphans).where(at, orphans.c.since == bindparam("at_since")), marks)
                await connection.execute(ended, [{"at_sha256": one.sha256} for one in _sorted(needed)])

    @uninterrupted
    async def needs(self, sha256s: Collection[Sha256], grace_seconds: float) -> Needs:
        restorable = images.c.deleted_at > self._database.shared_ms_ago(grace_seconds)
        query = select(images.c.sha256, images.c.uri).where(
            self._sha256_in(images.c.sha256, sha256s), or_(images.c.state != PictureState.DELETED, restorable)
        )
        async with self._database.reading() as connection:
            found = (await connection.execute(query)).all()
        kept = frozenset(Sha256(sha256) for sha256, uri in found if uri == f"omma:{sha256}")
        return Needs(kept, frozenset(Sha256(sha256) for sha256, _ in found))

    @uninterrupted
    async def collected(self, sha256s: Collection[Sha256]) -> dict[Sha256, Collected]:
        touched = or_(orphans.c.taken_until.is_not(None), orphans.c.gone_at.is_not(None))
        under_way = func.coalesce(orphans.c.taken_until > self._database.shared_now_ms(), false())
        query = select(orphans.c.sha256, under_way).where(self._sha256_in(orphans.c.sha256, sha256s), touched)
        async with self._database.reading() as connection:
            found = (await connection.execute(query)).all()
        known = {Sha256(one): Collected.UNDER_WAY if now else Collected.PERHAPS for one, now in found}
        return {one: known.get(one, Collected.NO) for one in sha256s}

    @uninterrupted
    async def overdue(
        self, sha256s: Collection[Sha256], grace_seconds: float, patience_seconds: float = 0.0
    ) -> set[Sha256]:
        urgent: ColumnElement[bool] = orphans.c.urgent.is_(True)
        if patience_seconds:
            urgent = and_(urgent, orphans.c.since <= self._database.shared_ms_ago(patience_seconds))
        due = or_(urgent, orphans.c.since <= self._database.shared_ms_ago(grace_seconds + patience_seconds))
        query = select(orphans.c.sha256).where(self._sha256_in(orphans.c.sha256, sha256s), due, _PENDING)
        async with self._database.reading() as connection:
            return {Sha256(sha256) for sha256 in (await connection.execute(query)).scalars()}

    async def _orphan(
        self, connection: AsyncConnection, sha256s: Iterable[Sha256], anew: ColumnElement[bool] | None = None
    ) -> None:
        """Within the caller's transaction. anew: of those that are there, whose grace begins anew; None: all."""
        wanted = sorted(set(sha256s))
        if not wanted:
            return
        now_ms = await self._database.read_shared_now_ms(connection)
        insert = self._database.dialect.insert(orphans)
        # Never before they went last, whatever the clock says: then nobody would collect them.
        since = case((orphans.c.gone_at > insert.excluded.since, orphans.c.gone_at), else_=insert.excluded.since)
        begin = insert.on_conflict_do_update(index_elements=["sha256"], set_={"since": since}, where=anew)
        await connection.execute(begin, [{"sha256": sha256, "since": now_ms} for sha256 in wanted])

    async def _hurry(self, connection: AsyncConnection, sha256s: Iterable[Sha256]) -> None:
        """They have no grace, and go unless another row needs them."""
        wanted = sorted(set(sha256s))
        await self._orphan(connection, wanted)
        mine = self._sha256_in(orphans.c.sha256, wanted)
        await connection.execute(update(orphans).where(mine).values(urgent=True))

    def _sha256_in(self, column: ColumnElement[Any], sha256s: Iterable[Sha256]) -> ColumnElement[bool]:
        return self._database.dialect.among(column, list(sha256s))


def _sorted(some: Iterable[Orphan]) -> list[Orphan]:
    """As every writer of several rows, so that two never wait for each other."""
    return sorted(some, key=lambda one: one.sha256)
