"""Logs for the contract, and what its tests ask of them."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from aiokafka.admin.new_topic import NewTopic

from deploy.parts import Kafka
from omma.log.interface import Consumer, Log, LogRecord, Producer, TopicSpec
from omma.log.kafka.log import KafkaLog
from omma.log.kafka.settings import KafkaSettings
from omma.log.sqlite import SqliteLog
from tests.contract.reopened import Reopened
from tests.kafka_weeks import SMALL_FILES, administering, delete_all
from tests.waiting import eventually

PLENTY = 10.0


class LogBackend(Reopened[Log]):
    """make_small_files: makes a topic, not by the log, of which all but the newest record can be compacted at once.
    let_expire: what a topic that is not compacted has is older than its retention.
    """

    def __init__(
        self,
        open_log: Callable[[], Awaitable[Log]],
        *,
        make_small_files: Callable[[TopicSpec], Awaitable[None]],
        let_expire: Callable[[str], Awaitable[None]],
    ) -> None:
        super().__init__(open_log)
        self.make_small_files = make_small_files
        self.let_expire = let_expire


def sqlite_backend(folder: Path) -> LogBackend:
    later_seconds = 0.0

    async def nothing(spec: TopicSpec) -> None:
        """`compact` is all it takes."""

    async def a_week_goes_by(topic: str) -> None:
        nonlocal later_seconds
        later_seconds += TopicSpec(topic, 1).retention_seconds + 1
        await backend.opened[-1].compact()

    def now() -> float:
        return time.time() + later_seconds

    backend = LogBackend(
        lambda: SqliteLog.open(folder / "log.db", clock=now), make_small_files=nothing, let_expire=a_week_goes_by
    )
    return backend


def kafka_backend(part: Kafka) -> LogBackend:
    """A prefix of its own on the session's broker. Fetches wait shorter, and bring less, than in production."""
    settings = KafkaSettings(
        brokers=part.brokers,
        prefix=f"{uuid.uuid4().hex}.",
        fetch_wait_seconds=0.1,
        partition_fetch_bytes=1_024,
        session_seconds=3.0,
    )

    async def make_small_files(spec: TopicSpec) -> None:
        # From the first record on: a topic that is changed goes on as it was until its broker hears of it, and a
        # segment that holds all is never cleaned.
        configs = {"cleanup.policy": "compact" if spec.compacted else "delete", **SMALL_FILES}
        async with administering(part.brokers) as admin:
            await admin.create_topics(
                [NewTopic(settings.prefix + spec.name, spec.partitions, 1, topic_configs=configs)]
            )

    async def let_expire(topic: str) -> None:
        await delete_all(part.brokers, [settings.prefix + topic])

    return LogBackend(lambda: KafkaLog.open(settings), make_small_files=make_small_files, let_expire=let_expire)


async def send_apart(producer: Producer, topic: str, records: Sequence[tuple[bytes, bytes | None]]) -> None:
    """To partition 0, each a few milliseconds after the one before, so that a segment of a millisecond is over."""
    for key, value in records:
        await producer.send(topic, 0, key, value)
        await asyncio.sleep(0.005)


async def drain(consumer: Consumer, count: int) -> list[LogRecord]:
    """Exactly count records, or what came before the consumer fell silent."""
    records: list[LogRecord] = []
    while len(records) < count and (found := await consumer.poll(100, PLENTY)):
        records += found
    return records


async def share_out(consumers: Sequence[Consumer], partitions: int) -> None:
    """Poll the members of a group together until the partitions are theirs in equal shares; nothing may come."""

    async def shared() -> bool:
        assert await asyncio.gather(*[consumer.poll(10, 0.05) for consumer in consumers]) == [[]] * len(consumers)
        return [len(consumer.assignment()) for consumer in consumers] == [partitions // len(consumers)] * len(consumers)

    await eventually(shared, 3 * PLENTY)


async def values_are(log: Log, topic: str, values: list[bytes]) -> bool:
    return [value for _, _, _, value in await all_of(log, topic)] == values


async def committed_is(log: Log, group: str, topic: str, offsets: dict[int, int]) -> bool:
    return await log.committed(group, topic) == offsets


async def all_of(log: Log, topic: str) -> list[tuple[int, int, bytes, bytes | None]]:
    return [(r.partition, r.offset, r.key, r.value) async for r in log.scan(topic)]
