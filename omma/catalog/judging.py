"""Counts by minute, moments by arm, and decisions that a lease fences."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np
from sqlalchemy import BigInteger, ColumnElement, bindparam, case, cast, delete, func, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from omma.catalog.database import Database, uninterrupted
from omma.catalog.judgement import Fence, Judgement, ToldMinute
from omma.catalog.rollouts import move, read_rollout, require_stage
from omma.catalog.schema.people import DAY_MS, interactions
from omma.catalog.schema.serving import rollout_callers, rollout_history, rollout_minutes, rollout_searches, rollouts
from omma.catalog.schema.work import leases
from omma.errors import WrongState
from omma.judging.moments import Moments
from omma.judging.tally import ArmMinute
from omma.records import InteractionType
from omma.rollouts.rollout import RUNNING, Rollout

_MINUTE_MS: Final = 60_000


class Judging:
    """The catalog's calls about judging a rollout; see omma.catalog.judgement.JudgementBook."""

    _database: Database

    @uninterrupted
    async def put_arm_minutes(self, rollout_id: str, follower: str, minutes: Sequence[ArmMinute]) -> None:
        if not minutes:
            return
        statement = self._database.dialect.insert(rollout_minutes).values(told_at=self._database.shared_now_ms())
        rows = [
            {
                "rollout": rollout_id,
                "minute": one.minute,
                "arm": one.arm,
                "follower": follower,
                "counts": dict(one.counts),
                "stage": one.stage,
            }
            for one in sorted(minutes, key=lambda one: (one.minute, one.arm))
        ]
        key = ["rollout", "minute", "arm", "follower"]
        said = {name: statement.excluded[name] for name in ("counts", "stage", "told_at")}
        newer = statement.on_conflict_do_update(index_elements=key, set_=said)
        async with self._database.writing() as connection:
            await connection.execute(newer, rows)

    @uninterrupted
    async def arm_minutes(self, rollout_id: str, stage: int, limit: int) -> list[ToldMinute]:
        columns = rollout_minutes.c
        # A minute without a stage may have searches of before the step that falls into it.
        of_stage = or_(columns.stage == stage, columns.stage.is_(None) & (columns.minute > stage // _MINUTE_MS))
        query = (
            select(columns.follower, columns.minute, columns.arm, columns.counts, columns.judged)
            .where(columns.rollout == rollout_id, of_stage, columns.judged.is_distinct_from(columns.counts))
            .order_by(columns.minute, columns.follower, columns.arm)
            .limit(limit)
        )
        async with self._database.reading() as connection:
            found = (await connection.execute(query)).all()
        return [
            ToldMinute(follower, ArmMinute(minute, arm, Counter(counts), stage), Counter(judged or {}))
            for follower, minute, arm, counts, judged in found
        ]

    @uninterrupted
    async def drop_arm_minutes(self, kept_seconds: float) -> None:
        async with self._database.writing() as connection:
            before_ms = await self._database.read_shared_now_ms(connection) - int(kept_seconds * 1000)
            columns = rollout_minutes.c
            # Of the version before, which stamps none.
            unstamped = columns.told_at.is_(None) & (columns.minute < before_ms // _MINUTE_MS)
            past = delete(rollout_minutes).where(or_(columns.told_at < before_ms, unstamped))
            await connection.execute(past)
            await connection.execute(delete(rollout_searches).where(rollout_searches.c.at < before_ms))

    @uninterrupted
    async def forget_callers(self, kept_seconds: float) -> int:
        running = rollouts.c.state.in_(sorted(RUNNING))
        over_for_long = rollouts.c.changed_at < self._database.shared_ms_ago(kept_seconds)
        over = select(rollouts.c.id).where(~running, over_for_long)
        now = select(rollouts.c.changed_at).where(rollouts.c.id == rollout_callers.c.rollout).scalar_subquery()
        past = delete(rollout_callers).where(or_(rollout_callers.c.stage < now, rollout_callers.c.rollout.in_(over)))
        async with self._database.writing() as connection:
            gone = (await connection.execute(past)).rowcount
            of_those = delete(rollout_history).where(rollout_history.c.rollout.in_(over))
            return int(gone + (await connection.execute(of_those)).rowcount)

    @uninterrupted
    async def remember_before(self, rollout_id: str, day: int) -> None:
        columns = interactions.c
        clicked = case((columns.type == InteractionType.CLICK.value, 1), else_=0)
        shown = case((columns.type == InteractionType.IMPRESSION.value, 1), else_=0)
        of_day = (
            select(
                literal(rollout_id),
                literal(day, rollout_history.c.day.type),
                columns.tenant_id,
                literal("user ") + columns.user_id,
                func.sum(clicked),
                func.sum(shown),
            )
            .where(columns.ts >= day * DAY_MS, columns.ts < (day + 1) * DAY_MS, columns.user_id != "")
            .where(or_(columns.type == InteractionType.CLICK.value, columns.rank > 0))  # as an arm counts them
            .group_by(columns.tenant_id, columns.user_id)
        )
        names = [column.name for column in rollout_history.c]
        statement = self._database.dialect.insert(rollout_history).from_select(names, of_day)
        async with self._database.writing() as connection:
            await connection.execute(statement.on_conflict_do_nothing())

    @uninterrupted
    async def arm_moments(self, rollout_id: str, stage: int) -> dict[str, Moments]:
        now, then = rollout_callers.c, rollout_history.c
        before = (
            select(
                then.tenant_id,
                then.caller,
                func.sum(then.gained).label("gained"),
                func.sum(then.asked).label("asked"),
            )
            .where(then.rollout == rollout_id)
            .group_by(then.tenant_id, then.caller)
            .subquery()
        )
        values: list[ColumnElement[int]] = [
            literal(1),
            now.gained,
            now.asked,
            cast(func.coalesce(before.c.gained, 0), BigInteger),
            cast(func.coalesce(before.c.asked, 0), BigInteger),
        ]
        places = [(row, column) for row in range(len(values)) for column in range(row + 1)]
        same = (before.c.tenant_id == now.tenant_id) & (before.c.caller == now.caller)
        query = (
            select(now.arm, *(func.sum(values[row] * values[column]) for row, column in places))
            .select_from(rollout_callers.outerjoin(before, same))
            .where(now.rollout == rollout_id, now.stage == stage)
            .group_by(now.arm)
        )
        async with self._database.reading() as connection:
            found = (await connection.execute(query)).all()
        moments = {}
        for arm, *sums in found:
            gram = np.zeros((len(values), len(values)))
            for (row, column), summed in zip(places, sums, strict=True):
                gram[row, column] = gram[column, row] = float(summed)
            moments[arm] = Moments(gram)
        return moments

    @uninterrupted
    async def judge_rollout(self, rollout_id: str, fence: Fence, judgement: Judgement) -> Rollout:
        async with self._database.writing() as connection:
            await self._require_held(connection, fence)
            known = await read_rollout(connection, rollout_id, hold=True)
            require_stage(known, judgement.stage)
            noted = {**known.figures, **{part: dict(figures) for part, figures in judgement.figures.items()}}
            await connection.execute(update(rollouts).where(rollouts.c.id == rollout_id).values(figures=noted))
            await _count(connection, rollout_id, judgement.minutes)
            if judgement.step is None or judgement.told is None:
                return await read_rollout(connection, rollout_id)
            return await move(self._database, connection, rollout_id, judgement.step, judgement.told)

    async def _require_held(self, connection: AsyncConnection, fence: Fence) -> None:
        """Locked to the end of the transaction: nobody else takes the lease before what is decided is written."""
        columns = leases.c
        held = (
            select(columns.name)
            .where(
                columns.name == fence.lease,
                columns.holder == fence.holder,
                columns.expires_at > self._database.shared_now_ms(),
            )
            .with_for_update()
        )
        if (await connection.execute(held)).first() is None:
            raise WrongState("Another judge has the lease by now.", field="lease")


async def _count(connection: AsyncConnection, rollout_id: str, minutes: Sequence[ToldMinute]) -> None:
    """What was said since they were read stays uncounted."""
    if not minutes:
        return
    columns = rollout_minutes.c
    one_row = (
        (columns.rollout == rollout_id)
        & (columns.minute == bindparam("at"))
        & (columns.arm == bindparam("of"))
        & (columns.follower == bindparam("by"))
    )
    counted = update(rollout_minutes).where(one_row).values(judged=bindparam("now", type_=columns.judged.type))
    # In the order in which followers write theirs.
    ordered = sorted(minutes, key=lambda one: (one.told.minute, one.told.arm, one.follower))
    rows = [
        {"at": one.told.minute, "of": one.told.arm, "by": one.follower, "now": dict(one.told.counts)} for one in ordered
    ]
    await connection.execute(counted, rows)
