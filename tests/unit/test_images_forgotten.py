"""Events of any age reach a new space: `omma.images` forgets none, and what it once forgot is told again."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import create_engine

from omma.catalog.interface import Catalog
from omma.catalog.migrate import alembic_configuration
from omma.catalog.picture import NewPicture
from omma.catalog.sqlite import open_sqlite_catalog
from omma.identity import DEFAULT_TENANT, Sha256
from omma.log.interface import Log, TopicSpec
from omma.log.sqlite import SqliteLog
from omma.outbox import Outbox, open_outbox
from omma.records import IMAGES_TOPIC, ImageEvent
from services.worker.relay import tell_again
from tests.clock import Clock

EIGHT_DAYS = 8 * 24 * 3600.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def log(tmp_path: Path, clock: Clock) -> AsyncIterator[SqliteLog]:
    log = await SqliteLog.open(tmp_path / "log.db", clock=clock)
    yield log
    await log.close()


async def ingest(catalog: Catalog, outbox: Outbox, *keys: str) -> set[int]:
    new = [NewPicture(key, Sha256("0" * 64), f"file:///{key}", 1) for key in keys]
    changes = await catalog.upsert(DEFAULT_TENANT, new)
    await outbox.send(changes)
    return {change.id for change in changes}


async def seen_by(log: Log, group: str) -> set[int]:
    """What a space whose indexers begin now is told of."""
    member = await log.subscribe(IMAGES_TOPIC, group)
    seen: set[int] = set()
    while records := await member.poll(100, 0):
        seen |= {ImageEvent.decode(record.value or b"").image_id for record in records}
    await member.close()
    return seen


async def weeks_later(log: SqliteLog, clock: Clock) -> None:
    clock.seconds += EIGHT_DAYS
    await log.compact()


async def test_a_new_space_is_told_of_pictures_of_any_age(tmp_path: Path, log: SqliteLog, clock: Clock) -> None:
    catalog = await open_sqlite_catalog(tmp_path / "catalog.db", clock=clock)
    outbox = await open_outbox(catalog, log)
    ids = await ingest(catalog, outbox, "a", "b", "c")
    await weeks_later(log, clock)
    assert await seen_by(log, "candidate") == ids
    await catalog.close()


async def test_what_an_older_version_forgot_is_told_again(tmp_path: Path, log: SqliteLog, clock: Clock) -> None:
    path = tmp_path / "catalog.db"
    catalog = await open_sqlite_catalog(path, clock=clock)
    await log.ensure_topic(TopicSpec(IMAGES_TOPIC, 8))
    ids = await ingest(catalog, Outbox(catalog, await log.producer(), 8), "a", "b", "c")
    await catalog.close()
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        configuration = alembic_configuration()
        configuration.attributes["connection"] = connection
        command.downgrade(configuration, "0027")
    engine.dispose()
    await weeks_later(log, clock)
    assert await seen_by(log, "before") == set()

    catalog = await open_sqlite_catalog(path, clock=clock)
    outbox = await open_outbox(catalog, log)
    later = await ingest(catalog, outbox, "d")
    waiting = iter([9, 6, 5, 0])

    async def backlog() -> int:
        """Not looked at again before there is room."""
        return next(waiting)

    async with asyncio.timeout(30):
        await tell_again(outbox, backlog, max_backlog=10, every_seconds=0.1)
    assert next(waiting, None) is None
    await weeks_later(log, clock)
    assert await seen_by(log, "candidate") == ids | later
    assert await outbox.retell() == 0
    await catalog.close()
    catalog = await open_sqlite_catalog(path, clock=clock)
    assert await catalog.retell(10) == 0, "once"
    await catalog.close()
