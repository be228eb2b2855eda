"""What people were shown and what they clicked."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict
from typing import Any, Final

from sqlalchemy import Select, select, tuple_

from omma.catalog.arm_clicks import count_by_arm
from omma.catalog.database import Database, uninterrupted
from omma.catalog.logged_interaction import LoggedInteraction
from omma.catalog.schema.people import DAY_MS, interaction_offsets, interactions
from omma.identity import ImageId, Tenant
from omma.records import Answered, Interaction, InteractionType

_READ_AT_ONCE: Final = 1_000
_DAYS_AHEAD: Final = 3


class Clicks:
    """The catalog's calls about interactions; see omma.catalog.logged_interaction.InteractionBook."""

    _database: Database

    @uninterrupted
    async def add_interactions(self, log: str, batch: Sequence[LoggedInteraction]) -> int:
        if not batch:
            return 0
        ends: dict[int, int] = {}
        for one in batch:
            ends[one.partition] = max(ends.get(one.partition, 0), one.offset + 1)
        async with self._database.writing() as connection:
            offsets = self._database.dialect.insert(interaction_offsets)
            first = [{"log": log, "partition": at, "next_offset": 0} for at in sorted(ends)]
            await connection.execute(offsets.on_conflict_do_nothing(), first)
            # Held to the end: another consumer of the same partition waits, and then finds these recorded.
            held = (
                select(interaction_offsets.c.partition, interaction_offsets.c.next_offset)
                .where(interaction_offsets.c.log == log, interaction_offsets.c.partition.in_(sorted(ends)))
                .order_by(interaction_offsets.c.partition)
                .with_for_update()
            )
            recorded = {row.partition: row.next_offset for row in await connection.execute(held)}
            new = [one.interaction for one in batch if one.offset >= recorded[one.partition]]
            if not new:
                return 0
            new = await count_by_arm(connection, self._database.dialect, new)
            await self._database.dialect.make_days(connection, [one.ts_ms // DAY_MS for one in new])
            await self._database.dialect.append(connection, interactions, [_row(one) for one in new])
            moved = offsets.on_conflict_do_update(
                index_elements=["log", "partition"], set_={"next_offset": offsets.excluded.next_offset}
            )
            places = [{"log": log, "partition": at, "next_offset": max(end, recorded[at])} for at, end in ends.items()]
            await connection.execute(moved, places)
        return len(new)

    async def interactions(self, tenant: Tenant, since_ms: int, until_ms: int) -> AsyncIterator[Interaction]:
        columns = interactions.c
        query = (
            select(interactions)
            .where(columns.tenant_id == tenant, columns.ts >= since_ms, columns.ts < until_ms)
            .order_by(columns.ts, columns.id)
            .limit(_READ_AT_ONCE)
        )
        place = (since_ms, 0)
        while rows := await self._page(query.where(tuple_(columns.ts, columns.id) > tuple_(*place))):
            for row in rows:
                yield _interaction(row)
            place = (rows[-1].ts, rows[-1].id)

    @uninterrupted
    async def roll_interactions(self, kept_days: int) -> None:
        today = self._database.now_ms() // DAY_MS
        async with self._database.writing() as connection:
            await self._database.dialect.make_days(connection, range(today, today + _DAYS_AHEAD + 1))
        more = True
        while more:
            async with self._database.writing() as connection:
                more = await self._database.dialect.drop_days(connection, today - kept_days)

    @uninterrupted
    async def _page(self, query: Select[Any]) -> Sequence[Any]:
        async with self._database.reading() as connection:
            found: Sequence[Any] = (await connection.execute(query)).all()
        return found


def _row(one: Interaction) -> dict[str, Any]:
    return {
        "tenant_id": one.tenant,
        "user_id": one.user_id,
        "query_image_id": one.query_image_id,
        "displayed_image_id": one.displayed[0] if one.displayed else 0,
        "rank": one.rank,
        "type": one.type.value,
        "ts": one.ts_ms,
        "query_id": one.query_id,
        "displayed": list(one.displayed),
        **asdict(one.answered),
    }


def _interaction(row: Any) -> Interaction:
    return Interaction(
        tenant=Tenant(row.tenant_id),
        user_id=row.user_id,
        query_image_id=row.query_image_id,
        displayed=tuple(map(ImageId, (row.displayed_image_id,) if row.displayed is None else row.displayed)),
        rank=row.rank,
        type=InteractionType(row.type),
        ts_ms=row.ts,
        query_id=row.query_id,
        answered=Answered(row.index, row.space, row.policy, row.rollout, row.arm),
    )
