"""Rows of pictures, read."""

import base64
import binascii
from collections.abc import AsyncIterator, Collection, Iterable
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, func, literal, select

from omma.catalog import rows
from omma.catalog.database import Database, uninterrupted
from omma.catalog.picture import Page, Picture, PictureState, ReferencedFile
from omma.catalog.schema.pictures import images
from omma.catalog.where import where
from omma.errors import Absent, InvalidQuery
from omma.filters import Filter
from omma.identity import MAX_IMAGE_ID, ImageId, Sha256, Tenant

LIVE: Final = images.c.state != PictureState.DELETED
_FILES_AT_ONCE: Final = 2_000
_COUNTED_AT_MOST: Final = 100_000


class Lookups:
    """The catalog's calls that read pictures; see omma.catalog.picture.PictureBook."""

    _database: Database

    @uninterrupted
    async def picture(self, tenant: Tenant, image_id: ImageId) -> Picture:
        query = rows.select_pictures().where(images.c.tenant_id == tenant, images.c.id == row_id(image_id), LIVE)
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
        if row is None:
            raise absent(image_id)
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
        matching = [images.c.tenant_id == tenant, LIVE]
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
            select(
                columns.id,
                columns.key,
                columns.sha256,
                columns.bytes,
                columns.mtime_ns,
                columns.changed_at,
                columns.state,
            )
            .where(columns.tenant_id == tenant, _starts_with(key_prefix))
            .where(columns.mtime_ns.is_not(None), LIVE)
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
            ReferencedFile(ImageId(i), key, Sha256(sha256), size, mtime_ns, changed_at, dead=state == PictureState.DEAD)
            for i, key, sha256, size, mtime_ns, changed_at, state in found
        ]

    def _key_in(self, keys: Iterable[str]) -> ColumnElement[bool]:
        return self._database.dialect.among(images.c.key, list(keys))

    def _id_in(self, image_ids: Iterable[ImageId]) -> ColumnElement[bool]:
        return self._database.dialect.among(images.c.id, [row_id(image_id) for image_id in image_ids])


def _starts_with(key_prefix: str) -> ColumnElement[bool]:
    """Not LIKE: SQLite's knows no case, and a prefix may hold its wildcards."""
    return func.substr(images.c.key, 1, len(key_prefix)) == key_prefix


def row_id(image_id: int) -> int:
    """An id that no row can have becomes 0, which none has either; a larger one would not fit the column."""
    return image_id if 0 < image_id <= MAX_IMAGE_ID else 0


def absent(image_id: ImageId) -> Absent:
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
