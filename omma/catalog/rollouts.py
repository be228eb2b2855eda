"""Rollouts: each step one transaction that checks the states it expects, raises the epoch and writes the audit."""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import RowMapping, delete, insert, null, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from omma.catalog.database import Database, uninterrupted
from omma.catalog.registry import add_space, held_spaces, insert_index, raise_epoch, read_indexes
from omma.catalog.rollout import Acknowledged, Told
from omma.catalog.routes import tell_rows_of
from omma.catalog.schema.serving import indexes, rollout_audit, rollouts, routing, routing_followers
from omma.errors import Absent, WrongState
from omma.index import Index, IndexId, IndexState
from omma.rollouts.event import StepEvent
from omma.rollouts.rollout import RUNNING, AuditEntry, Mode, Rollout, RolloutId, RolloutState, Routing
from omma.rollouts.settings import SearchSettings
from omma.rollouts.walk import Step, after, another_runs, require_alone, standing_of
from omma.space import Space

_MAX_ROLLOUTS: Final = 1_000
_BEFORE: Final = "defaults_before"
"""The part of a promoted experiment's figures that going back restores."""


class Rollouts:
    """The catalog's calls about rollouts; see omma.catalog.rollout.RolloutBook."""

    _database: Database

    @uninterrupted
    async def start_rollout(self, rollout: Rollout, space: Space, index: Index, told: Told) -> Rollout:
        async with self._database.writing() as connection:
            await held_spaces(connection)
            if (running := await _running(connection)) is not None:
                raise another_runs(running)
            known = {one.id: one for one in await read_indexes(connection)}
            control = known.get(rollout.control)
            if control is None or control.state is not IndexState.LIVE:
                raise WrongState(f"Index {rollout.control} is not live any more.", field="control")
            if index.id in known:
                raise WrongState(f"There is an index {index.id} already; give another name.", field="index")
            _require_new_space(space, control, known)
            await add_space(connection, self._database.dialect, space)
            await insert_index(connection, self._database.dialect, index)
            return await _begin(self._database, connection, rollout, told)

    @uninterrupted
    async def start_experiment(self, rollout: Rollout, told: Told) -> Rollout:
        async with self._database.writing() as connection:
            await held_spaces(connection)
            if (running := await _running(connection)) is not None:
                raise another_runs(running)
            states = {one.id: one.state for one in await read_indexes(connection)}
            if states.get(rollout.control) is not IndexState.LIVE:
                raise WrongState(f"Index {rollout.control} is not live any more.", field="control")
            named = select(rollouts.c.id).where(rollouts.c.name == rollout.name)
            if (await connection.execute(named)).first() is not None:
                raise WrongState(f"There is an experiment {rollout.name!r} already; give another name.", field="name")
            return await _begin(self._database, connection, rollout, told)

    @uninterrupted
    async def move_rollout(
        self, rollout_id: str, step: Step, told: Told, share: float | None = None, stage: int | None = None
    ) -> Rollout:
        async with self._database.writing() as connection:
            return await move(self._database, connection, rollout_id, step, told, share=share, stage=stage)

    @uninterrupted
    async def note_rollout(self, rollout_id: str, part: str, figures: Mapping[str, Any]) -> None:
        async with self._database.writing() as connection:
            known = await read_rollout(connection, rollout_id, hold=True)
            noted = {**known.figures, part: dict(figures)}
            await connection.execute(update(rollouts).where(rollouts.c.id == rollout_id).values(figures=noted))

    @uninterrupted
    async def rollout(self, rollout_id: str) -> Rollout:
        async with self._database.reading() as connection:
            return await read_rollout(connection, rollout_id)

    @uninterrupted
    async def rollouts(self) -> list[Rollout]:
        query = select(rollouts).order_by(rollouts.c.created_at.desc(), rollouts.c.id).limit(_MAX_ROLLOUTS)
        async with self._database.reading() as connection:
            found = (await connection.execute(query)).mappings().all()
        return [_read(row) for row in found]

    @uninterrupted
    async def rollout_audit(self, rollout_id: str) -> list[AuditEntry]:
        columns = rollout_audit.c
        query = select(rollout_audit).where(columns.rollout == rollout_id).order_by(columns.id)
        async with self._database.reading() as connection:
            found = (await connection.execute(query)).mappings().all()
        return [
            AuditEntry(
                at_ms=row["at"],
                step=row["step"],
                state=RolloutState(row["state"]),
                by=row["by"],
                reason=row["reason"],
                share=row["share"],
                figures=row["figures"],
            )
            for row in found
        ]

    @uninterrupted
    async def unsent_steps(self, count: int) -> list[StepEvent]:
        step, of = rollout_audit.c, rollouts.c
        query = (
            select(step.id, step.at, of.id, of.name, of.candidate, of.control, of.model)
            .add_columns(step.step, step.state, step.by, step.reason, step.share)
            .where(step.rollout == of.id, step.id > select(routing.c.steps_sent).scalar_subquery())
            .order_by(step.id)
            .limit(count)
        )
        async with self._database.reading() as connection:
            return [StepEvent(*row) for row in (await connection.execute(query)).all()]

    @uninterrupted
    async def mark_steps_sent(self, until: int) -> None:
        # Steps get their ids under one lock: none with a lower one is still to come.
        later = update(routing).where(routing.c.steps_sent < until).values(steps_sent=until)
        async with self._database.writing() as connection:
            await connection.execute(later)

    @uninterrupted
    async def routing(self) -> Routing:
        async with self._database.snapshot() as connection:
            row = (await connection.execute(select(routing.c.epoch, routing.c.defaults))).first()
            epoch, defaults = (0, None) if row is None else row
            running = await _running(connection)
            return Routing(epoch, tuple(await read_indexes(connection)), running, SearchSettings.of(defaults))

    @uninterrupted
    async def routing_epoch(self) -> int:
        async with self._database.reading() as connection:
            return (await connection.execute(select(routing.c.epoch))).scalar() or 0

    @uninterrupted
    async def acknowledge_routing(self, follower: str, epoch: int) -> None:
        heard = {"epoch": epoch, "at": self._database.shared_now_ms()}
        statement = self._database.dialect.insert(routing_followers).values(follower=follower, **heard)
        async with self._database.writing() as connection:
            await connection.execute(statement.on_conflict_do_update(index_elements=["follower"], set_=heard))

    @uninterrupted
    async def acknowledged_routing(self, within_seconds: float) -> dict[str, Acknowledged]:
        at, ago = routing_followers.c.at, self._database.shared_ms_ago
        recent = at.between(ago(within_seconds), ago(-within_seconds))  # later: before the clock was set back
        async with self._database.reading() as connection:
            found = (await connection.execute(select(routing_followers).where(recent))).all()
        return {follower: Acknowledged(epoch, at_ms) for follower, epoch, at_ms in found}

    @uninterrupted
    async def forget_followers(self, silent_seconds: float) -> int:
        silent = delete(routing_followers).where(routing_followers.c.at < self._database.shared_ms_ago(silent_seconds))
        async with self._database.writing() as connection:
            return int((await connection.execute(silent)).rowcount)


async def move(
    database: Database,
    connection: AsyncConnection,
    rollout_id: str,
    step: Step,
    told: Told,
    *,
    share: float | None = None,
    stage: int | None = None,
) -> Rollout:
    """As `move_rollout`, in a transaction of others."""
    await held_spaces(connection)
    now = await read_rollout(connection, rollout_id)
    require_stage(now, stage)
    require_alone(step, now, await _running(connection))
    known = {one.id: one for one in await read_indexes(connection)}
    states = {name: one.state for name, one in known.items()}
    then = after(step, standing_of(now, states))
    for index_id, state in ((now.candidate, then.candidate), (now.control, then.control)):
        if state is not None and state is not states[index_id]:
            await connection.execute(update(indexes).where(indexes.c.id == index_id).values(state=state.value))
            if state is IndexState.LIVE and known[now.candidate].space != known[now.control].space:
                await tell_rows_of(connection, known[index_id].space)
    if now.settings is not None:
        await _set_defaults(connection, now, then.rollout)
    now_ms = await database.read_shared_now_ms(connection)
    changed = {
        "state": then.rollout.value,
        "changed_at": now_ms,
        "share": now.share if share is None else share,
    }
    await connection.execute(update(rollouts).where(rollouts.c.id == rollout_id).values(changed))
    moved = await read_rollout(connection, rollout_id)
    await _audit(connection, moved, step.value, now_ms, told)
    await raise_epoch(connection, database.dialect)
    return moved


def require_stage(known: Rollout, stage: int | None) -> None:
    """Raises WrongState, field `stage`, when another step was taken since it was looked at."""
    if stage is not None and known.changed_at_ms != stage:
        raise WrongState(f"Rollout {known.id} was moved on since it was looked at; look again.", field="stage")


async def _begin(database: Database, connection: AsyncConnection, rollout: Rollout, told: Told) -> Rollout:
    now_ms = await database.read_shared_now_ms(connection)
    await connection.execute(
        insert(rollouts).values(
            id=rollout.id,
            state=rollout.state.value,
            candidate=rollout.candidate,
            control=rollout.control,
            model=rollout.model,
            mode=rollout.mode.value,
            share=rollout.share,
            auto_promote=rollout.auto_promote,
            created_at=now_ms,
            changed_at=now_ms,
            figures=dict(rollout.figures),
            name=rollout.name,
            settings=null() if rollout.settings is None else rollout.settings.document(),
        )
    )
    await _audit(connection, rollout, "start", now_ms, told)
    await raise_epoch(connection, database.dialect)
    return await read_rollout(connection, rollout.id)


async def _set_defaults(connection: AsyncConnection, experiment: Rollout, then: RolloutState) -> None:
    """What its settings make of every search: promoted they are the defaults, and taken back what was before is."""
    if experiment.settings is None or RolloutState.PROMOTED not in (then, experiment.state):
        return
    known = SearchSettings.of((await connection.execute(select(routing.c.defaults))).scalar())
    if then is RolloutState.PROMOTED:
        defaults = experiment.settings.over(known).document()
        noted = {**experiment.figures, _BEFORE: known.document()}
        await connection.execute(update(rollouts).where(rollouts.c.id == experiment.id).values(figures=noted))
    else:
        defaults = experiment.figures[_BEFORE]
        if known != experiment.settings.over(SearchSettings.of(defaults)):
            raise WrongState("Other settings are the defaults by now; go back from those first.", field="state")
    await connection.execute(update(routing).values(defaults=defaults))


def _require_new_space(space: Space, control: Index, known: Mapping[IndexId, Index]) -> None:
    if space.id == control.space:
        return
    there = [one.id for one in known.values() if one.space == space.id and one.state is not IndexState.RETIRED]
    if there:
        raise WrongState(
            f"Model {space.model} has an index already, {there[0]} ({known[there[0]].state}): retire it first, or "
            "promote the rollout that it belongs to.",
            field="model",
        )


async def _running(connection: AsyncConnection) -> Rollout | None:
    query = select(rollouts).where(rollouts.c.state.in_(sorted(RUNNING))).limit(1)
    row = (await connection.execute(query)).mappings().first()
    return None if row is None else _read(row)


async def read_rollout(connection: AsyncConnection, rollout_id: str, *, hold: bool = False) -> Rollout:
    query = select(rollouts).where(rollouts.c.id == rollout_id)
    row = (await connection.execute(query.with_for_update() if hold else query)).mappings().first()
    if row is None:
        raise Absent(f"There is no rollout {rollout_id[:80]!r}.", field="rollout")
    return _read(row)


async def _audit(connection: AsyncConnection, rollout: Rollout, step: str, at_ms: int, told: Told) -> None:
    await connection.execute(
        insert(rollout_audit).values(
            rollout=rollout.id,
            at=at_ms,
            step=step,
            state=rollout.state.value,
            by=told.by,
            reason=told.reason,
            share=rollout.share,
            figures=dict(rollout.figures if told.figures is None else told.figures),
        )
    )


def _read(row: RowMapping) -> Rollout:
    return Rollout(
        id=RolloutId(row["id"]),
        state=RolloutState(row["state"]),
        candidate=IndexId(row["candidate"]),
        control=IndexId(row["control"]),
        model=row["model"],
        mode=Mode(row["mode"]),
        share=row["share"],
        auto_promote=row["auto_promote"],
        created_at_ms=row["created_at"],
        changed_at_ms=row["changed_at"],
        figures=row["figures"],
        name=row["name"],
        settings=None if row["settings"] is None else SearchSettings.of(row["settings"]),
    )
