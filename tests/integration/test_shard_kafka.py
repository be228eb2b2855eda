"""Shards on a real Kafka: markers, aborted transactions and compaction leave gaps; broker and topic may go."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import replace

import numpy as np
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from deploy.parts import Kafka
from omma.buckets import bucket_of
from omma.errors import OmmaError
from omma.index import Index
from omma.log.interface import TopicSpec
from omma.log.kafka.log import KafkaLog
from omma.log.kafka.settings import KafkaSettings
from omma.records import VectorRecord, image_key
from omma.rpc.deadline import Deadline
from omma.space import Space
from omma.vectors import normalise
from services.nn_shard.settings import ShardSettings
from services.nn_shard.shard import Shard
from tests.integration.shard_world import DIM, SETTINGS, SPACE, World, caught_up, query, require_model, running, world

__all__ = ["world"]

SHARDS = 4
QUICK = SETTINGS.model_copy(update={"poll_seconds": 0.2, "lag_check_seconds": 0.1})


class KafkaWorld:
    """A world whose log is on the broker; its writer is transactional, as the indexer is."""

    def __init__(self, world: World, log: KafkaLog, settings: KafkaSettings, space: Space) -> None:
        self.world, self.log, self.settings, self.space = world, log, settings, space

    async def send(self, records: Sequence[VectorRecord], *, aborted: bool = False) -> None:
        producer = await self.log.producer("writer")
        try:
            async with producer.transaction() as transaction:
                for one in records:
                    bucket = bucket_of(one.image_id, self.space.buckets)
                    await transaction.send(self.space.vectors_topic, bucket, image_key(one.image_id), one.encode())
                if aborted:
                    raise InterruptedError
        except InterruptedError:
            return
        finally:
            await producer.close()
        self.world.model.update({one.image_id: one for one in records})

    def shard(self, index: Index, number: int, folder: str, settings: ShardSettings = QUICK) -> Shard:
        return Shard(
            folder=self.world.folder / folder, space=self.space, index=index, shard=number, log=self.log,
            blobs=self.world.blobs, catalog=self.world.catalog, settings=settings, holder="test",
        )  # fmt: skip

    async def register(self, shards: int) -> Index:
        await self.world.catalog.register_space(self.space)
        index = self.world.index(shards)
        await self.world.catalog.register_index(index)
        return index


async def opened(world: World, kafka: Kafka, space: Space) -> KafkaWorld:
    settings = KafkaSettings(brokers=kafka.brokers, prefix=f"{uuid.uuid4().hex}.", fetch_wait_seconds=0.1)
    log = await KafkaLog.open(settings)
    await log.ensure_topic(TopicSpec(space.vectors_topic, space.buckets, compacted=True))
    return KafkaWorld(world, log, settings, space)


@pytest.fixture
async def on_kafka(world: World, kafka: Kafka) -> AsyncIterator[KafkaWorld]:
    opened_world = await opened(world, kafka, SPACE)
    yield opened_world
    await opened_world.log.close()


@pytest.fixture
async def wide(world: World, kafka: Kafka) -> AsyncIterator[KafkaWorld]:
    opened_world = await opened(world, kafka, replace(SPACE, buckets=256))
    yield opened_world
    await opened_world.log.close()


async def test_four_shards_of_256_partitions_hold_what_was_committed_and_go_on_where_they_were(
    wide: KafkaWorld,
) -> None:
    world, index = wide.world, await wide.register(SHARDS)
    await wide.send([world.record(one) for one in range(1, 401)])
    await wide.send([world.record(one) for one in range(1_000, 1_100)], aborted=True)
    await wide.send([world.delete(one, 2) for one in range(1, 100)])
    await wide.send([world.record(one, 7) for one in range(300, 310)], aborted=True)
    unit = normalise(np.ones(DIM))
    applied = []
    for _ in range(2):
        found: list[int] = []
        async with AsyncExitStack() as stack:
            for number in range(SHARDS):
                shard = await stack.enter_async_context(running(wide.shard(index, number, f"s{number}")))
                answer = await shard.client.search(query(index, unit, k=1_000, exact=True), Deadline.after(10))
                found += answer.hits.ids.tolist()
                applied.append(answer.applied)
                assert not answer.degraded
                assert await shard.replica.lag() == 0
        assert sorted(found) == sorted(world.live())
    ends = await wide.log.end_offsets(wide.space.vectors_topic)
    assert sum(applied[:SHARDS]) == sum(ends.values()) == sum(applied[SHARDS:])
    assert sum(ends.values()) > 609, "markers have offsets too"


async def test_a_snapshot_older_than_what_compaction_left_brings_no_deleted_picture_back(
    on_kafka: KafkaWorld,
) -> None:
    world, index = on_kafka.world, await on_kafka.register(1)
    admin = AIOKafkaAdminClient(bootstrap_servers=on_kafka.settings.brokers)
    await admin.start()
    soon = {"cleanup.policy": "compact", "segment.ms": "1", "min.cleanable.dirty.ratio": "0.0",
            "delete.retention.ms": "0"}  # fmt: skip
    name = on_kafka.settings.prefix + SPACE.vectors_topic
    await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, soon)])
    await admin.close()
    await on_kafka.send([world.record(one) for one in range(1, 201)])
    async with running(on_kafka.shard(index, 0, "first")) as shard:
        assert await shard.maintenance.snapshot()
    await on_kafka.send([world.delete(one, 2) for one in range(1, 81)])
    await on_kafka.send([world.record(one) for one in range(5_000, 5_200)])  # a newest segment is never cleaned

    async def dead_vectors() -> int:
        every = [VectorRecord.decode(one.value or b"", DIM) async for one in on_kafka.log.scan(SPACE.vectors_topic)]
        return sum(one.image_id <= 80 and not one.deleted for one in every)

    async with asyncio.timeout(60):
        while await dead_vectors():  # noqa: ASYNC110  the brokers do it in their time
            await asyncio.sleep(0.2)
    async with running(on_kafka.shard(index, 0, "restored")) as shard:
        assert shard.replica.loaded().stamp
        await require_model(world, shard, index)
    async with running(on_kafka.shard(world.index(), 0, "replayed")) as shard:
        await require_model(world, shard, index)


async def test_without_the_broker_it_answers_and_reads_on_when_it_is_back(on_kafka: KafkaWorld, kafka: Kafka) -> None:
    world, index = on_kafka.world, await on_kafka.register(1)
    await on_kafka.send([world.record(one) for one in range(1, 101)])
    settings = QUICK.model_copy(update={"stale_seconds": 1.0, "log_timeout_seconds": 1.0})
    async with running(on_kafka.shard(index, 0, "shard", settings)) as shard:
        server = kafka.server
        server.kill()
        async with asyncio.timeout(60):
            while not shard.replica.stale:  # noqa: ASYNC110  the clock turns it
                await asyncio.sleep(0.05)
        answer = await shard.client.search(query(index, normalise(np.ones(DIM)), k=200, exact=True), Deadline.after(5))
        assert len(answer.hits) == 100
        assert answer.degraded == {"stale_replica"}
        assert shard.replica.ready
        server.restart()
        await on_kafka.send([world.record(one) for one in range(500, 550)])
        await caught_up(world, shard)
        await require_model(world, shard, index)


async def test_a_topic_that_was_made_again_is_replayed(on_kafka: KafkaWorld) -> None:
    world, index = on_kafka.world, await on_kafka.register(1)
    await on_kafka.send([world.record(one) for one in range(1, 101)])
    async with running(on_kafka.shard(index, 0, "shard")) as shard:
        admin = AIOKafkaAdminClient(bootstrap_servers=on_kafka.settings.brokers)
        await admin.start()
        await admin.delete_topics([on_kafka.settings.prefix + SPACE.vectors_topic])
        await admin.close()
        world.model.clear()
        async with asyncio.timeout(60):
            while not world.model:
                with suppress(OmmaError):  # while the brokers still take the old one away
                    await on_kafka.log.ensure_topic(TopicSpec(SPACE.vectors_topic, SPACE.buckets, compacted=True))
                    await on_kafka.send([world.record(one) for one in range(1_000, 1_300)])
        async with asyncio.timeout(30):
            await caught_up(world, shard)
            await shard.replica.until_ready()
        await require_model(world, shard, index)
