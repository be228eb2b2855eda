"""What Kafka does to a topic in the course of weeks, at once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.admin.records_to_delete import RecordsToDelete

from omma.log.interface import Log

SMALL_FILES = {"segment.ms": "1", "min.cleanable.dirty.ratio": "0.0"}
"""A segment a record: of all but the newest the cleaner leaves the last of each key alone."""


@asynccontextmanager
async def administering(brokers: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=brokers)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def delete_all(brokers: str, topics: Iterable[str]) -> None:
    """What retention does to topics that are not compacted, and looks for once in five minutes. topics: in full."""
    async with administering(brokers) as admin:
        for topic in topics:
            found = await admin.describe_topics([topic])
            partitions = [TopicPartition(topic, one["partition"]) for one in found[0]["partitions"]]
            await admin.delete_records({at: RecordsToDelete(before_offset=-1) for at in partitions})


async def compact_now(brokers: str, log: Log, topic: str, write_on: Callable[[], Awaitable[None]]) -> None:
    """Until each partition's records but its newest have a key of their own; then its files are as before.

    write_on: sends to every partition; until a broker hears of small files it goes on as it was.
    """
    async with administering(brokers) as admin:
        await _configure(admin, topic, SMALL_FILES)
        async with asyncio.timeout(120):
            while True:
                await write_on()
                await asyncio.sleep(1)  # the cleaner's turn, which sets no event
                if await _superseded(log, topic) == 0:
                    break
        await _configure(admin, topic, {})


async def _configure(admin: AIOKafkaAdminClient, topic: str, more: dict[str, str]) -> None:
    configs = {"cleanup.policy": "compact", **more}
    await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs=configs)])


async def _superseded(log: Log, topic: str) -> int:
    records = [(one.partition, one.offset, one.key) async for one in log.scan(topic)]
    newest = {partition: offset for partition, offset, _ in records}
    keys = Counter((partition, key) for partition, offset, key in records if offset < newest[partition])
    return sum(count - 1 for count in keys.values())
