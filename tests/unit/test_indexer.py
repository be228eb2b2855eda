"""The indexer on the embedded catalog and log, with an embedder that counts."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from omma.backlog import backlog, indexer_group, wait_until_handled
from omma.blobs.folder import FolderBlobs
from omma.blobs.interface import thumbnail_key
from omma.blobs.originals import Originals
from omma.buckets import bucket_of
from omma.catalog.interface import Catalog
from omma.catalog.picture import Embedded, NewPicture, PictureChange, PictureState, Upserted
from omma.catalog.sqlite import open_sqlite_catalog
from omma.dead_letters import DeadLetters
from omma.errors import InvalidPicture, OutOfTime, Overloaded, ReplicaDown
from omma.identity import DEFAULT_TENANT, ImageId, Sha256
from omma.images.signature import VERSION, WHOLE_BYTES
from omma.log.interface import Log, ProducerFenced
from omma.log.sqlite import SqliteLog
from omma.outbox import Outbox, open_outbox
from omma.quality import Quality
from omma.records import IMAGES_TOPIC, VectorRecord
from omma.rpc.deadline import Deadline
from omma.space import Space, SpaceId
from omma.trained_on import kept_middles
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


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with opened(tmp_path) as made:
        yield made


async def test_an_upload_becomes_a_vector_a_row_and_a_thumbnail(world: World):
    (upload,) = await world.upload(b"one")
    record = (await world.indexed())[upload.id]
    row = await world.catalog.picture(DEFAULT_TENANT, upload.id)
    assert record.version == upload.version and record.vectors.shape == (1, 4)
    assert record.payload.sha256 == row.sha256 and (record.payload.width, record.payload.height) == (8, 6)
    assert row.state is PictureState.INDEXED and (row.width, row.height, row.phash) == (8, 6, 7)
    assert await world.blobs.get(thumbnail_key(row.sha256)) == b"thumbnail"


async def test_a_candidate_asks_for_nothing_that_the_live_index_has_told_of_the_bytes(world: World):
    """A thumbnail, a signature and what a picture looks like are no model's."""
    seen, unsigned, new = await world.upload(b"seen", b"unsigned", b"new")
    signature, quality = bytes([VERSION]).ljust(WHOLE_BYTES, b"s"), Quality(0.5, 0.25)
    told = partial(Embedded, width=8, height=6, phash=9, quality=quality)
    await world.catalog.record_embedded(
        "live", [told(seen.id, seen.version, signature=signature), told(unsigned.id, unsigned.version)]
    )
    records = await world.indexed()
    asked = {item.content: (item.thumbnail, item.signature) for item in world.embedder.items}
    assert asked == {b"seen": (False, False), b"unsigned": (True, True), b"new": (True, True)}
    assert (records[seen.id].signature, records[seen.id].payload.quality) == (signature, quality)
    assert (records[seen.id].phash, records[new.id].phash) == (9, 7), "what finds a copy is the same in both"
    row = await world.catalog.picture(DEFAULT_TENANT, seen.id)
    assert (row.signature, row.quality, row.state) == (signature, quality, PictureState.INDEXED)
    assert records[new.id].signature == b""


@pytest.mark.parametrize("says", [True, False])
async def test_what_the_model_was_trained_on_is_kept_for_those_who_have_no_model(world: World, says: bool):
    world.embedder.middles = np.diag([2, 2, 2, 2]).astype(np.float16) if says else None
    await world.upload(b"one")
    await world.indexed()
    kept = await kept_middles(world.blobs, SPACE.id, SPACE.dim)
    assert (kept is not None) == says
    assert kept is None or np.array_equal(kept, np.eye(4))


@pytest.mark.parametrize("step", ["ensure_topic", "subscribe"])
async def test_brokers_that_are_not_ready_yet_are_waited_for(world: World, monkeypatch: pytest.MonkeyPatch, step: str):
    """As Kafka under load: a topic was made and its partitions have no leaders yet."""
    ready = getattr(world.log, step)
    refusals = iter([ReplicaDown("No leaders yet."), OutOfTime("No answer.")])

    async def at_last(*args: Any) -> object:
        for refusal in refusals:
            raise refusal
        return await ready(*args)

    monkeypatch.setattr(world.log, step, at_last)
    (upload,) = await world.upload(b"one")
    assert upload.id in await world.indexed()


async def test_the_same_bytes_are_embedded_once_even_when_they_come_together(world: World):
    contents = [b"twin", b"other"] * 60
    numbers = iter(range(200))
    uploads = await world.upload(*contents, key=lambda _: str(next(numbers)))
    records = await world.indexed()
    assert len(records) == len(uploads) == 120
    assert world.embedder.embedded == {b"twin": 1, b"other": 1}


async def test_the_same_bytes_are_not_embedded_again_after_a_restart(world: World):
    (first,) = await world.upload(b"twin", key=lambda _: "a")
    await world.indexed()
    (second,) = await world.upload(b"twin", key=lambda _: "b")
    records = await world.indexed()
    assert world.embedder.embedded == {b"twin": 1}
    np.testing.assert_array_equal(records[first.id].vectors, records[second.id].vectors)


async def test_a_change_of_attributes_embeds_nothing_and_travels(world: World):
    (upload,) = await world.upload(b"one")
    await world.indexed()
    await world.send([await world.catalog.change(DEFAULT_TENANT, upload.id, PictureChange(tags=("red",)))])
    record = (await world.indexed())[upload.id]
    assert record.version == 2 and record.payload.tags == ("red",)
    assert world.embedder.embedded == {b"one": 1} and upload.id in world.shard.asked


async def test_vectors_of_older_bytes_are_never_taken_for_newer_ones(world: World):
    (upload,) = await world.upload(b"old", key=lambda _: "k")
    before = (await world.indexed())[upload.id]
    await world.upload(b"new", key=lambda _: "k")
    await world.send([await world.catalog.change(DEFAULT_TENANT, upload.id, PictureChange(tags=("red",)))])
    record = (await world.indexed())[upload.id]
    assert record.version == 3 and world.embedder.embedded == {b"old": 1, b"new": 1}
    assert not np.array_equal(before.vectors, record.vectors)


async def test_a_delete_is_a_record_with_a_body(world: World):
    (upload,) = await world.upload(b"one")
    await world.indexed()
    await world.send(await world.catalog.delete(DEFAULT_TENANT, [upload.id]))
    record = (await world.indexed())[upload.id]
    assert record.deleted and record.version == 2


async def test_what_cannot_be_read_is_a_dead_letter_with_the_reason(world: World):
    bad, good = await world.upload(b"bad picture", b"good picture")
    records = await world.indexed()
    letters = DeadLetters(world.catalog, world.log, world.outbox, world.handled)
    (letter,) = await letters.letters(DEFAULT_TENANT)
    assert (letter.image_id, letter.kind, letter.reason) == (bad.id, "invalid_picture", "It is cut off.")
    assert records[bad.id].deleted, "receipts of a dead picture must not wait for ever"
    assert not records[good.id].deleted
    row = await world.catalog.picture(DEFAULT_TENANT, bad.id)
    assert row.state is PictureState.DEAD and row.reason == "It is cut off."


async def test_a_missing_original_is_a_dead_letter_and_can_be_replayed(world: World, tmp_path: Path):
    file = tmp_path / "late.jpg"
    sha256 = Sha256(hashlib.sha256(b"late").hexdigest())
    new = NewPicture(file.as_uri(), sha256, file.as_uri(), 4, mtime_ns=1)
    (late,) = await world.send(await world.catalog.upsert(DEFAULT_TENANT, [new]))
    await world.indexed()
    letters = DeadLetters(world.catalog, world.log, world.outbox, world.handled)
    assert (await letters.show(DEFAULT_TENANT, late.id)).kind == "absent"

    file.write_bytes(b"late")
    assert await letters.replay(DEFAULT_TENANT, None, wait_seconds=0) == ([late.id], [])
    record = (await world.indexed())[late.id]
    assert not record.deleted and record.version > late.version, "its shard has a delete of the old version"
    assert await letters.letters(DEFAULT_TENANT) == []


async def test_a_file_that_changed_since_it_was_found_is_not_embedded_as_the_old_one(world: World, tmp_path: Path):
    file = tmp_path / "changed.jpg"
    file.write_bytes(b"now")
    sha256 = Sha256(hashlib.sha256(b"then").hexdigest())
    new = NewPicture(file.as_uri(), sha256, file.as_uri(), 4, mtime_ns=1)
    (upload,) = await world.send(await world.catalog.upsert(DEFAULT_TENANT, [new]))
    assert (await world.indexed())[upload.id].deleted and not world.embedder.embedded


async def test_a_refusing_embedder_is_asked_again_and_nothing_dies(world: World):
    uploads = await world.upload(b"busy", b"next")
    records = await world.indexed()
    assert not any(records[upload.id].deleted for upload in uploads) and len(records) == 2


async def test_a_record_that_is_no_event_holds_nothing_back(world: World):
    await (await world.log.producer()).send(IMAGES_TOPIC, 0, b"junk", b"\xff\xff\xff")
    (upload,) = await world.upload(b"one")
    assert not (await world.indexed())[upload.id].deleted
    assert await backlog(world.log, IMAGES_TOPIC, indexer_group(SPACE.id)) == 0


async def test_an_indexer_that_was_broken_off_is_finished_by_the_next_exactly_once(world: World):
    uploads = await world.upload(*(f"picture {number}".encode() for number in range(300)))
    first = asyncio.create_task(world.indexer().run())
    while len(world.embedder.embedded) < 100:  # noqa: ASYNC110  what it waits for is the counter
        await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait({first})
    records = await world.indexed()
    assert records.keys() == {upload.id for upload in uploads}
    assert {one.version for one in records.values()} == {1}


async def test_a_newer_indexer_fences_the_older(world: World):
    old = asyncio.create_task(world.indexer().run())
    await world.upload(*(f"first {number}".encode() for number in range(40)))
    await wait_until_handled(world.log, IMAGES_TOPIC, indexer_group(SPACE.id), every_seconds=0.01)
    for partition in range(8):
        await world.log.producer(f"omma.indexer.{SPACE.id}.{partition}")
    await world.upload(b"second")
    with pytest.raises(ProducerFenced):
        async with asyncio.timeout(10):
            await old
