"""Objects in buckets, and the pictures that follow them."""

from collections.abc import Collection, Sequence
from contextlib import suppress

from sqlalchemy import and_, bindparam, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from omma.blobs.object_uri import SCHEME, place_of
from omma.catalog.database import uninterrupted
from omma.catalog.inbox_object import KnownObject, SeenObject
from omma.catalog.picture import DeletedBy, PictureState, Upserted
from omma.catalog.pictures import Pictures
from omma.catalog.schema.pictures import images, objects
from omma.errors import InvalidQuery
from omma.identity import ImageId, Tenant

_Recorded = tuple[str, ImageId | None]


class Objects(Pictures):
    """See omma.catalog.inbox_object.ObjectBook."""

    @uninterrupted
    async def known_objects(self, tenant: Tenant, bucket: str, keys: Collection[str]) -> dict[str, KnownObject]:
        live = and_(
            images.c.tenant_id == objects.c.tenant_id,
            images.c.id == objects.c.image_id,
            images.c.state != PictureState.DELETED,
        )
        query = (
            select(objects.c.key, objects.c.sequencer, images.c.bytes, images.c.mtime_ns, images.c.state)
            .select_from(objects.outerjoin(images, live))
            .where(objects.c.tenant_id == tenant, objects.c.bucket == bucket)
            .where(self._database.dialect.among(objects.c.key, list(keys)))
        )
        async with self._database.reading() as connection:
            found = (await connection.execute(query)).all()
        return {
            key: KnownObject(sequencer, size, stamp, dead=state == PictureState.DEAD)
            for key, sequencer, size, stamp, state in found
        }

    @uninterrupted
    async def follow_objects(
        self, tenant: Tenant, bucket: str, seen: Sequence[SeenObject], *, revive: bool = True
    ) -> list[Upserted]:
        async with self._database.writing() as connection:
            recorded = await self._recorded(connection, tenant, bucket, {one.key for one in seen})
            current = [one for one in seen if not is_newer(recorded[one.key][0], than=one.sequencer)]
            pictures = [one.picture for one in current if one.picture is not None]
            upserted = await self._upsert(connection, tenant, pictures, revive)
            gone = [recorded[one.key][1] for one in current if one.picture is None]
            ids = [image_id for image_id in gone if image_id is not None]
            deleted = await self._delete(connection, tenant, ids, DeletedBy.ABSENCE)
            id_of = {picture.key: change.id for picture, change in zip(pictures, upserted, strict=True)}
            erased = {key for key, image_id in id_of.items() if not image_id}
            await self._forget_objects(connection, tenant, erased)
            now = [
                {
                    "at_key": one.key,
                    "sequencer": one.sequencer,
                    "image_id": None if one.picture is None else id_of[one.picture.key],
                }
                for one in current
                if one.picture is None or one.picture.key not in erased
            ]
            if now:
                at = (objects.c.tenant_id == tenant, objects.c.bucket == bucket, objects.c.key == bindparam("at_key"))
                await connection.execute(update(objects).where(*at), now)
        return [*upserted, *deleted]

    async def _forget_objects(self, connection: AsyncConnection, tenant: Tenant, keys: Collection[str]) -> None:
        """keys: of pictures; those that are no object's are passed over."""
        by_bucket: dict[str, list[str]] = {}
        for uri in sorted(keys):
            if uri.startswith(SCHEME):
                with suppress(InvalidQuery):  # an external_id that only looks like one
                    place = place_of(uri)
                    by_bucket.setdefault(place.bucket, []).append(place.key)
        for bucket, theirs in by_bucket.items():
            among = self._database.dialect.among(objects.c.key, theirs)
            await connection.execute(
                delete(objects).where(objects.c.tenant_id == tenant, objects.c.bucket == bucket, among)
            )

    async def _recorded(
        self, connection: AsyncConnection, tenant: Tenant, bucket: str, keys: set[str]
    ) -> dict[str, _Recorded]:
        """What is recorded of these objects, held until the transaction ends; each has a row then."""
        found = await self._held(connection, tenant, bucket, keys)
        missing = sorted(keys - found.keys())
        if missing:
            row = {"tenant_id": tenant, "bucket": bucket, "sequencer": "", "image_id": None}
            insert = self._database.dialect.insert(objects).on_conflict_do_nothing()
            await connection.execute(insert, [{**row, "key": key} for key in missing])
            # Another writer may have made some of them between our look and our insert.
            found |= await self._held(connection, tenant, bucket, set(missing))
        return found

    async def _held(
        self, connection: AsyncConnection, tenant: Tenant, bucket: str, keys: set[str]
    ) -> dict[str, _Recorded]:
        query = (
            select(objects.c.key, objects.c.sequencer, objects.c.image_id)
            .where(objects.c.tenant_id == tenant, objects.c.bucket == bucket)
            .where(self._database.dialect.among(objects.c.key, sorted(keys)))
            .order_by(objects.c.key)
            .with_for_update()
        )
        return {key: (sequencer, i) for key, sequencer, i in (await connection.execute(query)).all()}


def is_newer(sequencer: str, than: str) -> bool:
    """Whether an object's event came after another one of the same object.

    Hexadecimal, of different lengths: the shorter one is padded on its right.
    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
    """
    width = max(len(sequencer), len(than))
    if bool(sequencer) != bool(than):
        return bool(sequencer)
    return sequencer.upper().ljust(width, "0") > than.upper().ljust(width, "0")
