"""Interactions on their way from the log to the catalog, embedded and on a real PostgreSQL that goes away meanwhile."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, fields, replace
from pathlib import Path
from string import ascii_letters

import pytest

from deploy import parts
from omma.catalog.interface import Catalog
from omma.catalog.logged_interaction import LoggedInteraction
from omma.catalog.postgres import open_postgres_catalog
from omma.catalog.postgres_settings import PostgresSettings
from omma.catalog.schema.people import DAY_MS
from omma.catalog.sqlite import open_sqlite_catalog
from omma.identity import ImageId, Tenant
from omma.log.interface import Log, TopicSpec
from omma.log.kafka.log import KafkaLog
from omma.log.kafka.settings import KafkaSettings
from omma.log.sqlite import SqliteLog
from omma.records import INTERACTIONS_TOPIC, Answered, Interaction, InteractionType, encode_interaction
from omma.telemetry.metrics import INTERACTIONS
from services.worker.recording import INTERACTIONS_GROUP, record_interactions
from tests.databases import fresh_database
from tests.waiting import eventually

ANN = Tenant("ann")
NOW_MS = 1_700_000_000_000
PARTITIONS = 2


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[Log]:
    log = await SqliteLog.open(tmp_path / "log.db")
    await log.ensure_topic(TopicSpec(INTERACTIONS_TOPIC, PARTITIONS))
    yield log
    await log.close()


@pytest.fixture
async def catalog(tmp_path: Path) -> AsyncIterator[Catalog]:
    catalog = await open_sqlite_catalog(tmp_path / "catalog.db", clock=lambda: NOW_MS / 1000)
    yield catalog
    await catalog.close()


def click(image_id: int, ts_ms: int = NOW_MS, user_id: str = "u") -> bytes:
    return encode_interaction(Interaction(ANN, user_id, 0, (ImageId(image_id),), 1, InteractionType.CLICK, ts_ms))


async def send(log: Log, values: Sequence[bytes]) -> None:
    producer = await log.producer()
    await producer.send_many(INTERACTIONS_TOPIC, [(i % PARTITIONS, b"", value) for i, value in enumerate(values)])
    await producer.close()


async def until_read(log: Log) -> None:
    ends = {at: end for at, end in (await log.end_offsets(INTERACTIONS_TOPIC)).items() if end}

    async def is_read() -> bool:
        return await log.committed(INTERACTIONS_GROUP, INTERACTIONS_TOPIC) == ends

    await eventually(is_read, 60)


@asynccontextmanager
async def recording(log: Log, catalog: Catalog, kept_days: int = 30) -> AsyncIterator[None]:
    work = record_interactions(log, catalog, kept_days=kept_days, linger_seconds=0.01, now_ms=lambda: NOW_MS)
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def clicked(catalog: Catalog) -> list[int]:
    return sorted([one.displayed[0] async for one in catalog.interactions(ANN, 0, 2**62)])


def counted(outcome: str, type: str = "click") -> float:
    return INTERACTIONS.labels(type, outcome)._value.get()  # type: ignore[no-any-return]  # no public reader


async def test_what_is_in_the_log_becomes_rows_and_what_is_lost_is_counted(log: Log, catalog: Catalog) -> None:
    before = {outcome: counted(outcome) for outcome in ("recorded", "expired")}
    unreadable = counted("unreadable", "unknown")
    old, ahead = NOW_MS - 31 * DAY_MS, NOW_MS + 2 * DAY_MS
    await send(log, [click(1), click(2, old), click(3, ahead), b"\xff\xff", click(4, user_id="nul\0")])
    async with recording(log, catalog):
        await until_read(log)
    found = [one async for one in catalog.interactions(ANN, 0, 2**62)]
    assert sorted((one.displayed[0], one.user_id) for one in found) == [(1, "u"), (4, "nul")]
    assert counted("recorded") - before["recorded"] == 2
    assert counted("expired") - before["expired"] == 2
    assert counted("unreadable", "unknown") - unreadable == 1


async def test_what_no_row_of_postgresql_can_say_keeps_nothing_else_from_it(log: Log, postgres: parts.Postgres) -> None:
    """Without the look at each, one such record is tried for ever, and all that come after it with it."""
    shown = Interaction(ANN, "u", 0, (ImageId(2),), 1, InteractionType.IMPRESSION, NOW_MS, "q")
    nothing = replace(shown, displayed=(), type=InteractionType.CLICK)
    long = "".join(random.Random(1).choices(ascii_letters, k=9_000))
    too_long = [replace(shown, **{name: long}) for name in ("tenant", "user_id", "query_id", "caller")]
    nul = [Answered(**{one.name: "n\0n"}) for one in fields(Answered)]
    unreadable = counted("unreadable", "unknown")
    async with fresh_database(postgres) as url:
        settings = PostgresSettings.model_validate({"url": url})
        catalog = await open_postgres_catalog(settings, clock=lambda: NOW_MS / 1000)
        records = [nothing, *too_long, *(replace(shown, answered=one) for one in nul)]
        await send(log, [click(1), *map(encode_interaction, records), click(3)])
        async with recording(log, catalog):
            await until_read(log)
        rows = [one async for one in catalog.interactions(ANN, 0, 2**62)]
        await catalog.close()
    assert [one.displayed[0] for one in rows if one.type is InteractionType.CLICK] in ([1, 3], [3, 1])
    assert len(rows) == 2 + len(nul)
    assert {text for one in rows for text in asdict(one.answered).values()} == {"", "nn"}
    assert counted("unreadable", "unknown") - unreadable == 1 + len(too_long)


class DiesBeforeItCommits:
    """A catalog whose first batch is written, and the process that wrote it never hears of it."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self.died = 0

    async def roll_interactions(self, kept_days: int) -> None:
        await self._catalog.roll_interactions(kept_days)

    async def add_interactions(self, log: str, batch: Sequence[LoggedInteraction]) -> int:
        added = await self._catalog.add_interactions(log, batch)
        self.died += 1
        if self.died == 1:
            raise RuntimeError("the process died between the rows and the offsets")
        return added


async def test_a_crash_between_rows_and_offsets_doubles_nothing(log: Log, catalog: Catalog) -> None:
    await send(log, [click(i) for i in range(1, 101)])
    dying = DiesBeforeItCommits(catalog)
    async with recording(log, dying):  # type: ignore[arg-type]  # the two calls that are made
        await until_read(log)
    assert dying.died >= 2
    assert await clicked(catalog) == list(range(1, 101))


async def test_old_days_go_by_themselves(log: Log, catalog: Catalog) -> None:
    old = Interaction(ANN, "u", 0, (ImageId(1),), 1, InteractionType.CLICK, NOW_MS - 40 * DAY_MS)
    await catalog.add_interactions("another log", [LoggedInteraction(0, 0, old)])
    await send(log, [click(2)])
    async with recording(log, catalog):
        await until_read(log)
        async with asyncio.timeout(10):
            while await clicked(catalog) != [2]:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


async def test_postgresql_may_go_away_and_no_interaction_with_it(log: Log, postgres: parts.Postgres) -> None:
    async with fresh_database(postgres) as url:
        settings = PostgresSettings.model_validate({"url": url, "connect_timeout_seconds": 1.0})
        catalog = await open_postgres_catalog(settings, clock=lambda: NOW_MS / 1000)
        async with recording(log, catalog):
            await send(log, [click(i) for i in range(1, 51)])
            await until_read(log)
            await asyncio.to_thread(postgres.server.kill)
            try:
                await send(log, [click(i) for i in range(51, 101)])
                already = INTERACTIONS.labels("click", "recorded")._value.get()
            finally:
                await asyncio.to_thread(postgres.server.restart)
            await until_read(log)
            await eventually(lambda: counted("recorded") == already + 50, 60)
        assert await clicked(catalog) == list(range(1, 101))
        await catalog.close()


async def test_two_gateways_share_the_work_on_kafka_and_postgresql(
    kafka: parts.Kafka, postgres: parts.Postgres
) -> None:
    """One comes, one goes, PostgreSQL dies in between: every click is a row once."""
    given = KafkaSettings(brokers=kafka.brokers, prefix="clicks-", rebalance_seconds=5, session_seconds=6)
    async with fresh_database(postgres) as url:
        settings = PostgresSettings.model_validate({"url": url, "connect_timeout_seconds": 1.0})
        catalog = await open_postgres_catalog(settings, clock=lambda: NOW_MS / 1000)
        logs = [await KafkaLog.open(given) for _ in range(2)]
        await logs[0].ensure_topic(TopicSpec(INTERACTIONS_TOPIC, PARTITIONS))
        async with recording(logs[0], catalog):
            await send(logs[0], [click(i) for i in range(1, 1_001)])
            async with recording(logs[1], catalog):
                await asyncio.to_thread(postgres.server.kill)
                try:
                    await send(logs[0], [click(i) for i in range(1_001, 2_001)])
                finally:
                    await asyncio.to_thread(postgres.server.restart)
                await until_read(logs[0])
            await send(logs[0], [click(i) for i in range(2_001, 3_001)])
            await until_read(logs[0])
        assert await clicked(catalog) == list(range(1, 3_001))
        for log in logs:
            await log.close()
        await catalog.close()
