"""The catalog on a real PostgreSQL: what it does when the server is killed, held, full of connections or migrated."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from typing import Any

import asyncpg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from deploy import parts
from omma.buckets import ROW_BUCKETS
from omma.catalog.interface import Catalog
from omma.catalog.migrate import alembic_configuration
from omma.catalog.picture import NewPicture
from omma.catalog.postgres import open_postgres_catalog
from omma.catalog.postgres_settings import PostgresSettings
from omma.catalog.schema import metadata
from omma.catalog.schema.people import DAY_MS
from omma.errors import InvalidQuery, OmmaError, Overloaded, ReplicaDown, causes
from omma.identity import Sha256, Tenant
from tests.databases import fresh_database
from tests.unit.filter_meaning import compare, filters, pictures
from tests.waiting import eventually

ANN = Tenant("ann")
QUICK = {"connections": 4, "connect_timeout_seconds": 1.0, "connection_wait_seconds": 1.0}


def new(key: str, owner: str = "") -> NewPicture:
    return NewPicture(key=key, sha256=Sha256("0" * 64), uri="omma:0", bytes=1, owner=owner)


@asynccontextmanager
async def opened(url: str, **more: Any) -> AsyncIterator[Catalog]:
    catalog = await open_postgres_catalog(PostgresSettings.model_validate({"url": url, **QUICK, **more}))
    try:
        yield catalog
    finally:
        await catalog.close()


async def test_a_killed_server_loses_nothing_that_was_answered(postgres: parts.Postgres) -> None:
    async with fresh_database(postgres) as url, opened(url) as catalog:
        numbers, answered, refused = itertools.count(), set[str](), list[OmmaError]()
        failed, over = asyncio.Event(), asyncio.Event()

        async def write() -> None:
            while not over.is_set():
                key = str(next(numbers))
                while True:
                    try:
                        await catalog.upsert(ANN, [new(key)])
                        answered.add(key)
                        break
                    except OmmaError as error:
                        refused.append(error)
                        failed.set()
                        await asyncio.sleep(0.01)

        async with asyncio.TaskGroup() as group:
            for _ in range(8):  # twice as many as there are connections
                group.create_task(write())
            await eventually(lambda: len(answered) > 50, 60)
            await asyncio.to_thread(postgres.server.kill)
            await asyncio.wait_for(failed.wait(), 10)
            await asyncio.to_thread(postgres.server.restart)
            since = len(answered)
            await eventually(lambda: len(answered) > since + 50, 60)
            over.set()
        assert {type(error) for error in refused} <= {ReplicaDown, Overloaded}
        rows = [row async for row in catalog.rows_of_buckets(0, ROW_BUCKETS - 1)]
        assert len(rows) == len(answered) == (await catalog.counts())["pending"]
        assert {row.version for row in rows} == {1}


async def test_after_a_restart_no_call_meets_a_connection_of_before(postgres: parts.Postgres) -> None:
    async with fresh_database(postgres) as url, opened(url) as catalog:
        await asyncio.gather(*(catalog.upsert(ANN, [new(str(i))]) for i in range(8)))
        await asyncio.to_thread(postgres.server.stop)
        await asyncio.to_thread(postgres.server.restart)
        found = await asyncio.gather(*(catalog.counts() for _ in range(8)))
        assert [one["pending"] for one in found] == [8] * 8


async def test_a_server_that_hangs_is_given_up(postgres: parts.Postgres) -> None:
    async with (
        fresh_database(postgres) as url,
        opened(url, statement_timeout_seconds=1.0, connect_timeout_seconds=1.0, connections=1) as catalog,
    ):
        await catalog.upsert(ANN, [new("a")])
        await asyncio.to_thread(postgres.server.pause)
        try:
            async with asyncio.timeout(60):
                with pytest.raises((ReplicaDown, Overloaded)):
                    await catalog.upsert(ANN, [new("b")])
        finally:
            await asyncio.to_thread(postgres.server.resume)
        assert len(await catalog.upsert(ANN, [new("b")])) == 1


async def test_a_row_that_another_session_holds_is_not_waited_for_for_ever(postgres: parts.Postgres) -> None:
    async with fresh_database(postgres) as url, opened(url, lock_timeout_seconds=0.2) as catalog:
        await catalog.upsert(ANN, [new("a")])
        other = await asyncpg.connect(url)
        async with other.transaction():
            await other.execute("SELECT * FROM images FOR UPDATE")
            with pytest.raises(Overloaded, match="busy"):
                await catalog.upsert(ANN, [new("a", "x")])
            assert (await catalog.upsert(ANN, [new("b")]))[0].version == 1
        await other.close()
        assert (await catalog.upsert(ANN, [new("a", "x")]))[0].version == 2


async def test_a_transaction_that_a_deadlock_undid_is_done_again(postgres: parts.Postgres) -> None:
    hold = "SELECT * FROM images WHERE key = $1 FOR UPDATE"
    async with fresh_database(postgres) as url, opened(url) as catalog:
        made = await catalog.upsert(ANN, [new("a"), new("b")])
        other = await asyncpg.connect(url)
        async with other.transaction():
            await other.execute("SET LOCAL deadlock_timeout = '1min'")  # it is the catalog that the server ends
            await other.execute(hold, "b")
            deleting = asyncio.create_task(catalog.delete(ANN, [answer.id for answer in made]))
            await _until_locked(other)
            await other.execute(hold, "a")
        assert [answer.version for answer in await deleting] == [2, 2]
        query = "SELECT pg_stat_force_next_flush(), deadlocks FROM pg_stat_database WHERE datname = current_database()"
        async with asyncio.timeout(10):
            while not (await other.fetchrow(query))["deadlocks"]:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        await other.close()


async def test_a_caller_waits_for_a_connection_only_so_long(postgres: parts.Postgres) -> None:
    bounds = {"connections": 1, "connection_wait_seconds": 0.1, "lock_timeout_seconds": 20}
    async with fresh_database(postgres) as url, opened(url, **bounds) as catalog:
        other = await asyncpg.connect(url)
        async with other.transaction():
            await other.execute("LOCK TABLE images")
            waiting = asyncio.create_task(catalog.upsert(ANN, [new("a")]))
            await _until_locked(other)
            with pytest.raises(Overloaded, match="connection"):
                await catalog.counts()
        await other.close()
        assert (await waiting)[0].version == 1


async def test_a_server_without_room_for_another_connection_says_so(postgres: parts.Postgres) -> None:
    async with fresh_database(postgres) as url, opened(url) as catalog:
        owner = await asyncpg.connect(url)
        await owner.execute("CREATE ROLE crowded LOGIN CONNECTION LIMIT 0")
        try:
            with pytest.raises(Overloaded):
                async with opened(url.replace("omma@", "crowded@")):
                    pass
        finally:
            await owner.execute("DROP ROLE crowded")
            await owner.close()
        assert (await catalog.counts())["pending"] == 0


async def test_a_server_that_is_not_there_is_down_and_what_it_says_is_for_the_log(postgres: parts.Postgres) -> None:
    async with fresh_database(postgres) as url:
        await asyncio.to_thread(postgres.server.kill)
        try:
            with pytest.raises(ReplicaDown) as raised:
                async with opened(url):
                    pass
        finally:
            await asyncio.to_thread(postgres.server.restart)
    assert "127.0.0.1" not in raised.value.detail
    assert "127.0.0.1" in causes(raised.value)


async def test_processes_that_start_at_once_migrate_once(postgres: parts.Postgres) -> None:
    async with fresh_database(postgres) as url:
        settings = PostgresSettings.model_validate({"url": url, **QUICK})
        catalogs = await asyncio.gather(*(open_postgres_catalog(settings) for _ in range(6)))
        for catalog in catalogs:
            await catalog.close()


@pytest.mark.parametrize("text", ["nul \0", "half a character \ud800"])
async def test_a_text_that_postgresql_cannot_keep_is_refused(postgres: parts.Postgres, text: str) -> None:
    async with fresh_database(postgres) as url, opened(url) as catalog:
        with pytest.raises(InvalidQuery):
            await catalog.upsert(ANN, [new("a", owner=text)])
        assert len(await catalog.upsert(ANN, [new("a")])) == 1


async def test_a_lease_goes_by_the_servers_clock(postgres: parts.Postgres) -> None:
    async with fresh_database(postgres) as url, opened(url) as catalog:
        assert await catalog.acquire_lease("train", "a", 3600)
        assert not await catalog.acquire_lease("train", "b", 3600)
        other = await asyncpg.connect(url)
        left = await other.fetchval("SELECT expires_at - extract(epoch from now()) * 1000 FROM leases")
        await other.execute("UPDATE leases SET expires_at = extract(epoch from now()) * 1000 - 1")
        await other.close()
        assert 3_500_000 < left < 3_700_000
        assert await catalog.acquire_lease("train", "b", 3600)


async def test_migrations_make_what_the_schema_says(postgres: parts.Postgres) -> None:
    async with fresh_database(postgres) as url:
        async with opened(url):
            pass
        assert await _on(url, _differences) == []


async def test_rows_of_the_version_before_survive_and_it_writes_on(postgres: parts.Postgres) -> None:
    insert = (
        "INSERT INTO interactions (tenant_id, user_id, query_image_id, displayed_image_id, rank, type, ts, query_id) "
        "VALUES ('ann', '', 0, $1, 1, 'click', $2, '') ON CONFLICT DO NOTHING"
    )
    async with fresh_database(postgres) as url:
        await _on(url, lambda connection: _alembic(connection, command.upgrade, "0001"))
        before = await asyncpg.connect(url)
        old = await before.prepare(insert)
        now_ms = await before.fetchval("SELECT (extract(epoch FROM now()) * 1000)::bigint")
        for image_id, age in ((1, 0), (2, 1), (3, 400)):
            await old.fetch(image_id, now_ms - age * DAY_MS)
        async with opened(url) as catalog:
            await old.fetch(4, now_ms)
            found = [one.displayed[0] async for one in catalog.interactions(ANN, 0, 2**62)]
            assert sorted(found) == [1, 2, 3, 4]
            await catalog.roll_interactions(30)
            assert 3 not in [one.displayed[0] async for one in catalog.interactions(ANN, 0, 2**62)]
        await before.close()
        await _on(url, lambda connection: _alembic(connection, command.downgrade, "0001"))
        await _on(url, lambda connection: _alembic(connection, command.upgrade, "head"))
        assert await _on(url, _differences) == []


def test_sql_keeps_what_the_filter_means(postgres: parts.Postgres) -> None:
    tenants = itertools.count()

    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(pictures, min_size=4, max_size=12), st.lists(filters, min_size=6, max_size=12))
    def check(given_pictures: list[Any], given_filters: list[Any]) -> None:
        runner.run(compare(catalog, Tenant(str(next(tenants))), given_pictures, given_filters))

    with asyncio.Runner() as runner, ExitStack() as open_parts:

        def entered(part: Any) -> Any:
            open_parts.callback(lambda: runner.run(part.__aexit__(None, None, None)))
            return runner.run(part.__aenter__())

        catalog = entered(opened(entered(fresh_database(postgres))))
        check()


async def _on(url: str, work: Any) -> Any:
    engine = create_async_engine(url.replace("postgresql:", "postgresql+asyncpg:"))
    async with engine.begin() as connection:
        found = await connection.run_sync(work)
    await engine.dispose()
    return found


def _alembic(connection: Connection, step: Any, revision: str) -> None:
    configuration = alembic_configuration()
    configuration.attributes["connection"] = connection
    step(configuration, revision)


def _differences(connection: Connection) -> list[Any]:
    def ours(_thing: Any, name: str | None, _kind: str, _reflected: bool, _compared: Any) -> bool:
        # The days are made as time goes by; SQLite's index of them is the partitions' key here.
        return not (name or "").startswith(("interactions_", "ix_interactions_ts_id"))

    context = MigrationContext.configure(connection, opts={"compare_type": True, "include_object": ours})
    return compare_metadata(context, metadata)


async def _until_locked(connection: asyncpg.Connection) -> None:
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    await eventually(lambda: connection.fetchval(waiting), 10)
