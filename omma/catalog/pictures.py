"""Rows of pictures: made, changed, deleted."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from omma.catalog import rows
from omma.catalog.copied import Copied
from omma.catalog.database import uninterrupted
from omma.catalog.erasure import bytes_digest
from omma.catalog.givens import Givens
from omma.catalog.lookups import LIVE, Lookups, absent, row_id
from omma.catalog.orphans import Orphans
from omma.catalog.picture import (
    DeletedBy,
    NewPicture,
    PictureChange,
    PictureState,
    Upserted,
)
from omma.catalog.quotas import Quotas
from omma.catalog.schema.pictures import erased_bytes, image_hash, image_spaces, images
from omma.description import RowLimits, check_place
from omma.errors import Absent
from omma.identity import ImageId, Tenant
from omma.viewing import EVERYTHING, Viewer


class Pictures(Lookups, Orphans, Givens, Quotas, Copied):
    """The catalog's calls that write pictures; see omma.catalog.picture.PictureBook."""

    _row_limits: RowLimits

    @uninterrupted
    async def upsert(
        self, tenant: Tenant, pictures: Sequence[NewPicture], *, revive: bool = True, viewer: Viewer = EVERYTHING
    ) -> list[Upserted]:
        async with self._database.writing() as connection:
            return await self._upsert(connection, tenant, pictures, revive, viewer)

    @uninterrupted
    async def change(self, tenant: Tenant, image_id: ImageId, change: PictureChange) -> Upserted:
        self._row_limits.check(change)
        async with self._database.writing() as connection:
            found = await self._locked(
                connection, and_(images.c.tenant_id == tenant, images.c.id == row_id(image_id), LIVE)
            )
            if not found:
                raise absent(image_id)
            (stored,) = found.values()
            rewrite = rows.patched(stored, change, self._database.now_ms())
            await self._rewrite(connection, [(stored, rewrite)])
        return rows.answer(stored, rewrite)

    @uninterrupted
    async def delete(
        self, tenant: Tenant, image_ids: Sequence[ImageId], *, by: DeletedBy = DeletedBy.CALLER
    ) -> list[Upserted]:
        async with self._database.writing() as connection:
            return await self._delete(connection, tenant, image_ids, by)

    @uninterrupted
    async def restore(self, tenant: Tenant, image_id: ImageId, grace_seconds: float) -> Upserted:
        within = images.c.deleted_at > self._database.shared_ms_ago(grace_seconds)
        async with self._database.writing() as connection:
            room = await self._room(connection, tenant)
            found = await self._locked(
                connection, and_(images.c.tenant_id == tenant, images.c.id == row_id(image_id), within)
            )
            if not found:
                raise Absent(f"There is no picture {image_id} that can be restored.", field="id")
            (stored,) = found.values()
            rewrite = rows.restored(stored, self._database.now_ms())
            if room is not None and not room.takes(*rows.cost(stored, rewrite)):
                raise room.refusal()
            await self._rewrite(connection, [(stored, rewrite)])
        return rows.answer(stored, rewrite)

    @uninterrupted
    async def expire_deleted(self, grace_seconds: float, limit: int) -> int:
        over = images.c.deleted_at <= self._database.shared_ms_ago(grace_seconds)
        first = select(images.c.id).where(over).order_by(images.c.deleted_at).limit(limit)
        async with self._database.writing() as connection:
            ids = list((await connection.execute(first)).scalars())
            found = await self._locked_rows(connection, and_(self._id_in(ids), over))
            changes = [{"at_id": stored.picture.id, **rows.expired(stored)} for stored in found]
            if changes:
                await connection.execute(update(images).where(images.c.id == bindparam("at_id")), changes)
            await self._drop_given(connection, [stored.picture.id for stored in found if stored.picture.space])
        return len(ids)

    @uninterrupted
    async def retry(self, tenant: Tenant, image_ids: Sequence[ImageId]) -> list[Upserted]:
        now_ms = self._database.now_ms()
        dead = and_(images.c.tenant_id == tenant, self._id_in(image_ids), images.c.state == PictureState.DEAD)
        async with self._database.writing() as connection:
            found = await self._locked(connection, dead)
            rewritten = [(stored, rows.retried(stored, now_ms)) for stored in found.values()]
            await self._rewrite(connection, rewritten)
        return [rows.answer(stored, rewrite) for stored, rewrite in rewritten]

    async def _upsert(
        self,
        connection: AsyncConnection,
        tenant: Tenant,
        pictures: Sequence[NewPicture],
        revive: bool,
        viewer: Viewer = EVERYTHING,
    ) -> list[Upserted]:
        for picture in pictures:
            self._row_limits.check(picture)
            check_place(picture.key, picture.source_url)
        wanted = {picture.key: picture for picture in pictures}
        now_ms = self._database.now_ms()
        room = await self._room(connection, tenant) if wanted else None
        stored = await self._locked(connection, and_(images.c.tenant_id == tenant, self._key_in(wanted)))
        new = [picture for key, picture in sorted(wanted.items()) if key not in stored]
        left = await self._left_erased(connection, tenant, new, revive)
        new = [picture for picture in new if picture.key not in left]
        refused = {picture.key for picture in new if room is not None and not room.takes(1, picture.bytes)}
        new = [picture for picture in new if picture.key not in refused]
        ids = await self._database.dialect.new_ids(connection, len(new)) if new else []
        made = [rows.created(tenant, i, picture, now_ms) for i, picture in zip(ids, new, strict=True)]
        answers = {**dict.fromkeys(left, rows.LEFT_ERASED), **await self._insert(connection, made)}
        late = [picture.key for picture in new if picture.key not in answers]
        if late:
            # Another writer made these rows between our look and our insert.
            stored |= await self._locked(connection, and_(images.c.tenant_id == tenant, self._key_in(late)))
        for key, row in stored.items():
            rows.require_seen(viewer, row, key)
        rewrites = {key: rows.upserted(row, wanted[key], now_ms, revive=revive) for key, row in stored.items()}
        if room is not None:
            refused |= {key for key, one in rewrites.items() if not room.takes(*rows.cost(stored[key], one))}
            rewrites = {key: one for key, one in rewrites.items() if key not in refused}
        await self._rewrite(connection, [(stored[key], rewrite) for key, rewrite in rewrites.items()])
        older = {
            stored[key].picture.sha256
            for key, one in rewrites.items()
            if one.values["sha256"] != stored[key].picture.sha256
        }
        await self._orphan(connection, older)
        answers |= {key: rows.answer(stored[key], rewrite) for key, rewrite in rewrites.items()}
        changed = [key for key, one in answers.items() if one.event is not None]
        was_given = {key for key, row in stored.items() if row.picture.space}
        given = {answers[key].id: wanted[key].given for key in changed if wanted[key].given or key in was_given}
        await self._keep_given(connection, tenant, given)
        answers |= dict.fromkeys(refused, rows.OVER_QUOTA)
        return [answers[picture.key] for picture in pictures]

    async def _left_erased(
        self, connection: AsyncConnection, tenant: Tenant, new: Sequence[NewPicture], revive: bool
    ) -> set[str]:
        """Keys of those whose bytes were erased; when they may be revived they are erased no more, and none is left."""
        digests = {bytes_digest(tenant, picture.sha256): picture.key for picture in new}
        if not digests:
            return set()
        theirs = and_(
            erased_bytes.c.tenant_id == tenant, self._database.dialect.among(erased_bytes.c.digest, sorted(digests))
        )
        if revive:
            await connection.execute(delete(erased_bytes).where(theirs))
            return set()
        found = (await connection.execute(select(erased_bytes.c.digest).where(theirs))).scalars()
        erased = set(found)
        return {picture.key for picture in new if bytes_digest(tenant, picture.sha256) in erased}

    async def _delete(
        self, connection: AsyncConnection, tenant: Tenant, image_ids: Sequence[ImageId], by: DeletedBy
    ) -> list[Upserted]:
        now_ms, at_ms = self._database.now_ms(), await self._database.read_shared_now_ms(connection)
        found = await self._locked(connection, and_(images.c.tenant_id == tenant, self._id_in(image_ids), LIVE))
        by_id = {stored.picture.id: stored for stored in found.values()}
        gone = [by_id[image_id] for image_id in dict.fromkeys(image_ids) if image_id in by_id]
        rewritten = [(stored, rows.deleted(stored, by, at_ms, now_ms)) for stored in gone]
        await self._rewrite(connection, rewritten)
        await self._orphan(connection, {stored.picture.sha256 for stored in gone})
        await self._forget_embedded(connection, gone)
        return [rows.answer(stored, rewrite) for stored, rewrite in rewritten]

    async def _forget_embedded(self, connection: AsyncConnection, gone: Sequence[rows.StoredPicture]) -> None:
        for tenant in sorted({stored.picture.tenant for stored in gone}):
            ids = [stored.picture.id for stored in gone if stored.picture.tenant == tenant]
            await self._forget_copies(connection, tenant, ids)
            for table in (image_hash, image_spaces):
                theirs = self._database.dialect.among(table.c.image_id, ids)
                await connection.execute(delete(table).where(table.c.tenant_id == tenant, theirs))

    async def _locked(
        self, connection: AsyncConnection, condition: ColumnElement[bool]
    ) -> dict[str, rows.StoredPicture]:
        """As _locked_rows, of one tenant, by key."""
        return {one.picture.key: one for one in await self._locked_rows(connection, condition)}

    async def _locked_rows(
        self, connection: AsyncConnection, condition: ColumnElement[bool]
    ) -> list[rows.StoredPicture]:
        """Held until the transaction ends; in the order of ids, so that two writers never cross."""
        query = rows.select_pictures().where(condition).order_by(images.c.id).with_for_update(of=images)
        found = (await connection.execute(query)).mappings().all()
        return [rows.stored_picture(row) for row in found]

    async def _insert(self, connection: AsyncConnection, new: list[dict[str, Any]]) -> dict[str, Upserted]:
        """Answers by key, of the rows that were not there."""
        if not new:
            return {}
        insert = (
            self._database.dialect.insert(images)
            .on_conflict_do_nothing(index_elements=["tenant_id", "key"])
            .returning(images.c.id, images.c.key, images.c.version, images.c.tenant_id)
        )
        made = (await connection.execute(insert, new)).mappings().all()
        return {row["key"]: rows.answer_created(row) for row in made}

    async def _rewrite(
        self, connection: AsyncConnection, rewritten: list[tuple[rows.StoredPicture, rows.Rewrite]]
    ) -> None:
        changes = [{"at_id": stored.picture.id, **one.values} for stored, one in rewritten if not one.idle]
        if changes:
            await connection.execute(update(images).where(images.c.id == bindparam("at_id")), changes)
