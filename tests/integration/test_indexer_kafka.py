"""Indexers that share a group on a real Kafka: they come, go and stall, and no old record follows a newer one."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from deploy.parts import Kafka
from omma.backlog import indexer_group, wait_until_handled
from omma.blobs.folder import FolderBlobs
from omma.blobs.originals import Originals
from omma.catalog.picture import PictureChange
from omma.catalog.sqlite import open_sqlite_catalog
from omma.identity import DEFAULT_TENANT
from omma.log.kafka.log import KafkaLog
from omma.log.kafka.settings import KafkaSettings
from omma.outbox import open_outbox
from omma.records import IMAGES_TOPIC, VectorRecord
from omma.rpc.deadline import Deadline
from services.egs.client import EmbeddedItem, ImageItem
from services.indexer.worker import Indexer
from tests.indexer_world import SETTINGS, SPACE, CountingEmbedder, ReplayedShard, World, vectors_in


class GatedEmbedder(CountingEmbedder):
    """Holds what it is given until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.holding = asyncio.Event()
        self.gate = asyncio.Event()

    async def embed(self, items: Sequence[ImageItem], deadline: Deadline) -> list[EmbeddedItem | Exception]:
        self.holding.set()
        await self.gate.wait()
        return await super().embed(items, deadline)


@pytest.fixture
async def world(tmp_path: Path, kafka: Kafka) -> AsyncIterator[World]:
    settings = KafkaSettings(
        brokers=kafka.brokers,
        prefix=f"{uuid.uuid4().hex}.",
        fetch_wait_seconds=0.2,
        session_seconds=3.0,
        rebalance_seconds=4.0,
    )
    catalog = await open_sqlite_catalog(tmp_path / "catalog.db")
    log = await KafkaLog.open(settings)
    blobs = FolderBlobs(tmp_path / "blobs")
    originals = Originals(blobs)
    await catalog.register_space(SPACE)
    outbox = await open_outbox(catalog, log)
    yield World(catalog, log, blobs, originals, outbox, CountingEmbedder(), ReplayedShard(log))
    await originals.close()
    await blobs.close()
    await log.close()
    await catalog.close()


def indexer(world: World, embedder: CountingEmbedder) -> Indexer:
    return Indexer(
        catalog=world.catalog,
        log=world.log,
        blobs=world.blobs,
        originals=world.originals,
        embedder=embedder,
        shards=[world.shard],
        settings=SETTINGS,
    )


async def stopped(*running: asyncio.Task[None]) -> None:
    for one in running:
        assert not one.done()
        one.cancel()
    await asyncio.wait(running)


async def handled(world: World) -> None:
    async with asyncio.timeout(60):
        await wait_until_handled(world.log, IMAGES_TOPIC, indexer_group(SPACE.id), every_seconds=0.05)


async def test_indexers_come_and_go_and_every_picture_is_indexed(world: World) -> None:
    first = asyncio.create_task(indexer(world, world.embedder).run())
    uploads = await world.upload(*(b"early %d" % number for number in range(150)))
    second = asyncio.create_task(indexer(world, CountingEmbedder()).run())
    uploads += await world.upload(*(b"late %d" % number for number in range(150)))
    await handled(world)
    await stopped(first)
    uploads += await world.upload(*(b"last %d" % number for number in range(50)))
    await handled(world)
    await stopped(second)
    records = await vectors_in(world.log)
    assert records.keys() == {upload.id for upload in uploads}
    assert not any(record.deleted for record in records.values())


async def test_an_indexer_that_stalled_writes_nothing_old_over_its_successor(world: World) -> None:
    gated = GatedEmbedder()
    stalled = asyncio.create_task(indexer(world, gated).run())
    uploads = await world.upload(*(b"picture %d" % number for number in range(200)))
    async with asyncio.timeout(30):
        await gated.holding.wait()
    successor = asyncio.create_task(indexer(world, world.embedder).run())
    for upload in uploads:
        await world.send([await world.catalog.change(DEFAULT_TENANT, upload.id, PictureChange(tags=("new",)))])
    async with asyncio.timeout(60):
        while not any(one.version == 2 for one in (await vectors_in(world.log)).values()):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    gated.gate.set()
    await handled(world)
    await stopped(stalled, successor)
    newest: dict[int, int] = {}
    async for record in world.log.scan(SPACE.vectors_topic):
        found = VectorRecord.decode(record.value or b"", SPACE.dim)
        assert found.version >= newest.get(found.image_id, 0)
        newest[found.image_id] = found.version
    assert newest == {upload.id: 2 for upload in uploads}
