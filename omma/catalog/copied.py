"""Copies in the catalog; see omma.catalog.copies.CopyBook."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

from sqlalchemy import and_, bindparam, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from omma.catalog.copies import NO_GROUP, Connected, CopyPair, Membership, Signatures
from omma.catalog.database import Database, uninterrupted
from omma.catalog.picture import PictureState
from omma.catalog.schema.people import pair_verdicts
from omma.catalog.schema.pictures import copy_groups, copy_pairs, image_hash, images
from omma.identity import ImageId, Tenant

LOOK_DUE: Final = 0
_UNDER_WAY: Final = 1
_DONE: Final = 2
"""Of `image_hash.look`."""


class Copied:
    """See omma.catalog.copies.CopyBook."""

    _database: Database

    @uninterrupted
    async def begin_looking(self, after: ImageId, limit: int) -> list[tuple[ImageId, Tenant]]:
        columns = image_hash.c
        query = (
            select(columns.image_id, columns.tenant_id)
            .where(columns.look < _DONE, columns.signature.is_not(None), columns.image_id > after)
            .order_by(columns.image_id)
            .limit(limit)
        )
        async with self._database.reading() as connection:
            found = [(ImageId(row.image_id), Tenant(row.tenant_id)) for row in await connection.execute(query)]
        if found:
            begun = (update(image_hash).where(columns.look < _DONE, columns.image_id == bindparam("at_id"))).where(
                columns.tenant_id == bindparam("of")
            )
            async with self._database.writing() as connection:
                rows = [{"at_id": id, "of": tenant} for id, tenant in sorted(found, key=lambda one: (one[1], one[0]))]
                await connection.execute(begun.values(look=_UNDER_WAY), rows)
        return found

    @uninterrupted
    async def with_phash(self, tenant: Tenant, phash: int, limit: int) -> list[ImageId]:
        columns = image_hash.c
        mine = (columns.tenant_id == tenant, columns.phash == phash.to_bytes(8, "big"))
        query = select(columns.image_id).where(*mine).order_by(columns.image_id).limit(limit)
        async with self._database.reading() as connection:
            return [ImageId(id) for id in (await connection.execute(query)).scalars()]

    @uninterrupted
    async def keep_copy_pairs(self, tenant: Tenant, seen: Signatures, pairs: Sequence[CopyPair]) -> None:
        ends = {id: seen[id] for pair in pairs for id in (pair.first, pair.second)}
        if not ends:
            return
        async with self._database.writing() as connection:
            same = await self._unchanged(connection, tenant, ends)
            kept = [_pair_row(tenant, pair) for pair in pairs if {pair.first, pair.second} <= same]
            if kept:
                kept.sort(key=lambda row: (row["first_id"], row["second_id"]))
                await connection.execute(self._database.dialect.insert(copy_pairs).on_conflict_do_nothing(), kept)

    @uninterrupted
    async def end_looking(self, tenant: Tenant, seen: Signatures) -> None:
        if not seen:
            return
        columns = image_hash.c
        async with self._database.writing() as connection:
            same = await self._unchanged(connection, tenant, seen)
            theirs = self._database.dialect.among(columns.image_id, sorted(same))
            mine = (columns.tenant_id == tenant, theirs, columns.look == _UNDER_WAY)
            await connection.execute(update(image_hash).where(*mine).values(look=_DONE))

    @uninterrupted
    async def connected(self, tenant: Tenant, image_id: ImageId, limit: int) -> Connected:
        known, ahead = {image_id}, {image_id}
        pairs: dict[tuple[int, int], CopyPair] = {}
        said: dict[tuple[int, int], tuple[int, bool]] = {}
        async with self._database.snapshot() as connection:
            while ahead and len(known) < limit:
                for pair in await self._pairs_of(connection, tenant, ahead):
                    pairs[pair.first, pair.second] = pair
                for id, first, second, same in await self._said_of(connection, tenant, ahead):
                    said[first, second] = max(said.get((first, second), (0, False)), (id, same))
                together = [ends for ends, (_, same) in said.items() if same]
                near = {ImageId(end) for ends in (*pairs, *together) for end in ends}
                ahead = set(sorted(near - known)[: limit - len(known)])
                known |= ahead
            ids = self._database.dialect.among(copy_groups.c.image_id, sorted(known))
            query = select(copy_groups.c.image_id, copy_groups.c.group_id).where(copy_groups.c.tenant_id == tenant, ids)
            groups = {ImageId(row.image_id): int(row.group_id) for row in await connection.execute(query)}
        inside = {ends: same for ends, (_, same) in said.items() if set(ends) <= known}
        return Connected(
            ids=tuple(sorted(known)),
            pairs=tuple(pair for ends, pair in sorted(pairs.items()) if set(ends) <= known),
            together=_ends(ends for ends, same in inside.items() if same),
            apart=_ends(ends for ends, same in inside.items() if not same),
            groups=groups,
            whole=not ahead,
        )

    @uninterrupted
    async def keep_memberships(self, tenant: Tenant, memberships: Sequence[Membership]) -> None:
        if not memberships:
            return
        rows = [
            {
                "tenant_id": tenant,
                "image_id": one.image_id,
                "group_id": one.group,
                "rule": one.rule,
                "distance": one.distance,
            }
            for one in sorted(memberships, key=lambda one: one.image_id)
        ]
        ids = sorted(int(one.image_id) for one in memberships)
        columns = image_hash.c
        there = select(columns.image_id).where(
            columns.tenant_id == tenant, self._database.dialect.among(columns.image_id, ids)
        )
        async with self._database.writing() as connection:
            # Held, so that no membership is written after its picture went.
            live = set((await connection.execute(there.order_by(columns.image_id).with_for_update())).scalars())
            theirs = self._database.dialect.among(copy_groups.c.image_id, ids)
            await connection.execute(delete(copy_groups).where(copy_groups.c.tenant_id == tenant, theirs))
            kept = [row for row in rows if row["image_id"] in live]
            if kept:
                await connection.execute(copy_groups.insert(), kept)

    @uninterrupted
    async def memberships(self, after: int, limit: int) -> list[Membership]:
        query = select(copy_groups).where(copy_groups.c.id > after).order_by(copy_groups.c.id).limit(limit)
        async with self._database.reading() as connection:
            found = (await connection.execute(query)).all()
        return [
            Membership(ImageId(row.image_id), int(row.group_id), row.rule, row.distance, int(row.id)) for row in found
        ]

    @uninterrupted
    async def in_groups_of(self, tenant: Tenant, image_ids: Collection[ImageId], limit: int) -> dict[ImageId, int]:
        columns, among = copy_groups.c, self._database.dialect.among
        mine = select(columns.image_id, columns.group_id).where(
            columns.tenant_id == tenant, columns.group_id != NO_GROUP, among(columns.image_id, sorted(image_ids))
        )
        async with self._database.snapshot() as connection:
            found = {ImageId(row.image_id): int(row.group_id) for row in await connection.execute(mine)}
            groups = sorted(set(found.values()))
            if groups:
                others = select(columns.image_id, columns.group_id).where(
                    columns.tenant_id == tenant, among(columns.group_id, groups)
                )
                rows = await connection.execute(others.order_by(columns.group_id, columns.image_id).limit(limit))
                found |= {ImageId(row.image_id): int(row.group_id) for row in rows}
        return found

    async def _forget_copies(
        self, connection: AsyncConnection, tenant: Tenant, image_ids: Iterable[ImageId], held: Iterable[ImageId] = ()
    ) -> None:
        """What was told of these pictures' bytes; those that were copies of them are to be looked at again.

        held: rows of image_hash that the transaction changes too: all are locked in the order of their ids.
        """
        ids, among = sorted(image_ids), self._database.dialect.among
        columns = copy_pairs.c
        theirs = and_(columns.tenant_id == tenant, or_(among(columns.first_id, ids), among(columns.second_id, ids)))
        gone = (await connection.execute(select(columns.first_id, columns.second_id).where(theirs))).all()
        left = {end for ends in gone for end in ends} - set(ids)
        hold = self._database.dialect.among(image_hash.c.image_id, sorted({*ids, *left, *held}))
        rows = select(image_hash.c.image_id).where(image_hash.c.tenant_id == tenant, hold)
        await connection.execute(rows.order_by(image_hash.c.image_id).with_for_update())
        if gone:
            await connection.execute(delete(copy_pairs).where(theirs))
            await self._look_again(connection, tenant, left)
        grouped = and_(copy_groups.c.tenant_id == tenant, among(copy_groups.c.image_id, ids))
        taken_out = delete(copy_groups).where(grouped).returning(copy_groups.c.image_id)
        were = (await connection.execute(taken_out)).scalars().all()
        if were:  # a row of its own, with a new id, since gateways follow those
            none = {"tenant_id": tenant, "group_id": NO_GROUP, "rule": "", "distance": 0}
            await connection.execute(copy_groups.insert(), [{**none, "image_id": id} for id in sorted(were)])

    async def _unchanged(self, connection: AsyncConnection, tenant: Tenant, seen: Signatures) -> set[ImageId]:
        """Those whose signature is still the one that was seen; held until the transaction ends."""
        columns = image_hash.c
        theirs = and_(columns.tenant_id == tenant, self._database.dialect.among(columns.image_id, sorted(seen)))
        query = select(columns.image_id, columns.signature).where(theirs).order_by(columns.image_id).with_for_update()
        found = (await connection.execute(query)).all()
        return {ImageId(row.image_id) for row in found if row.signature == seen[ImageId(row.image_id)]}

    async def _look_again(self, connection: AsyncConnection, tenant: Tenant, image_ids: Iterable[int]) -> None:
        ids = sorted(image_ids)
        if ids:
            theirs = self._database.dialect.among(image_hash.c.image_id, ids)
            await connection.execute(
                update(image_hash).where(image_hash.c.tenant_id == tenant, theirs).values(look=LOOK_DUE)
            )

    async def _pairs_of(
        self, connection: AsyncConnection, tenant: Tenant, image_ids: Collection[ImageId]
    ) -> list[CopyPair]:
        columns, ids, among = copy_pairs.c, sorted(image_ids), self._database.dialect.among
        either = or_(among(columns.first_id, ids), among(columns.second_id, ids))
        found = await connection.execute(select(copy_pairs).where(columns.tenant_id == tenant, either))
        return [CopyPair(ImageId(row.first_id), ImageId(row.second_id), row.rule, row.distance) for row in found]

    async def _said_of(
        self, connection: AsyncConnection, tenant: Tenant, image_ids: Collection[ImageId]
    ) -> list[tuple[int, int, int, bool]]:
        """Only of pictures that live: a verdict outlives a delete."""
        columns, ids, among = pair_verdicts.c, sorted(image_ids), self._database.dialect.among
        either = or_(among(columns.first_id, ids), among(columns.second_id, ids))
        query = select(columns.id, columns.first_id, columns.second_id, columns.same)
        found = (await connection.execute(query.where(columns.tenant_id == tenant, either))).all()
        ends = {end for row in found for end in (row.first_id, row.second_id)}
        live = select(images.c.id).where(
            images.c.tenant_id == tenant, among(images.c.id, sorted(ends)), images.c.state != PictureState.DELETED
        )
        there = set((await connection.execute(live)).scalars()) if ends else set()
        return [
            (int(row.id), int(row.first_id), int(row.second_id), bool(row.same))
            for row in found
            if {row.first_id, row.second_id} <= there
        ]


def _pair_row(tenant: Tenant, pair: CopyPair) -> dict[str, Any]:
    return {
        "tenant_id": tenant,
        "first_id": pair.first,
        "second_id": pair.second,
        "rule": pair.rule,
        "distance": pair.distance,
    }


def _ends(pairs: Iterable[tuple[int, int]]) -> tuple[tuple[ImageId, ImageId], ...]:
    return tuple(sorted((ImageId(first), ImageId(second)) for first, second in pairs))
