"""The indexer on the embedded catalog and log, with an embedder that counts and a shard that holds what is logged."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from omma.backlog import indexer_group, wait_until_handled
from omma.blobs.folder import FolderBlobs
from omma.blobs.originals import Originals
from omma.buckets import bucket_of
from omma.catalog.interface import Catalog
from omma.catalog.picture import NewPicture, Upserted
from omma.catalog.sqlite import open_sqlite_catalog
from omma.errors import InvalidPicture, Overloaded
from omma.identity import DEFAULT_TENANT, ImageId
from omma.log.interface import Log
from omma.log.sqlite import SqliteLog
from omma.outbox import Outbox, open_outbox
from omma.records import IMAGES_TOPIC, VectorRecord
from omma.rpc.deadline import Deadline
from omma.space import Space, SpaceId
from omma.vectors import Float16, normalise
from services.egs.client import EmbeddedItem, ImageItem
from services.indexer.settings import IndexerSettings
from services.indexer.worker import Indexer
from services.nn_shard.client import FetchedPicture

SPACE = Space(SpaceId("tiny-1.0.0-00000000"), "tiny@1.0.0", "0" * 64, dim=4, buckets=16)
SETTINGS = IndexerSettings(poll_seconds=0.05, retry_seconds=0.01)


class CountingEmbedder:
    """Vectors are made of the bytes. A picture that starts with `bad` cannot be read, one with `busy` only later."""

    space = SPACE
    has_text_tower = False
    windows = 0

    def __init__(self) -> None:
        self.embedded: Counter[bytes] = Counter()
        self.items: list[ImageItem] = []
        self.refused = False
        self.middles: Float16 | None = None

    async def trained_on(self) -> Float16 | None:
        return self.middles

    async def embed(self, items: Sequence[ImageItem], deadline: Deadline) -> list[EmbeddedItem | Exception]:
        if any(item.content.startswith(b"busy") for item in items) and not self.refused:
            self.refused = True
            raise Overloaded("The queue is full.")
        self.items += items
        self.embedded.update(item.content for item in items)
        return [self._answer(item.content) for item in items]

    def _answer(self, content: bytes) -> EmbeddedItem | Exception:
        if content.startswith(b"bad"):
            return InvalidPicture("It is cut off.")
        vector = np.frombuffer(hashlib.sha256(content).digest()[:16], np.uint8).astype(np.float32).reshape(1, -1)[:, :4]
        box = np.array([[0, 0, 8, 6]], np.int32)
        return EmbeddedItem(normalise(vector + 1), box, phash=7, width=8, height=6, thumbnail=b"thumbnail")


@dataclass
class ReplayedShard:
    """A ShardClient that holds what the log says, as a shard does."""

    log: Log
    asked: list[ImageId] = field(default_factory=list)

    async def fetch(self, tenant: str | None, ids: Sequence[ImageId], deadline: Deadline) -> list[FetchedPicture]:
        self.asked += ids
        held = await vectors_in(self.log)
        return [
            FetchedPicture(one.image_id, one.version, one.tenant, one.vectors, one.boxes, one.phash, one.payload)
            for one in held.values()
            if one.image_id in ids and not one.deleted
        ]


async def vectors_in(log: Log) -> dict[int, VectorRecord]:
    """The last record of each picture; every one lies in its bucket's partition."""
    found: dict[int, VectorRecord] = {}
    async for record in log.scan(SPACE.vectors_topic):
        decoded = VectorRecord.decode(record.value or b"", SPACE.dim)
        assert record.partition == bucket_of(decoded.image_id, SPACE.buckets)
        found[decoded.image_id] = decoded
    return found


@dataclass
class World:
    catalog: Catalog
    log: Log
    blobs: FolderBlobs
    originals: Originals
    outbox: Outbox
    embedder: CountingEmbedder
    shard: ReplayedShard
    settings: IndexerSettings = SETTINGS

    def indexer(self, settings: IndexerSettings | None = None) -> Indexer:
        return Indexer(
            catalog=self.catalog,
            log=self.log,
            blobs=self.blobs,
            originals=self.originals,
            embedder=self.embedder,
            shards=[self.shard],
            settings=settings or self.settings,
        )

    async def upload(self, *contents: bytes, key: Callable[[bytes], str] = bytes.hex) -> list[Upserted]:
        new = []
        for content in contents:
            sha256, uri = await self.originals.put(content)
            new.append(NewPicture(key(content), sha256, uri, len(content)))
        return await self.send(await self.catalog.upsert(DEFAULT_TENANT, new))

    async def send(self, changes: list[Upserted]) -> list[Upserted]:
        await self.outbox.send(changes)
        return changes

    async def handled(self) -> None:
        await wait_until_handled(self.log, IMAGES_TOPIC, indexer_group(SPACE.id), every_seconds=0.01)

    async def indexed(self) -> dict[int, VectorRecord]:
        """Run until everything is handled."""
        running = asyncio.create_task(self.indexer().run())
        try:
            async with asyncio.timeout(20):
                await self.handled()
        finally:
            running.cancel()
            await asyncio.wait({running})
        return await vectors_in(self.log)


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[World]:
    catalog = await open_sqlite_catalog(folder / "catalog.db")
    log = await SqliteLog.open(folder / "log.db")
    blobs = FolderBlobs(folder / "blobs")
    originals = Originals(blobs)
    await catalog.register_space(SPACE)
    outbox = await open_outbox(catalog, log)
    try:
        yield World(catalog, log, blobs, originals, outbox, CountingEmbedder(), ReplayedShard(log))
    finally:
        await originals.close()
        await blobs.close()
        await log.close()
        await catalog.close()
