"""Whoever lost a partition of `omma.images` writes nothing of it any more: no record, and no row either."""

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from omma.catalog.interface import Catalog
from omma.catalog.picture import Embedded, Picture, PictureState
from omma.catalog.sqlite import open_sqlite_catalog
from omma.errors import InvalidPicture, OmmaError
from omma.identity import DEFAULT_TENANT, ImageId
from omma.log.interface import Log, LogRecord, ProducerFenced, TopicPartition
from omma.outbox import open_outbox
from omma.records import DEAD_LETTERS_TOPIC, IMAGES_TOPIC
from services.indexer.commit import Committer
from services.indexer.sources import Seen
from services.indexer.taken import Settled
from services.indexer.worker import ensure_topics
from tests.contract.catalogs import new
from tests.contract.logs import PLENTY, all_of
from tests.indexer_world import SPACE
from tests.waiting import eventually

AT = TopicPartition(IMAGES_TOPIC, 0)
SEEN = Seen(np.full((1, SPACE.dim), 0.5, np.float16), np.array([[0, 0, 8, 6]], np.int32), 7, 8, 6)
DIED = InvalidPicture("It is cut off.")


@dataclass
class World:
    catalog: Catalog
    log: Log
    record: LogRecord
    row: Picture

    async def claimed(self) -> Committer:
        committer = Committer(self.catalog, self.log, SPACE, "indexers")
        await committer.claim([AT])
        return committer

    def settled(self, committer: Committer, outcome: Seen | OmmaError) -> Sequence[Settled]:
        (taken,) = committer.take([self.record])
        return [Settled(taken, self.row, outcome)]

    async def is_untouched(self) -> bool:
        return await self._is(PictureState.PENDING, vectors=0)

    async def is_indexed(self) -> bool:
        """Once, and in no dead letter."""
        return await self._is(PictureState.INDEXED, vectors=1)

    async def _is(self, state: PictureState, vectors: int) -> bool:
        row = await self.catalog.picture(DEFAULT_TENANT, self.row.id)
        written = [len(await all_of(self.log, topic)) for topic in (SPACE.vectors_topic, DEAD_LETTERS_TOPIC)]
        return (row.state, written) == (state, [vectors, 0])


@pytest.fixture
async def world(log: Log, tmp_path: Path) -> AsyncIterator[World]:
    catalog = await open_sqlite_catalog(tmp_path / "catalog.db")
    await catalog.register_space(SPACE)
    outbox = await open_outbox(catalog, log, 1)
    await ensure_topics(log, SPACE)
    changes = await catalog.upsert(DEFAULT_TENANT, [new("k")])
    await outbox.send(changes)
    consumer = await log.assign({AT: 0})
    (record,) = await consumer.poll(1, 20)
    await consumer.close()
    yield World(catalog, log, record, (await catalog.pictures([ImageId(1)]))[ImageId(1)])
    await catalog.close()


def here() -> Collection[TopicPartition]:
    return [AT]


def elsewhere() -> Collection[TopicPartition]:
    return []


@pytest.mark.parametrize("late", [DIED, SEEN])
async def test_who_was_told_that_another_has_the_partition_writes_nothing(world: World, late: Seen | OmmaError) -> None:
    stalled = await world.claimed()
    old = world.settled(stalled, late)
    successor = await world.claimed()
    await stalled.commit(old, elsewhere)
    assert await world.is_untouched()
    await successor.commit(world.settled(successor, SEEN), here)
    await eventually(world.is_indexed, 3 * PLENTY)
    await stalled.commit(old, elsewhere)
    assert await world.is_indexed()


async def test_what_was_taken_before_the_partition_came_back_is_not_written(world: World) -> None:
    committer = await world.claimed()
    old = world.settled(committer, DIED)
    await committer.claim([AT])
    await committer.commit(old, here)
    assert await world.is_untouched()
    await committer.commit(world.settled(committer, SEEN), here)
    await eventually(world.is_indexed, 3 * PLENTY)


async def test_who_was_not_told_yet_kills_no_picture_that_its_successor_indexed(world: World) -> None:
    stalled = await world.claimed()
    old = world.settled(stalled, DIED)
    successor = await world.claimed()
    await successor.commit(world.settled(successor, SEEN), here)
    with pytest.raises(ProducerFenced):
        await stalled.commit(old, here)
    await eventually(world.is_indexed, 3 * PLENTY)


async def test_who_dies_before_it_told_again_of_a_vector_that_no_log_has_leaves_that_to_the_next(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = world.row
    told = Embedded(row.id, row.version, width=8, height=6, phash=7)
    await world.catalog.record_embedded(SPACE.id, [told])

    async def dies(*_: object) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as dying:
        dying.setattr(Committer, "_tell_again", dies)
        first = await world.claimed()
        with pytest.raises(RuntimeError):
            await first.commit(world.settled(first, DIED), here)
    assert (await world.log.committed("indexers", IMAGES_TOPIC)).get(AT.partition, 0) <= world.record.offset
    second = await world.claimed()
    await second.commit(world.settled(second, DIED), here)
    after = (await world.catalog.pictures([row.id]))[row.id]
    assert (after.state, after.version) == (PictureState.PENDING, row.version + 1)
    assert (await world.log.committed("indexers", IMAGES_TOPIC))[AT.partition] == world.record.offset + 1
