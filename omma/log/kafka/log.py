"""The log itself: topics, offsets, and the making of producers and consumers."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import partial
from typing import Final, Self, TypeVar

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.errors import GroupIdNotFound, NonEmptyGroup, for_code
from aiokafka.protocol.admin import DeleteGroupsRequest
from aiokafka.protocol.commit import OffsetFetchRequest

from omma.errors import ReplicaDown
from omma.log.interface import Consumer, Log, LogRecord, OnAssigned, Producer, Purge, TopicPartition, TopicSpec
from omma.log.kafka.connection import Connection
from omma.log.kafka.consumer import AssignedConsumer, client, stop
from omma.log.kafka.errors import translated
from omma.log.kafka.group import GroupConsumer
from omma.log.kafka.producer import PlainProducer
from omma.log.kafka.purging import purging
from omma.log.kafka.settings import KafkaSettings
from omma.log.kafka.topics import Topics
from omma.log.kafka.transaction import TransactionalProducer
from omma.log.names import checked_name

_SCAN_RECORDS: Final = 2_000
_SCAN_SECONDS: Final = 1.0
_Kept = TypeVar("_Kept", AssignedConsumer, GroupConsumer, PlainProducer, TransactionalProducer)


class KafkaLog(Log):
    """A log on Kafka 2.8 or newer, which gives topics ids. Made on, and used from, one event loop.

    Every call is bounded; a broker that does not answer in time is ReplicaDown.
    """

    def __init__(self, settings: KafkaSettings, connection: Connection, offsets: AIOKafkaConsumer) -> None:
        self._settings = settings
        self._connection = connection
        self._topics = Topics(settings, connection)
        self._offsets = offsets
        self._opened: list[AssignedConsumer | PlainProducer | TransactionalProducer] = []

    @classmethod
    async def open(cls, settings: KafkaSettings) -> Self:
        """Raises ReplicaDown when no broker answers, WrongState when one refuses us, OSError for TLS files."""
        async with AsyncExitStack() as undo:
            connection = Connection(settings)
            undo.push_async_callback(connection.close)
            await connection.start()
            offsets = client(settings)
            undo.push_async_callback(stop, offsets)
            with translated():
                async with asyncio.timeout(settings.request_seconds):
                    await offsets.start()
            undo.pop_all()
            return cls(settings, connection, offsets)

    async def identity(self, topic: str | None = None) -> str:
        """Kafka's id of the cluster; with a topic also that topic's."""
        if topic is None:
            return (await self._topics.metadata([])).cluster_id
        found = await self._topics.find(topic)
        return f"{(await self._topics.metadata([])).cluster_id}/{found.id}"

    async def ensure_topic(self, spec: TopicSpec) -> None:
        await self._topics.ensure(spec)

    async def make_compacted(self, topic: str) -> None:
        """Raises NotAllowed too, where topics may not be changed."""
        await self._topics.make_compacted(topic)

    async def topics(self) -> Sequence[TopicSpec]:
        return await self._topics.specs()

    async def delete_topic(self, name: str) -> None:
        """The brokers remove its files in their own time."""
        await self._topics.delete(name)

    async def delete_group(self, group: str) -> bool:
        full_group = self._settings.prefix + checked_name(group, "group")
        answer = await self._connection.ask_coordinator(full_group, DeleteGroupsRequest([full_group]))
        for _, error_code in answer.results:
            error = for_code(error_code)
            if error is NonEmptyGroup:
                return False
            if error_code and error is not GroupIdNotFound:
                with translated():
                    raise error()
        return True

    async def beginning_offsets(self, topic: str) -> Mapping[int, int]:
        """Raises Absent, as every call that names a topic does."""
        partitions = await self._partitions(topic)
        with translated():
            async with asyncio.timeout(self._settings.request_seconds):
                return _by_partition(await self._offsets.beginning_offsets(partitions))

    async def end_offsets(self, topic: str) -> Mapping[int, int]:
        """The last stable offset, by partition: what follows belongs to transactions that are still open."""
        partitions = await self._partitions(topic)
        with translated():
            async with asyncio.timeout(self._settings.request_seconds):
                return _by_partition(await self._offsets.end_offsets(partitions))

    async def committed(self, group: str, topic: str) -> Mapping[int, int]:
        full_group = self._settings.prefix + checked_name(group, "group")
        partitions = range((await self._topics.find(topic)).partitions)
        request = OffsetFetchRequest(full_group, [(self._topics.full_name(topic), list(partitions))])
        answer = await self._connection.ask_coordinator(full_group, request)
        offsets = {partition: offset for _, found in answer.topics for partition, offset, *_ in found}
        with translated():
            # A coordinator that is loading, or is none any more, says so of the whole and names no partition.
            for error_code in (answer.error_code, *(code for _, found in answer.topics for *_, code in found)):
                if error_code:
                    raise for_code(error_code)()
        if offsets.keys() != set(partitions):
            raise ReplicaDown(f"Kafka does not tell what group {group!r} committed.", retry_after_seconds=1.0)
        return {partition: offset for partition, offset in offsets.items() if offset >= 0}

    async def producer(self, transactional_id: str | None = None) -> Producer:
        self._connection.require_open()
        if transactional_id is not None:
            return self._keep(await TransactionalProducer.start(self._settings, self._topics, transactional_id))
        producer = PlainProducer(self._settings, self._topics)
        await producer.start()
        return self._keep(producer)

    async def subscribe(self, topic: str, group: str, on_assigned: OnAssigned | None = None) -> Consumer:
        """A member that goes without a close keeps its partitions for session_seconds."""
        self._connection.require_open()
        committed = partial(self.committed, group, topic)
        joining = GroupConsumer.join(
            self._settings, self._topics, topic, group, committed=committed, on_assigned=on_assigned
        )
        return self._keep(await joining)

    async def assign(self, positions: Mapping[TopicPartition, int]) -> Consumer:
        self._connection.require_open()
        return self._keep(await AssignedConsumer.start(self._settings, self._topics, positions))

    async def scan(self, topic: str) -> AsyncIterator[LogRecord]:
        beginnings = await self.beginning_offsets(topic)
        ends = await self.end_offsets(topic)
        for partition, start in beginnings.items():
            at, end = TopicPartition(topic, partition), ends[partition]
            if start == end:
                continue
            consumer = await AssignedConsumer.start(self._settings, self._topics, {at: start})
            try:
                while consumer.position(at) < end:
                    for record in await consumer.poll(_SCAN_RECORDS, _SCAN_SECONDS):
                        if record.offset < end:
                            yield record
            finally:
                await consumer.close()

    async def compact(self) -> None:
        """Nothing: the brokers do it."""

    def purging(self, topic: str) -> AbstractAsyncContextManager[Purge]:
        return purging(self._connection, self._topics.full_name(topic))

    async def close(self) -> None:
        """Closes every producer and consumer; a poll under way raises WrongState."""
        if not self._connection.closed:
            opened, self._opened = self._opened, []
            self._connection.closed = True
            await asyncio.gather(*[one.close() for one in opened])
            await stop(self._offsets)
            await self._connection.close()

    def _keep(self, one: _Kept) -> _Kept:
        self._opened = [*(other for other in self._opened if not other.closed), one]
        return one

    async def _partitions(self, topic: str) -> list[KafkaPartition]:
        found = await self._topics.find(topic)
        return [KafkaPartition(found.name, partition) for partition in range(found.partitions)]


def _by_partition(offsets: Mapping[KafkaPartition, int]) -> dict[int, int]:
    return {at.partition: offset for at, offset in sorted(offsets.items())}
