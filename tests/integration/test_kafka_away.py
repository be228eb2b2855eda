"""A real Kafka that hangs, or is gone, under uploads, changes and deletes: they are accepted, and nothing is lost."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.parts import Kafka
from omma.blobs.folder import FolderBlobs
from omma.blobs.originals import Originals
from omma.catalog.interface import Catalog
from omma.catalog.picture import PictureChange, PictureState
from omma.catalog.sqlite import open_sqlite_catalog
from omma.description import Description, RowLimits
from omma.errors import OmmaError
from omma.identity import DEFAULT_TENANT
from omma.images import PictureLimits
from omma.log.interface import Log
from omma.log.kafka.log import KafkaLog
from omma.log.kafka.settings import KafkaSettings
from omma.outbox import Outbox, open_outbox
from omma.records import IMAGES_TOPIC, ImageEvent
from services.gateway.pictures.core import PictureCore
from services.gateway.search.interactions import Click, Impressions, open_impressions
from services.worker.relay import relay
from tests.pictures import encoded, scene

AWAY_SECONDS = 8.0
"""Several times what a producer waits for an answer; a longer outage is the same again."""


@dataclass
class World:
    catalog: Catalog
    log: Log
    outbox: Outbox
    core: PictureCore
    impressions: Impressions


@pytest.fixture
async def world(tmp_path: Path, kafka: Kafka) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        catalog = await open_sqlite_catalog(tmp_path / "catalog.db")
        stack.push_async_callback(catalog.close)
        log = await KafkaLog.open(KafkaSettings(brokers=kafka.brokers, prefix=f"{uuid.uuid4().hex}."))
        stack.push_async_callback(log.close)
        blobs = FolderBlobs(tmp_path / "blobs")
        originals = Originals(blobs)
        stack.push_async_callback(originals.close)
        outbox = await open_outbox(catalog, log)
        executor = ThreadPoolExecutor(1)
        stack.callback(executor.shutdown)
        core = PictureCore(
            catalog,
            blobs,
            originals,
            outbox,
            executor,
            picture_limits=PictureLimits(),
            row_limits=RowLimits(),
        )
        yield World(catalog, log, outbox, core, await open_impressions(log))


@pytest.mark.timeout(180)
@pytest.mark.parametrize("how", ["hangs", "is gone"])
async def test_writes_go_on_while_kafka(world: World, kafka: Kafka, how: str) -> None:
    server = kafka.server
    before = [await world.core.upload(DEFAULT_TENANT, _picture(number), Description()) for number in range(3)]
    relaying = asyncio.create_task(relay(world.outbox, every_seconds=0.5))
    moving = asyncio.create_task(world.impressions.run())
    leave: Callable[[], None] = server.pause if how == "hangs" else server.kill
    come_back: Callable[[], None] = server.resume if how == "hangs" else server.restart
    await asyncio.to_thread(leave)
    slowest, made = 0.0, []
    try:
        began = time.monotonic()
        number = 10
        while time.monotonic() - began < AWAY_SECONDS:
            started = time.monotonic()
            made.append(await world.core.upload(DEFAULT_TENANT, _picture(number), Description()))
            await world.core.change(DEFAULT_TENANT, before[0].id, PictureChange(tags=(str(number),)))
            await world.impressions.clicked(DEFAULT_TENANT, Click("u", 0, made[-1].id, 1))
            slowest = max(slowest, time.monotonic() - started)
            number += 1
            await asyncio.sleep(0.05)
        await world.core.delete(DEFAULT_TENANT, before[1].id)
    finally:
        await asyncio.to_thread(come_back)
    assert slowest < 4, "one event and one click waited for a second, and nothing for thirty"
    assert len(made) > 10
    async with asyncio.timeout(90):
        while await world.catalog.unsent(1):  # noqa: ASYNC110  what is waited for is a server
            await asyncio.sleep(0.2)
    for task in (relaying, moving):
        task.cancel()
    newest = await _newest(world.log)
    rows = await world.catalog.pictures([one.id for one in [*before, *made]])
    assert newest == {row.id: row.version for row in rows.values()}
    assert rows[before[1].id].state is PictureState.DELETED


async def _newest(log: Log) -> dict[int, int]:
    """The highest version of each picture that the log tells of."""
    while True:
        newest: dict[int, int] = {}
        try:
            async for record in log.scan(IMAGES_TOPIC):
                event = ImageEvent.decode(record.value or b"")
                newest[event.image_id] = max(newest.get(event.image_id, 0), event.version)
            return newest
        except OmmaError:
            await asyncio.sleep(0.5)


def _picture(number: int) -> bytes:
    return encoded(scene(64, 48, seed=number))
