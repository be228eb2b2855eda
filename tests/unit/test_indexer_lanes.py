"""What embeds nothing never waits behind what must be embedded, and every picture ends as its row says."""

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import pytest

from omma.backlog import backlog, indexer_group
from omma.catalog.picture import PictureChange
from omma.errors import ReplicaDown
from omma.identity import DEFAULT_TENANT
from omma.log.interface import Consumer
from omma.records import IMAGES_TOPIC, VectorRecord
from omma.rpc.deadline import Deadline
from services.egs.client import EmbeddedItem, ImageItem
from services.indexer.settings import IndexerSettings
from tests.indexer_world import SPACE, CountingEmbedder, World, vectors_in
from tests.waiting import eventually

SETTINGS = IndexerSettings(poll_seconds=0.02, retry_seconds=0.01, batch_pictures=4, waiting_pictures=64)


class TowerAway(CountingEmbedder):
    """Refuses everything until it is back."""

    def __init__(self) -> None:
        super().__init__()
        self.away = True
        self.refused_calls = 0

    async def embed(self, items: Sequence[ImageItem], deadline: Deadline) -> list[EmbeddedItem | Exception]:
        if self.away:
            self.refused_calls += 1
            raise ReplicaDown("Triton did not answer.")
        return await super().embed(items, deadline)


async def written(world: World, image_id: int, version: int) -> VectorRecord:
    """Its record, once it has this version."""

    async def looked() -> VectorRecord | None:
        found = (await vectors_in(world.log)).get(image_id)
        return found if found is not None and found.version >= version else None

    found = await eventually(looked, 20)
    assert found is not None
    return found


async def behind(world: World) -> int:
    return await backlog(world.log, IMAGES_TOPIC, indexer_group(SPACE.id))


async def test_deletes_and_changes_flow_while_the_tower_is_away(world: World) -> None:
    kept, gone = await world.upload(b"kept", b"gone")
    await world.indexed()
    waiting = await world.upload(*(b"waiting %d" % number for number in range(30)))
    world.embedder = TowerAway()
    running = asyncio.create_task(world.indexer(SETTINGS).run())
    while not world.embedder.refused_calls:  # noqa: ASYNC110  what it waits for is a count
        await asyncio.sleep(0.01)
    await world.send(await world.catalog.delete(DEFAULT_TENANT, [gone.id]))
    await world.send([await world.catalog.change(DEFAULT_TENANT, kept.id, PictureChange(tags=("new",)))])
    # One that waits itself is deleted before it was ever embedded.
    await world.send(await world.catalog.delete(DEFAULT_TENANT, [waiting[0].id]))
    assert (await written(world, gone.id, 2)).deleted
    assert (await written(world, kept.id, 2)).payload.tags == ("new",)
    assert (await written(world, waiting[0].id, 2)).deleted
    assert await behind(world) > 0, "what waits is not committed"
    world.embedder.away = False
    async with asyncio.timeout(20):
        await world.handled()
    running.cancel()
    await asyncio.wait({running})
    records = await vectors_in(world.log)
    assert all(not records[one.id].deleted for one in waiting[1:]) and records[waiting[0].id].deleted
    assert await world.catalog.unsent(10) == []


async def test_what_was_written_ahead_of_its_turn_is_harmless_when_it_is_read_again(world: World) -> None:
    (gone,) = await world.upload(b"gone")
    await world.indexed()
    waiting = await world.upload(*(b"waiting %d" % number for number in range(20)))
    world.embedder = TowerAway()
    running = asyncio.create_task(world.indexer(SETTINGS).run())
    await world.send(await world.catalog.delete(DEFAULT_TENANT, [gone.id]))
    await written(world, gone.id, 2)
    running.cancel()
    await asyncio.wait({running})
    await world.upload(b"gone")  # again
    world.embedder.away = False
    records = await world.indexed()
    assert not records[gone.id].deleted and records[gone.id].version == 3
    assert all(not records[one.id].deleted for one in waiting)


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_order_things_come_in_the_last_record_is_the_newest(
    world: World, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(seed)
    embedder = TowerAway()
    world.embedder = embedder
    subscribed, subscribe = asyncio.Event(), world.log.subscribe

    async def told(*args: Any) -> Consumer:
        consumer = await subscribe(*args)
        subscribed.set()
        return consumer

    monkeypatch.setattr(world.log, "subscribe", told)
    running = asyncio.create_task(world.indexer(SETTINGS).run())
    keys = [f"key {number}" for number in range(8)]
    for step in range(60):
        key = chance.choice(keys)
        (row,) = await world.upload(b"%s %d" % (key.encode(), chance.randrange(3)), key=lambda _, key=key: key)
        if chance.random() < 0.4:
            await world.send([await world.catalog.change(DEFAULT_TENANT, row.id, PictureChange(owner=str(step)))])
        if chance.random() < 0.3:
            await world.send(await world.catalog.delete(DEFAULT_TENANT, [row.id]))
        if chance.random() < 0.2:
            embedder.away = not embedder.away
        if chance.random() < 0.1:
            await subscribed.wait()  # one that is ended while it joins its group is missed by it only later
            subscribed.clear()
            running.cancel()
            await asyncio.wait({running})
            running = asyncio.create_task(world.indexer(SETTINGS).run())
        await asyncio.sleep(chance.choice((0, 0, 0.005)))
    embedder.away = False
    async with asyncio.timeout(30):
        await world.handled()
    running.cancel()
    await asyncio.wait({running})
    newest: dict[int, int] = {}
    async for record in world.log.scan(SPACE.vectors_topic):
        found = VectorRecord.decode(record.value or b"", SPACE.dim)
        assert found.version >= newest.get(found.image_id, 0), "no old record follows a newer one"
        newest[found.image_id] = found.version
    records, rows = await vectors_in(world.log), await world.catalog.pictures(list(newest))
    for image_id, row in rows.items():
        assert (records[image_id].version, records[image_id].deleted) == (row.version, row.state == "deleted")
        assert row.state == "deleted" or records[image_id].payload.sha256 == row.sha256


async def test_more_than_may_wait_stays_in_the_log(world: World) -> None:
    uploads = await world.upload(*(b"waiting %d" % number for number in range(300)))
    embedder = world.embedder = TowerAway()
    running = asyncio.create_task(world.indexer(SETTINGS).run())
    while embedder.refused_calls < 5:  # noqa: ASYNC110  what it waits for is a count
        await asyncio.sleep(0.01)
    assert await behind(world) == 300
    embedder.away = False
    async with asyncio.timeout(60):
        await world.handled()
    running.cancel()
    await asyncio.wait({running})
    assert len(await vectors_in(world.log)) == len(uploads)
