"""Erasing what the log has of a picture, on every log, with the indexers that wrote it."""

import dataclasses
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import pytest

from omma.background import running
from omma.backlog import indexer_group, wait_until_handled
from omma.blobs.folder import FolderBlobs
from omma.blobs.originals import Originals
from omma.buckets import bucket_of
from omma.catalog.sqlite import open_sqlite_catalog
from omma.identity import DEFAULT_TENANT
from omma.index import Index, IndexId, IndexState
from omma.log.interface import Log, TopicSpec
from omma.outbox import open_outbox
from omma.persistence import persist
from omma.records import DEAD_LETTERS_TOPIC, IMAGES_TOPIC, image_key
from omma.space import SpaceId
from omma.v1 import records_pb2
from services.worker.erasing.log_traces import LogTraces
from services.worker.jobs.progress import Progress
from tests.indexer_world import SPACE, CountingEmbedder, ReplayedShard, World

JUNK = b"\xff no record"
CANDIDATE = dataclasses.replace(SPACE, id=SpaceId("tiny-2.0.0-11111111"))
ABANDONED = dataclasses.replace(SPACE, id=SpaceId("tiny-0.9.0-22222222"))


@pytest.fixture
async def world(log: Log, tmp_path: Path) -> AsyncIterator[World]:
    """With an indexer of the live space and one of a candidate's, both at work."""
    async with AsyncExitStack() as stack:
        catalog = await open_sqlite_catalog(tmp_path / "catalog.db")
        stack.push_async_callback(catalog.close)
        blobs = FolderBlobs(tmp_path / "blobs")
        stack.push_async_callback(blobs.close)
        originals = Originals(blobs)
        stack.push_async_callback(originals.close)
        for space, state in ((SPACE, IndexState.LIVE), (CANDIDATE, IndexState.BUILDING)):
            await catalog.register_space(space)
            await catalog.register_index(Index(IndexId(f"{space.id}.1"), space.id, "Flat", 1, state))
        outbox = await open_outbox(catalog, log)
        world = World(catalog, log, blobs, originals, outbox, CountingEmbedder(), ReplayedShard(log))
        candidate = CountingEmbedder()
        candidate.space = CANDIDATE
        others = dataclasses.replace(world, embedder=candidate)
        await stack.enter_async_context(running(world.indexer().run, others.indexer().run))
        yield world


async def handled(log: Log) -> None:
    for space in (SPACE, CANDIDATE):
        look = partial(wait_until_handled, log, IMAGES_TOPIC, indexer_group(space.id), every_seconds=0.02)
        await persist("handled", look, 0.1)  # a new broker has no coordinator yet


async def letters(log: Log) -> list[tuple[int, str]]:
    """Picture and space of each that is left."""
    found = []
    async for record in log.scan(DEAD_LETTERS_TOPIC):
        if record.value is not None:
            letter = records_pb2.DeadLetter.FromString(record.value)
            found.append((letter.event.image_id, letter.space))
    return sorted(found)


async def test_no_letter_of_an_erased_picture_is_left_in_whichever_spaces_it_died(world: World) -> None:
    erased, kept = await world.upload(b"bad, erased", b"bad, kept")
    await handled(world.log)
    both = (SPACE.id, CANDIDATE.id)
    assert await letters(world.log) == sorted((one.id, space) for one in (erased, kept) for space in both)
    await world.send(await world.catalog.erase(DEFAULT_TENANT, [erased.id]))
    progress = Progress()
    erasures = await world.catalog.erasures(DEFAULT_TENANT, 10)
    await LogTraces(world.catalog, world.log, world.outbox).clear(DEFAULT_TENANT, erasures, progress)
    assert await letters(world.log) == sorted((kept.id, space) for space in both)
    assert progress.counts["log_records"] == 2


async def test_what_nobody_can_read_of_an_erased_picture_goes_too(world: World) -> None:
    """Of the spaces with an indexer, and of one that no index is of any more."""
    await world.catalog.register_space(ABANDONED)
    await world.log.ensure_topic(TopicSpec(ABANDONED.vectors_topic, ABANDONED.buckets, compacted=True))
    (erased,) = await world.upload(b"erased")
    await handled(world.log)
    topics = [space.vectors_topic for space in (SPACE, CANDIDATE, ABANDONED)]
    producer = await world.log.producer()
    for topic in topics:
        await producer.send(topic, bucket_of(erased.id, SPACE.buckets), image_key(erased.id), JUNK)
    await producer.close()
    await world.send(await world.catalog.erase(DEFAULT_TENANT, [erased.id]))
    erasures = await world.catalog.erasures(DEFAULT_TENANT, 10)
    await LogTraces(world.catalog, world.log, world.outbox).clear(DEFAULT_TENANT, erasures, Progress())
    for topic in topics:
        left = [record.value async for record in world.log.scan(topic) if record.key == image_key(erased.id)]
        assert left and all(records_pb2.VectorRecord.FromString(value or b"").deleted for value in left)
