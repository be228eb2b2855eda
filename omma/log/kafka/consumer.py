"""Consumers of given partitions from given offsets, committed records only."""

import asyncio
import time
from collections.abc import Collection, Mapping
from typing import Any, Final, Self

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.errors import ConsumerStoppedError, OffsetOutOfRangeError

from omma.errors import OmmaError, ReplicaDown, WrongState
from omma.log.interface import Consumer, LogRecord, OffsetOutOfRange, TopicPartition
from omma.log.kafka.errors import translated
from omma.log.kafka.settings import KafkaSettings
from omma.log.kafka.topics import Topics

_CLOSE_SECONDS: Final = 5.0
_CHECK_SECONDS: Final = 1.0


def client(settings: KafkaSettings, **arguments: Any) -> AIOKafkaConsumer:
    """A consumer of aiokafka, not yet connected. Nothing wakes it but records and the end of a long fetch."""
    fetch_wait_ms = int(settings.fetch_wait_seconds * 1000)
    return AIOKafkaConsumer(
        **settings.connection(),
        **arguments,
        enable_auto_commit=False,
        isolation_level="read_committed",
        fetch_max_wait_ms=fetch_wait_ms,
        consumer_timeout_ms=fetch_wait_ms,
        fetch_max_bytes=settings.fetch_bytes,
        max_partition_fetch_bytes=settings.partition_fetch_bytes,
    )


async def stop(consumer: AIOKafkaConsumer) -> None:
    """Let go of a consumer of aiokafka, whatever state it is in; what it had is the brokers' to forget.

    Its own stop raises the CancelledError of a fetch that waits before it is tried again, and leaves its connections.
    """
    try:
        with translated():
            async with asyncio.timeout(_CLOSE_SECONDS):
                await consumer.stop()
    except OmmaError:
        await consumer._client.close()


class AssignedConsumer(Consumer):
    """Reads exactly the partitions that it was given.

    A lost connection is mended behind `poll`, which returns nothing meanwhile, and raises ReplicaDown once a partition
    has been silent for `silence_seconds`.
    """

    def __init__(self, settings: KafkaSettings, topics: Topics, consumer: AIOKafkaConsumer) -> None:
        self._settings = settings
        self._topics = topics
        self._consumer = consumer
        self._positions: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()
        self.closed = False
        self._heard: dict[TopicPartition, float] = {}
        self._next_check = 0.0

    @classmethod
    async def start(cls, settings: KafkaSettings, topics: Topics, positions: Mapping[TopicPartition, int]) -> Self:
        """Raises Absent for a partition that is not there, ReplicaDown."""
        for at in positions:
            await topics.require(at)
        consumer = client(settings, auto_offset_reset="none")
        self = cls(settings, topics, consumer)
        consumer.assign([self._kafka(at) for at in positions])
        await self._connect()
        self._positions = dict(positions)
        for at, offset in positions.items():
            self.seek(at, offset)
        return self

    async def poll(self, max_records: int, timeout_seconds: float) -> list[LogRecord]:
        """With timeout 0: what has arrived already, which may be nothing although the log has more."""
        self._require_open()
        for at, offset in self._positions.items():
            if offset < 0 and at not in self._paused:
                raise OffsetOutOfRange(at, offset)
        self._require_heard()
        records = await self._fetch(max_records, timeout_seconds)
        await self._note_positions()
        now = time.monotonic()
        self._heard.update((TopicPartition(record.topic, record.partition), now) for record in records)
        return records

    def assignment(self) -> Collection[TopicPartition]:
        return frozenset(self._positions)

    def position(self, at: TopicPartition) -> int:
        self._require_assigned(at)
        return self._positions[at]

    def seek(self, at: TopicPartition, offset: int) -> None:
        self._require_assigned(at)
        self._positions[at] = offset
        self._heard[at] = time.monotonic()
        # Kafka has no negative offsets: the next poll says so.
        self._consumer.seek(self._kafka(at), max(0, offset))

    def pause(self, partitions: Collection[TopicPartition]) -> None:
        mine = self._positions.keys() & set(partitions)
        self._paused |= mine
        self._consumer.pause(*map(self._kafka, mine))

    def resume(self, partitions: Collection[TopicPartition]) -> None:
        mine = self._paused & set(partitions)
        self._paused -= mine
        self._heard.update((at, time.monotonic()) for at in mine)
        self._consumer.resume(*map(self._kafka, mine & self._positions.keys()))

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        raise WrongState("Only a consumer with a group commits.")

    async def close(self) -> None:
        if not self.closed:
            self.closed = True
            await stop(self._consumer)

    async def _connect(self) -> None:
        try:
            with translated():
                async with asyncio.timeout(self._settings.request_seconds):
                    await self._consumer.start()
        except BaseException:
            await self.close()
            raise

    async def _fetch(self, max_records: int, timeout_seconds: float) -> list[LogRecord]:
        try:
            with translated():
                found = await self._consumer.getmany(timeout_ms=int(timeout_seconds * 1000), max_records=max_records)
        except ReplicaDown as error:
            self._require_open()
            if isinstance(error.__cause__, OffsetOutOfRangeError):
                ((partition, offset),) = error.__cause__.args[0].items()
                raise OffsetOutOfRange(self._ours(partition), offset) from error
            if isinstance(error.__cause__, ConsumerStoppedError):
                raise WrongState("The consumer is closed.") from error
            raise
        self._require_open()
        return [
            LogRecord(at.topic, at.partition, one.offset, one.key or b"", one.value, one.timestamp)
            for at, records in ((self._ours(partition), records) for partition, records in found.items())
            for one in records
        ]

    async def _note_positions(self) -> None:
        # Also of partitions without records: what was aborted or compacted away is passed too, and markers are.
        positions = self._positions
        for at in positions:
            positions[at] = await self._consumer.position(self._kafka(at))

    def _require_heard(self) -> None:
        """Raises ReplicaDown when a partition that is read has been silent for too long. Looks once a second."""
        now = time.monotonic()
        if now < self._next_check:
            return
        self._next_check = now + _CHECK_SECONDS
        limit = self._settings.silence_seconds + self._settings.fetch_wait_seconds
        for at in self._positions.keys() - self._paused:
            silent = now - self._heard[at]
            if silent > limit:
                # No record came; a fetch that found none has been answered all the same.
                fetched_ms = self._consumer.last_poll_timestamp(self._kafka(at)) or 0
                silent = min(silent, time.time() - fetched_ms / 1000)
            if silent > limit:
                raise ReplicaDown(f"Kafka has not answered for {at.topic}[{at.partition}] for {silent:.0f} s.")

    def _require_assigned(self, at: TopicPartition) -> None:
        if at not in self._positions:
            raise WrongState(f"{at.topic}[{at.partition}] is not assigned to this consumer.")

    def _require_open(self) -> None:
        if self.closed:
            raise WrongState("The consumer is closed.")

    def _kafka(self, at: TopicPartition) -> KafkaPartition:
        return KafkaPartition(self._topics.full_name(at.topic), at.partition)

    def _ours(self, partition: KafkaPartition) -> TopicPartition:
        return TopicPartition(partition.topic.removeprefix(self._settings.prefix), partition.partition)
