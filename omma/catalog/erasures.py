"""See omma.catalog.erasure.ErasureBook."""

from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Table, and_, bindparam, delete, exists, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from omma.catalog import rows
from omma.catalog.database import uninterrupted
from omma.catalog.erasure import Erasure, bytes_digest
from omma.catalog.objects import Objects
from omma.catalog.picture import Upserted
from omma.catalog.schema.people import anomaly_scores, auto_tags, feedback, interactions, pair_verdicts
from omma.catalog.schema.pictures import erased_bytes, erasures, images, objects, space_deaths
from omma.catalog.schema.work import downloads, jobs
from omma.catalog.where import where
from omma.filters import Filter
from omma.identity import ImageId, Sha256, Tenant, Version
from omma.records import InteractionType

_CHANGED_AT_ONCE: Final = 1_000
_SAYS_SOMETHING: Final = images.c.sha256 != ""


class Erasures(Objects):
    """The catalog's calls about erasing; see omma.catalog.erasure.ErasureBook."""

    @uninterrupted
    async def find_erasable(
        self, tenant: Tenant, wanted: Filter | Collection[ImageId] | Collection[str], limit: int
    ) -> list[ImageId]:
        query = select(images.c.id).where(images.c.tenant_id == tenant, _SAYS_SOMETHING, self._wanted(wanted))
        async with self._database.reading() as connection:
            found = (await connection.execute(query.order_by(images.c.id).limit(limit))).scalars()
        return [ImageId(one) for one in found]

    @uninterrupted
    async def erase(self, tenant: Tenant, image_ids: Sequence[ImageId]) -> list[Upserted]:
        now_ms = self._database.now_ms()
        of_these = and_(images.c.tenant_id == tenant, self._id_in(image_ids), _SAYS_SOMETHING)
        async with self._database.writing() as connection:
            found = await self._locked_rows(connection, of_these)
            if not found:
                return []
            rewritten = [(stored, rows.erased(stored, now_ms)) for stored in found]
            await self._rewrite(connection, rewritten)
            await self._forget_embedded(connection, found)
            await self._drop_given(connection, [stored.picture.id for stored in found if stored.picture.space])
            await self._forget_said(connection, tenant, found)
            await self._hurry(connection, [stored.picture.sha256 for stored in found])
            begun = [
                {"tenant_id": tenant, "image_id": one.picture.id, "sha256": one.picture.sha256, "begun_at": now_ms}
                for one in found
            ]
            await connection.execute(self._database.dialect.insert(erasures).on_conflict_do_nothing(), begun)
            digests = sorted({bytes_digest(tenant, stored.picture.sha256) for stored in found})
            known = [{"tenant_id": tenant, "digest": digest, "at": now_ms} for digest in digests]
            await connection.execute(self._database.dialect.insert(erased_bytes).on_conflict_do_nothing(), known)
        return [rows.answer(stored, rewrite) for stored, rewrite in rewritten]

    @uninterrupted
    async def erasures(self, tenant: Tenant, limit: int) -> list[Erasure]:
        query = (
            select(erasures.c.image_id, erasures.c.sha256, images.c.version)
            .join(images, and_(images.c.tenant_id == erasures.c.tenant_id, images.c.id == erasures.c.image_id))
            .where(erasures.c.tenant_id == tenant)
            .order_by(erasures.c.image_id)
            .limit(limit)
        )
        async with self._database.reading() as connection:
            found = (await connection.execute(query)).all()
        return [Erasure(ImageId(row.image_id), Version(row.version), Sha256(row.sha256)) for row in found]

    @uninterrupted
    async def unattended_erasures(self, job_kind: str) -> list[Tenant]:
        asked_for = exists().where(
            jobs.c.tenant_id == erasures.c.tenant_id, jobs.c.kind == job_kind, jobs.c.created_at >= erasures.c.begun_at
        )
        query = select(erasures.c.tenant_id).where(~asked_for).distinct().order_by(erasures.c.tenant_id)
        async with self._database.reading() as connection:
            return [Tenant(one) for one in (await connection.execute(query)).scalars()]

    @uninterrupted
    async def forget_interactions(self, tenant: Tenant, image_ids: Collection[ImageId]) -> int:
        ids = sorted(image_ids)
        among, columns = self._database.dialect.among, interactions.c
        clicks = and_(columns.type == InteractionType.CLICK.value, among(columns.displayed_image_id, ids))
        theirs = and_(columns.tenant_id == tenant, or_(clicks, among(columns.query_image_id, ids)))
        async with self._database.writing() as connection:
            gone = (await connection.execute(delete(interactions).where(theirs))).rowcount
        while changed := await self._hide_displayed(tenant, ids):
            gone += changed
        return gone

    @uninterrupted
    async def end_erasures(self, tenant: Tenant, image_ids: Sequence[ImageId]) -> None:
        theirs = self._database.dialect.among(erasures.c.image_id, list(image_ids))
        async with self._database.writing() as connection:
            await connection.execute(delete(erasures).where(erasures.c.tenant_id == tenant, theirs))

    async def scrub(self) -> None:
        await self._database.scrub()

    def _wanted(self, wanted: Filter | Collection[ImageId] | Collection[str]) -> ColumnElement[bool]:
        if isinstance(wanted, Filter):
            return where(wanted, self._database.dialect)
        ids = [one for one in wanted if isinstance(one, int)]
        return self._id_in([ImageId(one) for one in ids]) if ids else self._key_in([str(one) for one in wanted])

    async def _forget_said(
        self, connection: AsyncConnection, tenant: Tenant, found: Sequence[rows.StoredPicture]
    ) -> None:
        """What people, measurements and ingests noted of these pictures."""
        ids, keys = [stored.picture.id for stored in found], [stored.picture.key for stored in found]
        among = self._database.dialect.among

        async def forget(table: Table, *conditions: ColumnElement[bool]) -> None:
            await connection.execute(delete(table).where(table.c.tenant_id == tenant, or_(*conditions)))

        for table in (space_deaths, anomaly_scores, auto_tags):
            await forget(table, among(table.c.image_id, ids))
        await forget(objects, among(objects.c.image_id, ids))
        await self._forget_objects(connection, tenant, keys)
        await forget(pair_verdicts, among(pair_verdicts.c.first_id, ids), among(pair_verdicts.c.second_id, ids))
        await forget(feedback, among(feedback.c.image_id, ids), among(feedback.c.query_image_id, ids))
        # An upload's line is kept by its place, and its row by its bytes.
        sha256s = sorted({stored.picture.sha256 for stored in found})
        brought_in = and_(downloads.c.sha256.is_not(None), among(downloads.c.sha256, sha256s))
        await forget(downloads, among(downloads.c.key, keys), brought_in)

    @uninterrupted
    async def _hide_displayed(self, tenant: Tenant, ids: Sequence[ImageId]) -> int:
        """Of one page of searches; returns how many."""
        columns, erased = interactions.c, set(ids)
        dialect = self._database.dialect
        showed = or_(dialect.any_id(columns.displayed, ids), dialect.among(columns.displayed_image_id, ids))
        query = select(columns.id, columns.ts, columns.displayed, columns.displayed_image_id)
        query = query.where(columns.tenant_id == tenant, showed).limit(_CHANGED_AT_ONCE)
        hidden = (
            update(interactions)
            .where(columns.ts == bindparam("at_ts"), columns.id == bindparam("at_id"))
            .values(displayed=bindparam("shown"), displayed_image_id=bindparam("first"))
        )
        async with self._database.writing() as connection:
            found = (await connection.execute(query)).all()
            changes: list[dict[str, Any]] = []
            for row in found:
                shown = [0 if one in erased else one for one in row.displayed or (row.displayed_image_id,)]
                changes.append({"at_ts": row.ts, "at_id": row.id, "shown": shown, "first": shown[0]})
            if changes:
                await connection.execute(hidden, changes)
        return len(changes)
