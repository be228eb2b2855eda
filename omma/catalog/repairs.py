"""What comparing, tracing and restoring need of the catalog."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Select, and_, bindparam, or_, select, update

from omma.catalog import rows
from omma.catalog.database import uninterrupted
from omma.catalog.inbox_object import StoredObject
from omma.catalog.picture import LoggedPicture, Picture, Upserted
from omma.catalog.pictures import Pictures
from omma.catalog.schema.pictures import images, objects
from omma.errors import InvalidQuery
from omma.identity import MAX_IMAGE_ID, ImageId, Tenant, Version

_FOUND_AT_MOST: Final = 100


class Repairs(Pictures):
    """See omma.catalog.picture.PictureBook."""

    @uninterrupted
    async def find_pictures(self, tenant: Tenant, place: str) -> list[Picture]:
        fits = and_(images.c.tenant_id == tenant, or_(images.c.key == place, images.c.uri == place))
        query = rows.select_pictures().where(fits).order_by(images.c.id).limit(_FOUND_AT_MOST)
        async with self._database.reading() as connection:
            found = (await connection.execute(query)).mappings().all()
        return [rows.stored_picture(row).picture for row in found]

    @uninterrupted
    async def overtake(self, seen: Mapping[ImageId, Version]) -> list[Upserted]:
        ids = self._database.dialect.among(images.c.id, list(seen))
        query = rows.select_pictures().where(ids).order_by(images.c.id).with_for_update(of=images)
        now_ms = self._database.now_ms()
        async with self._database.writing() as connection:
            found = [rows.stored_picture(row) for row in (await connection.execute(query)).mappings().all()]
            rewritten = [(stored, rows.overtaken(stored, seen[stored.picture.id], now_ms)) for stored in found]
            if rewritten:
                changes = [{"at_id": stored.picture.id, **one.values} for stored, one in rewritten]
                await connection.execute(update(images).where(images.c.id == bindparam("at_id")), changes)
        return [rows.answer(stored, rewrite) for stored, rewrite in rewritten]

    @uninterrupted
    async def rebuild(self, logged: Sequence[LoggedPicture]) -> set[ImageId]:
        by_id = {one.id: one for one in logged}
        now_ms = self._database.now_ms()
        async with self._database.writing() as connection:
            stored = await self._locked_rows(connection, self._id_in(by_id))
            absent = sorted(by_id.keys() - {one.picture.id for one in stored})
            live = [(by_id[i], picture) for i in absent if (picture := by_id[i].picture) is not None]
            made = await self._insert(connection, [rows.logged(one, picture, now_ms) for one, picture in live])
            older = [one for one in stored if one.picture.version < by_id[one.picture.id].version]
            at_ms = await self._database.read_shared_now_ms(connection)
            caught_up = [(one, rows.caught_up(one, by_id[one.picture.id], at_ms, now_ms)) for one in older]
            sent = [{"at_id": s.picture.id, "sent": rewrite.values["version"]} for s, rewrite in caught_up]
            await self._rewrite(connection, caught_up)
            if sent:
                at = images.c.id == bindparam("at_id")
                await connection.execute(update(images).where(at).values(sent_version=bindparam("sent")), sent)
            told = [by_id[image_id] for image_id in {one.id for one in made.values()} | {o.picture.id for o in older}]
            for tenant in sorted({one.tenant for one in told}):
                given = {o.id: o.picture.given for o in told if o.tenant == tenant and o.picture is not None}
                await self._keep_given(connection, tenant, given)
            gone = [one for one in older if by_id[one.picture.id].picture is None]
            await self._forget_embedded(connection, gone)
            # Of those that changed their bytes too; what a row needs after all is found out when they are collected.
            await self._orphan(connection, {one.picture.sha256 for one in older})
        return {answer.id for answer in made.values()} | {one.picture.id for one in older}

    @uninterrupted
    async def sent_versions(self, image_ids: Collection[ImageId]) -> dict[ImageId, Version]:
        query = select(images.c.id, images.c.sent_version)
        query = query.where(self._database.dialect.among(images.c.id, list(image_ids)))
        async with self._database.reading() as connection:
            found = (await connection.execute(query)).all()
        return {ImageId(image_id): Version(sent) for image_id, sent in found}

    @uninterrupted
    async def raise_ids_above(self, image_id: ImageId) -> None:
        if not 0 <= image_id < MAX_IMAGE_ID:
            raise InvalidQuery(f"{image_id} is no id that another one can follow.", field="image_id")
        if image_id == 0:
            return
        async with self._database.writing() as connection:
            await self._database.dialect.raise_ids(connection, image_id)

    @uninterrupted
    async def object(self, tenant: Tenant, bucket: str, key: str) -> StoredObject | None:
        async with self._database.reading() as connection:
            row = (await connection.execute(_object(tenant, bucket, key))).first()
        return row and StoredObject(row.sequencer, row.image_id)


def _object(tenant: Tenant, bucket: str, key: str) -> Select[Any]:
    at = (objects.c.tenant_id == tenant, objects.c.bucket == bucket, objects.c.key == key)
    return select(objects.c.sequencer, objects.c.image_id).where(*at)
