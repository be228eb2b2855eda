"""What comparing, tracing and restoring need of the catalog."""

from collections.abc import AsyncIterator, Collection, Mapping
from typing import Any, Final

from sqlalchemy import Select, and_, bindparam, or_, select, update

from omma.catalog import rows
from omma.catalog.database import Database, uninterrupted
from omma.catalog.interface import Picture, PictureState, PictureSummary, StoredObject, Upserted
from omma.catalog.schema import images, objects
from omma.errors import InvalidQuery
from omma.identity import MAX_IMAGE_ID, ImageId, Sha256, Tenant, Version

_READ_AT_ONCE: Final = 1_000
_FOUND_AT_MOST: Final = 100


class Repairs:
    """See omma.catalog.interface.Catalog."""

    _database: Database

    @uninterrupted
    async def find_pictures(self, tenant: Tenant, place: str) -> list[Picture]:
        fits = and_(images.c.tenant_id == tenant, or_(images.c.key == place, images.c.uri == place))
        query = rows.select_pictures().where(fits).order_by(images.c.id).limit(_FOUND_AT_MOST)
        async with self._database.reading() as connection:
            found = (await connection.execute(query)).mappings().all()
        return [rows.stored_picture(row).picture for row in found]

    async def summaries(self, after: int = 0) -> AsyncIterator[PictureSummary]:
        columns = images.c
        query = (
            select(columns.id, columns.tenant_id, columns.version, columns.state, columns.sha256, columns.uri)
            .order_by(columns.id)
            .limit(_READ_AT_ONCE)
        )
        while found := await self._summaries(query.where(columns.id > after)):
            for one in found:
                yield one
            after = found[-1].id

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

    @uninterrupted
    async def _summaries(self, query: Select[Any]) -> list[PictureSummary]:
        async with self._database.reading() as connection:
            found = (await connection.execute(query)).all()
        return [
            PictureSummary(ImageId(i), Tenant(tenant), Version(version), PictureState(state), Sha256(sha256), uri)
            for i, tenant, version, state, sha256, uri in found
        ]


def _object(tenant: Tenant, bucket: str, key: str) -> Select[Any]:
    at = (objects.c.tenant_id == tenant, objects.c.bucket == bucket, objects.c.key == key)
    return select(objects.c.sequencer, objects.c.image_id).where(*at)
