"""Everything that keeps pictures, in one process on the storage that it is given: shards, replicas, indexer, truth."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import delete, update
from sqlalchemy.ext.asyncio import AsyncConnection

from deploy.parts import Kafka, Minio
from omma.background import running
from omma.backlog import indexer_group, wait_until_handled
from omma.buckets import ROW_BUCKETS, bucket_of
from omma.catalog.picture import NewPicture, Upserted
from omma.catalog.schema.pictures import image_hash, image_spaces, images, orphans
from omma.catalog.sql import SqlCatalog
from omma.dead_letters import DeadLetters
from omma.identity import DEFAULT_TENANT, ImageId, Tenant, Version
from omma.index import Index, IndexId, IndexState
from omma.outbox import Outbox, open_outbox
from omma.records import IMAGES_TOPIC, VectorRecord, image_key
from omma.storage import Storage, StorageSettings, open_storage
from services.gateway.pictures.trace import Tracer
from services.indexer.worker import Indexer, ensure_topics
from services.nn_shard.settings import ShardSettings
from services.nn_shard.shard import Shard
from services.topology.indexes import ServedIndex, ServedIndexes
from services.worker.truth import Verifier
from tests.buckets import bucket_settings
from tests.indexer_world import SETTINGS, SPACE, CountingEmbedder

INDEX = Index(IndexId("tiny.2"), SPACE.id, "IVF{nlist},PQ2x8", 2, IndexState.LIVE)
SHARD = ShardSettings(poll_seconds=0.05, lag_check_seconds=0.1, maintenance_seconds=0.1, checkpoint_seconds=0.2)


@dataclass
class TruthWorld:
    """shards: by shard, then replica."""

    storage: Storage
    outbox: Outbox
    shards: list[list[Shard]]
    verifier: Verifier
    tracer: Tracer
    tenant: Tenant = DEFAULT_TENANT
    uploaded: list[Upserted] = field(default_factory=list)

    async def upload(self, *contents: bytes, send: bool = True) -> list[Upserted]:
        new = []
        for content in contents:
            sha256, uri = await self.storage.originals.put(content)
            new.append(NewPicture(content.decode(), sha256, uri, len(content)))
        changes = await self.storage.catalog.upsert(self.tenant, new)
        if send:
            await self.outbox.send(changes)
        self.uploaded += changes
        return changes

    async def delete(self, *image_ids: int) -> None:
        await self.outbox.send(await self.storage.catalog.delete(self.tenant, [ImageId(i) for i in image_ids]))

    async def handled(self) -> None:
        async with asyncio.timeout(60):
            await wait_until_handled(self.storage.log, IMAGES_TOPIC, indexer_group(SPACE.id), every_seconds=0.02)

    async def write(self, *records: VectorRecord) -> None:
        """To the log, past the indexer: what a fault would leave there."""
        producer = await self.storage.log.producer()
        rows = [(bucket_of(one.image_id, SPACE.buckets), image_key(one.image_id), one.encode()) for one in records]
        await producer.send_many(SPACE.vectors_topic, rows)
        await producer.close()

    async def last_record(self, image_id: int) -> VectorRecord:
        found = None
        async for record in self.storage.log.scan(SPACE.vectors_topic):
            if record.key == image_key(image_id):
                found = VectorRecord.decode(record.value or b"", SPACE.dim)
        assert found is not None
        return found

    async def versions(self) -> dict[ImageId, Version]:
        """Of every row."""
        catalog = self.storage.catalog
        return {row.id: row.version async for row in catalog.rows_of_buckets(0, ROW_BUCKETS - 1)}

    async def age(self, seconds: float) -> None:
        """Whatever was deleted or orphaned was so long before."""
        passed = int(seconds * 1000)
        async with self._connection() as connection:
            await connection.execute(update(images).values(deleted_at=images.c.deleted_at - passed))
            await connection.execute(update(orphans).values(since=orphans.c.since - passed))

    async def lose(self, ids: Sequence[int], older: Sequence[int]) -> None:
        """As in a catalog of before: these rows are not there, and others as they were made."""
        async with self._connection() as connection:
            for table in (image_hash, image_spaces):
                await connection.execute(delete(table).where(table.c.image_id.in_(ids)))
            await connection.execute(delete(images).where(images.c.id.in_(ids)))
            lived = {"state": "indexed", "deleted_at": None, "deleted_by": None}
            words = {"version": 1, "sent_version": 1, "tags": [], "owner": "", "attributes": {}}
            await connection.execute(update(images).where(images.c.id.in_(older)).values(**words, **lived))

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[AsyncConnection]:
        assert isinstance(self.storage.catalog, SqlCatalog)
        async with self.storage.catalog._database.writing() as connection:
            yield connection

    async def differences(self, **options: bool) -> dict[str, int]:
        """Kinds and counts."""
        return {kind.value: count for kind, count in (await self.verifier.verify(**options)).counts.items()}


@asynccontextmanager
async def truth_world(settings: StorageSettings, folder: Path) -> AsyncIterator[TruthWorld]:
    """Two shards of two replicas, an indexer that embeds bytes, all running."""
    async with AsyncExitStack() as stack:
        storage = await open_storage(settings, stack)
        catalog, log = storage.catalog, storage.log
        await catalog.register_space(SPACE)
        await catalog.register_index(INDEX)
        await ensure_topics(log, SPACE)
        shards = [
            [_shard(storage, shard, folder / f"shard-{shard}-{replica}", f"{shard}/{replica}") for replica in range(2)]
            for shard in range(INDEX.shards)
        ]
        clients = tuple(tuple(one.client for one in replicas) for replicas in shards)
        embedder: Any = CountingEmbedder()
        outbox = await open_outbox(catalog, log)
        indexer = Indexer(
            catalog=catalog,
            log=log,
            blobs=storage.blobs,
            originals=storage.originals,
            embedder=embedder,
            shards=[replicas[0].client for replicas in shards],
            settings=SETTINGS,
        )
        every = [one for replicas in shards for one in replicas]
        await stack.enter_async_context(running(indexer.run, *(one.run for one in every)))
        for one in every:
            await one.replica.until_ready()
        indexes = ServedIndexes([ServedIndex(INDEX, SPACE, clients, embedder)])

        async def indexed() -> None:
            await wait_until_handled(log, IMAGES_TOPIC, indexer_group(SPACE.id))

        letters = DeadLetters(catalog, log, outbox, indexed)
        verifier = Verifier(storage, outbox, indexes.live, indexes.placed)
        tracer = Tracer(storage, letters, indexes, max_picture_bytes=1_000_000)
        yield TruthWorld(storage, outbox, shards, verifier, tracer)


def cluster_settings(folder: Path, kafka: Kafka, minio: Minio, postgres_url: str) -> StorageSettings:
    """Real servers, apart from what other tests have there."""
    return StorageSettings.model_validate(
        {
            "data_dir": folder,
            "kafka": {"brokers": kafka.brokers, "prefix": f"{uuid.uuid4().hex}.", "fetch_wait_seconds": 0.2},
            "postgres": {"url": postgres_url},
            "s3": bucket_settings(minio).model_dump(),
        }
    )


def _shard(storage: Storage, shard: int, folder: Path, holder: str) -> Shard:
    return Shard(
        folder=folder,
        space=SPACE,
        index=INDEX,
        shard=shard,
        log=storage.log,
        blobs=storage.blobs,
        catalog=storage.catalog,
        settings=SHARD,
        holder=holder,
    )
