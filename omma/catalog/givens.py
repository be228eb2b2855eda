"""See omma.catalog.given.GivenBook."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from sqlalchemy import and_, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from omma.buckets import row_bucket_of
from omma.catalog.database import Database, uninterrupted
from omma.catalog.given import GivenVector
from omma.catalog.picture import PictureState
from omma.catalog.schema.pictures import given_vectors, images
from omma.identity import ImageId, Tenant

OF_ROW: Final = and_(given_vectors.c.tenant_id == images.c.tenant_id, given_vectors.c.image_id == images.c.id)


class Givens:
    """The catalog's calls about given vectors, and what its writers of rows do with them."""

    _database: Database

    @uninterrupted
    async def given_vectors(self, image_ids: Collection[ImageId]) -> dict[ImageId, GivenVector]:
        query = select(given_vectors.c.image_id, given_vectors.c.space, given_vectors.c.vector)
        query = query.where(self._database.dialect.among(given_vectors.c.image_id, list(image_ids)))
        async with self._database.reading() as connection:
            found = (await connection.execute(query)).all()
        return {ImageId(image_id): GivenVector(space, content) for image_id, space, content in found}

    @uninterrupted
    async def live_keys(self, tenant: Tenant, keys: Collection[str]) -> dict[str, str]:
        query = (
            select(images.c.key, given_vectors.c.space)
            .select_from(images.outerjoin(given_vectors, OF_ROW))
            .where(images.c.tenant_id == tenant, self._database.dialect.among(images.c.key, list(keys)))
            .where(images.c.state != PictureState.DELETED)
        )
        async with self._database.reading() as connection:
            found = (await connection.execute(query)).all()
        return {key: space or "" for key, space in found}

    async def _keep_given(
        self, connection: AsyncConnection, tenant: Tenant, given: Mapping[ImageId, GivenVector | None]
    ) -> None:
        """None: the row is a picture now, or says nothing any more."""
        await self._drop_given(connection, [image_id for image_id, one in given.items() if one is None])
        made = [
            {
                "tenant_id": tenant,
                "image_id": image_id,
                "space": one.space,
                "bucket": row_bucket_of(image_id),
                "vector": one.content,
            }
            for image_id, one in sorted(given.items())
            if one is not None
        ]
        if made:
            insert = self._database.dialect.insert(given_vectors)
            changed = {"space": insert.excluded.space, "vector": insert.excluded.vector}
            await connection.execute(
                insert.on_conflict_do_update(index_elements=["tenant_id", "image_id"], set_=changed), made
            )

    async def _drop_given(self, connection: AsyncConnection, image_ids: Sequence[ImageId]) -> None:
        if image_ids:
            theirs = self._database.dialect.among(given_vectors.c.image_id, sorted(image_ids))
            await connection.execute(delete(given_vectors).where(theirs))
