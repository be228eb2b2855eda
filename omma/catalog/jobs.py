"""Jobs in the catalog; see omma.catalog.job.JobBook."""

import uuid
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import RowMapping, and_, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from omma.catalog.database import Database, uninterrupted
from omma.catalog.job import UNFINISHED, Job, JobId, JobState
from omma.catalog.schema.work import jobs
from omma.errors import Absent, Overloaded, WrongState
from omma.identity import Tenant

_RETRY_SECONDS = 10.0


class Jobs:
    """See omma.catalog.job.JobBook."""

    _database: Database

    @uninterrupted
    async def add_job(
        self,
        tenant: Tenant,
        kind: str,
        source: str,
        parameters: Mapping[str, Any],
        max_unfinished: int,
        *,
        goes_on: bool = True,
    ) -> Job:
        of_source = (jobs.c.tenant_id == tenant, jobs.c.kind == kind, jobs.c.source == source)
        unfinished = jobs.c.state.in_(UNFINISHED)
        newest = select(jobs).where(*of_source).order_by(jobs.c.created_at.desc(), jobs.c.id).limit(1)
        # Of two that come at once the second meets the first's row, by the index on unfinished sources.
        insert = self._database.dialect.insert(jobs).on_conflict_do_nothing()
        async with self._database.writing() as connection:
            found = (await connection.execute(select(jobs).where(*of_source, unfinished))).mappings().first()
            if found is not None:
                return _as_asked(_job(found), parameters)
            last = (await connection.execute(newest)).mappings().first()
            await _require_room(connection, max_unfinished)
            new = _new(tenant, kind, source, parameters, self._database.now_ms())
            if goes_on and last is not None and _broken_off(last, parameters):
                new |= {"cursor": last["cursor"], "counts": last["counts"]}
            await connection.execute(insert, new)
            made = (await connection.execute(select(jobs).where(*of_source, unfinished))).mappings().one()
        return _as_asked(_job(made), parameters)

    @uninterrupted
    async def require_job_room(self, max_unfinished: int) -> None:
        async with self._database.reading() as connection:
            await _require_room(connection, max_unfinished)

    @uninterrupted
    async def job(self, tenant: Tenant, job_id: str) -> Job:
        query = select(jobs).where(jobs.c.tenant_id == tenant, jobs.c.id == job_id)
        async with self._database.reading() as connection:
            found = (await connection.execute(query)).mappings().first()
        if found is None:
            raise Absent(f"There is no job {job_id[:80]!r}.", field="job_id")
        return _job(found)

    @uninterrupted
    async def newest_jobs(self, tenant: Tenant, kinds: Collection[str], limit: int) -> list[Job]:
        of_these = (jobs.c.tenant_id == tenant, jobs.c.kind.in_(sorted(kinds)))
        query = select(jobs).where(*of_these).order_by(jobs.c.created_at.desc(), jobs.c.id).limit(limit)
        async with self._database.reading() as connection:
            return [_job(row) for row in (await connection.execute(query)).mappings()]

    @uninterrupted
    async def jobs_of_others(self, kind: str, holder: str) -> list[Job]:
        of_others = (jobs.c.kind == kind, jobs.c.state == JobState.RUNNING.value, jobs.c.holder != holder)
        query = select(jobs).where(*of_others).order_by(jobs.c.created_at, jobs.c.id)
        async with self._database.reading() as connection:
            return [_job(row) for row in (await connection.execute(query)).mappings()]

    @uninterrupted
    async def take_job(self, holder: str, ttl_seconds: float, running: Collection[str]) -> Job | None:
        now_ms = self._database.shared_now_ms()
        # Not what runs here under a lease that lapsed, as when the machine was asleep: it would run twice.
        elsewhere = jobs.c.id.not_in(list(running))
        silent = or_(jobs.c.expires_at <= now_ms, jobs.c.holder == holder)
        free = or_(jobs.c.state == JobState.WAITING, and_(jobs.c.state == JobState.RUNNING, elsewhere, silent))
        query = select(jobs.c.id).where(free).order_by(jobs.c.created_at, jobs.c.id).limit(1)
        held = {"holder": holder, "expires_at": now_ms + int(ttl_seconds * 1000), "state": JobState.RUNNING.value}
        started = func.coalesce(jobs.c.started_at, self._database.now_ms())
        async with self._database.writing() as connection:
            job_id = (await connection.execute(query.with_for_update(skip_locked=True))).scalar()
            if job_id is None:
                return None
            take = update(jobs).where(jobs.c.id == job_id).values(**held, started_at=started).returning(jobs)
            return _job((await connection.execute(take)).mappings().one())

    @uninterrupted
    async def keep_job(
        self, job_id: str, holder: str, ttl_seconds: float, cursor: str, counts: Mapping[str, int]
    ) -> bool:
        expires_at = self._database.shared_now_ms() + int(ttl_seconds * 1000)
        return await self._change(job_id, holder, expires_at=expires_at, cursor=cursor, counts=dict(counts))

    @uninterrupted
    async def end_job(
        self, job_id: str, holder: str, state: JobState, error: str = "", result: Mapping[str, Any] | None = None
    ) -> bool:
        finished_at = None if state in UNFINISHED else self._database.now_ms()
        ended = {"state": state.value, "error": error, "result": dict(result or {}), "finished_at": finished_at}
        return await self._change(job_id, holder, **ended, holder="", expires_at=0)

    @uninterrupted
    async def cancel_job(self, tenant: Tenant, job_id: str) -> Job:
        cancel = (
            update(jobs)
            .where(jobs.c.tenant_id == tenant, jobs.c.id == job_id, jobs.c.state.in_(UNFINISHED))
            .values(state=JobState.CANCELLED.value, holder="", expires_at=0, finished_at=self._database.now_ms())
        )
        async with self._database.writing() as connection:
            await connection.execute(cancel)
        return await self.job(tenant, job_id)

    @uninterrupted
    async def forget_jobs(self, kept: int) -> None:
        newest_first = (jobs.c.finished_at.desc(), jobs.c.id)
        place = func.row_number().over(partition_by=jobs.c.kind, order_by=newest_first)
        finished = select(jobs.c.id, place.label("place")).where(jobs.c.state.not_in(UNFINISHED)).subquery()
        old = select(finished.c.id).where(finished.c.place > kept).limit(1_000)
        async with self._database.writing() as connection:
            ids = list((await connection.execute(old)).scalars())
            if ids:
                await connection.execute(delete(jobs).where(self._database.dialect.among(jobs.c.id, ids)))

    async def _change(self, job_id: str, at_holder: str, /, **values: Any) -> bool:
        own = (jobs.c.id == job_id, jobs.c.holder == at_holder, jobs.c.state == JobState.RUNNING)
        async with self._database.writing() as connection:
            return (await connection.execute(update(jobs).where(*own).values(**values))).rowcount == 1


async def _require_room(connection: AsyncConnection, max_unfinished: int) -> None:
    unfinished = select(func.count()).select_from(jobs).where(jobs.c.state.in_(UNFINISHED))
    count = (await connection.execute(unfinished)).scalar_one()
    if count >= max_unfinished:
        raise Overloaded(
            f"{count} jobs wait or run already; wait for one or cancel it.",
            limit=max_unfinished,
            retry_after_seconds=_RETRY_SECONDS,
        )


def _as_asked(job: Job, parameters: Mapping[str, Any]) -> Job:
    if dict(job.parameters) != dict(parameters):
        raise WrongState(f"Job {job.id} is at work there and was asked for something else: wait for it, or cancel it.")
    return job


def _broken_off(last: RowMapping, parameters: Mapping[str, Any]) -> bool:
    ended = last["state"] in (JobState.FAILED, JobState.CANCELLED)
    return bool(last["cursor"]) and ended and last["parameters"] == dict(parameters)


def _new(tenant: Tenant, kind: str, source: str, parameters: Mapping[str, Any], now_ms: int) -> dict[str, Any]:
    return {
        "id": uuid.uuid4().hex,
        "tenant_id": tenant,
        "kind": kind,
        "source": source,
        "parameters": dict(parameters),
        "result": {},
        "state": JobState.WAITING.value,
        "cursor": "",
        "counts": {},
        "error": "",
        "created_at": now_ms,
        "holder": "",
        "expires_at": 0,
    }


def _job(row: RowMapping) -> Job:
    return Job(
        id=JobId(row["id"]),
        tenant=Tenant(row["tenant_id"]),
        kind=row["kind"],
        source=row["source"],
        parameters=row["parameters"],
        result=row["result"],
        state=JobState(row["state"]),
        created_at_ms=row["created_at"],
        cursor=row["cursor"],
        counts=row["counts"],
        error=row["error"],
        started_at_ms=row["started_at"],
        finished_at_ms=row["finished_at"],
    )
