"""Shards on the real log, blobs and catalog, and a model of what the log says, for the tests of the shard."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from omma.blobs.folder import FolderBlobs
from omma.buckets import bucket_of
from omma.catalog.interface import Catalog
from omma.catalog.sqlite import open_sqlite_catalog
from omma.hits import Payload
from omma.identity import ImageId, Receipt, Tenant, Version
from omma.index import Index, IndexId, IndexState
from omma.log.interface import TopicSpec
from omma.log.sqlite import SqliteLog
from omma.records import VectorRecord, deleted_record, image_key
from omma.rpc.deadline import Deadline
from omma.space import Space, SpaceId
from omma.vectors import Float32, normalise
from services.nn_shard.client import ShardQuery
from services.nn_shard.engine import EngineSettings
from services.nn_shard.settings import ShardSettings
from services.nn_shard.shard import Shard

DIM = 16
SPACE = Space(SpaceId("model-1-abcdef01"), "model", "0" * 64, DIM, buckets=8)
ANN = Tenant("ann")
SETTINGS = ShardSettings(
    engine=EngineSettings(seal_rows=64, train_rows=600, train_sample_rows=2_000),
    poll_records=50,
    maintenance_seconds=0.02,
    checkpoint_seconds=0.05,
    catalog_seconds=0.05,
    log_retry_seconds=0.01,
)


@dataclass
class World:
    """The parts, and a model of what the log says: newest record by picture."""

    folder: Path
    catalog: Catalog
    log: SqliteLog
    blobs: FolderBlobs
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(7))
    model: dict[int, VectorRecord] = field(default_factory=dict)

    def index(self, shards: int = 1) -> Index:
        return Index(IndexId(f"{SPACE.id}.{shards}"), SPACE.id, "OPQ8_16,IVF{nlist},PQ8x8", shards, IndexState.LIVE)

    async def register(self, shards: int = 1) -> Index:
        await self.catalog.register_space(SPACE)
        index = self.index(shards)
        await self.catalog.register_index(index)
        return index

    async def put(self, count: int, *, first: int = 1) -> None:
        await self.send([self.record(image_id) for image_id in range(first, first + count)])

    def record(self, image_id: int, version: int = 1, tenant: Tenant = ANN, regions: int = 1) -> VectorRecord:
        vectors = normalise(self.random.standard_normal((regions, DIM))).astype(np.float16)
        boxes = np.tile(np.array([[0, 0, 10, 10]], np.int32), (regions, 1))
        payload = Payload(uri=f"file:///{image_id}@{version}", owner=f"o{image_id % 3}")
        return VectorRecord(ImageId(image_id), Version(version), tenant, SPACE.id, vectors, boxes, image_id, payload)

    def delete(self, image_id: int, version: int) -> VectorRecord:
        return deleted_record(ImageId(image_id), Version(version), ANN, SPACE.id, DIM)

    async def send(self, records: list[VectorRecord]) -> None:
        producer = await self.log.producer()
        await producer.send_many(
            SPACE.vectors_topic,
            [(bucket_of(one.image_id, SPACE.buckets), image_key(one.image_id), one.encode()) for one in records],
        )
        await producer.close()
        for one in records:
            before = self.model.get(one.image_id)
            if before is None or before.version < one.version:
                self.model[one.image_id] = one

    def live(self) -> dict[int, VectorRecord]:
        return {image_id: one for image_id, one in self.model.items() if not one.deleted}

    def shard(self, index: Index, shard: int = 0, settings: ShardSettings = SETTINGS, folder: str = "shard") -> Shard:
        return Shard(
            folder=self.folder / folder,
            space=SPACE,
            index=index,
            shard=shard,
            log=self.log,
            blobs=self.blobs,
            catalog=self.catalog,
            settings=settings,
            holder="one process",
        )


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    catalog = await open_sqlite_catalog(tmp_path / "catalog.db")
    log = await SqliteLog.open(tmp_path / "log.db")
    blobs = FolderBlobs(tmp_path / "blobs")
    world = World(tmp_path, catalog, log, blobs)
    await log.ensure_topic(TopicSpec(SPACE.vectors_topic, SPACE.buckets, compacted=True))
    yield world
    await blobs.close()
    await log.close()
    await catalog.close()


@asynccontextmanager
async def running(shard: Shard) -> AsyncIterator[Shard]:
    """Ready inside; ended as a service ends it, with a last checkpoint."""
    task = asyncio.create_task(shard.run())
    try:
        ready = asyncio.create_task(shard.replica.until_ready())
        await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED, timeout=30)
        if task.done():
            await task
        assert ready.done()
        yield shard
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def query(index: Index, vector: Float32, k: int = 10, **options: object) -> ShardQuery:
    return ShardQuery(tenant=ANN, index=index.id, space=SPACE.id, query=vector, k=k, **options)  # type: ignore[arg-type]


async def require_model(world: World, shard: Shard, index: Index) -> None:
    """Every live picture is there once, with its newest version and vectors, and nothing else is."""
    live = world.live()
    vector = normalise(np.ones(DIM))
    answer = await shard.client.search(query(index, vector, k=len(world.model) + 1, exact=True), Deadline.after(10))
    assert sorted(answer.hits.ids.tolist()) == sorted(live)
    by_id = dict(zip(answer.hits.ids.tolist(), answer.hits.scores.tolist(), strict=True))
    for image_id, record in live.items():
        assert by_id[image_id] == pytest.approx(float(record.vectors[0].astype(np.float32) @ vector), abs=1e-4)
    fetched = await shard.client.fetch(ANN, [ImageId(one) for one in live], Deadline.after(10))
    assert {one.image_id: one.version for one in fetched} == {one.image_id: one.version for one in live.values()}


async def caught_up(world: World, shard: Shard) -> None:
    """Wait for the last write of every picture, as a caller with its receipt does."""
    receipts = [Receipt(one.image_id, one.version) for one in world.model.values()]
    assert await shard.replica.receipts.wait(ANN, receipts, Deadline.after(30))
