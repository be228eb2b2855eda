"""Rows of pictures: made, changed, deleted, read."""

import base64
import binascii
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, bindparam, delete, func, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from omma.catalog import rows
from omma.catalog.copied import Copied
from omma.catalog.database import uninterrupted
from omma.catalog.erasure import bytes_digest
from omma.catalog.givens import Givens
from omma.catalog.orphans import Orphans
from omma.catalog.picture import (
    DeletedBy,
    NewPicture,
    Page,
    Picture,
    PictureChange,
    PictureState,
    ReferencedFile,
    Upserted,
)
from omma.catalog.quotas import Quotas
from omma.catalog.schema.pictures import erased_bytes, image_hash, image_spaces, images
from omma.catalog.where import where
from omma.description import RowLimits, check_place
from omma.errors import Absent, InvalidQuery
from omma.filters import Filter
from omma.identity import MAX_IMAGE_ID, ImageId, Sha256, Tenant
from omma.viewing import EVERYTHING, Viewer

_LIVE: Final = images.c.state != PictureState.DELETED
_FILES_AT_ONCE: Final = 2_000
_COUNTED_AT_MOST: Final = 100_000


class Pictures(Orphans, Givens, Quotas, Copied):
    """The catalog's calls about pictures; see omma.catalog.picture.PictureBook."""

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
                connection, and_(images.c.tenant_id == tenant, images.c.id == _id(image_id), _LIVE)
            )
            if not found:
                raise _absent(image_id)
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
                connection, and_(images.c.tenant_id == tenant, images.c.id == _id(image_id), within)
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

    @uninterrupted
    async def picture(self, tenant: Tenant, image_id: ImageId) -> Picture:
        query = rows.select_pictures().where(images.c.tenant_id == tenant, images.c.id == _id(image_id), _LIVE)
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
        if row is None:
            raise _absent(image_id)
        return rows.stored_picture(row).picture

    @uninterrupted
    async def pictures(self, image_ids: Collection[ImageId]) -> dict[ImageId, Picture]:
        query = rows.select_pictures().where(self._id_in(image_ids))
        async with self._database.reading() as connection:
            found = (await connection.execute(query)).mappings().all()
        pictures = [rows.stored_picture(row).picture for row in found]
        return {picture.id: picture for picture in pictures}

    @uninterrupted
    async def with_bytes(
        self, tenant: Tenant, sha256s: Collection[Sha256], filter: Filter | None = None
    ) -> dict[Sha256, ImageId]:
        query = (
            select(images.c.sha256, func.min(images.c.id))
            .where(images.c.tenant_id == tenant, self._database.dialect.among(images.c.sha256, list(sha256s)))
            .where(images.c.state.in_((PictureState.PENDING, PictureState.INDEXED)))
            .group_by(images.c.sha256)
        )
        if filter is not None:
            query = query.where(where(filter, self._database.dialect))
        async with self._database.reading() as connection:
            found = (await connection.execute(query)).all()
        return {Sha256(sha256): ImageId(image_id) for sha256, image_id in found}

    @uninterrupted
    async def list_pictures(
        self, tenant: Tenant, filter: Filter | None, cursor: str | None, limit: int, newest_first: bool = False
    ) -> Page:
        if limit < 1:
            raise InvalidQuery("A page has at least one picture.", field="limit", limit=1)
        matching = [images.c.tenant_id == tenant, _LIVE]
        if filter is not None:
            matching.append(where(filter, self._database.dialect))
        query = rows.select_pictures().where(*matching).limit(limit + 1)
        query = query.order_by(images.c.id.desc() if newest_first else images.c.id)
        if cursor is not None:
            last = _from_cursor(cursor)
            query = query.where(images.c.id < last if newest_first else images.c.id > last)
        async with self._database.snapshot() as connection:
            # Bounded: a million rows take PostgreSQL a quarter of a second to count, for every page.
            counted = select(literal(1)).select_from(images).where(*matching).limit(_COUNTED_AT_MOST + 1).subquery()
            count = (await connection.execute(select(func.count()).select_from(counted))).scalar_one()
            found = (await connection.execute(query)).mappings().all()
        page = tuple(rows.stored_picture(row).picture for row in found[:limit])
        following = _to_cursor(page[-1].id) if len(found) > limit else None
        return Page(page, min(count, _COUNTED_AT_MOST), following, capped=count > _COUNTED_AT_MOST)

    async def referenced_files(self, tenant: Tenant, key_prefix: str) -> AsyncIterator[ReferencedFile]:
        columns = images.c
        query = (
            select(columns.id, columns.key, columns.sha256, columns.bytes, columns.mtime_ns, columns.state)
            .where(columns.tenant_id == tenant, _starts_with(key_prefix))
            .where(columns.mtime_ns.is_not(None), _LIVE)
            .order_by(columns.id)
            .limit(_FILES_AT_ONCE)
        )
        last = 0
        while files := await self._files(query.where(columns.id > last)):
            for file in files:
                yield file
            last = files[-1].id

    @uninterrupted
    async def dead_pictures(self, tenant: Tenant, key_prefix: str, limit: int) -> tuple[int, list[Picture]]:
        dead = (images.c.tenant_id == tenant, images.c.state == PictureState.DEAD, _starts_with(key_prefix))
        query = rows.select_pictures().where(*dead).order_by(images.c.id).limit(limit)
        async with self._database.snapshot() as connection:
            count = (await connection.execute(select(func.count()).select_from(images).where(*dead))).scalar_one()
            found = (await connection.execute(query)).mappings().all()
        return count, [rows.stored_picture(row).picture for row in found]

    @uninterrupted
    async def _files(self, query: Select[Any]) -> list[ReferencedFile]:
        async with self._database.reading() as connection:
            found = (await connection.execute(query)).all()
        return [
            ReferencedFile(ImageId(i), key, Sha256(sha256), size, mtime_ns, dead=state == PictureState.DEAD)
            for i, key, sha256, size, mtime_ns, state in found
        ]

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
        found = await self._locked(connection, and_(images.c.tenant_id == tenant, self._id_in(image_ids), _LIVE))
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

    def _key_in(self, keys: Iterable[str]) -> ColumnElement[bool]:
        return self._database.dialect.among(images.c.key, list(keys))

    def _id_in(self, image_ids: Iterable[ImageId]) -> ColumnElement[bool]:
        return self._database.dialect.among(images.c.id, [_id(image_id) for image_id in image_ids])

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


def _starts_with(key_prefix: str) -> ColumnElement[bool]:
    """Not LIKE: SQLite's knows no case, and a prefix may hold its wildcards."""
    return func.substr(images.c.key, 1, len(key_prefix)) == key_prefix


def _id(image_id: int) -> int:
    """An id that no row can have becomes 0, which none has either; a larger one would not fit the column."""
    return image_id if 0 < image_id <= MAX_IMAGE_ID else 0


def _absent(image_id: ImageId) -> Absent:
    return Absent(f"There is no picture {image_id}.", field="id")


def _to_cursor(last: ImageId) -> str:
    return base64.urlsafe_b64encode(last.to_bytes(8, "big")).decode().rstrip("=")


def _from_cursor(cursor: str) -> int:
    try:
        last = base64.b64decode(cursor.encode("ascii") + b"=", altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError):
        last = b""
    if len(last) != 8 or last[0] & 0x80:
        raise InvalidQuery(f"{cursor[:80]!r} is no cursor; take it from the page before.", field="cursor")
    return int.from_bytes(last, "big")
