"""What comparing the catalog with blobs, log and shards reads of it."""

from collections.abc import AsyncIterator
from typing import Any, Final

from sqlalchemy import Select, bindparam, select, tuple_, update

from omma.buckets import row_bucket_of
from omma.catalog.database import Database, uninterrupted
from omma.catalog.picture import KeptOriginal, PictureState, RowVersion
from omma.catalog.schema.pictures import given_vectors, images
from omma.identity import MAX_IMAGE_ID, ImageId, Sha256, Version

_READ_AT_ONCE: Final = 5_000


class Comparing:
    """See omma.catalog.picture.PictureBook."""

    _database: Database

    async def rows_of_buckets(self, first: int, last: int) -> AsyncIterator[RowVersion]:
        columns = images.c
        query = (
            select(columns.bucket, columns.id, columns.version, columns.state)
            .where(columns.bucket <= last)
            .order_by(columns.bucket, columns.id)
            .limit(_READ_AT_ONCE)
        )
        place, more = (first, 0), True
        while more:
            found = await self._read(query.where(tuple_(columns.bucket, columns.id) > tuple_(*place)))
            following = (found[-1].bucket, found[-1].id) if found else place
            given = await self._given_between(place, following)
            for _, image_id, version, state in found:
                yield RowVersion(ImageId(image_id), Version(version), PictureState(state), given.get(image_id, ""))
            more = len(found) == _READ_AT_ONCE
            place = following

    async def _given_between(self, after: tuple[int, int], last: tuple[int, int]) -> dict[int, str]:
        columns = given_vectors.c
        at = tuple_(columns.bucket, columns.image_id)
        query = select(columns.image_id, columns.space).where(at > tuple_(*after), at <= tuple_(*last))
        return {row.image_id: row.space for row in await self._read(query)}

    @uninterrupted
    async def fill_buckets(self, limit: int) -> int:
        without = select(images.c.id).where(images.c.bucket.is_(None)).order_by(images.c.id).limit(limit)
        fill = update(images).where(images.c.id == bindparam("at_id")).values(bucket=bindparam("is_in"))
        async with self._database.writing() as connection:
            ids = (await connection.execute(without.with_for_update(skip_locked=True))).scalars().all()
            if ids:
                await connection.execute(fill, [{"at_id": i, "is_in": row_bucket_of(i)} for i in ids])
        return len(ids)

    async def kept_originals(self, after: str = "") -> AsyncIterator[KeptOriginal]:
        columns = images.c
        # Every row, looked at here: PostgreSQL thinks that few fit, and would sort all of them for each page.
        query = (
            select(columns.sha256, columns.id, columns.version, columns.state, columns.uri)
            .order_by(columns.sha256, columns.id)
            .limit(_READ_AT_ONCE)
        )
        place, more = (after, MAX_IMAGE_ID), True
        while more:
            found = await self._read(query.where(tuple_(columns.sha256, columns.id) > tuple_(*place)))
            for sha256, image_id, version, state, uri in found:
                if state != PictureState.DELETED and uri == f"omma:{sha256}":
                    yield KeptOriginal(Sha256(sha256), ImageId(image_id), Version(version))
            more = len(found) == _READ_AT_ONCE
            place = (found[-1].sha256, found[-1].id) if found else place

    @uninterrupted
    async def _read(self, query: Select[Any]) -> list[Any]:
        async with self._database.reading() as connection:
            return list((await connection.execute(query)).all())
