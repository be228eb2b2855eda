"""What the outbox and the indexer tell the catalog about pictures."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, case, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from omma.catalog.copied import LOOK_DUE, Copied
from omma.catalog.database import uninterrupted
from omma.catalog.givens import OF_ROW
from omma.catalog.picture import Embedded, PictureState
from omma.catalog.routes import counts_for_rows
from omma.catalog.schema.pictures import given_vectors, image_hash, image_spaces, images, space_deaths, untold
from omma.identity import ImageId, Sha256, Tenant, Version
from omma.records import EventKind, ImageEvent


class Indexing(Copied):
    """The catalog's calls about events and vectors; see omma.catalog.picture.PictureBook."""

    @uninterrupted
    async def mark_sent(self, events: Sequence[ImageEvent]) -> None:
        if not events:
            return
        statement = (
            update(images)
            .where(images.c.id == bindparam("at_id"), images.c.sent_version < bindparam("sent"))
            .values(sent_version=bindparam("sent"))
        )
        # In the order of ids, as every writer of several rows, so that two never wait for each other.
        marks = sorted((event.image_id, event.version) for event in events)
        async with self._database.writing() as connection:
            await connection.execute(statement, [{"at_id": at, "sent": version} for at, version in marks])

    @uninterrupted
    async def unsent(self, limit: int) -> list[ImageEvent]:
        columns = images.c
        query = (
            select(columns.id, columns.version, columns.tenant_id, columns.unsent_kind)
            .where(*self._unsent())
            .order_by(columns.changed_at, columns.id)
            .limit(limit)
        )
        async with self._database.reading() as connection:
            found = (await connection.execute(query)).all()
        return [ImageEvent(ImageId(i), Version(v), Tenant(tenant), EventKind(kind)) for i, v, tenant, kind in found]

    @uninterrupted
    async def unsent_since(self) -> float | None:
        oldest_at = select(func.min(images.c.changed_at)).where(*self._unsent())
        async with self._database.reading() as connection:
            oldest = (await connection.execute(oldest_at)).scalar_one()
        return None if oldest is None else oldest / 1_000

    @uninterrupted
    async def record_embedded(self, space: str, embedded: Sequence[Embedded]) -> None:
        by_id = {one.image_id: one for one in embedded}
        columns = images.c
        query = (
            select(columns.id, columns.version, columns.tenant_id, columns.sha256, given_vectors.c.space)
            .select_from(images.outerjoin(given_vectors, OF_ROW))
            .where(self._database.dialect.among(columns.id, list(by_id)), columns.state != PictureState.DELETED)
            .order_by(columns.id)
            .with_for_update(of=images)
        )
        async with self._database.writing() as connection:
            found = (await connection.execute(query)).all()
            current = [
                (by_id[i], tenant, sha256) for i, version, tenant, sha256, _ in found if by_id[i].version == version
            ]
            if not current:
                return
            answers = await counts_for_rows(connection, space)
            of_rows = {i for i, *_, given in found if given == space or (given is None and answers)}
            owned = [(one, tenant) for one, tenant, _ in current if one.image_id in of_rows]
            if owned:
                await connection.execute(
                    update(images)
                    .where(columns.id == bindparam("at_id"))
                    .values(width=bindparam("w"), height=bindparam("h"), state=PictureState.INDEXED, reason=""),
                    [{"at_id": one.image_id, "w": one.width, "h": one.height} for one, _ in owned],
                )
                hashed = [_hash_row(one, tenant, one.phash) for one, tenant in owned if one.phash is not None]
                if hashed:
                    await self._forget_changed(connection, hashed)
                    await connection.execute(self._upsert_hash(), hashed)
            await connection.execute(
                self._upsert_space(), [_space_row(space, one, tenant, sha256) for one, tenant, sha256 in current]
            )
            well = [one.image_id for one, _, _ in current]
            await connection.execute(
                delete(space_deaths).where(
                    space_deaths.c.space == space, self._database.dialect.among(space_deaths.c.image_id, well)
                )
            )

    @uninterrupted
    async def record_dead(self, image_id: ImageId, version: Version, reason: str, space: str = "") -> bool:
        live = images.c.state != PictureState.DELETED
        mine = (images.c.id == image_id, images.c.version == version, live)
        held = (
            select(images.c.tenant_id, given_vectors.c.space)
            .select_from(images.outerjoin(given_vectors, OF_ROW))
            .where(*mine)
            .with_for_update(of=images)
        )
        async with self._database.writing() as connection:
            # Held, so that a promotion sees either the note or the row.
            row = (await connection.execute(held)).first()
            if row is None:
                return True
            tenant, given = row
            if await self._is_embedded(connection, tenant, image_id, version, space):
                return False
            if given == space or (given is None and await counts_for_rows(connection, space)):
                dead = update(images).where(*mine).values(state=PictureState.DEAD, reason=reason)
                await connection.execute(dead)
            if space:
                note = {"tenant_id": tenant, "space": space, "image_id": image_id, "version": version, "reason": reason}
                await connection.execute(self._upsert_death(), [note])
        return True

    @uninterrupted
    async def dead_in(self, space: str, image_ids: Collection[ImageId]) -> dict[ImageId, Version]:
        deaths = space_deaths.c
        query = select(deaths.image_id, deaths.version).where(
            deaths.space == space, self._database.dialect.among(deaths.image_id, list(image_ids))
        )
        async with self._database.reading() as connection:
            found = (await connection.execute(query)).all()
        return {ImageId(image_id): Version(version) for image_id, version in found}

    @uninterrupted
    async def forget_space(self, space: str, limit: int) -> int:
        dropped = 0
        async with self._database.writing() as connection:
            for table in (space_deaths, image_spaces):
                some = select(table.c.image_id).where(table.c.space == space).limit(limit - dropped)
                ids = list((await connection.execute(some)).scalars())
                if ids:
                    mine = (table.c.space == space, self._database.dialect.among(table.c.image_id, ids))
                    dropped += (await connection.execute(delete(table).where(*mine))).rowcount
        return dropped

    @uninterrupted
    async def postpone(self, put_off: Mapping[ImageId, Version], reason: str, seconds: float) -> None:
        columns = images.c
        later = {
            "sent_version": columns.version - 1,
            "changed_at": self._database.now_ms() + int(seconds * 1000),
            "reason": reason,
        }
        statement = (
            update(images)
            .where(columns.id == bindparam("at_id"), columns.version == bindparam("at_version"))
            .where(columns.state != PictureState.DELETED)
            .values(later)
        )
        if put_off:
            async with self._database.writing() as connection:
                rows = [{"at_id": at, "at_version": version} for at, version in sorted(put_off.items())]
                await connection.execute(statement, rows)

    @uninterrupted
    async def retell(self, limit: int) -> int:
        async with self._database.reading() as connection:
            if (await connection.execute(select(untold.c.up_to))).first() is None:
                return 0
        columns = images.c
        again = (
            update(images)
            .where(columns.id == bindparam("at_id"), columns.sent_version >= columns.version)
            .where(columns.state != PictureState.DELETED)
            .values(sent_version=columns.version - 1, changed_at=self._database.now_ms())
        )
        async with self._database.writing() as connection:
            up_to = (await connection.execute(select(untold.c.up_to).with_for_update())).scalar_one_or_none()
            if up_to is None:
                return 0
            newest = select(columns.id).where(columns.id <= up_to).order_by(columns.id.desc()).limit(limit)
            ids = sorted((await connection.execute(newest)).scalars())
            if ids:
                await connection.execute(again, [{"at_id": at} for at in ids])
                await connection.execute(update(untold).values(up_to=ids[0] - 1))
            else:
                await connection.execute(delete(untold))
        return len(ids)

    @uninterrupted
    async def embedded_with(self, space: str, sha256s: Collection[Sha256]) -> dict[Sha256, ImageId]:
        same_row = and_(images.c.tenant_id == image_spaces.c.tenant_id, images.c.id == image_spaces.c.image_id)
        query = (
            select(image_spaces.c.sha256, func.min(image_spaces.c.image_id))
            .join(images, same_row)
            .where(image_spaces.c.space == space)
            .where(self._database.dialect.among(image_spaces.c.sha256, list(sha256s)))
            # A row whose bytes changed has vectors of the old ones until it is embedded again.
            .where(images.c.sha256 == image_spaces.c.sha256)
            .where(images.c.state.in_((PictureState.PENDING, PictureState.INDEXED)))
            .group_by(image_spaces.c.sha256)
        )
        async with self._database.reading() as connection:
            found = (await connection.execute(query)).all()
        return {Sha256(sha256): ImageId(image_id) for sha256, image_id in found}

    @uninterrupted
    async def counts(self, space: str = "") -> dict[str, int]:
        by_state = select(images.c.state, func.count()).group_by(images.c.state)
        if space:
            here = or_(given_vectors.c.space.is_(None), given_vectors.c.space == space)
            by_state = by_state.select_from(images.outerjoin(given_vectors, OF_ROW)).where(here)
        unsent = select(func.count()).select_from(images).where(images.c.sent_version < images.c.version)
        async with self._database.snapshot() as connection:
            found = (await connection.execute(by_state)).all()
            waiting = (await connection.execute(unsent)).scalar_one()
        return {state.value: 0 for state in PictureState} | {row[0]: row[1] for row in found} | {"unsent": waiting}

    def _unsent(self) -> tuple[ColumnElement[bool], ...]:
        """What `unsent` gives. Only what is put off, and has a reason, waits for its time: a clock may be set back."""
        columns = images.c
        due = or_(columns.changed_at <= self._database.now_ms(), columns.reason == "")
        return columns.sent_version < columns.version, due

    async def _is_embedded(
        self, connection: AsyncConnection, tenant: str, image_id: ImageId, version: Version, space: str
    ) -> bool:
        columns = image_spaces.c
        of_it = (columns.tenant_id == tenant, columns.space == space, columns.image_id == image_id)
        found = await connection.execute(select(columns.version).where(*of_it, columns.version == version))
        return found.first() is not None

    async def _forget_changed(self, connection: AsyncConnection, hashed: Sequence[Mapping[str, Any]]) -> None:
        """What was told of bytes that these rows are no longer of."""
        for tenant in sorted({row["tenant_id"] for row in hashed}):
            signed = {row["image_id"]: row["signature"] for row in hashed if row["tenant_id"] == tenant}
            theirs = self._database.dialect.among(image_hash.c.image_id, sorted(signed))
            query = select(image_hash.c.image_id, image_hash.c.signature).where(
                image_hash.c.tenant_id == tenant, theirs
            )
            found = (await connection.execute(query)).all()
            changed = [row.image_id for row in found if row.signature != signed[row.image_id]]
            if changed:
                await self._forget_copies(connection, tenant, changed, held=signed)

    def _upsert_hash(self) -> Any:
        insert = self._database.dialect.insert(image_hash)
        return insert.on_conflict_do_update(
            index_elements=["tenant_id", "image_id"],
            set_={
                "phash": insert.excluded.phash,
                "signature": insert.excluded.signature,
                "sharpness": insert.excluded.sharpness,
                "exposure": insert.excluded.exposure,
                "look": case((image_hash.c.signature == insert.excluded.signature, image_hash.c.look), else_=LOOK_DUE),
            },
        )

    def _upsert_death(self) -> Any:
        insert = self._database.dialect.insert(space_deaths)
        return insert.on_conflict_do_update(
            index_elements=["tenant_id", "space", "image_id"],
            set_={"version": insert.excluded.version, "reason": insert.excluded.reason},
        )

    def _upsert_space(self) -> Any:
        insert = self._database.dialect.insert(image_spaces)
        return insert.on_conflict_do_update(
            index_elements=["tenant_id", "space", "image_id"],
            set_={"version": insert.excluded.version, "sha256": insert.excluded.sha256},
        )


def _hash_row(one: Embedded, tenant: str, phash: int) -> dict[str, Any]:
    return {
        "tenant_id": tenant,
        "image_id": one.image_id,
        "phash": phash.to_bytes(8, "big"),
        "signature": one.signature or None,
        "sharpness": None if one.quality is None else one.quality.sharpness,
        "exposure": None if one.quality is None else one.quality.exposure,
    }


def _space_row(space: str, one: Embedded, tenant: str, sha256: str) -> dict[str, Any]:
    return {
        "tenant_id": tenant,
        "space": space,
        "image_id": one.image_id,
        "version": one.version,
        "sha256": sha256,
    }
